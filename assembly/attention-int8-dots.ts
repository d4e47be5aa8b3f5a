/**
 * The two integer products of attention over an int8 cache (kv-int8.ts), for a tile of 4 queries and a block of 32 slots; N says of how
 * many queries, `Two` or `Four`, the products are wanted.
 *
 * T is how the queries' codes and the weights' codes are held, and with that which instruction multiplies:
 *
 *   u8    16 bytes hold 4 of each query, one dot product takes 16: relaxed dot, where the engine multiplies unsigned and exactly
 *   i16   32 bytes, even ones before odd ones (x0 x2 x1 x3); bytes of the cache are widened to i16, once for the 4 queries
 *
 * Query codes are -127..127, with 128 added as u8; the dot product of the keys' codes with 128 is taken off again.
 */

import { kept } from "./kept";

export type Two = u16;
export type Four = u32;

/** Bytes of 4 codes of each of 4 queries. */
@inline export function fourBytes<T>(): usize {
  return 16 * sizeof<T>();
}

/** Stores 4 codes (i32 lanes; 0..255 for u8). */
@inline export function storeCodes<T>(to: usize, codes: v128): void {
  const words = i16x8.narrow_i32x4_s(codes, codes);
  if (sizeof<T>() == 1) v128.store32_lane(to, i8x16.narrow_i16x8_u(words, words), 0);
  else v128.store64_lane(to, v128.shuffle<i16>(words, words, 0, 2, 1, 3, 0, 2, 1, 3), 0);
}

/** Stores 16 codes. */
@inline export function store16Codes<T>(to: usize, a: v128, b: v128): void {
  if (sizeof<T>() == 1) v128.store(to, i8x16.narrow_i16x8_u(a, b));
  else {
    v128.store(to, v128.shuffle<i16>(a, a, 0, 2, 1, 3, 4, 6, 5, 7));
    v128.store(to, v128.shuffle<i16>(b, b, 0, 2, 1, 3, 4, 6, 5, 7), 16);
  }
}

@inline function dot(bytes: v128, codes: v128, sum: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(bytes, codes, sum);
}

/**
 * Bytes to i16, each at the top of its lane, where it counts 256 times: sums are divided at their end (they stay below 2^30, with 32
 * weights, or with up to 256 dims).
 */
@inline function even(bytes: v128): v128 {
  return i16x8.shl(bytes, 8);
}

@inline function odd(bytes: v128, high: v128): v128 {
  return v128.and(bytes, high);
}

@inline function addWide(sum: v128, bytes: v128, codes: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(bytes, codes));
}

/**
 * scores [4 queries][32 slots] f32 = dot * (key scale * query scale), where query scale is [4], the softmax scale included.
 *
 * Eight slots of four queries at a time: the eight sums depend on nothing but themselves, so that none waits for another.
 */
