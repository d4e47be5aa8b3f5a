/**
 * Some columns of a block of 16 rows in f32 times four tokens. Each of the four partial sums of float-dots.ts is a product of every
 * fourth column, and they are computed one after the other: then a tile's sums fit the registers.
 *
 *   panel  [columns][16 rows] f32      sums [4 tokens][16 rows] f32 for each partial sum: what is there is added to
 */
import { addProduct } from "./float-dots";
import { WIDE_VECTORS } from "./quantized-dots";

/** From a column to the fourth one after it. */
const STEP: usize = 256;

/**
 * All four partial sums [4][4 tokens][16 rows].
 *
 * @param columns their number, at least one; @param a, b, c, d the tokens' values for the first one
 */
export function addColumns(a: usize, b: usize, c: usize, d: usize, panel: usize, columns: i32, sums: usize): void {
  let w = panel;
  let sum = sums;
  for (let left = columns; left > columns - 4 && left > 0; left--) {
    addTokens4(a, b, c, d, w, left + 3 >> 2, sum);
    a += 4;
    b += 4;
    c += 4;
    d += 4;
    w += 64;
    sum += 256;
  }
}

/** @param count of columns, at least one; @param a, b, c, d the tokens' values for the first column: every fourth counts */
function addTokens4(a: usize, b: usize, c: usize, d: usize, panel: usize, count: i32, sums: usize): void {
  const twos = count & ~1;
  if (twos) addRows(a, b, c, d, panel, twos, sums, true);
  const done = <usize>twos << 4;
  if (count & 1) addRows(a + done, b + done, c + done, d + done, panel + <usize>twos * STEP, 1, sums, false);
}

/** @param two whether columns are taken by twos, which costs less */
@inline function addRows(a: usize, b: usize, c: usize, d: usize, panel: usize, count: i32, sums: usize, two: bool): void {
  if (WIDE_VECTORS) addSixteen(a, b, c, d, panel, count, sums, two);
  else {
    addEight(a, b, c, d, panel, count, sums, two);
    addEight(a, b, c, d, panel + 32, count, sums + 32, two);
  }
}

/** All 16 rows, whose sums are eight registers of 256 bits. */
@inline function addSixteen(a: usize, b: usize, c: usize, d: usize, panel: usize, count: i32, sums: usize, two: bool): void {
  let a0 = v128.load(sums), a1 = v128.load(sums, 16), a2 = v128.load(sums, 32), a3 = v128.load(sums, 48);
  let b0 = v128.load(sums, 64), b1 = v128.load(sums, 80), b2 = v128.load(sums, 96), b3 = v128.load(sums, 112);
  let c0 = v128.load(sums, 128), c1 = v128.load(sums, 144), c2 = v128.load(sums, 160), c3 = v128.load(sums, 176);
  let d0 = v128.load(sums, 192), d1 = v128.load(sums, 208), d2 = v128.load(sums, 224), d3 = v128.load(sums, 240);
  let w = panel;
  const end = panel + <usize>count * STEP;
  do {
    let w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32), w3 = v128.load(w, 48);
    let x = v128.load32_splat(a);
    a0 = addProduct(a0, x, w0);
    a1 = addProduct(a1, x, w1);
    a2 = addProduct(a2, x, w2);
    a3 = addProduct(a3, x, w3);
    x = v128.load32_splat(b);
    b0 = addProduct(b0, x, w0);
    b1 = addProduct(b1, x, w1);
    b2 = addProduct(b2, x, w2);
    b3 = addProduct(b3, x, w3);
    x = v128.load32_splat(c);
    c0 = addProduct(c0, x, w0);
    c1 = addProduct(c1, x, w1);
    c2 = addProduct(c2, x, w2);
    c3 = addProduct(c3, x, w3);
    x = v128.load32_splat(d);
    d0 = addProduct(d0, x, w0);
    d1 = addProduct(d1, x, w1);
    d2 = addProduct(d2, x, w2);
    d3 = addProduct(d3, x, w3);
    if (two) {
      w0 = v128.load(w, 256), w1 = v128.load(w, 272), w2 = v128.load(w, 288), w3 = v128.load(w, 304);
      x = v128.load32_splat(a, 16);
      a0 = addProduct(a0, x, w0);
      a1 = addProduct(a1, x, w1);
      a2 = addProduct(a2, x, w2);
      a3 = addProduct(a3, x, w3);
      x = v128.load32_splat(b, 16);
      b0 = addProduct(b0, x, w0);
      b1 = addProduct(b1, x, w1);
      b2 = addProduct(b2, x, w2);
      b3 = addProduct(b3, x, w3);
      x = v128.load32_splat(c, 16);
      c0 = addProduct(c0, x, w0);
      c1 = addProduct(c1, x, w1);
      c2 = addProduct(c2, x, w2);
      c3 = addProduct(c3, x, w3);
      x = v128.load32_splat(d, 16);
      d0 = addProduct(d0, x, w0);
      d1 = addProduct(d1, x, w1);
      d2 = addProduct(d2, x, w2);
      d3 = addProduct(d3, x, w3);
    }
    a += two ? 32 : 16;
    b += two ? 32 : 16;
    c += two ? 32 : 16;
    d += two ? 32 : 16;
    w += two ? 2 * STEP : STEP;
  } while (w < end);
  v128.store(sums, a1, 16);
  v128.store(sums, a0);
  v128.store(sums, a3, 48);
  v128.store(sums, a2, 32);
  v128.store(sums, b1, 80);
  v128.store(sums, b0, 64);
  v128.store(sums, b3, 112);
  v128.store(sums, b2, 96);
  v128.store(sums, c1, 144);
  v128.store(sums, c0, 128);
  v128.store(sums, c3, 176);
  v128.store(sums, c2, 160);
  v128.store(sums, d1, 208);
  v128.store(sums, d0, 192);
  v128.store(sums, d3, 240);
  v128.store(sums, d2, 224);
}

