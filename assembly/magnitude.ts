/** The extent of values that become int8 codes, and what follows from it: one definition for activations, cache entries and weights. */
import { loadRest } from "./floats";
import { kept } from "./kept";

const SMALLEST_SCALED: i32 = 27 << 23; // the bits of 2^-100
const INFINITY: i32 = 255 << 23;

/** The bits of max |x| of `count` values. As integers, the bits of magnitudes are in order, infinity and NaN last. */
@inline export function largestMagnitude(x: usize, count: i32): i32 {
  const magnitude = kept(0x7fffffff, count);
  let largest = i32x4.splat(0);
  let p = x;
  for (const end = x + (<usize>(count & ~3) << 2); p < end; p += 16) largest = i32x4.max_s(largest, v128.and(v128.load(p), magnitude));
  if (count & 3) largest = i32x4.max_s(largest, v128.and(loadRest<f32>(p, count & 3), magnitude));
  largest = i32x4.max_s(largest, v128.shuffle<i32>(largest, largest, 2, 3, 0, 1));
  largest = i32x4.max_s(largest, v128.shuffle<i32>(largest, largest, 1, 0, 3, 2));
  return i32x4.extract_lane(largest, 0);
}

/** 127 / max |x|, or 0 for values that become zeros: too small to scale, or with an infinity or NaN among them. */
@inline export function inverseOf(largest: i32): f32 {
  return largest >= SMALLEST_SCALED && largest < INFINITY ? 127 / reinterpret<f32>(largest) : 0;
}

/** max |x| / 127, 0 where that is too small, NaN with an infinity or NaN. */
@inline export function scaleOf(largest: i32): f32 {
  return largest < SMALLEST_SCALED ? 0 : largest < INFINITY ? reinterpret<f32>(largest) / 127 : NaN;
}