export function scoreTile<T, N>(
  queries: usize, queryScales: usize, keys: usize, keyScales: usize, fours: i32, scores: usize,
): void {
  const end = queries + <usize>fours * fourBytes<T>();
  for (let eight: usize = 0; eight < 128; eight += 32) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let key = keys + eight;
    if (sizeof<T>() == 1) {
      let aBias = a0, bBias = a0;
      const ones = i8x16.splat(1);
      for (let x = queries; x < end; x += 16, key += 128) {
        const a = v128.load(key);
        const b = v128.load(key, 16);
        let code = v128.load32_splat(x);
        a0 = dot(a, code, a0);
        b0 = dot(b, code, b0);
        code = v128.load32_splat(x, 4);
        a1 = dot(a, code, a1);
        b1 = dot(b, code, b1);
        if (sizeof<N>() == 4) {
          code = v128.load32_splat(x, 8);
          a2 = dot(a, code, a2);
          b2 = dot(b, code, b2);
          code = v128.load32_splat(x, 12);
          a3 = dot(a, code, a3);
          b3 = dot(b, code, b3);
        }
        aBias = dot(a, ones, aBias);
        bBias = dot(b, ones, bBias);
      }
      aBias = i32x4.shl(aBias, 7);
      bBias = i32x4.shl(bBias, 7);
      a0 = i32x4.sub(a0, aBias);
      a1 = i32x4.sub(a1, aBias);
      a2 = i32x4.sub(a2, aBias);
      a3 = i32x4.sub(a3, aBias);
      b0 = i32x4.sub(b0, bBias);
      b1 = i32x4.sub(b1, bBias);
      b2 = i32x4.sub(b2, bBias);
      b3 = i32x4.sub(b3, bBias);
    } else {
      const high = kept(0xff00ff00, fours);
      for (let x = queries; x < end; x += 32, key += 128) {
        const a = v128.load(key);
        const b = v128.load(key, 16);
        let aTile = even(a);
        let bTile = even(b);
        let code = v128.load32_splat(x);
        a0 = addWide(a0, aTile, code);
        b0 = addWide(b0, bTile, code);
        code = v128.load32_splat(x, 8);
        a1 = addWide(a1, aTile, code);
        b1 = addWide(b1, bTile, code);
        if (sizeof<N>() == 4) {
          code = v128.load32_splat(x, 16);
          a2 = addWide(a2, aTile, code);
          b2 = addWide(b2, bTile, code);
          code = v128.load32_splat(x, 24);
          a3 = addWide(a3, aTile, code);
          b3 = addWide(b3, bTile, code);
        }
        aTile = odd(a, high);
        bTile = odd(b, high);
        code = v128.load32_splat(x, 4);
        a0 = addWide(a0, aTile, code);
        b0 = addWide(b0, bTile, code);
        code = v128.load32_splat(x, 12);
        a1 = addWide(a1, aTile, code);
        b1 = addWide(b1, bTile, code);
        if (sizeof<N>() == 4) {
          code = v128.load32_splat(x, 20);
          a2 = addWide(a2, aTile, code);
          b2 = addWide(b2, bTile, code);
          code = v128.load32_splat(x, 28);
          a3 = addWide(a3, aTile, code);
          b3 = addWide(b3, bTile, code);
        }
      }
      a0 = i32x4.shr_s(a0, 8);
      a1 = i32x4.shr_s(a1, 8);
      b0 = i32x4.shr_s(b0, 8);
      b1 = i32x4.shr_s(b1, 8);
      if (sizeof<N>() == 4) {
        a2 = i32x4.shr_s(a2, 8);
        a3 = i32x4.shr_s(a3, 8);
        b2 = i32x4.shr_s(b2, 8);
        b3 = i32x4.shr_s(b3, 8);
      }
    }
    const aScale = v128.load(keyScales + eight);
    const bScale = v128.load(keyScales + eight, 16);
    const to = scores + eight;
    let scale = v128.load32_splat(queryScales);
    storeScores(to, a0, aScale, b0, bScale, scale);
    scale = v128.load32_splat(queryScales, 4);
    storeScores(to + 128, a1, aScale, b1, bScale, scale);
    if (sizeof<N>() == 2) continue;
    scale = v128.load32_splat(queryScales, 8);
    storeScores(to + 256, a2, aScale, b2, bScale, scale);
    scale = v128.load32_splat(queryScales, 12);
    storeScores(to + 384, a3, aScale, b3, bScale, scale);
  }
}

@inline function storeScores(to: usize, a: v128, aScale: v128, b: v128, bScale: v128, scale: v128): void {
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(aScale, scale)));
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(bScale, scale)), 16);
}

/**
 * sums [fours][4 queries][4 dims] f32 = sums * rescale + dot * unit, where rescale and unit are [4], one per query.
 *
 * @param weights [4 queries][8] fours of codes
 */
