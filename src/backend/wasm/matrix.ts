/**
 * Weights in wasm memory. Floats of 32 and 16 bits are repacked into blocks of 16 rows (assembly/float-blocks.ts draws them), and quantized ones
 * into parts of some columns and blocks of 8 rows (assembly/quantized-panel.ts): scales, minimums, codes; both are padded to whole blocks.
 * Floats of 8 bits lie in blocks of 16 rows, too (assembly/f8-blocks.ts), with their scales behind, row by row.
 */
import { bytesPerValue } from "../../core/dtype.ts";
import {
  FP8_BLOCK,
  type Matrix,
  type MatrixFormat,
  type QuantizedFormat,
  type QuantizedRows,
  SUPER_COLUMNS,
} from "../backend.ts";
import { BLOCK_ROWS, FLOAT_BLOCK_ROWS } from "../partition.ts";
import * as check from "../shapes.ts";
import type { WasmInstance } from "./instance.ts";
import type { Place } from "./instances.ts";
import { PART_COLUMNS, SCALE_KINDS } from "./kernel-sizes.ts";
import type { Kernels } from "./kernels.ts";
import { aligned, type WasmMemory } from "./memory.ts";

/** The columns of a quantized matrix that lie together. */
export interface Part {
  readonly firstColumn: number;
  readonly firstGroup: number;
  readonly cols: number;
  readonly groups: number;
  /** Of the first block's scales, minimums (0 without) and codes. */
  readonly scales: number;
  readonly minimums: number;
  readonly codes: number;
  /** From a block to the next. */
  readonly blockBytes: number;
}

export class WasmMatrix implements Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly format: MatrixFormat;
  readonly instance: WasmInstance;
  readonly memory: WasmMemory;
  /** Groups of a row; 0 for float formats. */
  readonly groups: number;
  /** Where it begins. */
  readonly address: number;
  /** In 8-bit floating point: where the first row's bound is, in front of its scales. */
  readonly scales: number;
  /** None for float formats. */
  readonly parts: readonly Part[];

  /** @param place finds room for so many bytes */
  constructor(place: (bytes: number) => Place, rows: number, cols: number, format: MatrixFormat) {
    this.rows = rows;
    this.cols = cols;
    this.format = format;
    this.groups = check.groupsOf(format, cols);
    const { instance, address } = place(matrixBytes(rows, cols, format));
    this.instance = instance;
    this.memory = instance.memory;
    this.address = address;
    this.scales = format.type === "fp8" ? address + floatBlocksBytes(rows, cols, format) : 0;
    this.parts = "group" in format ? Array.from(partsOf(address, rows, cols, format)) : [];
    // Rows past the last are zeros: 0, or some code times 0.
    if (!("group" in format) && rows % FLOAT_BLOCK_ROWS > 0) {
      const end = address + floatBlocksBytes(rows, cols, format);
      instance.memory.u8.fill(0, end - floatBlockBytes(cols, format), end);
    }
    if (rows % BLOCK_ROWS === 0) return;
    for (const { scales, blockBytes } of this.parts) {
      const end = scales + Math.ceil(rows / BLOCK_ROWS) * blockBytes;
      instance.memory.u8.fill(0, end - blockBytes, end);
    }
  }
}

function* partsOf(address: number, rows: number, cols: number, format: QuantizedFormat): Generator<Part> {
  let scales = address;
  for (let firstColumn = 0; firstColumn < cols; firstColumn += PART_COLUMNS) {
    const own = Math.min(PART_COLUMNS, cols - firstColumn);
    const scaleBytes = blockScaleBytes(own, format);
    yield {
      firstColumn,
      firstGroup: firstColumn / format.group,
      cols: own,
      groups: check.groupsOf(format, own),
      scales,
      minimums: format.minimum ? scales + scaleBytes : 0,
      codes: scales + scaleBytes * (format.minimum ? 2 : 1),
      blockBytes: blockBytes(own, format),
    };
    scales += partBytes(rows, own, format);
  }
}

/** Bytes that a matrix takes, padding included. */
export function matrixBytes(rows: number, cols: number, format: MatrixFormat): number {
  if (!("group" in format)) {
    const scaleBytes = format.type === "fp8" ? rows * fp8ScaleBytes(cols) : 0;
    return floatBlocksBytes(rows, cols, format) + scaleBytes;
  }
  const whole = Math.floor(cols / PART_COLUMNS);
  const rest = cols % PART_COLUMNS;
  return whole * partBytes(rows, PART_COLUMNS, format) + (rest > 0 ? partBytes(rows, rest, format) : 0);
}

type FloatFormat = Exclude<MatrixFormat, QuantizedFormat>;

function valueBytes({ type }: FloatFormat): number {
  return type === "fp8" ? 1 : bytesPerValue[type];
}

function floatBlockBytes(cols: number, format: FloatFormat): number {
  return FLOAT_BLOCK_ROWS * cols * valueBytes(format);
}

function floatBlocksBytes(rows: number, cols: number, format: FloatFormat): number {
  return Math.ceil(rows / FLOAT_BLOCK_ROWS) * floatBlockBytes(cols, format);
}

/** Where a row of floats is: its block's address, and which of the block's rows it is. */
export function inFloatBlock({ address, cols, format }: WasmMatrix, row: number): { block: number; within: number } {
  const bytes = floatBlockBytes(cols, format as FloatFormat);
  return { block: address + Math.floor(row / FLOAT_BLOCK_ROWS) * bytes, within: row % FLOAT_BLOCK_ROWS };
}

