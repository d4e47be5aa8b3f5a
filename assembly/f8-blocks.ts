/**
 * How weights in e4m3fn (f8.ts) lie: in blocks of 16 rows, and in a block column after column, 16 bytes each. A lane of 32 bits has one row
 * of each quarter of the block, so that what takes the same byte out of every lane has four rows that follow each other:
 *
 *   r0 r8 r4 r12 | r1 r9 r5 r13 | r2 r10 r6 r14 | r3 r11 r7 r15
 *
 * Bytes become the upper halves of f32 first, 2^120 too small, by pairs of quarters: the first and second, the third and fourth. Of a pair, one
 * has the lower halves of the lanes, the other the upper ones.
 */
import { GROUP, LIFT } from "./f8";
import { BLOCK_ROWS, UPPER } from "./float-blocks";
import { kept } from "./kept";

/** Sign, exponent and mantissa of a byte, as bits of the upper half of an f32, for two. */
export const HALVES: i32 = 0x87f087f0;

/** The first and second quarter of a column's bytes as upper halves. @param halves `HALVES` in every lane */
@inline export function firstHalves(bytes: v128, halves: v128): v128 {
  return v128.and(i16x8.shr_s(i16x8.shl(bytes, 8), 4), halves);
}

/** The third and fourth. */
@inline export function lastHalves(bytes: v128, halves: v128): v128 {
  return v128.and(i16x8.shr_s(bytes, 4), halves);
}

/** Of a pair of quarters, the one or the other as f32. @param upper `UPPER` in every lane */
@inline export function lowerOf(pair: v128): v128 {
  return i32x4.shl(pair, 16);
}
@inline export function upperOf(pair: v128, upper: v128): v128 {
  return v128.and(pair, upper);
}

/** Rows [rows, cols] of bytes into a block, from its row `within` on. */
export function packRows8(from: usize, block: usize, within: i32, rows: i32, cols: i32): void {
  let p = from;
  for (let row = within; row < within + rows; row++) {
    let to = block + placeOf(row);
    for (const end = p + <usize>cols; p < end; p++, to += BLOCK_ROWS) store<u8>(to, load<u8>(p));
  }
}

/** Row `within` of a block, to [cols]. */
export function unpackRow8(block: usize, within: i32, cols: i32, to: usize): void {
  let p = block + placeOf(within);
  for (let at = to, end = to + <usize>cols; at < end; at++, p += BLOCK_ROWS) store<u8>(at, load<u8>(p));
}

/** Where a row's byte is in a column. */
@inline function placeOf(row: i32): usize {
  return ((<usize>row & 3) << 2) | ((<usize>row & 4) >> 1) | (<usize>row >> 3);
}

/** Scales of 16 rows for one group, times 2^120, each quarter's four twice: [4][2][4] f32. @param s of the first row; @param stride to the next */
export function liftScales(s: usize, stride: usize, rows: i32, to: usize): void {
  for (let row = 0; row < BLOCK_ROWS; row++) {
    const scale = row < rows ? load<f32>(s + <usize>row * stride) * LIFT : 0;
    const at = to + (<usize>(row >> 2) << 5) + (<usize>(row & 3) << 2);
    store<f32>(at, scale);
    store<f32>(at, scale, 16);
  }
}

/**
 * Columns [count][16 rows] as f32, to [count][16 rows]. All bounds of the rows are below `MOST`.
 *
 * @param s scales of the first row for the first column, which begins a group; @param lifted scratch of 128 bytes
 */
export function widenColumnsF8(from: usize, s: usize, stride: usize, rows: i32, to: usize, count: i32, lifted: usize): void {
  const halves = kept(HALVES, count);
  const upper = kept(UPPER, count);
  let column = from;
  let at = to;
  for (let left = count; left > 0; left -= GROUP, s += 4) {
    liftScales(s, stride, rows, lifted);
    const a = v128.load(lifted), b = v128.load(lifted, 32), c = v128.load(lifted, 64), d = v128.load(lifted, 96);
    const end = column + (<usize>min(left, GROUP) << 4);
    do {
      const bytes = v128.load(column);
      const first = firstHalves(bytes, halves);
      const last = lastHalves(bytes, halves);
      v128.store(at, f32x4.mul(lowerOf(first), a));
      v128.store(at, f32x4.mul(upperOf(first, upper), b), 16);
      v128.store(at, f32x4.mul(lowerOf(last), c), 32);
      v128.store(at, f32x4.mul(upperOf(last, upper), d), 48);
      column += 16;
      at += 64;
    } while (column < end);
  }
}
