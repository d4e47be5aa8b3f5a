/** Weights with values of an int8 cache: what a block of 32 slots adds to the sums of a tile of 4 queries. */
import { addFours, addPairs, addWords, even, Four, odd, unscaled } from "./attention-int8-dots";
import { kept } from "./kept";

/**
 * sums [fours][4 queries][4 dims] f32 = sums * rescale + dot * unit, where rescale and unit are [4], one per query.
 *
 * @param weights [4 queries][8][4 slots] codes 0..127 of type W
 */
export function valueTile<W, N>(
  weights: usize, values: usize, fours: i32, rescales: usize, units: usize, sums: usize,
): void {
  const end = values + (<usize>fours << 7);
  if (!isSigned<W>()) {
    for (let at = values, sum = sums; at < end; at += 128, sum += 64) addBytes<N>(weights, at, rescales, units, sum);
    return;
  }
  // Two fours of dims share what is loaded of weights; the last one, if it is alone, is its own second.
  for (let at = values, sum = sums; at < end; at += 256, sum += 128) {
    const next: usize = at + 128 < end ? 128 : 0;
    if (sizeof<W>() == 1) addByPairs<N>(weights, at, next, fours, rescales, units, sum);
    else addByWords<N>(weights, at, next, fours, rescales, units, sum);
  }
}

/** All 32 slots of four dims stay in registers for the four queries. */
@inline function addBytes<N>(weights: usize, at: usize, rescales: usize, units: usize, sum: usize): void {
  const a = v128.load(at);
  const b = v128.load(at, 16);
  const c = v128.load(at, 32);
  const d = v128.load(at, 48);
  const e = v128.load(at, 64);
  const f = v128.load(at, 80);
  const g = v128.load(at, 96);
  const h = v128.load(at, 112);
  addTo(sum, 0, dot32(a, b, c, d, e, f, g, h, weights), rescales, units);
  addTo(sum, 1, dot32(a, b, c, d, e, f, g, h, weights + 32), rescales, units);
  if (sizeof<N>() != sizeof<Four>()) return;
  addTo(sum, 2, dot32(a, b, c, d, e, f, g, h, weights + 64), rescales, units);
  addTo(sum, 3, dot32(a, b, c, d, e, f, g, h, weights + 96), rescales, units);
}

/** Two chains of sums, since a dot product takes some cycles until the next can add to it. */
@inline function dot32(a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128, weights: usize): v128 {
  let left = addFours(i32x4.splat(0), a, v128.load32_splat(weights));
  let right = addFours(i32x4.splat(0), b, v128.load32_splat(weights, 4));
  left = addFours(left, c, v128.load32_splat(weights, 8));
  right = addFours(right, d, v128.load32_splat(weights, 12));
  left = addFours(left, e, v128.load32_splat(weights, 16));
  right = addFours(right, f, v128.load32_splat(weights, 20));
  left = addFours(left, g, v128.load32_splat(weights, 24));
  right = addFours(right, h, v128.load32_splat(weights, 28));
  return i32x4.add(left, right);
}

/** @param next from one four of dims to the other, or 0: then the second one is of no consequence */
@inline function addByPairs<N>(weights: usize, values: usize, next: usize, fours: i32, rescales: usize, units: usize, sum: usize): void {
  const ones = kept(0x00010001, fours);
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let w = weights;
  for (let at = values, end = values + 128; at < end; at += 16, w += 4) {
    const a = v128.load(at);
    const b = v128.load(at + next);
    let code = v128.load32_splat(w);
    a0 = addPairs(a0, a, code, ones);
    b0 = addPairs(b0, b, code, ones);
    code = v128.load32_splat(w, 32);
    a1 = addPairs(a1, a, code, ones);
    b1 = addPairs(b1, b, code, ones);
    if (sizeof<N>() == sizeof<Four>()) {
      code = v128.load32_splat(w, 64);
      a2 = addPairs(a2, a, code, ones);
      b2 = addPairs(b2, b, code, ones);
      code = v128.load32_splat(w, 96);
      a3 = addPairs(a3, a, code, ones);
      b3 = addPairs(b3, b, code, ones);
    }
  }
  addTileTo<N>(sum, a0, a1, a2, a3, rescales, units);
  if (next != 0) addTileTo<N>(sum + 64, b0, b1, b2, b3, rescales, units);
}

/** As `addByPairs`. */
@inline function addByWords<N>(weights: usize, values: usize, next: usize, fours: i32, rescales: usize, units: usize, sum: usize): void {
  const high = kept(0xff00ff00, fours);
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let w = weights;
  for (let at = values, end = values + 128; at < end; at += 16, w += 8) {
    const a = v128.load(at);
    const b = v128.load(at + next);
    let aWords = even(a);
    let bWords = even(b);
    let code = v128.load32_splat(w);
    a0 = addWords(a0, aWords, code);
    b0 = addWords(b0, bWords, code);
    code = v128.load32_splat(w, 64);
    a1 = addWords(a1, aWords, code);
    b1 = addWords(b1, bWords, code);
    if (sizeof<N>() == sizeof<Four>()) {
      code = v128.load32_splat(w, 128);
      a2 = addWords(a2, aWords, code);
      b2 = addWords(b2, bWords, code);
      code = v128.load32_splat(w, 192);
      a3 = addWords(a3, aWords, code);
      b3 = addWords(b3, bWords, code);
    }
    aWords = odd(a, high);
    bWords = odd(b, high);
    code = v128.load32_splat(w, 4);
    a0 = addWords(a0, aWords, code);
    b0 = addWords(b0, bWords, code);
    code = v128.load32_splat(w, 68);
    a1 = addWords(a1, aWords, code);
    b1 = addWords(b1, bWords, code);
    if (sizeof<N>() == sizeof<Four>()) {
      code = v128.load32_splat(w, 132);
      a2 = addWords(a2, aWords, code);
      b2 = addWords(b2, bWords, code);
      code = v128.load32_splat(w, 196);
      a3 = addWords(a3, aWords, code);
      b3 = addWords(b3, bWords, code);
    }
  }
  addTileTo<N>(sum, unscaled(a0), unscaled(a1), unscaled(a2), unscaled(a3), rescales, units);
  if (next != 0) addTileTo<N>(sum + 64, unscaled(b0), unscaled(b1), unscaled(b2), unscaled(b3), rescales, units);
}

@inline function addTileTo<N>(sum: usize, s0: v128, s1: v128, s2: v128, s3: v128, rescales: usize, units: usize): void {
  addTo(sum, 0, s0, rescales, units);
  addTo(sum, 1, s1, rescales, units);
  if (sizeof<N>() != sizeof<Four>()) return;
  addTo(sum, 2, s2, rescales, units);
  addTo(sum, 3, s3, rescales, units);
}

@inline function addTo(sum: usize, query: usize, dots: v128, rescales: usize, units: usize): void {
  const at = sum + (query << 4);
  const old = f32x4.mul(v128.load(at), v128.load32_splat(rescales + (query << 2)));
  v128.store(at, f32x4.add(old, f32x4.mul(f32x4.convert_i32x4_s(dots), v128.load32_splat(units + (query << 2)))));
}