/** Rows [count, cols] at address `values` to where they are kept, of one block. */
export function packFloats(k: Kernels, matrix: WasmMatrix, row: number, count: number, values: number): void {
  const { block, within } = inFloatBlock(matrix, row);
  const { type } = matrix.format;
  (type === "f32" ? k.packRows32 : type === "fp8" ? k.packRows8 : k.packRows16)(values, block, within, count, matrix.cols);
}

/** Rows in bytes from elsewhere, by way of scratch. @param scratch gives the address of at least so many bytes */
export function writeFloats(
  k: Kernels,
  matrix: WasmMatrix,
  firstRow: number,
  rows: Uint8Array,
  scratch: (bytes: number) => number,
): void {
  const { memory, cols, format } = matrix;
  const rowBytes = cols * valueBytes(format as FloatFormat);
  const panel = scratch(FLOAT_BLOCK_ROWS * rowBytes);
  for (let at = 0, row = firstRow; at < rows.length; ) {
    const count = Math.min(FLOAT_BLOCK_ROWS - (row % FLOAT_BLOCK_ROWS), (rows.length - at) / rowBytes);
    memory.u8.set(rows.subarray(at, at + count * rowBytes), panel);
    packFloats(k, matrix, row, count, panel);
    row += count;
    at += count * rowBytes;
  }
}

function partBytes(rows: number, cols: number, format: QuantizedFormat): number {
  return Math.ceil(rows / BLOCK_ROWS) * blockBytes(cols, format);
}

/** A row's bound, and its scales (assembly/f8.ts). */
function fp8ScaleBytes(cols: number): number {
  return 4 * (1 + Math.ceil(cols / FP8_BLOCK));
}

/** The address of row `row`'s bound, in front of its scales. */
export function fp8Scales({ scales, cols }: WasmMatrix, row: number): number {
  return scales + row * fp8ScaleBytes(cols);
}

function blockBytes(cols: number, format: QuantizedFormat): number {
  const codeBytes = check.groupsOf(format, cols) * format.group * (format.type === "int8" ? BLOCK_ROWS : BLOCK_ROWS / 2);
  return codeBytes + blockScaleBytes(cols, format) * (format.minimum ? 2 : 1);
}

function blockScaleBytes(cols: number, format: QuantizedFormat): number {
  const groups = check.groupsOf(format, cols);
  const { scales = "f16" } = format;
  if (scales === "two-level") return factorBytes(groups) + 2 * BLOCK_ROWS * Math.ceil((groups * format.group) / SUPER_COLUMNS);
  return BLOCK_ROWS * groups * bytesPerValue[scales];
}

/** Factors of a block under "two-level", up to a multiple of 16. */
export function factorBytes(groups: number): number {
  return aligned(BLOCK_ROWS * groups);
}

/** The code, as it is held, that counts as 0. */
export function zeroCode({ type, minimum }: QuantizedFormat): number {
  return minimum ? 0 : type === "int8" ? 128 : 8;
}

/** Rows of 8-bit floating point with their scales, known to be finite, one by one. @param scratch as in `writeFloats` */
export function writeFp8(
  kernels: Kernels,
  matrix: WasmMatrix,
  firstRow: number,
  { codes, scales }: QuantizedRows,
  scratch: (bytes: number) => number,
): void {
  const { memory, cols } = matrix;
  const groups = Math.ceil(cols / FP8_BLOCK);
  const values = scratch(cols);
  for (let row = 0; row < codes.length / cols; row++) {
    const to = fp8Scales(matrix, firstRow + row);
    memory.floats(to + 4, groups).set(scales.subarray(row * groups, (row + 1) * groups));
    memory.u8.set(codes.subarray(row * cols, (row + 1) * cols), values);
    memory.f32[to / 4] = kernels.boundF8(values, to + 4, cols);
    packFloats(kernels, matrix, firstRow + row, 1, values);
  }
}

/** Codes u8 [cols] at address `codes` to where row `row` keeps them. */
export function packCodes(kernels: Kernels, matrix: WasmMatrix, format: QuantizedFormat, row: number, codes: number): void {
  const pack = format.type === "int8" ? kernels.packInt8 : kernels.packInt4;
  for (const part of matrix.parts) {
    const to = inBlock(part, part.codes, row) + 4 * (row % BLOCK_ROWS);
    pack(codes + part.firstColumn, to, part.cols, part.groups * format.group, zeroCode(format));
  }
}

/** Scales, or minimums, [groups] f32 at address `values` to where row `row` keeps them. */
export function packScales(
  k: Kernels,
  matrix: WasmMatrix,
  format: QuantizedFormat,
  row: number,
  values: number,
  to: "scales" | "minimums",
): void {
  const kind = SCALE_KINDS[format.scales ?? "f16"];
  const within = (row % BLOCK_ROWS) * (kind === SCALE_KINDS.f32 ? 4 : 2);
  for (const part of matrix.parts)
    k.packScales(values + 4 * part.firstGroup, inBlock(part, part[to], row) + within, part.groups, kind);
}

/** What lies at `first` in a part's first block, in the block of row `row`. */
export function inBlock({ blockBytes }: Part, first: number, row: number): number {
  return first + Math.floor(row / BLOCK_ROWS) * blockBytes;
}
