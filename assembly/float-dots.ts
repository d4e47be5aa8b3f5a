/**
 * Dot products of f32 vectors with rows of weights, in the one order that is defined: four partial sums by k modulo 4, each a
 * product rounded and then added, and at the end (s0 + s1) + (s2 + s3). One vector register is one row's four partial sums:
 *
 *   x   x0 x1 x2 x3 | x4 x5 x6 x7 | ...          sum   s0 += x0 w0, x4 w4, ...
 *   w   w0 w1 w2 w3 | w4 w5 w6 w7 | ...                s1 += x1 w1, x5 w5, ...     and so on
 *
 * A row's sum waits for its last addition, so several rows are summed at once. A rest of 1..3 values is padded with zeros, which
 * changes no sum: a sum that began at +0 is never -0.
 */
import { loadRest } from "./floats";

/** sum + x * w, each rounded. */
@inline export function addProduct(sum: v128, x: v128, w: v128): v128 {
  return f32x4.add(sum, f32x4.mul(x, w));
}

/** Lane r is the total of row r's four partial sums. */
@inline export function totals(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab01 = v128.shuffle<i32>(a, b, 0, 4, 1, 5); // a0 b0 a1 b1
  const ab23 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cd01 = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const cd23 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  return f32x4.add(
    f32x4.add(v128.shuffle<i64>(ab01, cd01, 0, 2), v128.shuffle<i64>(ab01, cd01, 1, 3)), // s0 + s1
    f32x4.add(v128.shuffle<i64>(ab23, cd23, 0, 2), v128.shuffle<i64>(ab23, cd23, 1, 3)), // s2 + s3
  );
}

/** x . w for one row of n values. */
@inline export function dotRow(x: usize, w: usize, n: i32): f32 {
  let sum = f32x4.splat(0);
  let xp = x;
  let wp = w;
  for (const end = x + (<usize>(n & ~3) << 2); xp < end; xp += 16, wp += 16)
    sum = addProduct(sum, v128.load(xp), v128.load(wp));
  if (n & 3) sum = addProduct(sum, loadRest<f32>(xp, n & 3), loadRest<f32>(wp, n & 3));
  return (
    f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3))
  );
}

/** x . w for the four rows at w, w + stride, w + 2 stride, w + 3 stride: row r in lane r. */
@inline export function dotRows4(x: usize, w: usize, stride: usize, n: i32): v128 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let xp = x;
  let wa = w;
  let wb = wa + stride;
  let wc = wb + stride;
  let wd = wc + stride;
  for (const end = x + (<usize>(n & ~7) << 2); xp < end; xp += 32) {
    const x0 = v128.load(xp);
    a = addProduct(a, x0, v128.load(wa));
    b = addProduct(b, x0, v128.load(wb));
    c = addProduct(c, x0, v128.load(wc));
    d = addProduct(d, x0, v128.load(wd));
    const x4 = v128.load(xp, 16);
    a = addProduct(a, x4, v128.load(wa + 16));
    b = addProduct(b, x4, v128.load(wb + 16));
    c = addProduct(c, x4, v128.load(wc + 16));
    d = addProduct(d, x4, v128.load(wd + 16));
    wa += 32;
    wb += 32;
    wc += 32;
    wd += 32;
  }
  if (n & 4) {
    const x0 = v128.load(xp);
    a = addProduct(a, x0, v128.load(wa));
    b = addProduct(b, x0, v128.load(wb));
    c = addProduct(c, x0, v128.load(wc));
    d = addProduct(d, x0, v128.load(wd));
    xp += 16;
    wa += 16;
    wb += 16;
    wc += 16;
    wd += 16;
  }
  const rest = n & 3;
  if (rest) {
    const x0 = loadRest<f32>(xp, rest);
    a = addProduct(a, x0, loadRest<f32>(wa, rest));
    b = addProduct(b, x0, loadRest<f32>(wb, rest));
    c = addProduct(c, x0, loadRest<f32>(wc, rest));
    d = addProduct(d, x0, loadRest<f32>(wd, rest));
  }
  return totals(a, b, c, d);
}

/** The same four rows with two vectors, x and x + xStride, to y and y + yStride: eight sums share six loads. */
@inline export function dotTile4x2(x: usize, xStride: usize, w: usize, stride: usize, n: i32, y: usize, yStride: usize): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  let xp = x;
  let xq = x + xStride;
  let wa = w;
  let wb = wa + stride;
  let wc = wb + stride;
  let wd = wc + stride;
  for (const end = x + (<usize>(n & ~3) << 2); xp < end; xp += 16) {
    const x0 = v128.load(xp);
    const x1 = v128.load(xq);
    let row = v128.load(wa);
    a = addProduct(a, x0, row);
    e = addProduct(e, x1, row);
    row = v128.load(wb);
    b = addProduct(b, x0, row);
    f = addProduct(f, x1, row);
    row = v128.load(wc);
    c = addProduct(c, x0, row);
    g = addProduct(g, x1, row);
    row = v128.load(wd);
    d = addProduct(d, x0, row);
    h = addProduct(h, x1, row);
    xq += 16;
    wa += 16;
    wb += 16;
    wc += 16;
    wd += 16;
  }
  const rest = n & 3;
  if (rest) {
    const x0 = loadRest<f32>(xp, rest);
    const x1 = loadRest<f32>(xq, rest);
    let row = loadRest<f32>(wa, rest);
    a = addProduct(a, x0, row);
    e = addProduct(e, x1, row);
    row = loadRest<f32>(wb, rest);
    b = addProduct(b, x0, row);
    f = addProduct(f, x1, row);
    row = loadRest<f32>(wc, rest);
    c = addProduct(c, x0, row);
    g = addProduct(g, x1, row);
    row = loadRest<f32>(wd, rest);
    d = addProduct(d, x0, row);
    h = addProduct(h, x1, row);
  }
  v128.store(y, totals(a, b, c, d));
  v128.store(y + yStride, totals(e, f, g, h));
}
