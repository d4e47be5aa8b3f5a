/**
 * The memory plan: what a checkpoint and a context need, worked out from config and headers before anything is allocated.
 *
 * weights: every matrix in the format in which it is held, norms as f32. KV cache: 2 * layers * kv_heads * head_dim values per token, in pages of 32
 * tokens. Activations: the tensors of one step of at most `maxBatchedTokens` tokens that are alive at once.
 */
import { type KvType, kvPageBytes, MAXIMA_COLUMNS, PAGE_TOKENS } from "../backend/backend.ts";
import { matrixBytes } from "../backend/wasm/matrix.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import type { ModelConfig } from "../formats/config.ts";
import type { Encoding } from "../formats/encoding.ts";
import { type WeightType, weightFormat } from "../model/weight-format.ts";

/** Rows of hidden states that are turned into logits at once: 32 * 151,936 * 4 bytes are 19 MB. */
export const LOGIT_ROWS = 32;
/** A default context is no longer than this, however much memory there is. */
export const DEFAULT_CONTEXT = 32768;
/** Sequences that generate at once, where nothing else is asked for. */
export const DEFAULT_SEQUENCES = 64;
/** Enough for unpacked weights to serve (backend/wasm/product.ts); a step of a 4B model then takes about three seconds on two cores. */
export const DEFAULT_BATCHED_TOKENS = 128;

/** With smaller weights a model answers sooner than threads have started, or kernels for wide vectors are compiled. */
export const SMALL_MODEL_BYTES = 64 * 1024 * 1024;
/** Of fewer logits a step gives no maxima: a sampler is soon through with them. */
const LEAST_VOCABULARY = 16384;

export interface MemoryPlan {
  /** Threads that compute. */
  readonly threads: number;
  readonly weightBytes: number;
  readonly kvBytesPerToken: number;
  /** Tokens of context that the plan holds a KV cache for. */
  readonly maxModelLen: number;
  readonly kvBytes: number;
  readonly activationBytes: number;
  readonly totalBytes: number;
  readonly budgetBytes: number;
  /** The longest context that fits the budget, at most the model's own; 0 where not even a page does. */
  readonly largestContext: number;
}

export interface PlanOptions {
  readonly backend: "reference" | "wasm" | "webgpu";
  readonly weights: WeightType;
  readonly kvCache: KvType;
  readonly budgetBytes: number;
  readonly maxBatchedTokens: number;
  /** "auto": the largest that fits, at most the model's own. Left out: the same, and at most 32,768. */
  readonly maxModelLen?: number | "auto" | undefined;
  /** Left out: as many as there are processors, at most one for each KV head; 1 for small models and the reference backend. */
  readonly threads?: number | undefined;
  /** What can be at work at once. Default 1. */
  readonly processors?: number | undefined;
}

/** Works out the plan; whether it fits is for `requireFit` to say. */
export function memoryPlan(checkpoint: Pick<Checkpoint, "config" | "tensors">, options: PlanOptions): MemoryPlan {
  const { config } = checkpoint;
  const threads = options.threads ?? defaultThreads(checkpoint, options);
  const weightBytes = weightsIn(checkpoint, options, threads);
  const activationBytes = activationsIn(config, options.maxBatchedTokens, threads);
  const pageBytes = kvPageBytes({
    layers: config.num_hidden_layers,
    kvHeads: config.num_key_value_heads,
    headDim: config.head_dim,
    type: options.kvCache,
  });
  const left = options.budgetBytes - weightBytes - activationBytes;
  const largestContext = Math.min(config.max_position_embeddings, Math.max(0, Math.floor(left / pageBytes) * PAGE_TOKENS));
  const { maxModelLen: wanted = Math.min(largestContext, DEFAULT_CONTEXT) } = options;
  const maxModelLen = wanted === "auto" ? largestContext : wanted;
  const kvBytes = Math.ceil(maxModelLen / PAGE_TOKENS) * pageBytes;
  return {
    threads,
    weightBytes,
    kvBytesPerToken: pageBytes / PAGE_TOKENS,
    maxModelLen,
    kvBytes,
    activationBytes,
    totalBytes: weightBytes + kvBytes + activationBytes,
    budgetBytes: options.budgetBytes,
    largestContext,
  };
}

/** Bytes that all KV caches together may take: what the budget leaves. */
export function mostKvBytes(plan: MemoryPlan): number {
  const left = Math.max(plan.kvBytes, plan.budgetBytes - plan.weightBytes - plan.activationBytes);
  return left + PAGE_TOKENS * plan.kvBytesPerToken; // a sequence that starts within a page takes one page more than its length asks for
}

/**
 * Pages to share out the layers by: those that all sequences can fill which generate at once, within the budget. A small model's layers
 * would lie far apart if each were to grow to its part of a large budget.
 */
export function plannedKvPages(plan: MemoryPlan, maxSequences = DEFAULT_SEQUENCES): number {
  const pagesOfOne = Math.ceil(plan.maxModelLen / PAGE_TOKENS) + 1;
  return Math.min(Math.floor(mostKvBytes(plan) / (PAGE_TOKENS * plan.kvBytesPerToken)), maxSequences * pagesOfOne);
}

