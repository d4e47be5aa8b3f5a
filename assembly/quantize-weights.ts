/**
 * One row of f32 weights to codes: the arithmetic of src/backend/quantize-weights.ts.
 *
 *   x      [cols] f32, finite and within ±65504
 *   codes  [cols] u8: code + 128 (int8), or 0..15 (int4)
 *   scales, minimums [ceil(cols / group)] f32, each of them an f16 number; with a minimum, a number of type `kind`
 *
 * In the search for the least error the lanes are scales that are tried: every weight goes to all of them, so that errors sum up in
 * the order of the weights and no step goes across lanes. A lane holds scales that follow each other in the order of the definition,
 * which decides between equals: lane l of vector v has number 3l + v, or 4l + v with a minimum.
 */
import { narrow4Bf16 } from "./convert";
import { BIAS, FINITE, INFINITE, LIFTED_BIAS, MAGNITUDE, narrow4F16, SIGN, widen4F16 } from "./f16";
import { kept } from "./kept";
import { largestMagnitude as magnitudeBits } from "./magnitude";
import { BF16 as SCALES_BF16, F16 as SCALES_F16 } from "./quantized-scales";

const ROUND: f32 = 12582912; // 1.5 * 2^23
const ROUND_BITS: i32 = 0x4b400000;
const SMALLEST_EXTENT: f32 = 4.76837158203125e-7; // 2^-21
const SMALLEST_RANGE: f32 = 9.5367431640625e-7; //   2^-20

/** max |x|, or NaN where one is. */
export function largestMagnitude(x: usize, n: i32): f32 {
  return reinterpret<f32>(magnitudeBits(x, n));
}

export function quantizeInt8(x: usize, codes: usize, scales: usize, cols: i32, group: i32): void {
  for (let k = 0, to = scales; k < cols; k += group, to += 4) {
    const from = x + (<usize>k << 2);
    const count = min(group, cols - k);
    const extent = f32x4.splat(reinterpret<f32>(magnitudeBits(from, count)));
    const half = narrow4F16(f32x4.div(extent, f32x4.splat(127)));
    const nearest = widenHalf(half);
    const short = f32x4.lt(f32x4.mul(nearest, f32x4.splat(127)), extent);
    const scale = f32x4.extract_lane(v128.bitselect(widenHalf(i32x4.add(half, i32x4.splat(1))), nearest, short), 0);
    store<f32>(to, scale);
    storeCodes(from, codes + k, count, scale, 0, -127, 127, 128);
  }
}

/** w = (code - 8) * scale. */
export function quantizeInt4(x: usize, codes: usize, scales: usize, cols: i32, group: i32): void {
  for (let k = 0, to = scales; k < cols; k += group, to += 4) {
    const from = x + (<usize>k << 2);
    const count = min(group, cols - k);
    const low = min<f32>(0, least(from, count));
    const high = max<f32>(0, most(from, count));
    const extreme = high >= -low ? high : low;
    const scale: f32 = abs(extreme) < SMALLEST_EXTENT ? 0 : bestScale(from, count, f32x4.splat(extreme));
    store<f32>(to, scale);
    storeCodes(from, codes + k, count, scale, 0, -8, 7, 8);
  }
}

/** w = code * scale + minimum. */
export function quantizeInt4Range(
  x: usize, codes: usize, scales: usize, minimums: usize, cols: i32, group: i32, kind: i32,
): void {
  for (let k = 0, to = 0; k < cols; k += group, to += 4) {
    const from = x + (<usize>k << 2);
    const count = min(group, cols - k);
    const low = least(from, count);
    const range = most(from, count) - low;
    if (range < SMALLEST_RANGE) {
      store<f32>(scales + to, 0);
      store<f32>(minimums + to, f32x4.extract_lane(toKind(f32x4.splat(low + 0), kind), 0));
    } else bestRange(from, count, f32x4.splat(low), f32x4.splat(range), scales + to, minimums + to, kind);
    storeCodes(from, codes + k, count, load<f32>(scales + to), load<f32>(minimums + to), 0, 15, 0);
  }
}

