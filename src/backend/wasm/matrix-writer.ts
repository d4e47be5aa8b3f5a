/** Rows as a matrix of their own format has them, into that matrix. */
import type { MatrixWriter } from "../backend.ts";
import * as check from "../shapes.ts";
import type { Kernels } from "./kernels.ts";
import { type WasmMatrix, writeFloats, writeFp8 } from "./matrix.ts";
import { packRows } from "./row-panel.ts";

/** @param scratch gives the address of at least so many bytes */
export function matrixWriter(kernels: Kernels, matrix: WasmMatrix, scratch: (bytes: number) => number): MatrixWriter {
  const written = check.rowLedger(matrix.rows);
  return {
    write(firstRow, rows) {
      const count = check.requireRows(matrix, firstRow, rows);
      written.add(firstRow, count);
      if (rows instanceof Uint8Array) writeFloats(kernels, matrix, firstRow, rows, scratch);
      else if (matrix.format.type === "fp8") writeFp8(kernels, matrix, firstRow, rows, scratch);
      else if ("group" in matrix.format) packRows(kernels, matrix, matrix.format, firstRow, count, rows, scratch);
    },
    finish() {
      written.requireAll();
      return matrix;
    },
  };
}
