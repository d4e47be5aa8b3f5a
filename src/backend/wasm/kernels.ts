/**
 * The exports of the compiled kernels (assembly/index.ts), in TypeScript.
 *
 * Arguments named after data are byte addresses in the memory that the module imports; the rest are counts, except `eps` and
 * `scale`. But for `largestMagnitude` and `boundF8`, nothing is returned: every kernel writes behind its output's address. Layouts are drawn in the files of assembly/.
 */
interface Exports {
  add(a: number, b: number, out: number, n: number): void;
  /** scratch: `EXP_CONSTANTS_BYTES`. */
  swiglu(gate: number, up: number, out: number, n: number, scratch: number): void;
  blockMaxima(x: number, out: number, rows: number, cols: number): void;
  exp(x: number, out: number, n: number): void;
  widenBf16(x: number, out: number, n: number): void;
  widenF16(x: number, out: number, n: number): void;
  narrowF16(x: number, out: number, n: number): void;
  narrowBf16(x: number, out: number, n: number): void;
  /** max |x|, or NaN where one is. */
  largestMagnitude(x: number, n: number): number;
  rmsNorm(x: number, gains: number, out: number, rows: number, n: number, eps: number): void;
  rope(x: number, cos: number, sin: number, out: number, tokens: number, heads: number, half: number): void;

  /** x [tokens, cols] times w [rows, cols] transposed, which lies in blocks (assembly/float-blocks.ts). scratch: `floatScratchBytes`. */
  matmulF32: FloatProduct;
  matmulBf16: FloatProduct;
  matmulF16: FloatProduct;

  /** Values [rows, cols] of 8, 16 or 32 bits to rows `within` and up of a block. */
  packRows8: PackRows;
  packRows16: PackRows;
  packRows32: PackRows;
  /** A row of a block, to [cols]. */
  unpackRow8: UnpackValues;
  unpackRow16: UnpackValues;
  unpackRow32: UnpackValues;

  /**
   * w: codes in blocks (assembly/f8-blocks.ts); scales [rows, 1 + ceil(cols / 128)] f32 with bounds (assembly/f8.ts). scratch:
   * `fp8ScratchBytes`.
   */
  matmulF8(x: number, w: number, scales: number, y: number, tokens: number, rows: number, cols: number, scratch: number): void;
  /** One row of them to f32. */
  widenF8(codes: number, scales: number, out: number, cols: number): void;
  /** What is put in front of a row's scales [ceil(cols / 128)]. */
  boundF8(codes: number, scales: number, cols: number): number;

  /** x times a panel [rows, cols] f32 of at most 16 rows; y's rows are `yBytes` apart. scratch: `floatScratchBytes`. */
  timesPanelF32(
    x: number,
    panel: number,
    y: number,
    tokens: number,
    rows: number,
    cols: number,
    yBytes: number,
    scratch: number,
  ): void;

  quantizeWide: QuantizeActivations;
  quantizeMasked: QuantizeActivations;
  quantizeNarrow: QuantizeActivations;
  quantizeUnsigned: QuantizeActivations;
  matmulInt8Wide: QuantizedProduct;
  matmulInt8Unsigned: QuantizedProduct;
  matmulInt4Masked: QuantizedProduct;
  matmulInt4Narrow: QuantizedProduct;
  matmulInt4Unsigned: QuantizedProduct;
  /** One row of f32 weights to codes [cols], scales and minimums [ceil(cols / group)] f32. */
  quantizeInt8(x: number, codes: number, scales: number, cols: number, group: number): void;
  quantizeInt4(x: number, codes: number, scales: number, cols: number, group: number): void;
  quantizeInt4Range(x: number, codes: number, scales: number, minimums: number, cols: number, group: number, kind: number): void;
  /** Codes u8 [cols] of one row to where its block keeps them; `zero` is the code of padding. */
  packInt8(codes: number, to: number, cols: number, paddedCols: number, zero: number): void;
  packInt4(codes: number, to: number, cols: number, paddedCols: number, zero: number): void;
  /** Values [groups] f32 of one row, likewise. kind: `SCALE_KINDS`, but for "two-level". */
  packScales(values: number, to: number, groups: number, kind: number): void;
  /** scratch: 64 bytes for each group. */
  unpackInt8: UnpackRow;
  unpackInt4: UnpackRow;

  /** pages: the addresses of one layer's pieces of pages; slots count from the first position of the first one. */
  appendKv(
    k: number,
    v: number,
    pages: number,
    slot: number,
    tokens: number,
    kvHeads: number,
    headDim: number,
    valueBytes: number,
  ): void;
  /** As `appendKv`, for an int8 cache. */
  appendInt8(k: number, v: number, pages: number, slot: number, tokens: number, kvHeads: number, headDim: number): void;
  /** scratch: `attentionScratchBytes`. */
  attention(
    q: number,
    out: number,
    pages: number,
    start: number,
    slot: number,
    tokens: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    valueBytes: number,
    scale: number,
    scratch: number,
  ): void;

  attentionInt8: Int8Attention;
  /** The same with relaxed dots by fours, for engines that multiply their second operand unsigned (probe.ts); nothing in the simd build. */
  attentionInt8Relaxed: Int8Attention;