function bestScale(x: usize, count: i32, extreme: v128): f32 {
  const s0 = toF16(f32x4.div(extreme, f32x4(7, -7.5, -8.25, -9)));
  const s1 = toF16(f32x4.div(extreme, f32x4(-7, -7.75, -8.5, -9.25)));
  const s2 = toF16(f32x4.div(extreme, f32x4(-7.25, -8, -8.75, -9.5)));
  const i0 = f32x4.div(f32x4.splat(1), s0);
  const i1 = f32x4.div(f32x4.splat(1), s1);
  const i2 = f32x4.div(f32x4.splat(1), s2);
  let e0 = f32x4.splat(0);
  let e1 = e0;
  let e2 = e0;
  const round = kept(ROUND_BITS, count);
  const low = kept(ROUND_BITS - 8, count);
  const high = kept(ROUND_BITS + 7, count);
  for (let p = x, end = x + (<usize>count << 2); p < end; p += 4) {
    const w = v128.load32_splat(p);
    e0 = f32x4.add(e0, squaredError(f32x4.mul(w, i0), round, low, high));
    e1 = f32x4.add(e1, squaredError(f32x4.mul(w, i1), round, low, high));
    e2 = f32x4.add(e2, squaredError(f32x4.mul(w, i2), round, low, high));
  }
  e0 = f32x4.mul(e0, f32x4.mul(s0, s0));
  e1 = f32x4.mul(e1, f32x4.mul(s1, s1));
  e2 = f32x4.mul(e2, f32x4.mul(s2, s2));
  const first = f32x4.lt(e1, e0);
  const e01 = v128.bitselect(e1, e0, first);
  const second = f32x4.lt(e2, e01);
  const scales = v128.bitselect(s2, v128.bitselect(s1, s0, first), second);
  return laneOf(scales, firstOfLeast(v128.bitselect(e2, e01, second)));
}

function bestRange(x: usize, count: i32, low: v128, range: v128, scale: usize, minimum: usize, kind: i32): void {
  // Lanes leave out 0, 3, 6 and 9 of 128 parts below, vectors above.
  const minimums = toKind(f32x4.add(low, f32x4.mul(range, f32x4(0, 0.0234375, 0.046875, 0.0703125))), kind);
  let scales = i32x4.splat(0);
  let errors = f32x4.splat(Infinity);
  for (let above: f32 = 0; above <= 0.0703125; above += 0.046875) {
    const width = f32x4.sub(f32x4(1, 0.9765625, 0.953125, 0.9296875), f32x4.splat(above));
    const s0 = toKind(f32x4.div(f32x4.mul(range, width), f32x4.splat(15)), kind);
    const s1 = toKind(f32x4.div(f32x4.mul(range, f32x4.sub(width, f32x4.splat(0.0234375))), f32x4.splat(15)), kind);
    const i0 = f32x4.div(f32x4.splat(1), s0);
    const i1 = f32x4.div(f32x4.splat(1), s1);
    let e0 = f32x4.splat(0);
    let e1 = e0;
    const round = kept(ROUND_BITS, count);
    const high = kept(ROUND_BITS + 15, count);
    for (let p = x, end = x + (<usize>count << 2); p < end; p += 4) {
      const w = f32x4.sub(v128.load32_splat(p), minimums);
      e0 = f32x4.add(e0, squaredError(f32x4.mul(w, i0), round, round, high));
      e1 = f32x4.add(e1, squaredError(f32x4.mul(w, i1), round, round, high));
    }
    e0 = f32x4.mul(e0, f32x4.mul(s0, s0));
    e1 = f32x4.mul(e1, f32x4.mul(s1, s1));
    const first = f32x4.lt(e0, errors);
    errors = v128.bitselect(e0, errors, first);
    const second = f32x4.lt(e1, errors);
    errors = v128.bitselect(e1, errors, second);
    scales = v128.bitselect(s1, v128.bitselect(s0, scales, first), second);
  }
  const lane = firstOfLeast(errors);
  store<f32>(scale, laneOf(scales, lane));
  store<f32>(minimum, laneOf(minimums, lane));
}

