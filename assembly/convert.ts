/**
 * n values from one type to another. Every bf16 and f16 value is an f32; towards f16 and bf16, values are rounded to
 * nearest, ties to even.
 */
import { areNormal, BIAS, FINITE, INFINITE, LIFTED_BIAS, loadRestF16, MAGNITUDE, narrow4F16, SIGN, upperHalves, widen4F16 } from "./f16";
import { BF16, load4, loadRest, storeRest } from "./floats";
import { kept } from "./kept";

export function widenBf16(x: usize, out: usize, n: i32): void {
  let from = x;
  let to = out;
  for (const end = out + (<usize>(n & ~3) << 2); to < end; to += 16, from += 8) v128.store(to, load4<BF16>(from));
  if (n & 3) storeRest(to, loadRest<BF16>(from, n & 3), n & 3);
}

export function widenF16(x: usize, out: usize, n: i32): void {
  const m = kept(MAGNITUDE, n);
  const b = kept(BIAS, n);
  const l = kept(LIFTED_BIAS, n);
  const f = kept(FINITE, n);
  const i = kept(INFINITE, n);
  const s = kept(SIGN, n);
  let from = x;
  let to = out;
  for (const end = out + (<usize>(n & ~7) << 2); to < end; to += 32, from += 16) {
    const half = v128.load(from);
    if (areNormal(half)) {
      const low = i16x8.shl(half, 13);
      const high = upperHalves(half);
      v128.store(to, v128.shuffle<i16>(low, high, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(to, v128.shuffle<i16>(low, high, 4, 12, 5, 13, 6, 14, 7, 15), 16);
    } else {
      v128.store(to, widen4F16(i32x4.extend_low_i16x8_s(half), m, b, l, f, i, s));
      v128.store(to, widen4F16(i32x4.extend_high_i16x8_s(half), m, b, l, f, i, s), 16);
    }
  }
  if (n & 4) {
    v128.store(to, widen4F16(v128.load16x4_s(from), m, b, l, f, i, s));
    from += 8;
    to += 16;
  }
  if (n & 3) storeRest(to, widen4F16(loadRestF16(from, n & 3), m, b, l, f, i, s), n & 3);
}

export function narrowBf16(x: usize, out: usize, n: i32): void {
  let from = x;
  let to = out;
  for (const end = out + (<usize>(n & ~3) << 1); to < end; to += 8, from += 16) {
    const half = narrow4Bf16(v128.load(from));
    v128.store64_lane(to, i16x8.narrow_i32x4_u(half, half), 0);
  }
  for (const end = out + (<usize>n << 1); to < end; to += 2, from += 4) v128.store16_lane(to, narrow4Bf16(v128.load32_splat(from)), 0);
}

/** Four f32 rounded to bf16, each in the low half of its lane. The steps of `f32ToBf16` in src/core/dtype.ts. */
@inline export function narrow4Bf16(v: v128): v128 {
  const odd = v128.and(i32x4.shr_u(v, 16), i32x4.splat(1));
  const half = i32x4.shr_u(i32x4.add(i32x4.add(v, i32x4.splat(0x7fff)), odd), 16);
  const magnitude = v128.and(v, i32x4.splat(0x7fffffff));
  return v128.bitselect(i32x4.splat(0x7fc0), half, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000))); // NaN
}

export function narrowF16(x: usize, out: usize, n: i32): void {
  let from = x;
  let to = out;
  for (const end = out + (<usize>(n & ~3) << 1); to < end; to += 8, from += 16) {
    const half = narrow4F16(v128.load(from));
    v128.store64_lane(to, i16x8.narrow_i32x4_u(half, half), 0);
  }
  const rest = n & 3;
  if (rest) {
    const half = narrow4F16(loadRest<f32>(from, rest));
    v128.store16_lane(to, half, 0);
    if (rest > 1) v128.store16_lane(to, half, 2, 2);
    if (rest > 2) v128.store16_lane(to, half, 4, 4);
  }
}
