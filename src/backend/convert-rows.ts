/** Rows on their way from how a checkpoint stores them to the format of the matrix they are for. */
import { type FloatType, narrow } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import { type CodeLayout, type Fp8Layout, isCodes, quantizedRows } from "../core/quantized.ts";
import { decodeRows, dequantizeRows } from "../formats/decode.ts";
import { cutParts, type Encoding } from "../formats/encoding.ts";
import type { Matrix, MatrixFormat, MatrixWriter, QuantizedRows } from "./backend.ts";
import { quantizeWeights } from "./quantize-weights.ts";
import * as check from "./shapes.ts";

/** What dequantized weights can become. */
export type ConvertedFormat = Exclude<MatrixFormat, Fp8Layout>;

/** The largest weights that can be narrowed to each type: its own, and the largest scale where scales are f16. */
export const LARGEST_WEIGHT: Readonly<Record<ConvertedFormat["type"], number>> = {
  f32: Number.POSITIVE_INFINITY,
  bf16: 3.3895313892515355e38,
  f16: 65504,
  int8: 65504,
  int4: 65504,
};

/** Refuses weights that `type` cannot come near. @throws Qwen3Error CHECKPOINT_TENSOR */
export function requireWithin(weights: Float32Array, type: ConvertedFormat["type"], row: number): void {
  const most = LARGEST_WEIGHT[type];
  const column = weights.findIndex((weight) => !(Math.abs(weight) <= most));
  if (column < 0) return;
  const found = `row ${row}, column ${column} is ${weights[column]}`;
  throw new Qwen3Error("CHECKPOINT_TENSOR", `${found}; weights that become ${type} are finite and at most ${most} in magnitude`);
}

/**
 * Takes stored rows, and hands `writer` what a matrix of `format` is written as: codes as they are stored, where the format holds them, else
 * what their dequantized values become. f32 takes every value as it is.
 */
export function convertingWriter(writer: MatrixWriter, matrix: Matrix, source: Encoding): MatrixWriter {
  const { cols, format } = matrix;
  const decodes = isCodes(format) && check.keeps(source, format);
  return {
    write(firstRow, slice) {
      const count = check.requireStoredRows(matrix, source, firstRow, slice);
      for (let i = 0; i < count; i++) {
        const parts = cutParts(source, cols, slice as Uint8Array, count, i, i + 1);
        const row = firstRow + i;
        writer.write(
          row,
          decodes ? decodedRow(source, parts, format, cols, row) : convertedRow(source, parts, format, cols, row),
        );
      }
    },
    finish: () => writer.finish(),
  };
}

function decodedRow(source: Encoding, parts: Uint8Array[], layout: CodeLayout, cols: number, row: number): QuantizedRows {
  const decoded = quantizedRows(layout, 1, cols);
  decodeRows(source, parts, cols, decoded, row);
  return decoded;
}

function convertedRow(
  source: Encoding,
  parts: Uint8Array[],
  format: MatrixFormat,
  cols: number,
  row: number,
): Uint8Array | QuantizedRows {
  check.requireConvertible(format);
  const weights = dequantizeRows(source, parts, 1, cols, row);
  if (format.type !== "f32") requireWithin(weights, format.type, row);
  return "group" in format ? quantizeWeights(weights, format) : narrow(weights, format.type as FloatType);
}