  /** Whether the build uses relaxed SIMD. */
  readonly relaxed: WebAssembly.Global<"i32">;
  /** Whether its tiles are for registers of 256 bits. */
  readonly wide: WebAssembly.Global<"i32">;
}

/** How matrices of one type of codes are multiplied. */
export interface CodeProduct {
  /** Bytes of an activation's code. */
  readonly codeBytes: 1 | 2;
  readonly quantize: QuantizeActivations;
  readonly matmul: QuantizedProduct;
}

/** The exports, and which of them multiply codes (assembly/quantized-dots.ts). */
export interface Kernels extends Exports {
  readonly int8: CodeProduct;
  readonly int4: CodeProduct;
}

/** codes: tokens * groups * group of `codeBytes`; infos: tokens * groups * `INFO_BYTES`. */
export type QuantizeActivations = (
  x: number,
  codes: number,
  infos: number,
  tokens: number,
  cols: number,
  group: number,
  zero: number,
) => void;

/** weights: the matrix from its beginning; hasMinimums: 0 or 1. scratch: `productScratchBytes`. */
export type QuantizedProduct = (
  codes: number,
  infos: number,
  weights: number,
  hasMinimums: number,
  kind: number,
  y: number,
  tokens: number,
  rows: number,
  groups: number,
  group: number,
  scratch: number,
) => void;

/** codes, scales, minimums: of the block; row: within it. */
export type UnpackRow = (
  codes: number,
  scales: number,
  minimums: number,
  kind: number,
  row: number,
  cols: number,
  groups: number,
  group: number,
  zero: number,
  out: number,
  scratch: number,
) => void;

export type FloatProduct = (x: number, w: number, y: number, tokens: number, rows: number, cols: number, scratch: number) => void;

export type PackRows = (values: number, block: number, within: number, rows: number, cols: number) => void;
export type UnpackValues = (block: number, within: number, cols: number, out: number) => void;

/** scratch: `int8AttentionScratchBytes`. */
export type Int8Attention = (
  q: number,
  out: number,
  pages: number,
  start: number,
  slot: number,
  tokens: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  scale: number,
  scratch: number,
) => void;

/** The same kernels with the instruction that multiplies bytes unsigned. */
export function withUnsignedDots(k: Kernels): Kernels {
  const product = (matmul: QuantizedProduct): CodeProduct => ({ codeBytes: 1, quantize: k.quantizeUnsigned, matmul });
  return {
    ...k,
    int8: product(k.matmulInt8Unsigned),
    int4: product(k.matmulInt4Unsigned),
    attentionInt8: k.attentionInt8Relaxed,
  };
}

/** Every export, so that a module which lacks one is found out at once. */
const EXPORTS: Record<keyof Exports, "function" | "object"> = {
  add: "function",
  swiglu: "function",
  blockMaxima: "function",
  exp: "function",
  widenBf16: "function",
  widenF16: "function",
  narrowF16: "function",
  narrowBf16: "function",
  largestMagnitude: "function",
  rmsNorm: "function",
  rope: "function",
  matmulF32: "function",
  matmulBf16: "function",
  matmulF16: "function",
  packRows8: "function",
  packRows16: "function",
  packRows32: "function",
  unpackRow8: "function",
  unpackRow16: "function",
  unpackRow32: "function",
  matmulF8: "function",
  widenF8: "function",
  boundF8: "function",
  timesPanelF32: "function",
  quantizeWide: "function",
  quantizeMasked: "function",
  quantizeNarrow: "function",
  quantizeUnsigned: "function",
  matmulInt8Wide: "function",
  matmulInt8Unsigned: "function",
  matmulInt4Masked: "function",
  matmulInt4Narrow: "function",
  matmulInt4Unsigned: "function",
  quantizeInt8: "function",
  quantizeInt4: "function",
  quantizeInt4Range: "function",
  packInt8: "function",
  packInt4: "function",
  packScales: "function",
  unpackInt8: "function",
  unpackInt4: "function",
  appendKv: "function",
  attention: "function",
  appendInt8: "function",
  attentionInt8: "function",
  attentionInt8Relaxed: "function",
  relaxed: "object",
  wide: "object",
};

/** The kernels of `module`, working in `memory`. @throws Error saying what the module lacks or wants */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  const imports = WebAssembly.Module.imports(module).map(({ module, name, kind }) => `${kind} ${module}.${name}`);
  if (imports.join() !== "memory env.memory") throw new Error(`it imports [${imports}], not just memory env.memory`);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const missing = Object.entries(EXPORTS).filter(([name, type]) => typeof exports[name] !== type);
  if (missing.length > 0) throw new Error(`it does not export ${missing.map(([name]) => name).join(", ")}`);
  const k = exports as unknown as Exports;
  return {
    ...k,
    int8: { codeBytes: 2, quantize: k.quantizeWide, matmul: k.matmulInt8Wide },
    int4: k.relaxed.value
      ? { codeBytes: 1, quantize: k.quantizeNarrow, matmul: k.matmulInt4Narrow }
      : { codeBytes: 2, quantize: k.quantizeMasked, matmul: k.matmulInt4Masked },
  };
}
