/**
 * How a group's dot products become part of y, for the 8 rows of one token, and for a tile of four tokens: y..y3 are the tokens' rows of
 * [8], a0..a3 their sums with rows 0..3, b0..b3 those with rows 4..7, as the path P has them; `info` is that of quantize.ts for four lanes.
 */
import { rowSums } from "./quantized-dots";

/** y + f32(dot) * (x scale * w scale). @param xScale where it lies */
@inline function addTo(y: usize, a: v128, b: v128, xScale: usize, top: v128, bottom: v128): void {
  const x = v128.load32_splat(xScale);
  const first = f32x4.add(v128.load(y), f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(x, top)));
  const second = f32x4.add(v128.load(y, 16), f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(x, bottom)));
  v128.store(y, second, 16);
  v128.store(y, first);
}

/** The same, then + f32(sum of x codes) * (x scale * w minimum). */
@inline function addWithMinimum(
  y: usize, a: v128, b: v128, xScale: usize, xSum: usize, top: v128, bottom: v128, low: v128, lowBottom: v128,
): void {
  const x = v128.load32_splat(xScale);
  const sum = f32x4.convert_i32x4_s(v128.load32_splat(xSum));
  let first = f32x4.add(v128.load(y), f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(x, top)));
  let second = f32x4.add(v128.load(y, 16), f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(x, bottom)));
  first = f32x4.add(first, f32x4.mul(sum, f32x4.mul(x, low)));
  second = f32x4.add(second, f32x4.mul(sum, f32x4.mul(x, lowBottom)));
  v128.store(y, second, 16);
  v128.store(y, first);
}

/** The 16-bit sums of one token and 32 columns of a group as i32, [8 rows]: the group's first ones. */
@inline function beginWide<P>(wide: usize, a: v128, b: v128, ones: v128): void {
  v128.store(wide, rowSums<P>(b, ones), 16);
  v128.store(wide, rowSums<P>(a, ones));
}

/** Later ones of a group, added to those before them. */
@inline function widen<P>(wide: usize, a: v128, b: v128, ones: v128): void {
  const top = i32x4.add(v128.load(wide), rowSums<P>(a, ones));
  const bottom = i32x4.add(v128.load(wide, 16), rowSums<P>(b, ones));
  v128.store(wide, bottom, 16);
  v128.store(wide, top);
}

/** `addTo` with the sums of the group's last 32 columns, those before them in `wide`. @param start where it lies (quantize.ts) */
@inline function addWideTo<P>(
  y: usize, wide: usize, a: v128, b: v128, ones: v128, start: usize, xScale: usize, top: v128, bottom: v128,
): void {
  const first = v128.load32_splat(start);
  addTo(
    y, i32x4.add(i32x4.add(rowSums<P>(a, ones), v128.load(wide)), first), i32x4.add(i32x4.add(rowSums<P>(b, ones), v128.load(wide, 16)), first),
    xScale, top, bottom,
  );
}

/** The same with a minimum: codes count as they are, and `start` is 0. */
@inline function addWideWithMinimum<P>(
  y: usize, wide: usize, a: v128, b: v128, ones: v128, xScale: usize, xSum: usize, top: v128, bottom: v128, low: v128, lowBottom: v128,
): void {
  addWithMinimum(
    y, i32x4.add(rowSums<P>(a, ones), v128.load(wide)), i32x4.add(rowSums<P>(b, ones), v128.load(wide, 16)),
    xScale, xSum, top, bottom, low, lowBottom,
  );
}

/** A tile's sums to y. @param scale of the group, [8 rows] f32 */
@inline export function addTile<P>(
  y: usize, y1: usize, y2: usize, y3: usize, a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128, ones: v128,
  info: usize, scale: usize,
): void {
  const top = v128.load(scale);
  const bottom = v128.load(scale, 16);
  addTo(y, rowSums<P>(a0, ones), rowSums<P>(b0, ones), info, top, bottom);
  addTo(y1, rowSums<P>(a1, ones), rowSums<P>(b1, ones), info + 4, top, bottom);
  addTo(y2, rowSums<P>(a2, ones), rowSums<P>(b2, ones), info + 8, top, bottom);
  addTo(y3, rowSums<P>(a3, ones), rowSums<P>(b3, ones), info + 12, top, bottom);
}

