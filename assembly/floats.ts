/**
 * Loading values of a stored type T as four f32 lanes. T is f32 or BF16, the upper half of an f32 (sign 1, exponent 8,
 * mantissa 7); binary16 takes more steps (f16.ts).
 */
export type BF16 = u16;
/** IEEE binary16 (f16.ts). */
export type F16 = i16;

/** The four values at p. */
@inline export function load4<T>(p: usize): v128 {
  if (sizeof<T>() == 4) return v128.load(p);
  else return i32x4.shl(v128.load16x4_u(p), 16);
}

/** The `count` (1..3) values at p, then zeros; nothing behind them is read. */
@inline export function loadRest<T>(p: usize, count: i32): v128 {
  if (sizeof<T>() == 4) {
    let v = v128.load32_zero(p);
    if (count > 1) v = v128.load32_lane(p, v, 1, 4);
    if (count > 2) v = v128.load32_lane(p, v, 2, 8);
    return v;
  } else {
    let v = i32x4.splat(0);
    v = v128.load16_lane(p, v, 1); // into the upper half of the lane
    if (count > 1) v = v128.load16_lane(p, v, 3, 2);
    if (count > 2) v = v128.load16_lane(p, v, 5, 4);
    return v;
  }
}

/** Stores the first `count` (1..3) lanes at p. */
@inline export function storeRest(p: usize, v: v128, count: i32): void {
  v128.store32_lane(p, v, 0);
  if (count > 1) v128.store32_lane(p, v, 1, 4);
  if (count > 2) v128.store32_lane(p, v, 2, 8);
}