/** Of values in units of the scale: (value - the code that it gets)^2. `low` and `high`: the codes' ends, plus `round`. */
@inline function squaredError(value: v128, round: v128, low: v128, high: v128): v128 {
  const code = f32x4.sub(f32x4.pmin(f32x4.pmax(f32x4.add(value, round), low), high), round);
  const error = f32x4.sub(value, code);
  return f32x4.mul(error, error);
}

@inline function storeCodes(x: usize, codes: usize, count: i32, scale: f32, minimum: f32, low: i32, high: i32, zero: i32): void {
  const inverse = f32x4.splat(scale == 0 ? 0 : 1 / scale);
  const shift = f32x4.splat(minimum);
  const round = kept(ROUND_BITS, count);
  const least = kept(ROUND_BITS + low, count);
  const most = kept(ROUND_BITS + high, count);
  const bias = kept(ROUND_BITS - zero, count);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const value = f32x4.mul(f32x4.sub(v128.load(x + (<usize>i << 2)), shift), inverse);
    const code = i32x4.sub(f32x4.pmin(f32x4.pmax(f32x4.add(value, round), least), most), bias);
    const narrow = i16x8.narrow_i32x4_s(code, code);
    v128.store32_lane(codes + i, i8x16.narrow_i16x8_u(narrow, narrow), 0);
  }
  for (; i < count; i++) {
    const value = f32x4.mul(f32x4.sub(v128.load32_splat(x + (<usize>i << 2)), shift), inverse);
    const code = i32x4.sub(f32x4.pmin(f32x4.pmax(f32x4.add(value, round), least), most), bias);
    v128.store8_lane(codes + i, code, 0);
  }
}

/** Rounds to the type of scales that `kind` stands for (quantized-scales.ts). */
function toKind(v: v128, kind: i32): v128 {
  if (kind == SCALES_F16) return toF16(v);
  return kind == SCALES_BF16 ? i32x4.shl(narrow4Bf16(v), 16) : v;
}

/** Rounds to f16. */
@inline function toF16(v: v128): v128 {
  return widenHalf(i32x4.shr_s(i32x4.shl(narrow4F16(v), 16), 16));
}

@inline function widenHalf(half: v128): v128 {
  return widen4F16(
    half, i32x4.splat(MAGNITUDE), i32x4.splat(BIAS), i32x4.splat(LIFTED_BIAS), i32x4.splat(FINITE), i32x4.splat(INFINITE), i32x4.splat(SIGN),
  );
}

@inline function least(x: usize, count: i32): f32 {
  let values = v128.load32_splat(x);
  let i = 0;
  for (; i + 4 <= count; i += 4) values = f32x4.pmin(values, v128.load(x + (<usize>i << 2)));
  for (; i < count; i++) values = f32x4.pmin(values, v128.load32_splat(x + (<usize>i << 2)));
  values = f32x4.pmin(values, v128.shuffle<i32>(values, values, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.pmin(values, v128.shuffle<i32>(values, values, 1, 0, 3, 2)), 0);
}

@inline function most(x: usize, count: i32): f32 {
  let values = v128.load32_splat(x);
  let i = 0;
  for (; i + 4 <= count; i += 4) values = f32x4.pmax(values, v128.load(x + (<usize>i << 2)));
  for (; i < count; i++) values = f32x4.pmax(values, v128.load32_splat(x + (<usize>i << 2)));
  values = f32x4.pmax(values, v128.shuffle<i32>(values, values, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.pmax(values, v128.shuffle<i32>(values, values, 1, 0, 3, 2)), 0);
}

/** The first lane that holds the least of them. */
@inline function firstOfLeast(values: v128): i32 {
  const pairs = f32x4.pmin(values, v128.shuffle<i32>(values, values, 2, 3, 0, 1));
  const smallest = f32x4.pmin(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2));
  return ctz(i32x4.bitmask(f32x4.eq(values, smallest)));
}

@inline function laneOf(values: v128, lane: i32): f32 {
  return lane == 0 ? f32x4.extract_lane(values, 0)
    : lane == 1 ? f32x4.extract_lane(values, 1)
    : lane == 2 ? f32x4.extract_lane(values, 2)
    : f32x4.extract_lane(values, 3);
}
