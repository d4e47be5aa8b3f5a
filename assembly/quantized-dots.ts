/**
 * Integer dot products of four rows of weight codes with the codes of a token: exact, whichever instructions give them. That choice is
 * made in this file and nowhere else. P, the path, is a type that says how codes are held and multiplied:
 *
 *   Wide      weights and tokens as i16, `i32x4.dot_i16x8_s`: exact on every engine
 *   Masked    the same for int4: a weight is multiplied where it lies in its 16 bits, as 1, 16 or 256 times itself, so that one
 *             instruction takes it out. The token's code is held as 256, 16 or once itself, and sums are 256 times the rows'
 *             until `rowSums`: 128 columns of 256 * 15 * 127 stay far within 32 bits
 *   Narrow    weights as u8 0..15, tokens as i8, `i16x8.relaxed_dot_i8x16_i7x16_s`: exact on every engine that has it, since its second
 *             operand is within 0..127; 32 columns add up within 16 bits
 *   Unsigned  weights as u8 0..255, tokens as i8, `i32x4.relaxed_dot_i8x16_i7x16_add_s`: where a probe finds that the engine multiplies
 *             unsigned and without saturation (one instruction of processors with VNNI)
 *
 * Weights come in tiles of 4 rows by 4 columns, so that lanes are rows and nothing is added across lanes (rows a..d):
 *
 *   Narrow, Unsigned   16 bytes   a0 a1 a2 a3 | b0 b1 b2 b3 | c0 c1 c2 c3 | d0 d1 d2 d3
 *   Wide, Masked       32 bytes   a0 a2 | b0 b2 | c0 c2 | d0 d2      a1 a3 | b1 b3 | c1 c3 | d1 d3
 *
 * and a token's four codes likewise: 4 bytes x0 x1 x2 x3, or 4 + 4 bytes x0 x2, x1 x3.
 *
 * Weight codes are held unsigned, code - `zero` being what counts: a sum begins at -zero times the sum of the token's codes (`start` in
 * quantize.ts), which takes the zeros off again.
 */
export const RELAXED: i32 = ASC_FEATURE_RELAXED_SIMD;

/**
 * Whether tiles are for registers of 256 bits. V8 makes those out of pairs of vectors that are loaded side by side, computed by the same
 * steps and stored side by side, with no other load or store in between; best the second half first, which costs one store instead of two.
 * Constants must be the same value in both halves (kept.ts), and no compiler may have shared one of the stores between two branches.
 */
export const WIDE_VECTORS: i32 = WIDE;

export type Wide = i16;
export type Masked = u16;
export type Narrow = i8;
export type Unsigned = u8;

/** Most columns that Narrow may add up in 16 bits: 8 products of pairs, each within 2 * 15 * 127, in a lane. */
export const NARROW_COLUMNS: i32 = 32;

@inline export function isWide<P>(): bool {
  return sizeof<P>() == 2;
}

@inline export function isMasked<P>(): bool {
  return sizeof<P>() == 2 && !isSigned<P>();
}

@inline export function isNarrow<P>(): bool {
  return sizeof<P>() == 1 && isSigned<P>();
}

/** Bytes of a token's codes for a tile. */
@inline export function codeBytes<P>(): usize {
  return isWide<P>() ? 8 : 4;
}

/** How many tokens a product takes at once. */
export const LANES: i32 = 4;

/** sums + tile . x for 4 rows: 4 columns, or 2 of Wide. Narrow has two 16-bit sums for each row. */
@inline export function addDots<P>(sums: v128, tile: v128, x: v128): v128 {
  if (isWide<P>()) return i32x4.add(sums, i32x4.dot_i16x8_s(tile, x));
  if (!ASC_FEATURE_RELAXED_SIMD) return unreachable();
  if (isNarrow<P>()) return i16x8.add(sums, i16x8.relaxed_dot_i8x16_i7x16_s(x, tile));
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, tile, sums);
}

/** sums + s . x + t . y: the products are added to each other first where that lets the sums wait less. */
@inline export function addTwoDots<P>(sums: v128, s: v128, x: v128, t: v128, y: v128): v128 {
  if (isWide<P>()) return i32x4.add(sums, i32x4.add(i32x4.dot_i16x8_s(s, x), i32x4.dot_i16x8_s(t, y)));
  return addDots<P>(addDots<P>(sums, s, x), t, y);
}

/** The rows' sums as i32. @param ones 1 in every 16-bit lane */
@inline export function rowSums<P>(sums: v128, ones: v128): v128 {
  if (isMasked<P>()) return i32x4.shr_s(sums, 8);
  return isNarrow<P>() ? i32x4.dot_i16x8_s(sums, ones) : sums;
}
