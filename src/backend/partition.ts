/** How a row of values, or the rows of a matrix, are shared out among the threads of a team: to each a range, in order. */

import type { MatrixFormat } from "./backend.ts";

/** Rows of a block: of codes, and of floats. */
export const BLOCK_ROWS = 8;
export const FLOAT_BLOCK_ROWS = 16;

/** Rows of a matrix are cut at multiples of this, as kernels compute them in blocks. */
export function blockRows(format: MatrixFormat): number {
  return "group" in format ? BLOCK_ROWS : FLOAT_BLOCK_ROWS;
}

/**
 * Where each thread's range begins: `count` + 1 bounds from 0 to `extent`, as even as whole units allow. With fewer units than threads
 * some ranges are empty.
 *
 * @param unit what no bound may divide
 */
export function partition(extent: number, unit: number, count: number): readonly number[] {
  const units = Math.ceil(extent / unit);
  return Array.from({ length: count + 1 }, (_, i) => Math.min(extent, Math.floor((units * i) / count) * unit));
}

/** Bounds of what has `factor` values for each one: heads to rows, rows to bytes. */
export function scaled(bounds: readonly number[], factor: number): readonly number[] {
  return bounds.map((bound) => bound * factor);
}

/** The thread whose range holds `at`. */
export function ownerOf(bounds: readonly number[], at: number): number {
  let thread = 0;
  while (at >= bounds[thread + 1]!) thread++;
  return thread;
}
