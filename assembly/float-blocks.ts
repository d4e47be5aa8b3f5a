/**
 * How matrices of f32, bf16 and f16 lie: in blocks of 16 rows, and in a block column after column, so that one load has a column of many
 * rows, memory is read in one stream, and lanes are rows:
 *
 *   f32       64 bytes a column   r0 r1 r2 ... r15
 *   16 bits   32 bytes a column   r0 r8 r1 r9 r2 r10 r3 r11 | r4 r12 r5 r13 r6 r14 r7 r15
 *
 * The low halves of a vector's 32-bit lanes are rows 0..3, those of the next one 4..7, and the high halves 8..11 and 12..15. Rows past the last
 * are zeros.
 */
import { BIAS, FINITE, INFINITE, LIFTED_BIAS, MAGNITUDE, SIGN, widenPlacedF16 } from "./f16";
import { BF16, F16 } from "./floats";
import { kept } from "./kept";

export const BLOCK_ROWS: i32 = 16;

/** Bytes of a column of a block of type T. */
@inline export function columnBytes<T>(): usize {
  return BLOCK_ROWS * sizeof<T>();
}

/** Bits of an f32 that a bf16 is. */
export const UPPER: i32 = 0xffff0000;

@inline function isF16<T>(): bool {
  return sizeof<T>() == 2 && isSigned<T>();
}

/**
 * As f32, the rows in the low halves of the lanes of a column's vector. The constants are those of `widenPlacedF16`; bf16 needs none.
 */
@inline export function lowRows<T>(v: v128, m: v128, b: v128, l: v128, f: v128, i: v128, s: v128): v128 {
  if (sizeof<T>() == 4) return v;
  const lifted = i32x4.shl(v, 16);
  return isF16<T>() ? widenPlacedF16(i32x4.shl(v, 13), lifted, m, b, l, f, i, s) : lifted;
}

/** Those in the high halves. @param upper `UPPER` in every lane, which bf16 needs */
@inline export function highRows<T>(v: v128, upper: v128, m: v128, b: v128, l: v128, f: v128, i: v128, s: v128): v128 {
  if (sizeof<T>() == 4) return v;
  return isF16<T>() ? widenPlacedF16(i32x4.shr_u(v, 3), v, m, b, l, f, i, s) : v128.and(v, upper);
}

/** Columns [count][16 rows] as f32, to [count][16 rows]. */
export function widenColumns<T>(from: usize, to: usize, count: i32): void {
  const upper = kept(UPPER, count);
  const m = kept(MAGNITUDE, count);
  const b = kept(BIAS, count);
  const l = kept(LIFTED_BIAS, count);
  const f = kept(FINITE, count);
  const i = kept(INFINITE, count);
  const s = kept(SIGN, count);
  let at = to;
  let column = from;
  const end = to + (<usize>count << 6);
  do {
    const v = v128.load(column);
    const u = v128.load(column, 16);
    v128.store(at, lowRows<T>(u, m, b, l, f, i, s), 16);
    v128.store(at, lowRows<T>(v, m, b, l, f, i, s));
    v128.store(at, highRows<T>(u, upper, m, b, l, f, i, s), 48);
    v128.store(at, highRows<T>(v, upper, m, b, l, f, i, s), 32);
    column += 32;
    at += 64;
  } while (at < end);
}

/** Rows [rows, cols] of 32-bit values into a block, from its row `within` on. */
export function packRows32(from: usize, block: usize, within: i32, rows: i32, cols: i32): void {
  transpose(from, <usize>cols << 2, block, within, rows, cols);
}

