/** Queries with keys of an int8 cache: scores of a tile of 4 queries and a block of 32 slots. */
import { addFours, addWords, even, Four, odd, Two, unscaled } from "./attention-int8-dots";
import { kept } from "./kept";

/** Bytes of 4 codes of each of 4 queries. */
@inline export function fourBytes<T>(): usize {
  return 16 * sizeof<T>();
}

/**
 * scores [4 queries][32 slots] f32 = dot * (key scale * query scale), where query scale is [4], the softmax scale included, and codes of
 * queries are -127..127.
 *
 * Eight sums at a time, which depend on nothing but themselves, so that none waits for another.
 *
 * @param queries [fours][4 queries][4 dims] codes of type T; as u8 with 128 added
 */
export function scoreTile<T, N>(
  queries: usize, queryScales: usize, keys: usize, keyScales: usize, fours: i32, scores: usize,
): void {
  if (sizeof<T>() == 1) scoreBytes<N>(queries, queryScales, keys, keyScales, fours, scores);
  else if (WIDE || sizeof<N>() == sizeof<Two>()) scoreSixteen<N>(queries, queryScales, keys, keyScales, fours, scores);
  else scoreFour(queries, queryScales, keys, keyScales, fours, scores);
}

/** Eight slots of four queries. The dot product of the keys' codes with 128 is taken off again. */
@inline function scoreBytes<N>(queries: usize, queryScales: usize, keys: usize, keyScales: usize, fours: i32, scores: usize): void {
  const end = queries + <usize>fours * fourBytes<u8>();
  const ones = i8x16.splat(1);
  for (let eight: usize = 0; eight < 128; eight += 32) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let aBias = a0, bBias = a0;
    let key = keys + eight;
    for (let x = queries; x < end; x += 16, key += 128) {
      const a = v128.load(key);
      const b = v128.load(key, 16);
      let code = v128.load32_splat(x);
      a0 = addFours(a0, a, code);
      b0 = addFours(b0, b, code);
      code = v128.load32_splat(x, 4);
      a1 = addFours(a1, a, code);
      b1 = addFours(b1, b, code);
      if (sizeof<N>() == 4) {
        code = v128.load32_splat(x, 8);
        a2 = addFours(a2, a, code);
        b2 = addFours(b2, b, code);
        code = v128.load32_splat(x, 12);
        a3 = addFours(a3, a, code);
        b3 = addFours(b3, b, code);
      }
      aBias = addFours(aBias, a, ones);
      bBias = addFours(bBias, b, ones);
    }
    aBias = i32x4.shl(aBias, 7);
    bBias = i32x4.shl(bBias, 7);
    const aScale = v128.load(keyScales + eight);
    const bScale = v128.load(keyScales + eight, 16);
    const to = scores + eight;
    storeScores(to, i32x4.sub(a0, aBias), aScale, i32x4.sub(b0, bBias), bScale, v128.load32_splat(queryScales));
    storeScores(to + 128, i32x4.sub(a1, aBias), aScale, i32x4.sub(b1, bBias), bScale, v128.load32_splat(queryScales, 4));
    if (sizeof<N>() == sizeof<Two>()) continue;
    storeScores(to + 256, i32x4.sub(a2, aBias), aScale, i32x4.sub(b2, bBias), bScale, v128.load32_splat(queryScales, 8));
    storeScores(to + 384, i32x4.sub(a3, aBias), aScale, i32x4.sub(b3, bBias), bScale, v128.load32_splat(queryScales, 12));
  }
}

/** Eight slots of four queries, by words. */
@inline function scoreFour(queries: usize, queryScales: usize, keys: usize, keyScales: usize, fours: i32, scores: usize): void {
  const end = queries + <usize>fours * fourBytes<i16>();
  const high = kept(0xff00ff00, fours);
  for (let eight: usize = 0; eight < 128; eight += 32) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let key = keys + eight;
    for (let x = queries; x < end; x += 32, key += 128) {
      const a = v128.load(key);
      const b = v128.load(key, 16);
      let aWords = even(a);
      let bWords = even(b);
      let code = v128.load32_splat(x);
      a0 = addWords(a0, aWords, code);
      b0 = addWords(b0, bWords, code);
      code = v128.load32_splat(x, 8);
      a1 = addWords(a1, aWords, code);
      b1 = addWords(b1, bWords, code);
      code = v128.load32_splat(x, 16);
      a2 = addWords(a2, aWords, code);
      b2 = addWords(b2, bWords, code);
      code = v128.load32_splat(x, 24);
      a3 = addWords(a3, aWords, code);
      b3 = addWords(b3, bWords, code);
      aWords = odd(a, high);
      bWords = odd(b, high);
      code = v128.load32_splat(x, 4);
      a0 = addWords(a0, aWords, code);
      b0 = addWords(b0, bWords, code);
      code = v128.load32_splat(x, 12);
      a1 = addWords(a1, aWords, code);
      b1 = addWords(b1, bWords, code);
      code = v128.load32_splat(x, 20);
      a2 = addWords(a2, aWords, code);
      b2 = addWords(b2, bWords, code);
      code = v128.load32_splat(x, 28);
      a3 = addWords(a3, aWords, code);
      b3 = addWords(b3, bWords, code);
    }
    const aScale = v128.load(keyScales + eight);
    const bScale = v128.load(keyScales + eight, 16);
    const to = scores + eight;
    storeScores(to, unscaled(a0), aScale, unscaled(b0), bScale, v128.load32_splat(queryScales));
    storeScores(to + 128, unscaled(a1), aScale, unscaled(b1), bScale, v128.load32_splat(queryScales, 4));
    storeScores(to + 256, unscaled(a2), aScale, unscaled(b2), bScale, v128.load32_splat(queryScales, 8));
    storeScores(to + 384, unscaled(a3), aScale, unscaled(b3), bScale, v128.load32_splat(queryScales, 12));
  }
}

