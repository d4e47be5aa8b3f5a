/**
 * How attention over an int8 cache (kv-int8.ts) multiplies the codes of its queries, or of its weights, with bytes of the cache. T says
 * how the codes are held, and with that which instruction it is:
 *
 *   u8    16 bytes, whose products are summed by fours: relaxed dot, where the engine multiplies unsigned and exactly
 *   i8    16 bytes, summed by pairs, as 16 bits: relaxed dot of pairs, for codes 0..127 exact on every engine that has it
 *   i16   8 words, even ones before odd ones (x0 x2 x1 x3), and bytes of the cache are widened
 */

/** Of how many of a tile's 4 queries the products are wanted. */
export type Two = u16;
export type Four = u32;

/** Stores 4 codes (i32 lanes; 0..255 for u8). */
@inline export function storeCodes<T>(to: usize, codes: v128): void {
  if (sizeof<T>() == 1) {
    const words = i16x8.narrow_i32x4_s(codes, codes);
    v128.store32_lane(to, i8x16.narrow_i16x8_u(words, words), 0);
  } else {
    const parted = v128.shuffle<i32>(codes, codes, 0, 2, 1, 3);
    v128.store64_lane(to, i16x8.narrow_i32x4_s(parted, parted), 0);
  }
}

/** Stores 16 codes. */
@inline export function store16Codes<T>(to: usize, a: v128, b: v128): void {
  if (sizeof<T>() == 1) v128.store(to, i8x16.narrow_i16x8_u(a, b));
  else {
    v128.store(to, v128.shuffle<i16>(a, a, 0, 2, 1, 3, 4, 6, 5, 7));
    v128.store(to, v128.shuffle<i16>(b, b, 0, 2, 1, 3, 4, 6, 5, 7), 16);
  }
}

/** u8. */
@inline export function addFours(sum: v128, bytes: v128, codes: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(bytes, codes, sum);
}

/** i8. @param ones of i16 */
@inline export function addPairs(sum: v128, bytes: v128, codes: v128, ones: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(bytes, codes), ones));
}

/** i16. @param words `even` or `odd` ones */
@inline export function addWords(sum: v128, words: v128, codes: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(words, codes));
}

/**
 * Bytes to i16, each at the top of its lane, where it counts 256 times: `unscaled` divides sums of them (at most 512 products of 127 * 127
 * stay below 2^31).
 */
@inline export function even(bytes: v128): v128 {
  return i16x8.shl(bytes, 8);
}

/** @param high 0xff00 in every lane */
@inline export function odd(bytes: v128, high: v128): v128 {
  return v128.and(bytes, high);
}

@inline export function unscaled(sum: v128): v128 {
  return i32x4.shr_s(sum, 8);
}