/** What the plan says to the instances of the wasm backend: all that is put into them, and what a step needs of each. */
export function forInstances(plan: MemoryPlan): { plannedBytes: number; stepBytes: number } {
  // Scratch is less than the activations that it is for, but both may lie in pieces; gains of norms lie with the activations.
  return { plannedBytes: plan.weightBytes + mostKvBytes(plan), stepBytes: 4 * plan.activationBytes + STEP_BYTES };
}

/** The same for one thread of a team, whose KV heads may be one more than those of others. */
export function forThread(plan: MemoryPlan, kvHeads: number): { plannedBytes: number; stepBytes: number } {
  const { threads } = plan;
  const kvShare = Math.ceil(kvHeads / threads) / kvHeads;
  return {
    plannedBytes: Math.ceil(plan.weightBytes / threads + mostKvBytes(plan) * kvShare),
    stepBytes: Math.ceil((4 * plan.activationBytes) / threads) + STEP_BYTES,
  };
}

const STEP_BYTES = 4 * 1024 * 1024;

/** Refuses a plan that does not fit: CONTEXT_FULL past the model's own context, MEMORY_PLAN past the budget, with the numbers. */
export function requireFit(plan: MemoryPlan, config: ModelConfig): void {
  if (plan.maxModelLen > config.max_position_embeddings)
    throw new Qwen3Error(
      "CONTEXT_FULL",
      `maxModelLen ${plan.maxModelLen} is more than the model's max_position_embeddings ${config.max_position_embeddings}`,
    );
  if (plan.maxModelLen < 1 || plan.totalBytes > plan.budgetBytes)
    throw new Qwen3Error(
      "MEMORY_PLAN",
      `the model does not fit the memory budget${plan.largestContext > 0 ? '; maxModelLen "auto" takes the longest context that does' : ""}\n${describePlan(plan)}`,
    );
}

/** The plan as lines of text, for people. */
export function describePlan(plan: MemoryPlan): string {
  const rows = [
    ["weights", formatBytes(plan.weightBytes)],
    ["KV cache", `${formatBytes(plan.kvBytes)} (${plan.maxModelLen} tokens of ${formatBytes(plan.kvBytesPerToken)})`],
    ["activations", formatBytes(plan.activationBytes)],
    ["total", formatBytes(plan.totalBytes)],
    ["budget", formatBytes(plan.budgetBytes)],
    [
      "longest context that fits",
      plan.largestContext > 0 ? `${plan.largestContext} tokens` : "none: weights and activations leave no room",
    ],
  ];
  return rows.map(([name, value]) => `  ${name!.padEnd(26)}${value}`).join("\n");
}

/** "1.50 GiB": three digits and a binary unit. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return `${unit === 0 ? bytes : bytes.toPrecision(bytes >= 1000 ? 4 : 3)} ${units[unit]}`;
}

function defaultThreads(checkpoint: Pick<Checkpoint, "config" | "tensors">, options: PlanOptions): number {
  if (options.backend === "reference" || weightsIn(checkpoint, options, 1) < SMALL_MODEL_BYTES) return 1;
  return Math.min(options.processors ?? 1, checkpoint.config.num_key_value_heads);
}

/** Matrices are shared out among threads, vectors are in each. */
function weightsIn({ tensors }: Pick<Checkpoint, "tensors">, options: PlanOptions, threads: number): number {
  let bytes = 0;
  for (const { shape, encoding } of tensors.values()) {
    const [rows = 0, cols] = shape;
    if (cols === undefined) bytes += rows * 4 * threads;
    else bytes += heldBytes(rows, cols, encoding, options);
  }
  return bytes;
}

/** Bytes of one matrix in memory. */
export function heldBytes(
  rows: number,
  cols: number,
  encoding: Encoding,
  { backend, weights }: Pick<PlanOptions, "backend" | "weights">,
): number {
  return backend === "reference" ? rows * cols * 4 : matrixBytes(rows, cols, weightFormat(encoding, { weights }));
}

/** How many maxima a step gives of each row of logits (`Backend.blockMaxima`). */
export function maximaOfRow(vocabSize: number): number {
  return vocabSize < LEAST_VOCABULARY ? 0 : Math.ceil(vocabSize / MAXIMA_COLUMNS);
}

/**
 * The most that one step keeps alive at once, in the order in which src/model/qwen3.ts makes its tensors: what lives through the layers
 * (cos, sin, hidden), then either one layer or the last norm and a block of logits. In a team of threads what products make is shared
 * out; whole rows of it, where it is gathered, and the residual stream are in each thread.
 */
export function activationsIn(config: ModelConfig, tokens: number, threads = 1): number {
  const { hidden_size: D, intermediate_size: F, head_dim: d, vocab_size: V } = config;
  const Q = config.num_attention_heads * d;
  const K = config.num_key_value_heads * d;
  const made = 2 * D + 4 * Q + 4 * K + 3 * F;
  const whole = 4 * D + (threads > 1 ? Q + F + 2 * D : 0);
  const layer = tokens * (threads * whole + made);
  const head = threads * tokens * D + Math.min(tokens, LOGIT_ROWS) * (threads * D + V + maximaOfRow(V));
  return 4 * (threads * tokens * (d + D) + Math.max(layer, head));
}
