/** exp of four f32 lanes: step by step the arithmetic of `expF32` in src/core/math.ts, so the same bits. */
import { loadRest, storeRest } from "./floats";

@inline export function exp4(x: v128): v128 {
  // pmax and pmin return their first operand where it is NaN.
  const clamped = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-104)), f32x4.splat(89));
  const shifted = f32x4.add(f32x4.mul(clamped, f32x4.splat(1.4426950408889634)), f32x4.splat(12582912));
  const n = f32x4.sub(shifted, f32x4.splat(12582912));
  const r = f32x4.sub(
    f32x4.sub(clamped, f32x4.mul(n, f32x4.splat(0.693359375))),
    f32x4.mul(n, f32x4.splat(-2.1219444005469058e-4)),
  );
  let p = f32x4.splat(1.98756915e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  const y = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  // The low bits of 1.5 * 2^23 + n are n itself. 2^n in two factors: one alone would leave the range of exponents.
  const exponent = i32x4.sub(shifted, i32x4.splat(0x4b400000));
  const half = i32x4.shr_s(exponent, 1);
  return f32x4.mul(f32x4.mul(y, powerOfTwo(half)), powerOfTwo(i32x4.sub(exponent, half)));
}

/**
 * The constants of `exp4From`, [13] f32 or i32. A loop loads them in one instruction each, where V8 would build each constant anew in
 * three.
 */
export const ONE: usize = 44;

export function storeConstants(to: usize): void {
  store<f32>(to, -104);
  store<f32>(to, 1.4426950408889634, 4);
  store<f32>(to, 12582912, 8);
  store<f32>(to, 0.693359375, 12);
  store<f32>(to, -2.1219444005469058e-4, 16);
  store<f32>(to, 1.98756915e-4, 20);
  store<f32>(to, 1.3981999507e-3, 24);
  store<f32>(to, 8.3334519073e-3, 28);
  store<f32>(to, 4.1665795894e-2, 32);
  store<f32>(to, 1.6666665459e-1, 36);
  store<f32>(to, 5.0000001201e-1, 40);
  store<f32>(to, 1, ONE);
  store<i32>(to, 0x4b400000, 48);
}

/** exp4 for x <= 89 or NaN. */
@inline export function exp4From(x: v128, constants: usize): v128 {
  const clamped = f32x4.pmax(x, v128.load32_splat(constants));
  const shifted = f32x4.add(f32x4.mul(clamped, v128.load32_splat(constants, 4)), v128.load32_splat(constants, 8));
  const n = f32x4.sub(shifted, v128.load32_splat(constants, 8));
  const r = f32x4.sub(
    f32x4.sub(clamped, f32x4.mul(n, v128.load32_splat(constants, 12))),
    f32x4.mul(n, v128.load32_splat(constants, 16)),
  );
  let p = v128.load32_splat(constants, 20);
  p = f32x4.add(f32x4.mul(p, r), v128.load32_splat(constants, 24));
  p = f32x4.add(f32x4.mul(p, r), v128.load32_splat(constants, 28));
  p = f32x4.add(f32x4.mul(p, r), v128.load32_splat(constants, 32));
  p = f32x4.add(f32x4.mul(p, r), v128.load32_splat(constants, 36));
  p = f32x4.add(f32x4.mul(p, r), v128.load32_splat(constants, 40));
  const y = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), v128.load32_splat(constants, ONE));
  // 2^half and 2^(exponent - half), 127 added as the lanes of 1 have it.
  const exponent = i32x4.sub(shifted, v128.load32_splat(constants, 48));
  const half = i32x4.shr_s(exponent, 1);
  const one = v128.load32_splat(constants, ONE);
  const first = i32x4.add(i32x4.shl(half, 23), one);
  const second = i32x4.add(i32x4.shl(i32x4.sub(exponent, half), 23), one);
  return f32x4.mul(f32x4.mul(y, first), second);
}

/** 2^n for n in -126..127. */
@inline function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

/** out[i] = exp(x[i]) for n values. */
export function exp(x: usize, out: usize, n: i32): void {
  let i = 0;
  for (; i < (n & ~3); i += 4) v128.store(out + (<usize>i << 2), exp4(v128.load(x + (<usize>i << 2))));
  if (n & 3) storeRest(out + (<usize>i << 2), exp4(loadRest<f32>(x + (<usize>i << 2), n & 3)), n & 3);
}