/**
 * Sixteen slots of two queries, or of four in registers of 256 bits, which hold as many sums; by words: a load of codes serves four vectors
 * of keys.
 */
@inline function scoreSixteen<N>(queries: usize, queryScales: usize, keys: usize, keyScales: usize, fours: i32, scores: usize): void {
  const end = queries + <usize>fours * fourBytes<i16>();
  const high = kept(0xff00ff00, fours);
  const four = sizeof<N>() == sizeof<Four>();
  for (let sixteen: usize = 0; sixteen < 128; sixteen += 64) {
    let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let c0 = a0, c1 = a0, c2 = a0, c3 = a0;
    let d0 = a0, d1 = a0, d2 = a0, d3 = a0;
    let key = keys + sixteen;
    let x = queries;
    do {
      let a = even(v128.load(key));
      let b = even(v128.load(key, 16));
      let c = even(v128.load(key, 32));
      let d = even(v128.load(key, 48));
      let code = v128.load32_splat(x);
      a0 = addWords(a0, a, code);
      b0 = addWords(b0, b, code);
      c0 = addWords(c0, c, code);
      d0 = addWords(d0, d, code);
      code = v128.load32_splat(x, 8);
      a1 = addWords(a1, a, code);
      b1 = addWords(b1, b, code);
      c1 = addWords(c1, c, code);
      d1 = addWords(d1, d, code);
      if (four) {
        code = v128.load32_splat(x, 16);
        a2 = addWords(a2, a, code);
        b2 = addWords(b2, b, code);
        c2 = addWords(c2, c, code);
        d2 = addWords(d2, d, code);
        code = v128.load32_splat(x, 24);
        a3 = addWords(a3, a, code);
        b3 = addWords(b3, b, code);
        c3 = addWords(c3, c, code);
        d3 = addWords(d3, d, code);
      }
      a = odd(v128.load(key), high);
      b = odd(v128.load(key, 16), high);
      c = odd(v128.load(key, 32), high);
      d = odd(v128.load(key, 48), high);
      code = v128.load32_splat(x, 4);
      a0 = addWords(a0, a, code);
      b0 = addWords(b0, b, code);
      c0 = addWords(c0, c, code);
      d0 = addWords(d0, d, code);
      code = v128.load32_splat(x, 12);
      a1 = addWords(a1, a, code);
      b1 = addWords(b1, b, code);
      c1 = addWords(c1, c, code);
      d1 = addWords(d1, d, code);
      if (four) {
        code = v128.load32_splat(x, 20);
        a2 = addWords(a2, a, code);
        b2 = addWords(b2, b, code);
        c2 = addWords(c2, c, code);
        d2 = addWords(d2, d, code);
        code = v128.load32_splat(x, 28);
        a3 = addWords(a3, a, code);
        b3 = addWords(b3, b, code);
        c3 = addWords(c3, c, code);
        d3 = addWords(d3, d, code);
      }
      key += 128;
      x += 32;
    } while (x < end);
    const aScale = v128.load(keyScales + sixteen);
    const bScale = v128.load(keyScales + sixteen, 16);
    const cScale = v128.load(keyScales + sixteen, 32);
    const dScale = v128.load(keyScales + sixteen, 48);
    const to = scores + sixteen;
    let scale = v128.load32_splat(queryScales);
    storeScores(to, unscaled(a0), aScale, unscaled(b0), bScale, scale);
    storeScores(to + 32, unscaled(c0), cScale, unscaled(d0), dScale, scale);
    scale = v128.load32_splat(queryScales, 4);
    storeScores(to + 128, unscaled(a1), aScale, unscaled(b1), bScale, scale);
    storeScores(to + 160, unscaled(c1), cScale, unscaled(d1), dScale, scale);
    if (!four) continue;
    scale = v128.load32_splat(queryScales, 8);
    storeScores(to + 256, unscaled(a2), aScale, unscaled(b2), bScale, scale);
    storeScores(to + 288, unscaled(c2), cScale, unscaled(d2), dScale, scale);
    scale = v128.load32_splat(queryScales, 12);
    storeScores(to + 384, unscaled(a3), aScale, unscaled(b3), bScale, scale);
    storeScores(to + 416, unscaled(c3), cScale, unscaled(d3), dScale, scale);
  }
}

@inline function storeScores(to: usize, a: v128, aScale: v128, b: v128, bScale: v128, scale: v128): void {
  const first = f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(aScale, scale));
  const second = f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(bScale, scale));
  v128.store(to, second, 16);
  v128.store(to, first);
}
