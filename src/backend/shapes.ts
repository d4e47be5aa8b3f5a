/** Shape checks that every backend makes in the same words, so that a wrong call fails alike everywhere. */
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import { FP8_BLOCK, type Fp8Layout, sameLayout } from "../core/quantized.ts";
import { layoutOf } from "../formats/decode.ts";
import { type Encoding, requireEncodable, rowBytes } from "../formats/encoding.ts";
import {
  type KvShape,
  MAXIMA_COLUMNS,
  type Matrix,
  type MatrixFormat,
  PAGE_TOKENS,
  type QuantizedFormat,
  type QuantizedRows,
  type Segment,
  SUPER_COLUMNS,
  type Tensor,
  type Vector,
} from "./backend.ts";

/** Number of values in a tensor of this shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** The last extent: how many values one row has. */
export function widthOf(x: Tensor): number {
  return x.shape[x.shape.length - 1] ?? 0;
}

/** @param message a function where it is put together, which costs more than most checks: operations are called some hundred times a token */
export function require(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new Qwen3Error("ARGUMENT", typeof message === "string" ? message : message());
}

export function sameExtents(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function requireSameShape(operation: string, a: Tensor, b: Tensor): void {
  require(sameExtents(a.shape, b.shape), () => `${operation}: shapes [${a.shape}] and [${b.shape}] differ`);
}

export function requireInput(values: Float32Array, shape: readonly number[]): void {
  requireExtents("input", shape);
  require(sizeOf(shape) === values.length, () => `input: ${values.length} values for shape [${shape}]`);
}

export function requireRoom(x: Tensor, into: Float32Array): void {
  require(sizeOf(x.shape) === into.length, () => `read: [${x.shape}] into ${into.length} values`);
}

export function requireReshape(x: Tensor, shape: readonly number[]): void {
  requireExtents("reshape", shape);
  require(sizeOf(shape) === sizeOf(x.shape), () => `reshape: [${x.shape}] to [${shape}]`);
}

/** The result's shape. */
export function maximaShape(x: Tensor): [rows: number, blocks: number] {
  require(x.shape.length === 2, () => `blockMaxima: x [${x.shape}]; two extents are wanted`);
  return [x.shape[0]!, Math.ceil(widthOf(x) / MAXIMA_COLUMNS)];
}

export function requireMatmul(x: Tensor, weight: Matrix): void {
  const fits = x.shape.length === 2 && widthOf(x) === weight.cols;
  require(fits, () => `matmul: x [${x.shape}] with weight [${weight.rows}, ${weight.cols}]`);
}

export function requireNorm(x: Tensor, weight: Vector): void {
  require(widthOf(x) === weight.length, () => `rmsNorm: x [${x.shape}] with ${weight.length} weights`);
}

export function requireRope(x: Tensor, cos: Tensor, sin: Tensor): void {
  const [tokens = 0, , headDim = 0] = x.shape;
  const fits = x.shape.length === 3 && headDim % 2 === 0 && sameExtents(cos.shape, [tokens, headDim / 2]);
  require(fits, () => `rope: x [${x.shape}] with cos [${cos.shape}]`);
  requireSameShape("rope", cos, sin);
}

/** k and v hold one entry per token of the step, of the shape that its store keeps. */
export function requireAppendKv(segments: readonly Segment[], layer: number, k: Tensor, v: Tensor): void {
  requireSameShape("appendKv", k, v);
  for (const { kvHeads, headDim } of requireSegments("appendKv", segments, layer, k))
    require(k.shape[1] === kvHeads && k.shape[2] === headDim, () =>
      `appendKv: k [${k.shape}] for a store of [${kvHeads}, ${headDim}]`);
}

export function requireAttention(segments: readonly Segment[], layer: number, q: Tensor): void {
  for (const { headDim } of requireSegments("attention", segments, layer, q))
    require(q.shape[2] === headDim, () => `attention: q [${q.shape}] for a store of head_dim ${headDim}`);
}

/** Checks segments against a tensor of all their tokens, and that they have pages for them. @returns the stores' shapes */
function requireSegments(operation: string, segments: readonly Segment[], layer: number, x: Tensor): KvShape[] {
  const tokens = segments.reduce((sum, segment) => sum + segment.tokens, 0);
  require(x.shape.length === 3 && x.shape[0] === tokens, () =>
    `${operation}: segments hold ${tokens} tokens, a tensor [${x.shape}]`);
  return segments.map(({ store, pages, start, length, tokens }) => {
    require(Number.isSafeInteger(tokens) && tokens >= 0, () => `${operation}: a segment of ${tokens} tokens`);
    const { layers } = store.shape;
    require(Number.isSafeInteger(layer) && layer >= 0 && layer < layers, () =>
      `${operation}: layer ${layer} is outside 0..${layers - 1}`);
    const last = start + length + tokens - 1;
    const page = Math.floor(last / PAGE_TOKENS) - Math.floor(start / PAGE_TOKENS);
    require(tokens === 0 || page < pages.length, () => `${operation}: position ${last} was not reserved`);
    return store.shape;
  });
}

function requireExtents(operation: string, shape: readonly number[]): void {
  let valid = shape.length > 0;
  for (const extent of shape) valid &&= Number.isSafeInteger(extent) && extent >= 0;
  require(valid, () => `${operation}: [${shape}] is not a shape`);
}

export function requireIndices(operation: string, indices: Int32Array, limit: number): void {
  for (const index of indices)
    require(index >= 0 && index < limit, () => `${operation}: index ${index} is outside 0..${limit - 1}`);
}

export function groupsOf(format: MatrixFormat, cols: number): number {
  return "group" in format ? Math.ceil(cols / format.group) : 0;
}

/** Checks the extents and format of a new matrix. @param source how its rows are stored */
export function requireMatrix(rows: number, cols: number, format: MatrixFormat, source?: Encoding): void {
  if (source) requireEncodable("createMatrix", source, [rows, cols]);
  if (source && !keeps(source, format)) requireConvertible(format);
  require(Number.isSafeInteger(rows * cols) && rows > 0 && cols > 0, () =>
    `createMatrix: extents [${rows}, ${cols}] must be positive`);
  if ("group" in format) {
    require([16, 32, 64, 128].includes(format.group), () => `createMatrix: group ${format.group} is not 16, 32, 64 or 128`);
    const { scales = "f16" } = format;
    require(["f32", "f16", "bf16", "two-level"].includes(scales), () =>
      `createMatrix: scales ${scales} are not f32, f16, bf16 or two-level`);
  }
}

/** True where a format holds what is stored so without loss. */
export function keeps(source: Encoding, format: MatrixFormat): boolean {
  const layout = layoutOf(source);
  return "group" in layout && "group" in format ? sameLayout(layout, format) : layout.type === format.type;
}

/** Checks that weights of another type can be converted to a format: what quantize-weights.ts chooses is int8 without, int4 with or without minimum. */
export function requireConvertible(format: MatrixFormat): asserts format is Exclude<MatrixFormat, Fp8Layout> {
  require(format.type !== "fp8", "createMatrix: weights are not converted to fp8");
  if (!("group" in format)) return;
  const { type, minimum = false, scales = "f16" } = format;
  require(!(type === "int8" && minimum), "createMatrix: weights are not quantized to int8 with a minimum");
  require(scales === "f16" || scales === "f32", () => `createMatrix: weights are not quantized with scales of ${scales}`);
}

export function requireKvShape(shape: KvShape): void {
  const { layers, kvHeads, headDim, type } = shape;
  const positive = [layers, kvHeads, headDim].every((extent) => Number.isSafeInteger(extent) && extent > 0);
  require(positive, () => `createKvStore: layers, kvHeads, headDim [${layers}, ${kvHeads}, ${headDim}] must be positive`);
  require(["f32", "f16", "int8"].includes(type), () => `createKvStore: type ${type} is not f32, f16 or int8`);
  require(type !== "int8" || headDim <= 512, () => `createKvStore: headDim ${headDim} with int8; at most 512 are exact`);
}

/** Which rows of a matrix have been written: `requireAll` fails while one is missing, however often others came. */
export function rowLedger(rows: number): { add(firstRow: number, count: number): void; requireAll(): void } {
  const written = new Uint8Array(rows);
  return {
    add: (firstRow, count) => void written.fill(1, firstRow, firstRow + count),
    requireAll() {
      const missing = written.indexOf(0);
      require(missing < 0, () => `matrix writer: row ${missing} of ${rows} was not written`);
    },
  };
}

/** Checks one slice handed to a matrix writer and returns how many rows it holds. */
export function requireRows(matrix: Matrix, firstRow: number, rows: Uint8Array | QuantizedRows): number {
  const { format, cols } = matrix;
  let count: number;
  if (format.type === "fp8") {
    require(!(rows instanceof Uint8Array), () => `matrix writer: ${format.type} rows are handed over as codes and scales`);
    count = rows.codes.length / cols;
    requireFp8Scales(cols, count, rows);
  } else if ("group" in format) {
    require(!(rows instanceof Uint8Array), () => `matrix writer: ${format.type} rows are handed over as codes and scales`);
    count = rows.codes.length / cols;
    requireCodes(format, rows.codes);
    requireScales(format, cols, count, "scales", rows.scales, rows.factors);
    requireScales(format, cols, format.minimum ? count : 0, "minimums", rows.minimums, rows.minimumFactors);
  } else {
    require(rows instanceof Uint8Array, () => `matrix writer: ${format.type} rows are handed over as bytes`);
    count = rows.length / (cols * (format.type === "f32" ? 4 : 2));
  }
  return requireRowCount(matrix, firstRow, count);
}

/** Checks one slice of rows that are stored as `source`, or left out come as `requireRows` has it, and returns how many rows it holds. */
export function requireStoredRows(
  matrix: Matrix,
  source: Encoding | undefined,
  firstRow: number,
  slice: Uint8Array | QuantizedRows,
): number {
  if (!source) return requireRows(matrix, firstRow, slice);
  require(slice instanceof Uint8Array, () => `matrix writer: ${source.type} rows are handed over as bytes`);
  return requireRowCount(matrix, firstRow, slice.length / rowBytes(source, matrix.cols));
}

function requireRowCount({ rows, cols }: Matrix, firstRow: number, count: number): number {
  const fits = Number.isSafeInteger(count) && Number.isSafeInteger(firstRow) && firstRow >= 0 && firstRow + count <= rows;
  require(fits, () => `matrix writer: ${count} rows from row ${firstRow} do not fit [${rows}, ${cols}]`);
  return count;
}

function requireCodes({ type, minimum = false }: QuantizedFormat, codes: QuantizedRows["codes"]): void {
  const [low, high] = type === "int4" ? [0, 15] : minimum ? [0, 255] : [-128, 127];
  let valid = 0; // a plain loop: a matrix has millions of codes
  while (valid < codes.length && codes[valid]! >= low && codes[valid]! <= high) valid++;
  require(valid === codes.length, `matrix writer: code ${codes[valid]} is outside ${low}..${high}`);
}

function requireFp8Scales(cols: number, rows: number, { scales, factors, minimums }: QuantizedRows): void {
  const expected = rows * Math.ceil(cols / FP8_BLOCK);
  require(scales.length === expected, `matrix writer: ${scales.length} scales, expected ${expected}`);
  require(!factors && !minimums, "matrix writer: fp8 rows have neither factors nor minimums");
  const wrong = scales.find((scale) => !Number.isFinite(scale));
  require(wrong === undefined, `matrix writer: scales: ${wrong} is not finite`);
}

/** One level of as many f32 as there are groups, or f16 numbers of 256 columns and a factor for each group. */
function requireScales(
  format: QuantizedFormat,
  cols: number,
  rows: number,
  what: string,
  values: Float32Array = new Float32Array(0),
  factors: Int8Array = new Int8Array(0),
): void {
  const { scales = "f16" } = format;
  const groups = rows * groupsOf(format, cols);
  const twoLevel = scales === "two-level";
  const expected = twoLevel ? rows * Math.ceil(cols / SUPER_COLUMNS) : groups;
  require(values.length === expected, `matrix writer: ${values.length} ${what}, expected ${expected}`);
  const expectedFactors = twoLevel ? groups : 0;
  require(factors.length === expectedFactors, `matrix writer: ${factors.length} factors of ${what}, expected ${expectedFactors}`);
  if (scales === "f32") return;
  const type = scales === "bf16" ? "bf16" : "f16";
  const held = type === "bf16" ? (value: number) => bf16ToF32(f32ToBf16(value)) : (value: number) => f16ToF32(f32ToF16(value));
  const isHeld = (value: number) => (type === "bf16" || Number.isFinite(value)) && Object.is(held(value), value);
  let valid = 0;
  while (valid < values.length && isHeld(values[valid]!)) valid++;
  require(valid ===
    values.length, `matrix writer: ${what}: ${values[valid]} is not a${type === "f16" ? " finite f16" : " bf16"} number`);
}
