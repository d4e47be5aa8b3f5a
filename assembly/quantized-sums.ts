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
