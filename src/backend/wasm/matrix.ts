/**
 * Weights in wasm memory. Float formats lie as they come, row-major without padding. Quantized ones are repacked row by row into
 * blocks of 8 rows (assembly/quantized-panel.ts and quantized-scales.ts draw them), padded to whole groups and blocks:
 *
 *   codes [blocks], then scales [blocks], then minimums [blocks]
 */
import { bytesPerValue, f32ToF16 } from "../../core/dtype.ts";
import {
  type Matrix,
  type MatrixFormat,
  type MatrixWriter,
  type QuantizedFormat,
  type QuantizedRows,
  SUPER_COLUMNS,
} from "../backend.ts";
import * as check from "../shapes.ts";
import type { WasmInstance } from "./instance.ts";
import type { Place } from "./instances.ts";
import { type Kernels, SCALE_KINDS } from "./kernels.ts";
import type { WasmMemory } from "./memory.ts";

/** Rows of codes pass through scratch of this size on their way to where they are packed. */
const SLICE_BYTES = 65536;
const BLOCK_ROWS = 8;

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
    const { instance, address } = place(matrixBytes(rows, cols, format));
    this.instance = instance;
    this.memory = instance.memory;
    this.address = address;
    if (!("group" in format)) {
      this.scales = this.minimums = 0;
      return;
    }
    const blocks = Math.ceil(rows / BLOCK_ROWS);
    const codeBytes = blocks * blockCodeBytes(cols, format);
    const scaleBytes = blocks * blockScaleBytes(cols, format);
    this.scales = address + codeBytes;
    this.minimums = format.minimum ? this.scales + scaleBytes : 0;
    if (rows % BLOCK_ROWS === 0) return;
    // Rows past the last: what stands for 0 (any code does), times 0.
    const { u8 } = instance.memory;
    u8.fill(0, this.scales - blockCodeBytes(cols, format), this.scales);
    for (const end of [this.scales + scaleBytes, ...(format.minimum ? [this.minimums + scaleBytes] : [])])
      u8.fill(0, end - blockScaleBytes(cols, format), end);
  }
}

/** Bytes that a matrix takes, padding included. */
export function matrixBytes(rows: number, cols: number, format: MatrixFormat): number {
  if (!("group" in format)) return rows * cols * bytesPerValue[format.type];
  const blocks = Math.ceil(rows / BLOCK_ROWS);
  return blocks * (blockCodeBytes(cols, format) + blockScaleBytes(cols, format) * (format.minimum ? 2 : 1));
}

function blockCodeBytes(cols: number, format: QuantizedFormat): number {
  return check.groupsOf(format, cols) * format.group * (format.type === "int8" ? BLOCK_ROWS : BLOCK_ROWS / 2);
}

function blockScaleBytes(cols: number, format: QuantizedFormat): number {
  const groups = check.groupsOf(format, cols);
  const { scales = "f16" } = format;
  if (scales === "two-level") return BLOCK_ROWS * (groups + 2 * Math.ceil((groups * format.group) / SUPER_COLUMNS));
  return BLOCK_ROWS * groups * bytesPerValue[scales];
}

/** The code, as it is held, that counts as 0. */
export function zeroCode({ type, minimum }: QuantizedFormat): number {
  return minimum ? 0 : type === "int8" ? 128 : 8;
}

/** @param scratch gives the address of at least so many bytes */
export function matrixWriter(kernels: Kernels, matrix: WasmMatrix, scratch: (bytes: number) => number): MatrixWriter {
  const written = check.rowLedger(matrix.rows);
  return {
    write(firstRow, rows) {
      const count = check.requireRows(matrix, firstRow, rows);
      written.add(firstRow, count);
      if (rows instanceof Uint8Array) matrix.memory.u8.set(rows, matrix.address + (firstRow * rows.length) / count);
      else if ("group" in matrix.format) packRows(kernels, matrix, matrix.format, firstRow, count, rows, scratch);
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
  format: QuantizedFormat,
  firstRow: number,
  count: number,
  rows: QuantizedRows,
  scratch: (bytes: number) => number,
): void {
  const { memory, cols, groups } = matrix;
  const rowsAtOnce = Math.min(count, Math.max(1, Math.floor(SLICE_BYTES / cols)));
  const slice = scratch(Math.max(rowsAtOnce * cols, 4 * groups));
  const signed = format.type === "int8" && !format.minimum;
  for (let row = 0; row < count; row++) {
    const inSlice = row % rowsAtOnce;
    if (inSlice === 0) {
      const codes = rows.codes.subarray(row * cols, (row + rowsAtOnce) * cols);
      memory.u8.set(signed ? codes.map((code) => code ^ -128) : codes, slice); // code + 128, in a byte
    }
    packCodes(kernels, matrix, format, firstRow + row, slice + inSlice * cols);
  }
  const levels = [
    [rows.scales, rows.factors, matrix.scales],
    [rows.minimums, rows.minimumFactors, matrix.minimums],
  ] as const;
  for (const [values, factors, address] of levels)
    for (let row = 0; values && row < count; row++) {
      const own = values.subarray((row * values.length) / count, ((row + 1) * values.length) / count);
      if (factors) {
        writeTwoLevels(matrix, format, firstRow + row, own, factors.subarray(row * groups, (row + 1) * groups), address);
      } else {
        memory.floats(slice, groups).set(own);
        packScales(kernels, matrix, format, firstRow + row, slice, address);
      }
    }
}

/** Codes u8 [cols] at address `codes` to where row `row` keeps them. */
export function packCodes(kernels: Kernels, matrix: WasmMatrix, format: QuantizedFormat, row: number, codes: number): void {
  const pack = format.type === "int8" ? kernels.packInt8 : kernels.packInt4;
  pack(codes, matrix.address, row, matrix.cols, matrix.groups * format.group, zeroCode(format));
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
  k.packScales(values, to, row, matrix.groups, SCALE_KINDS[format.scales ?? "f16"]);
}

function writeTwoLevels(
  { memory, cols, groups }: WasmMatrix,
  format: QuantizedFormat,
  row: number,
  values: Float32Array,
  factors: Int8Array,
  address: number,
): void {
  const block = address + Math.floor(row / BLOCK_ROWS) * blockScaleBytes(cols, format);
  const within = row % BLOCK_ROWS;
  for (const [g, factor] of factors.entries()) memory.u8[block + g * BLOCK_ROWS + within] = factor;
  const halves = new DataView(memory.u8.buffer, block + groups * BLOCK_ROWS);
  for (const [i, value] of values.entries()) halves.setUint16(2 * (i * BLOCK_ROWS + within), f32ToF16(value), true);
}
