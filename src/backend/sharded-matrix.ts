/** A matrix whose rows are shared out among the threads of a team; each keeps its own range and passes over the others'. */
import { Qwen3Error } from "../core/errors.ts";
import { cutRows, type Encoding } from "../formats/encoding.ts";
import type { Matrix, MatrixFormat, MatrixWriter, QuantizedRows } from "./backend.ts";
import * as check from "./shapes.ts";

export class ShardedMatrix implements Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly format: MatrixFormat;
  /** The rows of each thread. */
  readonly bounds: readonly number[];
  /** This thread's rows; undefined where it has none. */
  readonly own: Matrix | undefined;

  constructor(rows: number, cols: number, format: MatrixFormat, bounds: readonly number[], own: Matrix | undefined) {
    this.rows = rows;
    this.cols = cols;
    this.format = format;
    this.bounds = bounds;
    this.own = own;
  }
}

/** @param writer of this thread's rows, if it has any */
export function shardedWriter(
  { rows, cols, format }: Matrix,
  bounds: readonly number[],
  index: number,
  writer: MatrixWriter | undefined,
  source: Encoding | undefined,
): MatrixWriter {
  const [first, end] = [bounds[index]!, bounds[index + 1]!];
  return {
    range: { first, end },
    write(firstRow, slice) {
      const count = check.requireStoredRows({ rows, cols, format }, source, firstRow, slice);
      const [from, to] = [Math.max(first, firstRow), Math.min(end, firstRow + count)];
      if (!writer || from >= to) return;
      const own =
        source && slice instanceof Uint8Array
          ? cutRows(source, cols, slice, count, from - firstRow, to - firstRow)
          : rowsOf(slice, count, from - firstRow, to - firstRow);
      try {
        writer.write(from - first, own);
      } catch (cause) {
        if (!(cause instanceof Qwen3Error) || cause.code !== "CHECKPOINT_TENSOR" || first === 0) throw cause;
        throw new Qwen3Error(cause.code, `of the rows from ${first} on, ${cause.message}`, { cause });
      }
    },
    finish: () => new ShardedMatrix(rows, cols, format, bounds, writer?.finish()),
  };
}

/** Rows `from` to before `to` of `count`. */
function rowsOf(slice: Uint8Array | QuantizedRows, count: number, from: number, to: number): Uint8Array | QuantizedRows {
  const cut = <T extends Uint8Array | Int8Array | Float32Array>(values: T): T =>
    values.subarray((from * values.length) / count, (to * values.length) / count) as T;
  if (slice instanceof Uint8Array) return cut(slice);
  const { codes, scales, factors, minimums, minimumFactors } = slice;
  return {
    codes: cut(codes),
    scales: cut(scales),
    ...(factors && { factors: cut(factors) }),
    ...(minimums && { minimums: cut(minimums) }),
    ...(minimumFactors && { minimumFactors: cut(minimumFactors) }),
  };
}
