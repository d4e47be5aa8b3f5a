/**
 * Rows of a checkpoint's type into a wasm matrix of another: copied to scratch in panels, widened, narrowed or quantized row by row,
 * and packed from there. Bit for bit what convert-rows.ts does.
 */
import { bytesPerValue, type FloatType } from "../../core/dtype.ts";
import type { MatrixWriter } from "../backend.ts";
import { LARGEST_WEIGHT, requireWithin } from "../convert-rows.ts";
import * as check from "../shapes.ts";
import type { Kernels } from "./kernels.ts";
import { packCodes, packScales, type WasmMatrix } from "./matrix.ts";
import { aligned } from "./memory.ts";

/** Stored bytes that are copied at once: some rows, which stay in a core's cache until they are converted. */
const PANEL_BYTES = 65536;

/** @param scratch gives the address of at least so many bytes */
export function convertingWriter(
  kernels: Kernels,
  matrix: WasmMatrix,
  source: FloatType,
  scratch: (bytes: number) => number,
): MatrixWriter {
  const { memory, cols } = matrix;
  const written = check.rowLedger(matrix.rows);
  const rowBytes = cols * bytesPerValue[source];
  const panelRows = Math.max(1, Math.floor(PANEL_BYTES / rowBytes));
  return {
    write(firstRow, slice) {
      const count = check.requireRows({ rows: matrix.rows, cols, format: { type: source } }, firstRow, slice);
      for (let begin = 0; begin < count; begin += panelRows) {
        const rows = Math.min(panelRows, count - begin);
        const panel = scratch(aligned(rows * rowBytes) + rowScratchBytes(matrix));
        memory.u8.set((slice as Uint8Array).subarray(begin * rowBytes, (begin + rows) * rowBytes), panel);
        const rest = panel + aligned(rows * rowBytes);
        for (let i = 0; i < rows; i++) convertRow(kernels, matrix, firstRow + begin + i, source, panel + i * rowBytes, rest);
      }
      written.add(firstRow, count);
    },
    finish() {
      written.requireAll();
      return matrix;
    },
  };
}

/** f32 weights, codes, scales and minimums of one row. */
function rowScratchBytes({ cols, groups }: WasmMatrix): number {
  return aligned(cols * 4) + aligned(cols) + 2 * aligned(groups * 4);
}

/** @param stored address of the row's bytes; @param scratch address of `rowScratchBytes` */
function convertRow(k: Kernels, matrix: WasmMatrix, row: number, source: FloatType, stored: number, scratch: number): void {
  const { memory, cols, groups, format } = matrix;
  const widenTo = source === "bf16" ? k.widenBf16 : k.widenF16;
  if (format.type === "f32") {
    widenTo(stored, matrix.address + row * cols * 4, cols);
    return;
  }
  const weights = source === "f32" ? stored : scratch;
  if (source !== "f32") widenTo(stored, weights, cols);
  if (!(k.largestMagnitude(weights, cols) <= LARGEST_WEIGHT[format.type]))
    requireWithin(memory.floats(weights, cols), format.type, row);

  if (!("group" in format)) {
    (format.type === "f16" ? k.narrowF16 : k.narrowBf16)(weights, matrix.address + row * cols * 2, cols);
    return;
  }
  const codes = scratch + aligned(cols * 4);
  const scales = codes + aligned(cols);
  const minimums = scales + aligned(groups * 4);
  if (format.type === "int8") k.quantizeInt8(weights, codes, scales, cols, format.group);
  else if (format.minimum) k.quantizeInt4Range(weights, codes, scales, minimums, cols, format.group);
  else k.quantizeInt4(weights, codes, scales, cols, format.group);
  packCodes(k, matrix, format, row, codes);
  packScales(k, matrix, format, row, scales, matrix.scales);
  if (format.minimum) packScales(k, matrix, format, row, minimums, matrix.minimums);
}