export function valueTile<T, N>(
  weights: usize, values: usize, fours: i32, rescales: usize, units: usize, sums: usize,
): void {
  let sum = sums;
  for (const end = values + ((<usize>fours) << 7); values < end; values += 128, sum += 64) {
    if (sizeof<T>() == 1) {
      // All 32 slots of four dims stay in registers for the four queries.
      const a = v128.load(values);
      const b = v128.load(values, 16);
      const c = v128.load(values, 32);
      const d = v128.load(values, 48);
      const e = v128.load(values, 64);
      const f = v128.load(values, 80);
      const g = v128.load(values, 96);
      const h = v128.load(values, 112);
      addTo(sum, 0, dot32(a, b, c, d, e, f, g, h, weights), rescales, units);
      addTo(sum, 1, dot32(a, b, c, d, e, f, g, h, weights + 32), rescales, units);
      if (sizeof<N>() == 2) continue;
      addTo(sum, 2, dot32(a, b, c, d, e, f, g, h, weights + 64), rescales, units);
      addTo(sum, 3, dot32(a, b, c, d, e, f, g, h, weights + 96), rescales, units);
    } else {
      const high = kept(0xff00ff00, fours);
      // Two fours of dims share what is loaded of weights; the last one, if it is alone, is its own second.
      const next: usize = values + 128 < end ? 128 : 0;
      let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
      let w = weights;
      for (let at = values, end = values + 128; at < end; at += 16, w += 8) {
        const a = v128.load(at);
        const b = v128.load(at + next);
        let aTile = even(a);
        let bTile = even(b);
        let code = v128.load32_splat(w);
        a0 = addWide(a0, aTile, code);
        b0 = addWide(b0, bTile, code);
        code = v128.load32_splat(w, 64);
        a1 = addWide(a1, aTile, code);
        b1 = addWide(b1, bTile, code);
        if (sizeof<N>() == 4) {
          code = v128.load32_splat(w, 128);
          a2 = addWide(a2, aTile, code);
          b2 = addWide(b2, bTile, code);
          code = v128.load32_splat(w, 192);
          a3 = addWide(a3, aTile, code);
          b3 = addWide(b3, bTile, code);
        }
        aTile = odd(a, high);
        bTile = odd(b, high);
        code = v128.load32_splat(w, 4);
        a0 = addWide(a0, aTile, code);
        b0 = addWide(b0, bTile, code);
        code = v128.load32_splat(w, 68);
        a1 = addWide(a1, aTile, code);
        b1 = addWide(b1, bTile, code);
        if (sizeof<N>() == 4) {
          code = v128.load32_splat(w, 132);
          a2 = addWide(a2, aTile, code);
          b2 = addWide(b2, bTile, code);
          code = v128.load32_splat(w, 196);
          a3 = addWide(a3, aTile, code);
          b3 = addWide(b3, bTile, code);
        }
      }
      addWideTo<N>(sum, a0, a1, a2, a3, rescales, units);
      if (next == 0) break;
      addWideTo<N>(sum + 64, b0, b1, b2, b3, rescales, units);
      values += 128;
      sum += 64;
    }
  }
}

@inline function addWideTo<N>(sum: usize, s0: v128, s1: v128, s2: v128, s3: v128, rescales: usize, units: usize): void {
  addTo(sum, 0, i32x4.shr_s(s0, 8), rescales, units);
  addTo(sum, 1, i32x4.shr_s(s1, 8), rescales, units);
  if (sizeof<N>() == 2) return;
  addTo(sum, 2, i32x4.shr_s(s2, 8), rescales, units);
  addTo(sum, 3, i32x4.shr_s(s3, 8), rescales, units);
}

/** Two chains of sums, since a dot product takes some cycles until the next can add to it. */
@inline function dot32(a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128, weights: usize): v128 {
  const zero = i32x4.splat(0);
  const left = dot(g, v128.load32_splat(weights, 24), dot(e, v128.load32_splat(weights, 16), dot(c, v128.load32_splat(weights, 8), dot(a, v128.load32_splat(weights), zero))));
  const right = dot(h, v128.load32_splat(weights, 28), dot(f, v128.load32_splat(weights, 20), dot(d, v128.load32_splat(weights, 12), dot(b, v128.load32_splat(weights, 4), zero))));
  return i32x4.add(left, right);
}

@inline function addTo(sum: usize, query: usize, dots: v128, rescales: usize, units: usize): void {
  const at = sum + (query << 4);
  const old = f32x4.mul(v128.load(at), v128.load32_splat(rescales + (query << 2)));
  v128.store(at, f32x4.add(old, f32x4.mul(f32x4.convert_i32x4_s(dots), v128.load32_splat(units + (query << 2)))));
}