/** The same of rows that lie `stride` bytes apart. */
export function transpose(from: usize, stride: usize, block: usize, within: i32, rows: i32, cols: i32): void {
  const rowBytes = <usize>cols << 2;
  let row = 0;
  if ((within & 3) == 0)
    for (; row + 4 <= rows; row += 4) {
      let p = from + <usize>row * stride;
      let to = block + (<usize>(within + row) << 2);
      let k = 0;
      for (; k + 4 <= cols; k += 4, p += 16, to += 256) {
        const a = v128.load(p);
        const b = v128.load(p + stride);
        const c = v128.load(p + 2 * stride);
        const d = v128.load(p + 3 * stride);
        const ab01 = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
        const cd01 = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
        const ab23 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
        const cd23 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
        v128.store(to, v128.shuffle<i64>(ab01, cd01, 0, 2));
        v128.store(to, v128.shuffle<i64>(ab01, cd01, 1, 3), 64);
        v128.store(to, v128.shuffle<i64>(ab23, cd23, 0, 2), 128);
        v128.store(to, v128.shuffle<i64>(ab23, cd23, 1, 3), 192);
      }
      for (; k < cols; k++, p += 4, to += 64) {
        store<u32>(to, load<u32>(p));
        store<u32>(to, load<u32>(p + stride), 4);
        store<u32>(to, load<u32>(p + 2 * stride), 8);
        store<u32>(to, load<u32>(p + 3 * stride), 12);
      }
    }
  for (; row < rows; row++) {
    let p = from + <usize>row * stride;
    let to = block + (<usize>(within + row) << 2);
    for (const end = p + rowBytes; p < end; p += 4, to += 64) store<u32>(to, load<u32>(p));
  }
}

/** The same of 16-bit values. */
export function packRows16(from: usize, block: usize, within: i32, rows: i32, cols: i32): void {
  const stride = <usize>cols << 1;
  if (rows == BLOCK_ROWS) {
    packFour(from, block, stride, cols);
    packFour(from + 4 * stride, block + 16, stride, cols);
    return;
  }
  for (let row = 0; row < rows; row++) {
    let p = from + <usize>row * stride;
    let to = block + placeOf(within + row);
    for (const end = p + stride; p < end; p += 2, to += 32) store<u16>(to, load<u16>(p));
  }
}

/** Rows 0..3 and 8..11 from `from` on: the first, or the second, 16 bytes of each column. */
function packFour(from: usize, to: usize, stride: usize, cols: i32): void {
  const far = stride << 3;
  let p = from;
  let at = to;
  let k = 0;
  for (; k + 4 <= cols; k += 4, p += 8, at += 128) {
    const a = v128.shuffle<i16>(v128.load64_zero(p), v128.load64_zero(p + far), 0, 8, 1, 9, 2, 10, 3, 11);
    let q = p + stride;
    const b = v128.shuffle<i16>(v128.load64_zero(q), v128.load64_zero(q + far), 0, 8, 1, 9, 2, 10, 3, 11);
    q += stride;
    const c = v128.shuffle<i16>(v128.load64_zero(q), v128.load64_zero(q + far), 0, 8, 1, 9, 2, 10, 3, 11);
    q += stride;
    const d = v128.shuffle<i16>(v128.load64_zero(q), v128.load64_zero(q + far), 0, 8, 1, 9, 2, 10, 3, 11);
    const ab01 = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const cd01 = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const ab23 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const cd23 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    v128.store(at, v128.shuffle<i64>(ab01, cd01, 0, 2));
    v128.store(at, v128.shuffle<i64>(ab01, cd01, 1, 3), 32);
    v128.store(at, v128.shuffle<i64>(ab23, cd23, 0, 2), 64);
    v128.store(at, v128.shuffle<i64>(ab23, cd23, 1, 3), 96);
  }
  for (; k < cols; k++, p += 2, at += 32)
    for (let row: usize = 0; row < 4; row++) {
      store<u16>(at + (row << 2), load<u16>(p + row * stride));
      store<u16>(at + (row << 2), load<u16>(p + row * stride + far), 2);
    }
}

/** Where a row's 16 bits are in a column. */
@inline function placeOf(row: i32): usize {
  return ((<usize>row & 4) << 2) | ((<usize>row & 3) << 2) | ((<usize>row >> 3) << 1);
}

/** Row `within` of a block, to [cols]. */
export function unpackRow32(block: usize, within: i32, cols: i32, to: usize): void {
  let p = block + (<usize>within << 2);
  let at = to;
  for (const end = to + (<usize>cols << 2); at < end; at += 4, p += 64) store<u32>(at, load<u32>(p));
}

export function unpackRow16(block: usize, within: i32, cols: i32, to: usize): void {
  let p = block + placeOf(within);
  let at = to;
  for (const end = to + (<usize>cols << 1); at < end; at += 2, p += 32) store<u16>(at, load<u16>(p));
}
