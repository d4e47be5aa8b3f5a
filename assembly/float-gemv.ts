/**
 * One block of 16 rows of float weights (float-blocks.ts) times one token, in the order that float-dots.ts defines: four partial sums by k
 * modulo 4, each with a vector for every four rows.
 *
 *   x [cols] f32      block [cols][16 rows] of type T      sums [4][16 rows] f32, written
 */
import { BIAS, FINITE, INFINITE, LIFTED_BIAS, MAGNITUDE, SIGN } from "./f16";
import { columnBytes, highRows, lowRows, UPPER } from "./float-blocks";
import { addProduct } from "./float-dots";
import { kept } from "./kept";
import { WIDE_VECTORS } from "./quantized-dots";

/** Columns whose weights the nearest cache keeps while two of the sums take them in, and then the others: registers hold two. */
const STRETCH: i32 = 256;

export function timesBlock<T>(x: usize, block: usize, cols: i32, sums: usize): void {
  memory.fill(sums, 0, 256);
  const fours = cols >> 2;
  if (WIDE_VECTORS) {
    if (fours) addFours<T>(x, block, fours, sums);
  } else
    for (let k = 0; k < fours; k += STRETCH / 4) {
      const count = min(STRETCH / 4, fours - k);
      const from = x + (<usize>k << 4);
      const w = block + (<usize>k << 2) * columnBytes<T>();
      addTwos<T>(from, w, count, sums);
      addTwos<T>(from + 8, w + 2 * columnBytes<T>(), count, sums + 128);
    }
  for (let k = cols & ~3; k < cols; k++)
    addColumn<T>(x + (<usize>k << 2), block + <usize>k * columnBytes<T>(), sums + (<usize>(k & 3) << 6));
}

/** Columns in fours: all four sums at once, which registers of 256 bits hold. */
function addFours<T>(x: usize, w: usize, count: i32, sums: usize): void {
  const upper = kept(UPPER, count);
  const m = kept(MAGNITUDE, count);
  const bias = kept(BIAS, count);
  const l = kept(LIFTED_BIAS, count);
  const f = kept(FINITE, count);
  const i = kept(INFINITE, count);
  const s = kept(SIGN, count);
  const step = columnBytes<T>();
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0;
  let d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  let column = w;
  let xp = x;
  const end = x + (<usize>count << 4);
  do {
    let value = v128.load32_splat(xp);
    let v = v128.load(column), u = v128.load(column, 16);
    a0 = addProduct(a0, value, lowRows<T>(v, m, bias, l, f, i, s));
    a1 = addProduct(a1, value, lowRows<T>(u, m, bias, l, f, i, s));
    if (sizeof<T>() == 4) v = v128.load(column, 32), u = v128.load(column, 48);
    a2 = addProduct(a2, value, highRows<T>(v, upper, m, bias, l, f, i, s));
    a3 = addProduct(a3, value, highRows<T>(u, upper, m, bias, l, f, i, s));
    value = v128.load32_splat(xp, 4);
    v = v128.load(column, step), u = v128.load(column, step + 16);
    b0 = addProduct(b0, value, lowRows<T>(v, m, bias, l, f, i, s));
    b1 = addProduct(b1, value, lowRows<T>(u, m, bias, l, f, i, s));
    if (sizeof<T>() == 4) v = v128.load(column, step + 32), u = v128.load(column, step + 48);
    b2 = addProduct(b2, value, highRows<T>(v, upper, m, bias, l, f, i, s));
    b3 = addProduct(b3, value, highRows<T>(u, upper, m, bias, l, f, i, s));
    value = v128.load32_splat(xp, 8);
    v = v128.load(column, 2 * step), u = v128.load(column, 2 * step + 16);
    c0 = addProduct(c0, value, lowRows<T>(v, m, bias, l, f, i, s));
    c1 = addProduct(c1, value, lowRows<T>(u, m, bias, l, f, i, s));
    if (sizeof<T>() == 4) v = v128.load(column, 2 * step + 32), u = v128.load(column, 2 * step + 48);
    c2 = addProduct(c2, value, highRows<T>(v, upper, m, bias, l, f, i, s));
    c3 = addProduct(c3, value, highRows<T>(u, upper, m, bias, l, f, i, s));
    value = v128.load32_splat(xp, 12);
    v = v128.load(column, 3 * step), u = v128.load(column, 3 * step + 16);
    d0 = addProduct(d0, value, lowRows<T>(v, m, bias, l, f, i, s));
    d1 = addProduct(d1, value, lowRows<T>(u, m, bias, l, f, i, s));
    if (sizeof<T>() == 4) v = v128.load(column, 3 * step + 32), u = v128.load(column, 3 * step + 48);
    d2 = addProduct(d2, value, highRows<T>(v, upper, m, bias, l, f, i, s));
    d3 = addProduct(d3, value, highRows<T>(u, upper, m, bias, l, f, i, s));
    xp += 16;
    column += 4 * step;
  } while (xp < end);
  storeRows(sums, a0, a1, a2, a3);
  storeRows(sums + 64, b0, b1, b2, b3);
  storeRows(sums + 128, c0, c1, c2, c3);
  storeRows(sums + 192, d0, d1, d2, d3);
}

