/**
 * Stored rows into a wasm matrix of another type, row by row, by way of scratch: decoded and packed, or widened and then narrowed or
 * quantized, and packed. Bit for bit what convert-rows.ts does.
 */
import { bytesPerValue, type FloatType } from "../../core/dtype.ts";
import { type CodeLayout, quantizedRows } from "../../core/quantized.ts";
import { decodeRows, dequantizeRows } from "../../formats/decode.ts";
import { cutParts, type Encoding, isFloat } from "../../formats/encoding.ts";
import type { MatrixWriter } from "../backend.ts";
import { LARGEST_WEIGHT, requireWithin } from "../convert-rows.ts";
import * as check from "../shapes.ts";
import { SCALE_KINDS } from "./kernel-sizes.ts";
import type { Kernels } from "./kernels.ts";
import { packCodes, packFloats, packScales, type WasmMatrix, writeFp8 } from "./matrix.ts";
import { aligned } from "./memory.ts";
import { openPanel, packPanel, panelRows } from "./row-panel.ts";

/** Stored bytes that are copied at once: some rows, which stay in a core's cache until they are converted. */
const PANEL_BYTES = 65536;

/** @param scratch gives the address of at least so many bytes */
export function convertingWriter(
  kernels: Kernels,
  matrix: WasmMatrix,
  source: Encoding,
  scratch: (bytes: number) => number,
): MatrixWriter {
  const { memory, cols } = matrix;
  const written = check.rowLedger(matrix.rows);
  const type = isFloat(source) ? source.type : "f32";
  const rowBytes = cols * bytesPerValue[type];
  const most = Math.max(1, Math.floor(PANEL_BYTES / rowBytes));
  return {
    write(firstRow, slice) {
      const count = check.requireStoredRows(matrix, source, firstRow, slice);
      for (let begin = 0; begin < count; begin += most) {
        const rows = Math.min(most, count - begin);
        const panel = scratch(aligned(rows * rowBytes) + rowScratchBytes(matrix));
        const parts = cutParts(source, cols, slice as Uint8Array, count, begin, begin + rows);
        if (isFloat(source)) memory.u8.set(parts[0]!, panel);
        else memory.floats(panel, rows * cols).set(dequantizeRows(source, parts, rows, cols, firstRow + begin));
        const rest = panel + aligned(rows * rowBytes);
        for (let i = 0; i < rows; i++) convertRow(kernels, matrix, firstRow + begin + i, type, panel + i * rowBytes, rest);
      }
      written.add(firstRow, count);
    },
    finish() {
      written.requireAll();
      return matrix;
    },
  };
}

/** Rows of codes and scales that the matrix holds without loss. @param scratch gives the address of at least so many bytes */
export function decodingWriter(
  kernels: Kernels,
  matrix: WasmMatrix,
  source: Encoding,
  format: CodeLayout,
  scratch: (bytes: number) => number,
): MatrixWriter {
  const { cols } = matrix;
  const written = check.rowLedger(matrix.rows);
  const most = panelRows(matrix);
  return {
    write(firstRow, slice) {
      const count = check.requireStoredRows(matrix, source, firstRow, slice);
      for (let begin = 0; begin < count; begin += most) {
        const rows = Math.min(most, count - begin);
        const parts = cutParts(source, cols, slice as Uint8Array, count, begin, begin + rows);
        const first = firstRow + begin;
        if (format.type === "fp8") {
          const decoded = quantizedRows(format, rows, cols);
          decodeRows(source, parts, cols, decoded, first);
          writeFp8(kernels, matrix, first, decoded, scratch);
        } else {
          const panel = openPanel(matrix, format, rows, scratch);
          decodeRows(source, parts, cols, panel.rows, first);
          packPanel(kernels, matrix, format, first, rows, panel);
        }
      }
      written.add(firstRow, count);
    },
    finish() {
      written.requireAll();
      return matrix;
    },
  };
}

/** f32 weights of one row, and then codes, scales and minimums, or the weights in 16 bits. */
function rowScratchBytes({ cols, groups }: WasmMatrix): number {
  return aligned(cols * 4) + (groups > 0 ? aligned(cols) + 2 * aligned(groups * 4) : aligned(cols * 2));
}

/** @param stored address of the row's bytes; @param scratch address of `rowScratchBytes` */
function convertRow(k: Kernels, matrix: WasmMatrix, row: number, source: FloatType, stored: number, scratch: number): void {
  const { memory, cols, groups, format } = matrix;
  check.requireConvertible(format);
  const widenTo = source === "bf16" ? k.widenBf16 : k.widenF16;
  const weights = source === "f32" ? stored : scratch;
  const rest = scratch + aligned(cols * 4);
  if (source !== "f32") widenTo(stored, weights, cols);
  if (format.type === "f32") {
    packFloats(k, matrix, row, 1, weights);
    return;
  }
  if (!(k.largestMagnitude(weights, cols) <= LARGEST_WEIGHT[format.type]))
    requireWithin(memory.floats(weights, cols), format.type, row);

  if (!("group" in format)) {
    (format.type === "f16" ? k.narrowF16 : k.narrowBf16)(weights, rest, cols);
    packFloats(k, matrix, row, 1, rest);
    return;
  }
  const codes = rest;
  const scales = codes + aligned(cols);
  const minimums = scales + aligned(groups * 4);
  if (format.type === "int8") k.quantizeInt8(weights, codes, scales, cols, format.group);
  else if (format.minimum) k.quantizeInt4Range(weights, codes, scales, minimums, cols, format.group, SCALE_KINDS.f16);
  else k.quantizeInt4(weights, codes, scales, cols, format.group);
  packCodes(k, matrix, format, row, codes);
  packScales(k, matrix, format, row, scales, "scales");
  if (format.minimum) packScales(k, matrix, format, row, minimums, "minimums");
}
