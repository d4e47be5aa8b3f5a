/**
 * Weights in wasm memory. Float formats lie as they come, row-major without padding. Quantized ones are repacked row by row into
 * the layout that assembly/quantized-products.ts draws, padded with zeros to whole groups and blocks of 4 rows:
 *
 *   codes [blocks][groups * group / 4 or 8] tiles of 16 bytes, then scales [blocks][groups][4] f32, then minimums likewise
 */
import { bytesPerValue } from "../../core/dtype.ts";
import type { Matrix, MatrixFormat, MatrixWriter, QuantizedRows } from "../backend.ts";
import * as check from "../shapes.ts";
import type { WasmInstance } from "./instance.ts";
import type { Place } from "./instances.ts";
import type { Kernels } from "./kernels.ts";
import type { WasmMemory } from "./memory.ts";

/** Rows of codes pass through scratch of this size on their way to where they are packed. */
const SLICE_BYTES = 65536;

export class WasmMatrix implements Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly format: MatrixFormat;
  readonly instance: WasmInstance;
  readonly memory: WasmMemory;
  /** Groups of a row; 0 for float formats. */
  readonly groups: number;
  readonly address: number;
  readonly scales: number;
  /** 0 without minimums. */
  readonly minimums: number;

  /** @param place finds room for so many bytes */
  constructor(place: (bytes: number) => Place, rows: number, cols: number, format: MatrixFormat) {
    this.rows = rows;
    this.cols = cols;
    this.format = format;
    this.groups = check.groupsOf(format, cols);
    if (!("group" in format)) {
      const { instance, address } = place(rows * cols * bytesPerValue[format.type]);
      this.instance = instance;
      this.memory = instance.memory;
      this.address = address;
      this.scales = this.minimums = 0;
      return;
    }
    const blocks = Math.ceil(rows / 4);
    const paddedCols = this.groups * format.group;
    const codeBytes = blocks * paddedCols * (format.type === "int8" ? 4 : 2);
    const scaleBytes = blocks * this.groups * 16;
    const hasMinimums = format.type === "int4" && format.minimum;
    const bytes = codeBytes + scaleBytes * (hasMinimums ? 2 : 1);
    const { instance, address } = place(bytes);
    this.instance = instance;
    this.memory = instance.memory;
    this.address = address;
    this.scales = this.address + codeBytes;
    this.minimums = hasMinimums ? this.scales + scaleBytes : 0;
    if (paddedCols > cols || rows % 4 > 0) this.memory.u8.fill(0, this.address, this.address + bytes);
  }
}

/** @param scratch gives the address of at least so many bytes */
export function matrixWriter(kernels: Kernels, matrix: WasmMatrix, scratch: (bytes: number) => number): MatrixWriter {
  const written = check.rowLedger(matrix.rows);
  return {
    write(firstRow, rows) {
      const count = check.requireRows(matrix, firstRow, rows);
      written.add(firstRow, count);
      if (rows instanceof Uint8Array) matrix.memory.u8.set(rows, matrix.address + (firstRow * rows.length) / count);
      else packRows(kernels, matrix, firstRow, count, rows, scratch);
    },
    finish() {
      written.requireAll();
      return matrix;
    },
  };
}

function packRows(
  kernels: Kernels,
  matrix: WasmMatrix,
  firstRow: number,
  count: number,
  rows: QuantizedRows,
  scratch: (bytes: number) => number,
): void {
  const { memory, cols } = matrix;
  const rowsAtOnce = Math.min(count, Math.max(1, Math.floor(SLICE_BYTES / cols)));
  const slice = scratch(rowsAtOnce * cols);
  for (let row = 0; row < count; row++) {
    const inSlice = row % rowsAtOnce;
    if (inSlice === 0) memory.u8.set(rows.codes.subarray(row * cols, (row + rowsAtOnce) * cols), slice);
    packRow(kernels, matrix, firstRow + row, slice + inSlice * cols);
  }
  writeScales(matrix, firstRow, rows.scales, rows.minimums);
}

/** Codes [cols] at address `codes` to where row `row` of a quantized matrix keeps them. */
export function packRow(kernels: Kernels, { address, cols, groups, format }: WasmMatrix, row: number, codes: number): void {
  if (!("group" in format)) return;
  const pack = format.type === "int8" ? kernels.packInt8 : kernels.packInt4;
  pack(codes, address, row, cols, groups * format.group);
}

/** Scales and minimums [rows, groups] of rows from `firstRow` on. */
export function writeScales(matrix: WasmMatrix, firstRow: number, scales: Float32Array, minimums?: Float32Array): void {
  const { memory, groups } = matrix;
  interleave(memory.f32, matrix.scales, groups, firstRow, scales);
  if (minimums) interleave(memory.f32, matrix.minimums, groups, firstRow, minimums);
}

/** values [rows, groups] to [blocks][groups][4 rows] at `address`. */
function interleave(f32: Float32Array, address: number, groups: number, firstRow: number, values: Float32Array): void {
  for (let i = 0, row = firstRow; i < values.length; row++)
    for (let at = address / 4 + (row >> 2) * groups * 4 + (row & 3), g = 0; g < groups; g++, i++, at += 4) f32[at] = values[i]!;
}
