/** Opening a wasm backend: which build of the kernels computes rightly and fastest here, and what its memories may grow to. */
import { Qwen3Error } from "../../core/errors.ts";
import { WasmBackend } from "./backend.ts";
import type { InstanceOptions, Instantiate } from "./instances.ts";
import { instantiate, withUnsignedDots } from "./kernels.ts";
import { type Build, hasWideVectors, loadModule } from "./load.ts";
import { expectedProducts, probe } from "./probe.ts";
import { probeAttention } from "./probe-attention.ts";

export interface WasmOptions {
  /** The compiled wasm/qwen3-simd.wasm, -relaxed.wasm or -wide.wasm, for hosts that forbid compiling bytes; goes before `build`. */
  readonly module?: WebAssembly.Module | undefined;
  /**
   * Default "auto": the fastest that computes rightly here. "wide" has vectors of 256 bits; it is chosen in Node 24 on processors with AVX2 for
   * models of 64 MiB and more, and compiling it takes 50 ms and a flag of V8 for that time.
   */
  readonly build?: "auto" | Build | undefined;
  /** What all memories together may grow to. Default: no limit. */
  readonly maximumBytes?: number | undefined;
  /** What each memory may grow to; what one cannot hold lies in several. Default, and most: a page less than 4 GiB. */
  readonly instanceBytes?: number | undefined;
}

/** Kernels that compute rightly on this machine. Another thread of it may use them as they are. */
export interface ChosenKernels {
  readonly module: WebAssembly.Module;
  /** Whether relaxed dots of bytes multiply unsigned and exactly. */
  readonly unsignedDots: boolean;
}

/** What is known of what will be asked of a backend. */
export type Planned = Pick<InstanceOptions, "plannedBytes" | "stepBytes" | "watch">;

/** What is known of the work before it begins. */
export interface Work {
  /** There is so little to compute that kernels which take long to compile would not pay. */
  readonly isSmall?: boolean;
  /** No weights, activations or caches are quantized: the builds differ in nothing that is used, and engines have no choice in it. */
  readonly isUnquantized?: boolean;
}

/** What the probes' operands take, many times over. */
const TRIAL_BYTES = 16 * 1024 * 1024;

/** The wasm backend with the fastest kernels that compute rightly here. Errors: those of `chooseKernels`, MEMORY_FULL. */
export async function createWasmBackend(options: WasmOptions = {}, planned: Planned = {}): Promise<WasmBackend> {
  return openWasmBackend(await chooseKernels(options), options, planned);
}

/**
 * The fastest kernels that compute rightly here.
 *
 * @throws BACKEND_UNAVAILABLE with the reason for each build that was tried
 */
export async function chooseKernels({ module, build = "auto" }: WasmOptions = {}, work: Work = {}): Promise<ChosenKernels> {
  if (!["auto", "simd", "relaxed", "wide"].includes(build))
    throw new Qwen3Error("ARGUMENT", `wasm.build is ${build}; allowed: "auto", "simd", "relaxed", "wide"`);
  const candidates = module ? [["module", () => probed(module)] as const] : await buildsFor(build, work);
  const reasons: string[] = [];
  for (const [candidate, kernels] of candidates) {
    const chosen = await kernels().catch((error: Error) => error);
    if (!(chosen instanceof Error)) return chosen;
    reasons.push(`${candidate}: ${chosen.message}`);
  }
  throw new Qwen3Error("BACKEND_UNAVAILABLE", `no WebAssembly kernels can be used here: ${reasons.join("; ")}`);
}

/** The builds that may be taken, the fastest first, each with how its kernels are got. */
async function buildsFor(
  build: "auto" | Build,
  { isSmall, isUnquantized }: Work,
): Promise<readonly (readonly [Build, () => Promise<ChosenKernels>])[]> {
  // Without the probe, which takes as long as a small model's first answer.
  if (build === "auto" && isSmall && isUnquantized)
    return [["simd", async () => ({ module: await loadModule("simd"), unsignedDots: false })]];
  const all = !isSmall && (await hasWideVectors()) ? (["wide", "relaxed", "simd"] as const) : (["relaxed", "simd"] as const);
  return (build === "auto" ? all : [build]).map((name) => [name, () => probed(loadModule(name))]);
}

/** The kernels of a module, with the fastest dots that are right here. @throws Error saying what is wrong with it */
async function probed(compiling: WebAssembly.Module | Promise<WebAssembly.Module>): Promise<ChosenKernels> {
  const module = await compiling;
  const expected = await expectedProducts();
  let wrong: string | undefined;
  for (const unsignedDots of [true, false]) {
    const trial = openWasmBackend({ module, unsignedDots }, { maximumBytes: TRIAL_BYTES });
    const applies = !unsignedDots || trial.instances.home.kernels.relaxed.value === 1;
    if (applies) wrong = (await probe(trial, expected)) ?? (await probeAttention(trial));
    trial.close();
    if (applies && wrong === undefined) return { module, unsignedDots };
  }
  throw new Error(`it computes wrongly: ${wrong}`);
}

/** The wasm backend with kernels that were chosen before, in memories of its own. @throws MEMORY_FULL */
export function openWasmBackend(
  { module, unsignedDots }: ChosenKernels,
  { maximumBytes, instanceBytes }: Pick<WasmOptions, "maximumBytes" | "instanceBytes"> = {},
  planned: Planned = {},
): WasmBackend {
  const makeKernels: Instantiate = ({ memory }) => {
    const kernels = instantiate(module, memory);
    return unsignedDots ? withUnsignedDots(kernels) : kernels;
  };
  return new WasmBackend(makeKernels, { maximumBytes, instanceBytes, ...planned });
}