/** Eight rows. */
@inline function addEight(a: usize, b: usize, c: usize, d: usize, panel: usize, count: i32, sums: usize, two: bool): void {
  let a0 = v128.load(sums), a1 = v128.load(sums, 16);
  let b0 = v128.load(sums, 64), b1 = v128.load(sums, 80);
  let c0 = v128.load(sums, 128), c1 = v128.load(sums, 144);
  let d0 = v128.load(sums, 192), d1 = v128.load(sums, 208);
  let w = panel;
  const end = panel + <usize>count * STEP;
  do {
    let w0 = v128.load(w), w1 = v128.load(w, 16);
    let x = v128.load32_splat(a);
    a0 = addProduct(a0, x, w0);
    a1 = addProduct(a1, x, w1);
    x = v128.load32_splat(b);
    b0 = addProduct(b0, x, w0);
    b1 = addProduct(b1, x, w1);
    x = v128.load32_splat(c);
    c0 = addProduct(c0, x, w0);
    c1 = addProduct(c1, x, w1);
    x = v128.load32_splat(d);
    d0 = addProduct(d0, x, w0);
    d1 = addProduct(d1, x, w1);
    if (two) {
      w0 = v128.load(w, 256), w1 = v128.load(w, 272);
      x = v128.load32_splat(a, 16);
      a0 = addProduct(a0, x, w0);
      a1 = addProduct(a1, x, w1);
      x = v128.load32_splat(b, 16);
      b0 = addProduct(b0, x, w0);
      b1 = addProduct(b1, x, w1);
      x = v128.load32_splat(c, 16);
      c0 = addProduct(c0, x, w0);
      c1 = addProduct(c1, x, w1);
      x = v128.load32_splat(d, 16);
      d0 = addProduct(d0, x, w0);
      d1 = addProduct(d1, x, w1);
    }
    a += two ? 32 : 16;
    b += two ? 32 : 16;
    c += two ? 32 : 16;
    d += two ? 32 : 16;
    w += two ? 2 * STEP : STEP;
  } while (w < end);
  v128.store(sums, a1, 16);
  v128.store(sums, a0);
  v128.store(sums, b1, 80);
  v128.store(sums, b0, 64);
  v128.store(sums, c1, 144);
  v128.store(sums, c0, 128);
  v128.store(sums, d1, 208);
  v128.store(sums, d0, 192);
}
