/**
 * What the forward pass needs of a machine: memory for weights and caches, and a dozen operations on tensors.
 *
 * `reference.ts` is the definition of every operation in plain TypeScript. Other backends give the same bits (wasm) or stay within
 * a stated tolerance (webgpu). All operations may only be queued when they return; `read` alone waits for results.
 *
 * Ownership: whoever creates a matrix, vector or store owns it until `close()`. Tensors belong to the innermost `scope` in which
 * they were made and are gone when it ends.
 */
import type { FloatType } from "../core/dtype.ts";
import type { Fp8Layout, QuantizedLayout, QuantizedRows } from "../core/quantized.ts";
import type { Encoding } from "../formats/encoding.ts";

export { FP8_BLOCK, type QuantizedRows, type ScaleType, SUPER_COLUMNS } from "../core/quantized.ts";

/** Raised whenever a definition changes bits, or where a page has them: what was computed before cannot be gone on with. */
export const ARITHMETIC = 3;

/** Columns of a block of `Backend.blockMaxima`. */
export const MAXIMA_COLUMNS = 8;

/** Activations, f32, row-major. `shape` is [tokens, width] or [tokens, heads, head_dim]. */
export interface Tensor {
  readonly shape: readonly number[];
}

/** Codes of 8 or 4 bits with scales (core/quantized.ts). */
export interface QuantizedFormat extends QuantizedLayout {
  /** What meets the weights in `matmul`. int8 (default): x quantized in the same groups. f32: x as it is; the weights are widened first. */
  readonly activations?: "int8" | "f32" | undefined;
}

/**
 * How a matrix operand is stored. Weights in 8-bit floating point (fp8) are widened to f32 in `matmul`, and meet x as it is.
 */
export type MatrixFormat = { readonly type: FloatType } | QuantizedFormat | Fp8Layout;

/** A weight operand, [rows, cols] as in the checkpoint (`[out_features, in_features]`). */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly format: MatrixFormat;
}

/** A weight of one dimension (the gains of RMSNorm), f32. */
export interface Vector {
  readonly length: number;
}

/** Takes a matrix in slices of whole rows, in any order, so that no tensor is ever held twice; a backend may repack as they come. */
export interface MatrixWriter {
  /**
   * @param rows bytes of the format, little-endian, row-major (float formats), or codes with scales (quantized ones); of a `source`: bytes
   *   as formats/encoding.ts says
   */
  write(firstRow: number, rows: Uint8Array | QuantizedRows): void;
  /** All rows must have been written. */
  finish(): Matrix;
  /** The rows that are kept here, where others have the rest: only they need to be written. Left out: all. */
  readonly range?: { readonly first: number; readonly end: number };
}

/** int8: one f32 scale per token, head and kind, and head_dim codes. */
export type KvType = "f32" | "f16" | "int8";

export interface KvShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly type: KvType;
}

/** Absolute positions that one page of a KV cache holds: page p has 32p .. 32p + 31. Attention sums block by block in this size. */
export const PAGE_TOKENS = 32;

/** Bytes that one head keeps of its keys, or of its values, for `PAGE_TOKENS` positions. */
export function kvHeadBytes({ headDim, type }: Pick<KvShape, "headDim" | "type">): number {
  if (type === "int8") return PAGE_TOKENS * (8 * Math.ceil(headDim / 8) + 4);
  return PAGE_TOKENS * headDim * (type === "f32" ? 4 : 2);
}

/** Bytes of one page: K and V of every layer and KV head for `PAGE_TOKENS` positions. */
export function kvPageBytes(shape: KvShape): number {
  return shape.layers * 2 * shape.kvHeads * kvHeadBytes(shape);
}

/**
 * Where a backend keeps keys and values: pages of `kvPageBytes`, numbered from 0, which sequences take and share as kv-pages.ts
 * says. A number's memory is taken once and used again by whoever has the number next.
 */
export interface KvStore {
  readonly shape: KvShape;
  /** Makes sure that page `page` has memory. Errors: MEMORY_FULL. */
  ensure(page: number): void;
  copyPage(from: number, to: number): void;
  /**
   * `kvPageBytes(shape)` bytes, laid out [layers][kv_heads][K, V] of what one head keeps for 32 positions:
   *
   *   f32, f16   [32][head_dim]
   *   int8       codes, then scales [32] f32; of K [head_dim / 4][32][4 dims], of V [head_dim / 8][8][8 dims][4 positions], where
   *              head_dim is rounded up to a multiple of 8
   */
  readPage(page: number): Promise<Uint8Array>;
  writePage(page: number, bytes: Uint8Array): void;
  close(): void;
}

