/**
 * One block of 16 rows in e4m3fn (f8-blocks.ts) times one token, in the order that float-dots.ts defines. Two columns that follow
 * each other, of partial sums 0 and 1, or 2 and 3, are the halves of a register of 256 bits, and meet x with every value four times. That is
 * made for a group of columns at a time, and for each block anew: all of it would not stay in the nearest cache.
 *
 *   x [cols] f32      sums [2 pairs][4 quarters][2 sums][4 rows] f32, written
 *   lifted   scratch: scales of a group [4][2][4] f32, its x [128][4] f32
 */
import { GROUP } from "./f8";
import { firstHalves, HALVES, lastHalves, liftScales, lowerOf, upperOf } from "./f8-blocks";
import { UPPER } from "./float-blocks";
import { addProduct } from "./float-dots";
import { kept } from "./kept";
import { WIDE_VECTORS } from "./quantized-dots";

/** Bytes of scratch. */
export const LIFTED: usize = 128 + 16 * GROUP;

/** @param s scales of the first row, whose bounds are all below `MOST`; @param stride bytes from a row's to the next one's */
export function timesBlockF8(x: usize, block: usize, s: usize, stride: usize, rows: i32, cols: i32, sums: usize, lifted: usize): void {
  memory.fill(sums, 0, 256);
  const from = lifted + 128;
  let w = block;
  for (let left = cols; left > 0; left -= GROUP, s += 4, w += GROUP << 4, x += GROUP << 2) {
    liftScales(s, stride, rows, lifted);
    const count = min(left, GROUP);
    repeatFour(x, from, count);
    const fours = count >> 2;
    if (fours) {
      addPairs(from, w, fours, sums, lifted);
      addPairs(from + 32, w + 32, fours, sums + 128, lifted);
    }
    for (let k: usize = fours << 2; k < <usize>count; k++)
      addColumn(from + (k << 4), w + (k << 4), sums + ((k & 2) << 6) + ((k & 1) << 4), lifted);
  }
}

/** The first two of each four columns. */
function addPairs(x: usize, w: usize, count: i32, sums: usize, lifted: usize): void {
  const halves = kept(HALVES, count);
  const upper = kept(UPPER, count);
  // The halves of a scale are the same; registers of 128 bits have no room for both.
  const s0 = v128.load(lifted), t0 = WIDE_VECTORS ? v128.load(lifted, 16) : s0;
  const s1 = v128.load(lifted, 32), t1 = WIDE_VECTORS ? v128.load(lifted, 48) : s1;
  const s2 = v128.load(lifted, 64), t2 = WIDE_VECTORS ? v128.load(lifted, 80) : s2;
  const s3 = v128.load(lifted, 96), t3 = WIDE_VECTORS ? v128.load(lifted, 112) : s3;
  let a0 = v128.load(sums), b0 = v128.load(sums, 16);
  let a1 = v128.load(sums, 32), b1 = v128.load(sums, 48);
  let a2 = v128.load(sums, 64), b2 = v128.load(sums, 80);
  let a3 = v128.load(sums, 96), b3 = v128.load(sums, 112);
  let column = w;
  let xp = x;
  const end = w + (<usize>count << 6);
  do {
    let value = v128.load(xp);
    let pair = firstHalves(v128.load(column), halves);
    a0 = addProduct(a0, value, f32x4.mul(lowerOf(pair), s0));
    a1 = addProduct(a1, value, f32x4.mul(upperOf(pair, upper), s1));
    pair = lastHalves(v128.load(column), halves);
    a2 = addProduct(a2, value, f32x4.mul(lowerOf(pair), s2));
    a3 = addProduct(a3, value, f32x4.mul(upperOf(pair, upper), s3));
    value = v128.load(xp, 16);
    pair = firstHalves(v128.load(column, 16), halves);
    b0 = addProduct(b0, value, f32x4.mul(lowerOf(pair), t0));
    b1 = addProduct(b1, value, f32x4.mul(upperOf(pair, upper), t1));
    pair = lastHalves(v128.load(column, 16), halves);
    b2 = addProduct(b2, value, f32x4.mul(lowerOf(pair), t2));
    b3 = addProduct(b3, value, f32x4.mul(upperOf(pair, upper), t3));
    column += 64;
    xp += 64;
  } while (column < end);
  v128.store(sums, b0, 16);
  v128.store(sums, a0);
  v128.store(sums, b1, 48);
  v128.store(sums, a1, 32);
  v128.store(sums, b2, 80);
  v128.store(sums, a2, 64);
  v128.store(sums, b3, 112);
  v128.store(sums, a3, 96);
}

/** One column, to its sum. */
function addColumn(x: usize, w: usize, sums: usize, lifted: usize): void {
  const halves = i32x4.splat(HALVES);
  const upper = i32x4.splat(UPPER);
  const value = v128.load(x);
  const bytes = v128.load(w);
  let pair = firstHalves(bytes, halves);
  v128.store(sums, addProduct(v128.load(sums), value, f32x4.mul(lowerOf(pair), v128.load(lifted))));
  v128.store(sums, addProduct(v128.load(sums, 32), value, f32x4.mul(upperOf(pair, upper), v128.load(lifted, 32))), 32);
  pair = lastHalves(bytes, halves);
  v128.store(sums, addProduct(v128.load(sums, 64), value, f32x4.mul(lowerOf(pair), v128.load(lifted, 64))), 64);
  v128.store(sums, addProduct(v128.load(sums, 96), value, f32x4.mul(upperOf(pair, upper), v128.load(lifted, 96))), 96);
}

/** Every one of n values four times. */
@inline function repeatFour(x: usize, out: usize, n: i32): void {
  let from = x;
  let to = out;
  for (const end = out + (<usize>n << 4); to < end; to += 16, from += 4) v128.store(to, v128.load32_splat(from));
}

/** (s0 + s1) + (s2 + s3) of four rows. @param sums of their quarter */
@inline export function totalOfQuarter(sums: usize): v128 {
  return f32x4.add(f32x4.add(v128.load(sums), v128.load(sums, 16)), f32x4.add(v128.load(sums, 128), v128.load(sums, 144)));
}
