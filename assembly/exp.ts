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
 * The constants of `exp4From`, [13][4] f32 or i32. A loop loads them in one instruction each, where V8 would build each constant anew
 * in three.
 */
export const CONSTANTS_BYTES: i32 = 13 * 16;
export const ONE: usize = 176;

export function storeConstants(to: usize): void {
  v128.store(to, f32x4.splat(-104));
  v128.store(to, f32x4.splat(1.4426950408889634), 16);
  v128.store(to, f32x4.splat(12582912), 32);
  v128.store(to, f32x4.splat(0.693359375), 48);
  v128.store(to, f32x4.splat(-2.1219444005469058e-4), 64);
  v128.store(to, f32x4.splat(1.98756915e-4), 80);
  v128.store(to, f32x4.splat(1.3981999507e-3), 96);
  v128.store(to, f32x4.splat(8.3334519073e-3), 112);
  v128.store(to, f32x4.splat(4.1665795894e-2), 128);
  v128.store(to, f32x4.splat(1.6666665459e-1), 144);
  v128.store(to, f32x4.splat(5.0000001201e-1), 160);
  v128.store(to, f32x4.splat(1), ONE);
  v128.store(to, i32x4.splat(0x4b400000), 192);
}

/** exp4 for x <= 89 or NaN. */
@inline export function exp4From(x: v128, constants: usize): v128 {
  const clamped = f32x4.pmax(x, v128.load(constants));
  const shifted = f32x4.add(f32x4.mul(clamped, v128.load(constants, 16)), v128.load(constants, 32));
  const n = f32x4.sub(shifted, v128.load(constants, 32));
  const r = f32x4.sub(
    f32x4.sub(clamped, f32x4.mul(n, v128.load(constants, 48))),
    f32x4.mul(n, v128.load(constants, 64)),
  );
  let p = v128.load(constants, 80);
  p = f32x4.add(f32x4.mul(p, r), v128.load(constants, 96));
  p = f32x4.add(f32x4.mul(p, r), v128.load(constants, 112));
  p = f32x4.add(f32x4.mul(p, r), v128.load(constants, 128));
  p = f32x4.add(f32x4.mul(p, r), v128.load(constants, 144));
  p = f32x4.add(f32x4.mul(p, r), v128.load(constants, 160));
  const y = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), v128.load(constants, ONE));
  // 2^half and 2^(exponent - half), 127 added as the lanes of 1 have it.
  const exponent = i32x4.sub(shifted, v128.load(constants, 192));
  const half = i32x4.shr_s(exponent, 1);
  const one = v128.load(constants, ONE);
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
