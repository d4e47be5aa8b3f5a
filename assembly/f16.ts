/**
 * IEEE binary16 from and to f32, four at a time. Widening meets no denormal f32 on the way, which some machines compute slowly.
 *
 *   f16                    f32
 *   s eeeee mmmmmmmmmm     normal          exponent e - 15 + 127, mantissa moved to the top
 *   s 00000 mmmmmmmmmm     denormal        m * 2^-24 = (1 + m / 1024) * 2^-14 - 2^-14
 *   s 11111 mmmmmmmmmm     infinity, NaN   exponent 255
 */

/** What `widen4F16` takes beside the values: the bits of a lane, so that a loop can keep them in registers (kept.ts). */
export const MAGNITUDE = 0x0fffe000; //    exponent and mantissa, moved to an f32's place
export const BIAS = 0x38000000; //         127 - 15, as an f32's exponent
export const LIFTED_BIAS = 0x38800000; //  one more; as an f32, 2^-14
export const FINITE = 0x477fffff; //       no finite f16 is more, once it has the bias
export const INFINITE = 0x7f800000;
export const SIGN = i32.MIN_VALUE;

/** Four f16, each sign-extended to 32 bits, as f32. */
@inline export function widen4F16(
  half: v128, magnitudeBits: v128, bias: v128, liftedBias: v128, finite: v128, infinite: v128, sign: v128,
): v128 {
  return widenPlacedF16(i32x4.shl(half, 13), half, magnitudeBits, bias, liftedBias, finite, infinite, sign);
}

/** Four f16 that lie anywhere. @param placed with exponent and mantissa in an f32's place; @param signed with the sign at the top */
@inline export function widenPlacedF16(
  placed: v128, signed: v128, magnitudeBits: v128, bias: v128, liftedBias: v128, finite: v128, infinite: v128, sign: v128,
): v128 {
  const magnitude = v128.and(placed, magnitudeBits);
  const normal = i32x4.add(magnitude, bias);
  const denormal = f32x4.sub(i32x4.add(magnitude, liftedBias), liftedBias);
  // A normal f16 comes out too large as a denormal, and a denormal too large as a normal: the smaller is right.
  const value = f32x4.pmin(normal, denormal);
  const special = v128.and(i32x4.gt_s(normal, finite), infinite);
  return v128.or(v128.or(value, special), v128.and(signed, sign));
}

/** Whether none of eight f16 is zero, denormal, infinity or NaN: no exponent is 0 or 31, whose successors modulo 32 are 1 and 0. */
@inline export function areNormal(half: v128): bool {
  return i16x8.all_true(v128.and(i16x8.add(half, i16x8.splat(0x0400)), i16x8.splat(0x7800)));
}

/** The upper 16 bits of eight normal f16 as f32; the lower ones are the f16's last three bits, at the top. */
@inline export function upperHalves(half: v128): v128 {
  return i16x8.add(v128.and(i16x8.shr_s(half, 3), i16x8.splat(-0x7001)), i16x8.splat(0x3800));
}

/** The `count` (1..3) f16 at p, sign-extended, then zeros. */
@inline export function loadRestF16(p: usize, count: i32): v128 {
  let half = i32x4.replace_lane(i32x4.splat(0), 0, load<i16>(p));
  if (count > 1) half = i32x4.replace_lane(half, 1, load<i16>(p, 2));
  if (count > 2) half = i32x4.replace_lane(half, 2, load<i16>(p, 4));
  return half;
}

/** Four f32 rounded to f16, each in the low half of its lane. The steps of `f32ToF16` in src/core/dtype.ts. */
@inline export function narrow4F16(v: v128): v128 {
  const magnitude = v128.and(v, i32x4.splat(0x7fffffff));
  const sign = v128.and(i32x4.shr_u(v, 16), i32x4.splat(0x8000));
  // Re-bias the exponent (127 to 15) and round the 13 dropped bits; a carry into the exponent is the right answer.
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(magnitude, i32x4.splat(0xfff - 0x38000000)), odd), 13);
  // Below 2^-14 the result is a multiple of 2^-24: adding 0.5 rounds to that multiple.
  const denormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  let half = v128.bitselect(denormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  half = v128.bitselect(i32x4.splat(0x7c00), half, i32x4.gt_s(magnitude, i32x4.splat(0x477fefff))); // 65,520 and more
  half = v128.or(half, sign);
  return v128.bitselect(i32x4.splat(0x7e00), half, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000))); // NaN
}