/** The same with a minimum, [8 rows] f32. */
@inline export function addTileWithMinimum<P>(
  y: usize, y1: usize, y2: usize, y3: usize, a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128, ones: v128,
  info: usize, scale: usize, minimum: usize,
): void {
  const top = v128.load(scale);
  const bottom = v128.load(scale, 16);
  const low = v128.load(minimum);
  const lowBottom = v128.load(minimum, 16);
  addWithMinimum(y, rowSums<P>(a0, ones), rowSums<P>(b0, ones), info, info + 16, top, bottom, low, lowBottom);
  addWithMinimum(y1, rowSums<P>(a1, ones), rowSums<P>(b1, ones), info + 4, info + 20, top, bottom, low, lowBottom);
  addWithMinimum(y2, rowSums<P>(a2, ones), rowSums<P>(b2, ones), info + 8, info + 24, top, bottom, low, lowBottom);
  addWithMinimum(y3, rowSums<P>(a3, ones), rowSums<P>(b3, ones), info + 12, info + 28, top, bottom, low, lowBottom);
}

/**
 * A tile's sums of 32 columns to those before them in `wide`, [4 tokens][8 rows] i32.
 *
 * @param first whether they are the group's first ones: then nothing is there yet. Both ways end with another store, or the compiler would
 *   share it, and what is stored as a pair would be torn apart
 */
@inline export function widenTile<P>(
  wide: usize, a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128, ones: v128, first: bool,
): void {
  if (first) {
    beginWide<P>(wide + 96, a3, b3, ones);
    beginWide<P>(wide + 64, a2, b2, ones);
    beginWide<P>(wide + 32, a1, b1, ones);
    beginWide<P>(wide, a0, b0, ones);
  } else {
    widen<P>(wide, a0, b0, ones);
    widen<P>(wide + 32, a1, b1, ones);
    widen<P>(wide + 64, a2, b2, ones);
    widen<P>(wide + 96, a3, b3, ones);
  }
}

/** `addTile` with the sums of the group's last 32 columns, those before them in `wide`. */
@inline export function addWideTile<P>(
  y: usize, y1: usize, y2: usize, y3: usize, wide: usize, a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128,
  ones: v128, info: usize, scale: usize,
): void {
  const top = v128.load(scale);
  const bottom = v128.load(scale, 16);
  addWideTo<P>(y, wide, a0, b0, ones, info + 32, info, top, bottom);
  addWideTo<P>(y1, wide + 32, a1, b1, ones, info + 36, info + 4, top, bottom);
  addWideTo<P>(y2, wide + 64, a2, b2, ones, info + 40, info + 8, top, bottom);
  addWideTo<P>(y3, wide + 96, a3, b3, ones, info + 44, info + 12, top, bottom);
}

/** The same with a minimum. */
@inline export function addWideTileWithMinimum<P>(
  y: usize, y1: usize, y2: usize, y3: usize, wide: usize, a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128,
  ones: v128, info: usize, scale: usize, minimum: usize,
): void {
  const top = v128.load(scale);
  const bottom = v128.load(scale, 16);
  const low = v128.load(minimum);
  const lowBottom = v128.load(minimum, 16);
  addWideWithMinimum<P>(y, wide, a0, b0, ones, info, info + 16, top, bottom, low, lowBottom);
  addWideWithMinimum<P>(y1, wide + 32, a1, b1, ones, info + 4, info + 20, top, bottom, low, lowBottom);
  addWideWithMinimum<P>(y2, wide + 64, a2, b2, ones, info + 8, info + 24, top, bottom, low, lowBottom);
  addWideWithMinimum<P>(y3, wide + 96, a3, b3, ones, info + 12, info + 28, top, bottom, low, lowBottom);
}
