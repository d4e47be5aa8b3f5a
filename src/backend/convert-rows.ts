/** Rows on their way from the type in which a checkpoint stores them to the format of the matrix they are for. */
import { bytesPerValue, type FloatType, narrow, widen } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { MatrixFormat, MatrixWriter } from "./backend.ts";
import { quantizeWeights } from "./quantize-weights.ts";
import * as check from "./shapes.ts";

/** The largest weights that can be narrowed to each type: its own, and the largest scale where scales are f16. */
export const LARGEST_WEIGHT: Readonly<Record<MatrixFormat["type"], number>> = {
  f32: Number.POSITIVE_INFINITY,
  bf16: 3.3895313892515355e38,
  f16: 65504,
  int8: 65504,
  int4: 65504,
};

/** Refuses weights that `type` cannot come near. @throws Qwen3Error CHECKPOINT_TENSOR */
export function requireWithin(weights: Float32Array, type: MatrixFormat["type"], row: number): void {
  const most = LARGEST_WEIGHT[type];
  const column = weights.findIndex((weight) => !(Math.abs(weight) <= most));
  if (column < 0) return;
  const found = `row ${row}, column ${column} is ${weights[column]}`;
  throw new Qwen3Error("CHECKPOINT_TENSOR", `${found}; weights that become ${type} are finite and at most ${most} in magnitude`);
}

/** Takes rows of bytes of type `source`, and hands `writer` what a matrix of `format` is written as. f32 takes every value as it is. */
export function convertingWriter(
  writer: MatrixWriter,
  matrix: { readonly rows: number; readonly cols: number; readonly format: MatrixFormat },
  source: FloatType,
): MatrixWriter {
  const { rows, cols, format } = matrix;
  return {
    write(firstRow, slice) {
      const count = check.requireRows({ rows, cols, format: { type: source } }, firstRow, slice);
      for (let row = 0; row < count; row++) {
        const weights = widen(slice as Uint8Array, source, row * cols * bytesPerValue[source], cols);
        if (format.type !== "f32") requireWithin(weights, format.type, firstRow + row);
        writer.write(firstRow + row, "group" in format ? quantizeWeights(weights, format) : narrow(weights, format.type));
      }
    },
    finish: () => writer.finish(),
  };
}
