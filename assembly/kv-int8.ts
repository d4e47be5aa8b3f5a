/**
 * Entries of an int8 cache: `head_dim` values as codes -127..127 and one f32 scale, by the arithmetic of `quantizeActivations` in
 * src/backend/quantize.ts. What one head keeps of 32 slots lies so that 16 bytes are 4 dims of 4 slots, whose sums come out in the
 * lanes in which they are wanted (slots for scores, dims for values), and the next 16 bytes go on in that direction; the last eight dims are
 * filled up with zeros:
 *
 *   keys     [head_dim / 4][32 slots][4 dims] i8            then scales [32] f32
 *   values   [head_dim / 8][8][8 dims][4 slots] i8          then scales [32] f32
 */
import { loadRest } from "./floats";
import { PAGE_SLOTS } from "./kv";
import { inverseOf, largestMagnitude, scaleOf } from "./magnitude";

/** Bytes that one head keeps of its keys, or of its values, for 32 slots: the codes, and with the scales. */
@inline export function codeBytes(headDim: i32): usize {
  return <usize>((headDim + 7) >> 3) * (PAGE_SLOTS << 3);
}

@inline export function headBytes(headDim: i32): usize {
  return codeBytes(headDim) + (PAGE_SLOTS << 2);
}

/** Stores k, v [tokens, kv_heads, head_dim] f32 in slots `slot` and up. */
export function appendInt8(
  k: usize, v: usize, pages: usize, slot: i32, tokens: i32, kvHeads: i32, headDim: i32,
): void {
  const codes = codeBytes(headDim);
  const bytes = headBytes(headDim);
  let from: usize = 0;
  for (let t = 0; t < tokens; t++) {
    const within = <usize>((slot + t) % PAGE_SLOTS);
    let keys = <usize>load<u32>(pages + (<usize>((slot + t) / PAGE_SLOTS) << 2));
    for (let h = 0; h < kvHeads; h++, from += <usize>headDim << 2, keys += 2 * bytes) {
      const values = keys + bytes;
      store<f32>(keys + codes + (within << 2), storeKey(k + from, keys + (within << 2), headDim));
      store<f32>(values + codes + (within << 2), storeValue(v + from, values + ((within >> 2) << 5) + (within & 3), headDim));
    }
  }
}

@inline function storeKey(entry: usize, to: usize, headDim: i32): f32 {
  const largest = largestMagnitude(entry, headDim);
  const inverse = inverseOf(largest);
  for (let d = 0; d < headDim; d += 8, to += PAGE_SLOTS << 3) {
    v128.store32_lane(to, bytesOf(codes4(entry, d, headDim, inverse)), 0);
    v128.store32_lane(to, bytesOf(codes4(entry, d + 4, headDim, inverse)), 0, PAGE_SLOTS << 2);
  }
  return scaleOf(largest);
}

@inline function storeValue(entry: usize, to: usize, headDim: i32): f32 {
  const largest = largestMagnitude(entry, headDim);
  const inverse = inverseOf(largest);
  for (let d = 0; d < headDim; d += 8, to += PAGE_SLOTS << 3) {
    storeBytes(to, codes4(entry, d, headDim, inverse));
    storeBytes(to + 16, codes4(entry, d + 4, headDim, inverse));
  }
  return scaleOf(largest);
}

@inline function storeBytes(to: usize, codes: v128): void {
  v128.store8_lane(to, codes, 0);
  v128.store8_lane(to, codes, 4, 4);
  v128.store8_lane(to, codes, 8, 8);
  v128.store8_lane(to, codes, 12, 12);
}

@inline function bytesOf(codes: v128): v128 {
  const words = i16x8.narrow_i32x4_s(codes, codes);
  return i8x16.narrow_i16x8_s(words, words);
}

/** Codes of dims d..d + 3 as i32, zeros past the last: x * inverse to the nearest integer, ties to even; all zeros for an inverse of 0. */
@inline export function codes4(entry: usize, d: i32, headDim: i32, inverse: f32): v128 {
  const p = entry + (<usize>d << 2);
  const x = d + 4 <= headDim ? v128.load(p) : d < headDim ? loadRest<f32>(p, headDim - d) : i32x4.splat(0);
  // Adding 1.5 * 2^23 rounds, and the last bits of the sum are the integer.
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(inverse)), f32x4.splat(12582912));
  return v128.and(i32x4.sub(shifted, i32x4.splat(0x4b400000)), i32x4.splat(inverse == 0 ? 0 : -1));
}
