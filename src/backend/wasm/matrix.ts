/**
 * Weights in wasm memory. Float formats lie as they come, row-major without padding, those of 8 bits with their scales behind. Quantized ones
 * are repacked row by row into blocks of 8 rows (assembly/quantized-panel.ts draws them): scales, minimums, codes, padded to whole groups and blocks.
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
import { BLOCK_ROWS } from "../partition.ts";
import * as check from "../shapes.ts";
import type { WasmInstance } from "./instance.ts";
import type { Place } from "./instances.ts";
import { type Kernels, SCALE_KINDS } from "./kernels.ts";
import { aligned, type WasmMemory } from "./memory.ts";

export class WasmMatrix implements Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly format: MatrixFormat;
  readonly instance: WasmInstance;
  readonly memory: WasmMemory;
  /** Groups of a row; 0 for float formats. */
  readonly groups: number;
  /** Of float weights, or of the first block's codes. */
  readonly address: number;
  /** Of the first block's scales; in 8-bit floating point, of the first row's bound, in front of its scales. */
  readonly scales: number;
  /** Of the first block's minimums; 0 without. */
  readonly minimums: number;
  /** From a block to the next; 0 for float formats. */
  readonly blockBytes: number;

  /** @param place finds room for so many bytes */
  constructor(place: (bytes: number) => Place, rows: number, cols: number, format: MatrixFormat) {
    this.rows = rows;
    this.cols = cols;
    this.format = format;
    this.groups = check.groupsOf(format, cols);
    const { instance, address } = place(matrixBytes(rows, cols, format));
    this.instance = instance;
    this.memory = instance.memory;
    if (format.type === "fp8") {
      this.address = address;
      this.scales = address + aligned(rows * cols);
      this.minimums = this.blockBytes = 0;
      return;
    }
    if (!("group" in format)) {
      this.address = address;
      this.scales = this.minimums = this.blockBytes = 0;
      return;
    }
    const scaleBytes = blockScaleBytes(cols, format);
    this.scales = address;
    this.minimums = format.minimum ? address + scaleBytes : 0;
    this.address = address + scaleBytes * (format.minimum ? 2 : 1);
    this.blockBytes = blockBytes(cols, format);
    if (rows % BLOCK_ROWS === 0) return;
    const end = address + Math.ceil(rows / BLOCK_ROWS) * this.blockBytes;
    instance.memory.u8.fill(0, end - this.blockBytes, end); // rows past the last: some code, times 0
  }
}

/** Bytes that a matrix takes, padding included. */
export function matrixBytes(rows: number, cols: number, format: MatrixFormat): number {
  if (format.type === "fp8") return aligned(rows * cols) + rows * fp8ScaleBytes(cols);
  if (!("group" in format)) return rows * cols * bytesPerValue[format.type];
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

/** Rows of 8-bit floating point with their scales, known to be finite, to where they are kept. */
export function writeFp8(kernels: Kernels, matrix: WasmMatrix, firstRow: number, { codes, scales }: QuantizedRows): void {
  const { memory, cols } = matrix;
  const groups = Math.ceil(cols / FP8_BLOCK);
  memory.u8.set(codes, matrix.address + firstRow * cols);
  for (let row = 0; row < codes.length / cols; row++) {
    const to = fp8Scales(matrix, firstRow + row);
    memory.floats(to + 4, groups).set(scales.subarray(row * groups, (row + 1) * groups));
    memory.f32[to / 4] = kernels.boundF8(matrix.address + (firstRow + row) * cols, to + 4, cols);
  }
}

/** Codes u8 [cols] at address `codes` to where row `row` keeps them. */
export function packCodes(kernels: Kernels, matrix: WasmMatrix, format: QuantizedFormat, row: number, codes: number): void {
  const pack = format.type === "int8" ? kernels.packInt8 : kernels.packInt4;
  const to = inBlock(matrix, matrix.address, row) + 4 * (row % BLOCK_ROWS);
  pack(codes, to, matrix.cols, matrix.groups * format.group, zeroCode(format));
}

/**
 * Scales, or minimums, [groups] f32 at address `values` to where row `row` keeps them.
 *
 * @param to `matrix.scales` or `matrix.minimums`
 */
export function packScales(
  k: Kernels,
  matrix: WasmMatrix,
  format: QuantizedFormat,
  row: number,
  values: number,
  to: number,
): void {
  const kind = SCALE_KINDS[format.scales ?? "f16"];
  k.packScales(values, inBlock(matrix, to, row) + (row % BLOCK_ROWS) * (kind === SCALE_KINDS.f32 ? 4 : 2), matrix.groups, kind);
}

/** What lies at `first` in the first block, in the block of row `row`. */
export function inBlock({ blockBytes }: WasmMatrix, first: number, row: number): number {
  return first + Math.floor(row / BLOCK_ROWS) * blockBytes;
}
