import { rowSums } from "./quantized-dots";

/** How a group's dot products become part of y, for the 8 rows of one token. */

/** y + f32(dot) * (x scale * w scale). @param xScale where it lies */
@inline export function addTo(y: usize, a: v128, b: v128, xScale: usize, top: v128, bottom: v128): void {
  const x = v128.load32_splat(xScale);
  v128.store(y, f32x4.add(v128.load(y), f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(x, top))));
  v128.store(y, f32x4.add(v128.load(y, 16), f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(x, bottom))), 16);
}

/** The same, then + f32(sum of x codes) * (x scale * w minimum). */
@inline export function addWithMinimum(
  y: usize, a: v128, b: v128, xScale: usize, xSum: usize, top: v128, bottom: v128, low: v128, lowBottom: v128,
): void {
  const x = v128.load32_splat(xScale);
  const sum = f32x4.convert_i32x4_s(v128.load32_splat(xSum));
  const first = f32x4.add(v128.load(y), f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(x, top)));
  v128.store(y, f32x4.add(first, f32x4.mul(sum, f32x4.mul(x, low))));
  const second = f32x4.add(v128.load(y, 16), f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(x, bottom)));
  v128.store(y, f32x4.add(second, f32x4.mul(sum, f32x4.mul(x, lowBottom))), 16);
}

/**
 * The 16-bit sums of one token and 32 columns of a group, as i32 to those before them in `wide`, [8 rows].
 *
 * @param first whether they are the group's first ones: then nothing is there yet
 */
@inline export function widen<P>(wide: usize, a: v128, b: v128, ones: v128, first: bool): void {
  const top = rowSums<P>(a, ones);
  const bottom = rowSums<P>(b, ones);
  v128.store(wide, first ? top : i32x4.add(v128.load(wide), top));
  v128.store(wide, first ? bottom : i32x4.add(v128.load(wide, 16), bottom), 16);
}

/** `addTo` with the sums of the group's last 32 columns, those before them in `wide`. @param start where it lies (quantize.ts) */
@inline export function addWideTo<P>(
  y: usize, wide: usize, a: v128, b: v128, ones: v128, start: usize, xScale: usize, top: v128, bottom: v128,
): void {
  const first = v128.load32_splat(start);
  addTo(
    y, i32x4.add(i32x4.add(rowSums<P>(a, ones), v128.load(wide)), first), i32x4.add(i32x4.add(rowSums<P>(b, ones), v128.load(wide, 16)), first),
    xScale, top, bottom,
  );
}

/** The same with a minimum: codes count as they are, and `start` is 0. */
@inline export function addWideWithMinimum<P>(
  y: usize, wide: usize, a: v128, b: v128, ones: v128, xScale: usize, xSum: usize, top: v128, bottom: v128, low: v128, lowBottom: v128,
): void {
  addWithMinimum(
    y, i32x4.add(rowSums<P>(a, ones), v128.load(wide)), i32x4.add(rowSums<P>(b, ones), v128.load(wide, 16)),
    xScale, xSum, top, bottom, low, lowBottom,
  );
}
