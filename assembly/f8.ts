/**
 * Weights in e4m3fn (sign 1, exponent 4 with bias 7, mantissa 3; the largest exponent is an ordinary one, and all ones is NaN) with
 * scales, as f32: value * scale, rounded once.
 *
 *   stored byte                       s eeee mmm
 *   upper half of an f32   s 0000eeee mmm0000      2^120 too small (the bias is 7, not 127), subnormal numbers too
 *
 * A row has one scale for each 128 columns, [1 + groups] f32 together with a bound in front: the largest magnitude of its scales, or NaN
 * where one of its codes is. Below `MOST` a scale takes the 2^120 as well, and no code is NaN: one product for each weight.
 */
import { storeRest } from "./floats";
import { kept } from "./kept";
import { largestMagnitude } from "./magnitude";

/** Columns that share a scale. */
export const GROUP = 128;
const BITS: i32 = 0x87f087f0; // of two upper halves
export const LIFT: f32 = 1.329227995784916e36; // 2^120
/** Scales below it, times 2^120, are finite. */
const MOST: f32 = 128;

/** The upper halves of eight values. */
@inline function halves(p: usize, bits: v128): v128 {
  return v128.and(i16x8.shl(v128.load8x8_s(p), 4), bits);
}

/** The same of the `count` (1..7) values at p, then zeros; nothing behind them is read. */
function restHalves(p: usize, count: i32, bits: v128): v128 {
  let bytes: i64 = 0;
  for (let i = 0; i < count; i++) bytes |= <i64>load<u8>(p + i) << (8 * i);
  return v128.and(i16x8.shl(i16x8.extend_low_i8x16_s(i64x2.splat(bytes)), 4), bits);
}

/** f32 of the first four, and of the last four, of eight upper halves. */
@inline function low(half: v128, zero: v128): v128 {
  return v128.shuffle<i16>(zero, half, 0, 8, 1, 9, 2, 10, 3, 11);
}
@inline function high(half: v128, zero: v128): v128 {
  return v128.shuffle<i16>(zero, half, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** The bound of a row of n codes at w and its scales at s. */
export function boundF8(w: usize, s: usize, n: i32): f32 {
  const magnitude = i8x16.splat(0x7f);
  let i = 0;
  for (; i < (n & ~15); i += 16)
    if (v128.any_true(i8x16.eq(v128.and(v128.load(w + i), magnitude), magnitude))) return f32.NaN;
  for (; i < n; i++) if ((load<u8>(w + i) & 0x7f) == 0x7f) return f32.NaN;
  return reinterpret<f32>(largestMagnitude(s, (n + GROUP - 1) / GROUP));
}

/** Whether all scales of a row are below `MOST`, and no code is NaN. @param s address of its bound */
@inline export function isBelow(s: usize): bool {
  return load<f32>(s) < MOST;
}

/** One row of n codes at w, with its bound and scales at s, as f32. */
export function widenF8(w: usize, s: usize, out: usize, n: i32): void {
  if (isBelow(s)) widen(w, s + 4, out, n, true);
  else widen(w, s + 4, out, n, false);
}

@inline function widen(w: usize, s: usize, out: usize, n: i32, below: bool): void {
  const bits = kept(BITS, n);
  const zero = kept(0, n);
  const lift = f32x4.splat(LIFT);
  let from = w;
  let to = out;
  for (let left = n; left > 0; left -= GROUP, s += 4) {
    let scale = v128.load32_splat(s);
    if (below) scale = f32x4.mul(scale, lift);
    const count = min(left, GROUP);
    for (const end = to + (<usize>(count & ~7) << 2); to < end; to += 32, from += 8) {
      const half = halves(from, bits);
      v128.store(to, value(half, false, zero, scale, lift, below));
      v128.store(to, value(half, true, zero, scale, lift, below), 16);
    }
    const rest = count & 7;
    if (rest) {
      const half = restHalves(from, rest, bits);
      let values = value(half, false, zero, scale, lift, below);
      if (rest >= 4) {
        v128.store(to, values);
        to += 16;
        values = value(half, true, zero, scale, lift, below);
      }
      if (rest & 3) storeRest(to, values, rest & 3);
    }
  }
}

/** Four of eight upper halves, times their scale; what a scale below `MOST` has taken, another is given here. */
@inline function value(half: v128, last: bool, zero: v128, scale: v128, lift: v128, below: bool): v128 {
  const v = below ? half : withNaN(half);
  const narrow = last ? high(v, zero) : low(v, zero);
  return f32x4.mul(below ? narrow : f32x4.mul(narrow, lift), scale);
}

/** Upper halves in which exponent and mantissa of all ones become a NaN of f32. */
@inline function withNaN(half: v128): v128 {
  const ones = i16x8.eq(v128.and(half, i16x8.splat(0x7ff0)), i16x8.splat(0x07f0));
  return v128.or(half, v128.and(ones, i16x8.splat(0x7fc0)));
}