/** The first two of each four columns. */
function addTwos<T>(x: usize, w: usize, count: i32, sums: usize): void {
  const upper = kept(UPPER, count);
  const m = kept(MAGNITUDE, count);
  const bias = kept(BIAS, count);
  const l = kept(LIFTED_BIAS, count);
  const f = kept(FINITE, count);
  const i = kept(INFINITE, count);
  const s = kept(SIGN, count);
  const step = columnBytes<T>();
  let a0 = v128.load(sums), a1 = v128.load(sums, 16), a2 = v128.load(sums, 32), a3 = v128.load(sums, 48);
  let b0 = v128.load(sums, 64), b1 = v128.load(sums, 80), b2 = v128.load(sums, 96), b3 = v128.load(sums, 112);
  let column = w;
  let xp = x;
  const end = x + (<usize>count << 4);
  do {
    let value = v128.load32_splat(xp);
    let v = v128.load(column), u = v128.load(column, 16);
    a0 = addProduct(a0, value, lowRows<T>(v, m, bias, l, f, i, s));
    a1 = addProduct(a1, value, lowRows<T>(u, m, bias, l, f, i, s));
    if (sizeof<T>() == 4) v = v128.load(column, 32), u = v128.load(column, 48);
    a2 = addProduct(a2, value, highRows<T>(v, upper, m, bias, l, f, i, s));
    a3 = addProduct(a3, value, highRows<T>(u, upper, m, bias, l, f, i, s));
    value = v128.load32_splat(xp, 4);
    v = v128.load(column, step), u = v128.load(column, step + 16);
    b0 = addProduct(b0, value, lowRows<T>(v, m, bias, l, f, i, s));
    b1 = addProduct(b1, value, lowRows<T>(u, m, bias, l, f, i, s));
    if (sizeof<T>() == 4) v = v128.load(column, step + 32), u = v128.load(column, step + 48);
    b2 = addProduct(b2, value, highRows<T>(v, upper, m, bias, l, f, i, s));
    b3 = addProduct(b3, value, highRows<T>(u, upper, m, bias, l, f, i, s));
    xp += 16;
    column += 4 * step;
  } while (xp < end);
  storeRows(sums, a0, a1, a2, a3);
  storeRows(sums + 64, b0, b1, b2, b3);
}

/** One column, to its sum. */
function addColumn<T>(x: usize, w: usize, sums: usize): void {
  const upper = i32x4.splat(UPPER);
  const m = i32x4.splat(MAGNITUDE);
  const bias = i32x4.splat(BIAS);
  const l = i32x4.splat(LIFTED_BIAS);
  const f = i32x4.splat(FINITE);
  const i = i32x4.splat(INFINITE);
  const s = i32x4.splat(SIGN);
  const value = v128.load32_splat(x);
  let v = v128.load(w), u = v128.load(w, 16);
  const a = addProduct(v128.load(sums), value, lowRows<T>(v, m, bias, l, f, i, s));
  const b = addProduct(v128.load(sums, 16), value, lowRows<T>(u, m, bias, l, f, i, s));
  if (sizeof<T>() == 4) v = v128.load(w, 32), u = v128.load(w, 48);
  const c = addProduct(v128.load(sums, 32), value, highRows<T>(v, upper, m, bias, l, f, i, s));
  const d = addProduct(v128.load(sums, 48), value, highRows<T>(u, upper, m, bias, l, f, i, s));
  storeRows(sums, a, b, c, d);
}

@inline function storeRows(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, b, 16);
  v128.store(to, a);
  v128.store(to, d, 48);
  v128.store(to, c, 32);
}
