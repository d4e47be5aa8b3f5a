/** How a checkpoint is to be loaded and run: the options, and what is allowed. */
import type { KvType } from "../backend/backend.ts";
import type { WasmOptions } from "../backend/wasm/open.ts";
import { Qwen3Error } from "../core/errors.ts";
import { detectHost } from "../core/host.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import type { HubOptions } from "../hub/settings.ts";
import { ACTIVATION_TYPES, quantizes, WEIGHT_TYPES, type WeightOptions } from "../model/weight-format.ts";
import type { LoadProgress } from "../model/weights.ts";
import { DEFAULT_BATCHED_TOKENS, type MemoryPlan, type memoryPlan } from "./plan.ts";
import { hasThreads } from "./threads.ts";

export interface ModelOptions extends WeightOptions {
  /** Default "wasm". "reference" is plain TypeScript: slow, and the definition of every bit. */
  readonly backend?: "wasm" | "reference" | undefined;
  /** Type of the keys and values in the cache. Default "int8" with quantized weights, else "f16"; ARCHITECTURE.md has the errors. */
  readonly kvCache?: KvType | undefined;
  /**
   * Longest sequence, prompt and answer together; one that does not fit the memory is refused. "auto": the largest that fits, at most
   * the model's own. Default: the same, and at most 32,768.
   */
  readonly maxModelLen?: number | "auto" | undefined;
  /** For weights, activations and all KV caches together. Default: half of the machine's memory, 2 GiB where that is unknown. */
  readonly memoryBudgetBytes?: number | undefined;
  /** Tokens per step; longer prompts run in chunks, with the same result. Default 128. */
  readonly maxBatchedTokens?: number | undefined;
  /** Sequences that generate at once; more wait for their turn. Default 64. */
  readonly maxSequences?: number | undefined;
  /** Beside those, sequences that may wait; more are refused with QUEUE_FULL. Default: any number. */
  readonly maxWaiting?: number | undefined;
  /**
   * Keeps what generations without a cache of their own have computed, as far as memory allows, for later ones that begin with the same
   * tokens: a conversation's next turn, a common system prompt. Results are the same bits. Default true.
   */
  readonly prefixCache?: boolean | undefined;
  /**
   * Threads that compute, with the same results whatever their number. Default: one for each processor, at most one for each KV head of
   * the model; 1 for models below 64 MiB and for the reference backend. Where the host has no threads it is 1.
   */
  readonly threads?: number | undefined;
  /** A ready module for hosts that forbid compiling bytes, or a build to insist on. */
  readonly wasm?: WasmOptions | undefined;
  /** For models of the hub: revision, token, cache, and `onProgress` of their download. */
  readonly hub?: HubOptions | undefined;
  /** Called with the plan, once it is known to fit and before any weight is loaded. */
  readonly onPlan?: ((plan: MemoryPlan) => void) | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const KV_TYPES: readonly KvType[] = ["f32", "f16", "int8"];

export function kvTypeOf({ tensors }: Pick<Checkpoint, "tensors">, options: ModelOptions): KvType {
  return options.kvCache ?? (quantizes(tensors.values(), options) ? "int8" : "f16");
}

/** What the checkpoint, the options and the host say about memory. */
export async function planOptions(
  checkpoint: Pick<Checkpoint, "tensors">,
  options: ModelOptions,
): Promise<Parameters<typeof memoryPlan>[1]> {
  const { backend = "wasm", weights = "auto", maxBatchedTokens = DEFAULT_BATCHED_TOKENS, maxModelLen } = options;
  const host = detectHost();
  const machineBytes = await host.totalMemoryBytes();
  const wanted = options.memoryBudgetBytes ?? (machineBytes ? machineBytes / 2 : 2 * GIB);
  const most = (backend === "wasm" && options.wasm?.maximumBytes) || Number.POSITIVE_INFINITY;
  const budgetBytes = Math.floor(Math.min(wanted, most));
  const threads = hasThreads(host) ? options.threads : 1;
  const processors = await host.processors();
  const kvCache = kvTypeOf(checkpoint, options);
  return { backend, weights, kvCache, budgetBytes, maxBatchedTokens, maxModelLen, threads, processors };
}

const GIB = 1024 * 1024 * 1024;

export function requireModelOptions(options: ModelOptions): void {
  const { maxModelLen, memoryBudgetBytes, maxBatchedTokens, maxSequences, threads } = options;
  const { backend, kvCache, weights, activations, maxWaiting, prefixCache } = options;
  const sizes = { memoryBudgetBytes, maxBatchedTokens, maxSequences, threads };
  const positive = { ...(maxModelLen !== "auto" && { maxModelLen }), ...sizes };
  for (const [name, value] of Object.entries(positive))
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      throw new Qwen3Error(
        "ARGUMENT",
        `${name} is ${value}; allowed: a positive integer${name === "maxModelLen" ? ', or "auto"' : ""}`,
      );
  if (maxWaiting !== undefined && !(Number.isSafeInteger(maxWaiting) && maxWaiting >= 0))
    throw new Qwen3Error("ARGUMENT", `maxWaiting is ${maxWaiting}; allowed: an integer from 0`);
  if (prefixCache !== undefined && typeof prefixCache !== "boolean")
    throw new Qwen3Error("ARGUMENT", `prefixCache is ${prefixCache}; allowed: true, false`);
  requireOneOf("backend", backend, ["wasm", "reference"]);
  requireOneOf("weights", weights, WEIGHT_TYPES);
  requireOneOf("activations", activations, ACTIVATION_TYPES);
  requireOneOf("kvCache", kvCache, KV_TYPES);
}

function requireOneOf(name: string, value: string | undefined, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value))
    throw new Qwen3Error("ARGUMENT", `${name} is ${value}; allowed: ${allowed.map((one) => JSON.stringify(one)).join(", ")}`);
}