/** One sequence's share of a step: its next `tokens` tokens, at absolute positions start + length and up. */
export interface Segment {
  readonly store: KvStore;
  /** The numbers of its pages, in order; the first one holds the block of 32 positions in which `start` lies. */
  readonly pages: readonly number[];
  /** Absolute position of its first entry. */
  readonly start: number;
  /** Entries before this step. */
  readonly length: number;
  readonly tokens: number;
}

export interface Backend {
  readonly name: "reference" | "wasm" | "webgpu";
  /** Bytes now held for weights, caches and activations. */
  readonly bytesInUse: number;
  /** One line about what was chosen, for people ("wasm, relaxed-simd"). */
  readonly description: string;

  /**
   * @param source where rows come as a checkpoint stores them: how. What is stored in just this format's layout stays as it is; other
   *   weights are dequantized, then converted to nearest, ties to even, or quantized as quantize-weights.ts says. `write` then throws
   *   CHECKPOINT_TENSOR for weights that the format cannot come near, and for scales that are not finite.
   * @param parts the rows are so many equal parts (KV heads), none of which may be divided among threads. Left out: any row may.
   */
  createMatrix(rows: number, cols: number, format: MatrixFormat, source?: Encoding, parts?: number): MatrixWriter;
  createVector(values: Float32Array): Vector;
  /** @param pages how many there will be at most, where it is known: a backend of several memories shares the layers out by it */
  createKvStore(shape: KvShape, pages?: number): KvStore;

  /**
   * Runs `body`; every tensor made inside is freed when it ends, but for the one it returns. With `replaced`, a tensor of the result's
   * shape, the result takes its place in memory and `replaced` is gone: a loop over layers needs no more than one layer.
   */
  scope<T extends Tensor | undefined>(body: () => T, replaced?: T): T;
  input(values: Float32Array, shape: readonly number[]): Tensor;
  /** The same values under another shape; nothing is copied. */
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  /**
   * A copy of the values. Backends that compute at once copy before they return the promise.
   *
   * @param into where to put them, and what is returned then; left out: a new array. In a team it is memory that all threads share
   */
  read(x: Tensor, into?: Float32Array): Promise<Float32Array>;

  /** Rows `ids` of the table, widened to f32: [ids.length, cols]. */
  embed(table: Matrix, ids: Int32Array): Tensor;
  /** x W^T: [tokens, cols] to [tokens, rows]. Quantized W: x is quantized to int8 in the matrix's groups first, or W widened to f32. */
  matmul(x: Tensor, weight: Matrix): Tensor;
  /** x / sqrt(mean(x^2) + eps) * weight over the last dimension. */
  rmsNorm(x: Tensor, weight: Vector, eps: number): Tensor;
  /** Rotates each head's halves: x [tokens, heads, head_dim] by cos, sin [tokens, head_dim / 2]. */
  rope(x: Tensor, cos: Tensor, sin: Tensor): Tensor;
  /** Stores k, v [tokens, kv_heads, head_dim] of the step in each segment's pages, behind its entries. */
  appendKv(segments: readonly Segment[], layer: number, k: Tensor, v: Tensor): void;
  /** softmax(q k^T * scale) v, causal, each token over its own sequence's entries and this step's: [tokens, heads, head_dim]. */
  attention(q: Tensor, segments: readonly Segment[], layer: number, scale: number): Tensor;
  /** silu(gate) * up. */
  swiglu(gate: Tensor, up: Tensor): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  /** The largest of every `MAXIMA_COLUMNS` columns of x [tokens, width], of what is left at a row's end; NaN where one of them is. */
  blockMaxima(x: Tensor): Tensor;
  /** Rows `indices` of x [tokens, width]. */
  rows(x: Tensor, indices: Int32Array): Tensor;

  close(): void;
}

/** A backend that computes at once, with tensors in memory that the host can reach. */
export interface HostBackend extends Backend {
  /** A tensor of no particular values. */
  tensor(shape: readonly number[]): Tensor;
  /** The values themselves, to read and to write: good until the next call of the backend. */
  values(x: Tensor): Float32Array;
}
