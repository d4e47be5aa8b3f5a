/** From what a machine can read and multiply to the tokens per second that it allows. */
import type { MemoryPlan } from "../../src/index.ts";
import type { Job } from "./jobs.ts";
import type { DotPeaks, Failed, NativeCeiling, WasmCeiling } from "./result.ts";
import { matrixValues, prefillMacs, SHAPES, tensorsOf, valuesIn } from "./shapes.ts";

/** With one f16 scale for a group of 32, as the peers' formats have it; larger groups only take less. */
const MATRIX_BYTES_PER_VALUE = { int8: 1 + 2 / 32, int4: 1 / 2 + 2 / 32, bf16: 2 } as const;

export interface Cost {
  /** That every token reads. */
  readonly weightBytes: number;
  /** Weights, and the cache of the tokens before it. */
  bytesPerToken(context: number): number;
  readonly macsPerPromptToken: number;
}

/** @param plan of our engine, which says what its cache takes and whether its weights take less than we count */
export function cost({ preset, weights, promptTokens }: Job, plan: MemoryPlan | undefined): Cost {
  const shape = SHAPES[preset];
  const norms = tensorsOf(shape).reduce((sum, tensor) => sum + (tensor.shape.length === 1 ? 4 * valuesIn(tensor) : 0), 0);
  const stored = matrixValues(shape) * MATRIX_BYTES_PER_VALUE[weights] + norms;
  const weightBytes = Math.min(stored, plan?.weightBytes ?? stored);
  const f16Cache = 2 * 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim;
  const cacheBytes = plan?.kvBytesPerToken ?? f16Cache;
  return {
    weightBytes,
    bytesPerToken: (context) => weightBytes + context * cacheBytes,
    macsPerPromptToken: prefillMacs(shape, promptTokens),
  };
}

/** The best number of streams in the best round: a disturbed round lowers no ceiling. */
export function readGBps(ceilings: readonly (NativeCeiling | WasmCeiling | Failed)[], threads: number): number | undefined {
  const found = ceilings.flatMap((each) => ("error" in each || each.threads !== threads ? [] : Object.values(each.readGBps)));
  return found.length > 0 ? Math.max(...found) : undefined;
}

/** Of one core, in the best round. */
export function dotPeaks(ceilings: readonly (NativeCeiling | Failed)[], kind: "dotPeak" | "dotPeakWide"): DotPeaks | undefined {
  const found = ceilings.flatMap((each) => ("error" in each ? [] : [each[kind]]));
  if (found.length === 0) return undefined;
  const best = (name: keyof DotPeaks) => Math.max(...found.map((peaks) => peaks[name]));
  return { pmaddwd: best("pmaddwd"), pmaddubsw: best("pmaddubsw"), vpdpbusd: best("vpdpbusd") };
}

/** GMAC/s of all threads, of the fastest instruction of 256 bits that the machine has, or else of 128; none for floats. */
export function dotPeak(ceilings: readonly (NativeCeiling | Failed)[], { threads, weights }: Job): number | undefined {
  if (weights === "bf16") return undefined;
  const [wide, peaks] = [dotPeaks(ceilings, "dotPeakWide"), dotPeaks(ceilings, "dotPeak")];
  return wide && peaks && threads * Math.max(...Object.values(wide), ...Object.values(peaks));
}

/** The same of the only one that plain simd128 has. */
export function simd128Peak(ceilings: readonly (NativeCeiling | Failed)[], { threads, weights }: Job): number | undefined {
  if (weights === "bf16") return undefined;
  const peaks = dotPeaks(ceilings, "dotPeak");
  return peaks && threads * peaks.pmaddwd;
}
