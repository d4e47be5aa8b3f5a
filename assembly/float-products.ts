/**
 * y = x W^T for weights in f32, bf16 or f16.
 *
 *   x [tokens, cols] f32      W [rows, cols] in blocks (float-blocks.ts)      y [tokens, rows] f32
 *   scratch   a stretch of 256 columns in f32 [256][16 rows], then for every four tokens sums [4][4 tokens][16 rows] f32
 *
 * A few tokens take a block as it lies, one after the other; of more of them all take a stretch of columns, in f32, out of the nearest cache.
 */
import { BLOCK_ROWS, columnBytes, transpose, widenColumns } from "./float-blocks";
import { dotRow, dotRows4 } from "./float-dots";
import { addColumns } from "./float-gemm";
import { timesBlock } from "./float-gemv";
import { BF16, F16, storeRest } from "./floats";

/** Rows of f32 one after the other. */
type Rows = f64;

export const STRETCH: i32 = 256;
export const SUMS: usize = <usize>STRETCH << 6;

/** Bytes of scratch. */
@inline export function scratchBytes(tokens: i32): usize {
  return SUMS + (<usize>(tokens + 3 & ~3) << 8);
}

export function matmulF32(x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, scratch: usize): void {
  product<f32>(x, w, y, tokens, rows, cols, scratch, 4);
}

export function matmulBf16(x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, scratch: usize): void {
  product<BF16>(x, w, y, tokens, rows, cols, scratch, 10);
}

export function matmulF16(x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, scratch: usize): void {
  product<F16>(x, w, y, tokens, rows, cols, scratch, 2);
}

/** @param many so many tokens are worth the stretch */
@inline function product<T>(x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, scratch: usize, many: i32): void {
  const yBytes = <usize>rows << 2;
  const xBytes = <usize>cols << 2;
  let block = w;
  let to = y;
  for (let row = 0; row < rows; row += BLOCK_ROWS, block += <usize>cols * columnBytes<T>(), to += BLOCK_ROWS << 2) {
    const count = min(BLOCK_ROWS, rows - row);
    if (tokens >= many) timesTokens<T>(x, block, to, tokens, count, cols, yBytes, scratch);
    else
      for (let t: usize = 0; t < <usize>tokens; t++) {
        timesBlock<T>(x + t * xBytes, block, cols, scratch + SUMS);
        storeTotals(scratch + SUMS, 64, to + t * yBytes, count);
      }
  }
}

/** All tokens with a block of type T, or with rows as they come (`Rows`). */
function timesTokens<T>(x: usize, block: usize, y: usize, tokens: i32, rows: i32, cols: i32, yBytes: usize, scratch: usize): void {
  const sums = scratch + SUMS;
  memory.fill(sums, 0, <usize>(tokens + 3 & ~3) << 8);
  for (let k = 0; k < cols; k += STRETCH) {
    const columns = min(STRETCH, cols - k);
    const at = <usize>k << 2;
    if (sizeof<T>() == sizeof<Rows>()) transpose(block + at, <usize>cols << 2, scratch, 0, rows, columns);
    else if (sizeof<T>() == 2) widenColumns<T>(block + <usize>k * columnBytes<T>(), scratch, columns);
    else memory.copy(scratch, block + <usize>k * columnBytes<T>(), <usize>columns << 6); // in the order in which it lies: memory is fast so
    timesColumns(x + at, <usize>cols << 2, scratch, columns, tokens, sums);
  }
  totalTokens(sums, y, tokens, rows, yBytes);
}

export function totalTokens(sums: usize, y: usize, tokens: i32, rows: i32, yBytes: usize): void {
  for (let t = 0; t < tokens; t++)
    storeTotals(sums + (<usize>(t >> 2) << 10) + (<usize>(t & 3) << 6), 256, y + <usize>t * yBytes, rows);
}

/** Some columns, tokens by fours; where the last ones are fewer the last one stands in. */
export function timesColumns(x: usize, xBytes: usize, panel: usize, columns: i32, tokens: i32, sums: usize): void {
  const last = tokens - 1;
  let sum = sums;
  for (let t = 0; t < tokens; t += 4, sum += 1024) {
    const b = x + <usize>min(t + 1, last) * xBytes;
    const c = x + <usize>min(t + 2, last) * xBytes;
    const d = x + <usize>min(t + 3, last) * xBytes;
    addColumns(x + <usize>t * xBytes, b, c, d, panel, columns, sum);
  }
}

/** (s0 + s1) + (s2 + s3) of `rows` rows. @param stride bytes from a partial sum's 16 rows to the next one's */
function storeTotals(sums: usize, stride: usize, y: usize, rows: i32): void {
  let from = sums;
  let to = y;
  let left = rows;
  for (; left > 0; left -= 4, from += 16, to += 16) {
    const total = f32x4.add(
      f32x4.add(v128.load(from), v128.load(from + stride)),
      f32x4.add(v128.load(from + 2 * stride), v128.load(from + 3 * stride)),
    );
    if (left >= 4) v128.store(to, total);
    else storeRest(to, total, left);
  }
}

/**
 * For a panel [rows, cols] in f32 that was widened elsewhere, of at most 16 rows; y's rows are yBytes apart.
 *
 * @param scratch as above
 */
export function timesPanelF32(
  x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, yBytes: usize, scratch: usize,
): void {
  if (tokens >= 4) {
    timesTokens<Rows>(x, w, y, tokens, rows, cols, yBytes, scratch);
    return;
  }
  const xBytes = <usize>cols << 2;
  for (let t: usize = 0; t < <usize>tokens; t++) {
    const from = x + t * xBytes;
    const to = y + t * yBytes;
    let r = 0;
    for (; r < (rows & ~3); r += 4) v128.store(to + (<usize>r << 2), dotRows4(from, w + <usize>r * xBytes, xBytes, cols));
    for (; r < rows; r++) store<f32>(to + (<usize>r << 2), dotRow(from, w + <usize>r * xBytes, cols));
  }
}
