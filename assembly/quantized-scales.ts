/**
 * Scales (and minimums) of a block of 8 rows, from how they are held to f32 [groups][8 rows]:
 *
 *   F32        [groups][8] f32
 *   F16, BF16  [groups][8] of 2 bytes; f16 is finite
 *   TwoLevel   [groups][8] i8, factors, up to a multiple of 16 bytes, and for every 256 columns [8] f16: scale = factor * the f16, exact
 *              in f32
 */
import { kept } from "./kept";

export const F32: i32 = 0;
export const F16: i32 = 1;
export const BF16: i32 = 2;
export const TWO_LEVEL: i32 = 3;

/** Columns that share an f16 under TwoLevel. */
const SUPER_COLUMNS: i32 = 256;
const F16_BITS: i32 = 0x8fffe000; // sign, exponent and mantissa of an f16 that was shifted to an f32's place
const F16_LIFT: i32 = 0x77800000; // 2^112, from the one bias of exponents to the other; so denormals come out right too

/** Bytes of the scales of one block, a multiple of 16. */
@inline export function scaleBytes(kind: i32, groups: i32, group: i32): usize {
  if (kind == F32) return <usize>groups << 5;
  if (kind != TWO_LEVEL) return <usize>groups << 4;
  return factorBytes(groups) + (<usize>((groups * group + SUPER_COLUMNS - 1) / SUPER_COLUMNS) << 4);
}

@inline function factorBytes(groups: i32): usize {
  return ((<usize>groups + 1) & ~1) << 3;
}

/**
 * Groups first..first + count - 1 of a block's scales.
 *
 * @param groups of the whole block
 * @returns where they are: at `to`, or where they lie if they are f32 already
 */
export function widenScales(scales: usize, kind: i32, groups: i32, group: i32, first: i32, count: i32, to: usize): usize {
  if (kind == F32) return scales + (<usize>first << 5);
  if (kind == TWO_LEVEL) widenTwoLevel(scales, groups, group, first, count, to);
  else if (kind == F16) widenF16s(scales + (<usize>first << 4), count, to);
  else {
    const zero = i32x4.splat(0);
    let q = to;
    for (let p = scales + (<usize>first << 4), end = p + (<usize>count << 4); p < end; p += 16, q += 32) {
      const words = v128.load(p);
      v128.store(q, v128.shuffle<i16>(zero, words, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(q, v128.shuffle<i16>(zero, words, 4, 12, 5, 13, 6, 14, 7, 15), 16);
    }
  }
  return to;
}

/** Rows of 8 f16. */
function widenF16s(from: usize, count: i32, to: usize): void {
  const bits = kept(F16_BITS, count);
  const lift = kept(F16_LIFT, count);
  let q = to;
  for (let p = from, end = from + (<usize>count << 4); p < end; p += 16, q += 32) {
    const halves = v128.load(p);
    v128.store(q, lowHalves(halves, bits, lift));
    v128.store(q, highHalves(halves, bits, lift), 16);
  }
}

function widenTwoLevel(scales: usize, groups: i32, group: i32, first: i32, count: i32, to: usize): void {
  const bits = kept(F16_BITS, count);
  const lift = kept(F16_LIFT, count);
  const supers = scales + factorBytes(groups);
  let q = to;
  for (let g = first; g < first + count; g++, q += 32) {
    const halves = v128.load(supers + (<usize>(g * group / SUPER_COLUMNS) << 4));
    const factors = v128.load8x8_s(scales + (<usize>g << 3));
    v128.store(q, f32x4.mul(lowHalves(halves, bits, lift), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(factors))));
    v128.store(q, f32x4.mul(highHalves(halves, bits, lift), f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(factors))), 16);
  }
}

@inline function lowHalves(halves: v128, bits: v128, lift: v128): v128 {
  return widen4(v128.shuffle<i16>(i32x4.splat(0), halves, 0, 8, 1, 9, 2, 10, 3, 11), bits, lift);
}

@inline function highHalves(halves: v128, bits: v128, lift: v128): v128 {
  return widen4(v128.shuffle<i16>(i32x4.splat(0), halves, 4, 12, 5, 13, 6, 14, 7, 15), bits, lift);
}

/** Four f16 at the top of their lanes. */
@inline function widen4(top: v128, bits: v128, lift: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shr_s(top, 3), bits), lift);
}
