/** Weights with values of an int8 cache: what a block of 32 slots adds to the sums of a tile of 4 queries. */
import { addFours, addPairs, addWords, even, Four, odd, Two, unscaled } from "./attention-int8-dots";
import { kept } from "./kept";

/**
 * sums [eights][4 queries][8 dims] f32 = sums * rescale + dot * unit, where rescale and unit are [4], one per query.
 *
 * @param weights [4 queries][8][4 slots] codes 0..127 of type W
 */
export function valueTile<W, N>(
  weights: usize, values: usize, eights: i32, rescales: usize, units: usize, sums: usize,
): void {
  const end = values + (<usize>eights << 8);
  let at = values;
  let sum = sums;
  if (isSigned<W>() && sizeof<W>() == 1 && (WIDE || sizeof<N>() == sizeof<Two>()))
    for (; at + 256 < end; at += 512, sum += 256) addTwoByPairs<N>(weights, at, eights, rescales, units, sum);
  for (; at < end; at += 256, sum += 128) {
    if (!isSigned<W>()) addBytes<N>(weights, at, rescales, units, sum);
    else if (sizeof<W>() == 1) addByPairs<N>(weights, at, eights, rescales, units, sum);
    else addByWords<N>(weights, at, eights, rescales, units, sum);
  }
}

/** Products of all 32 slots are summed at once, by one query after the other. */
@inline function addBytes<N>(weights: usize, at: usize, rescales: usize, units: usize, sum: usize): void {
  addTo(sum, 0, dot32(at, weights), dot32(at + 16, weights), rescales, units);
  addTo(sum, 1, dot32(at, weights + 32), dot32(at + 16, weights + 32), rescales, units);
  if (sizeof<N>() != sizeof<Four>()) return;
  addTo(sum, 2, dot32(at, weights + 64), dot32(at + 16, weights + 64), rescales, units);
  addTo(sum, 3, dot32(at, weights + 96), dot32(at + 16, weights + 96), rescales, units);
}

/** 32 slots of four dims. Two chains of sums, since a dot product takes some cycles until the next can add to it. */
@inline function dot32(at: usize, weights: usize): v128 {
  let left = addFours(i32x4.splat(0), v128.load(at), v128.load32_splat(weights));
  let right = addFours(i32x4.splat(0), v128.load(at, 32), v128.load32_splat(weights, 4));
  left = addFours(left, v128.load(at, 64), v128.load32_splat(weights, 8));
  right = addFours(right, v128.load(at, 96), v128.load32_splat(weights, 12));
  left = addFours(left, v128.load(at, 128), v128.load32_splat(weights, 16));
  right = addFours(right, v128.load(at, 160), v128.load32_splat(weights, 20));
  left = addFours(left, v128.load(at, 192), v128.load32_splat(weights, 24));
  right = addFours(right, v128.load(at, 224), v128.load32_splat(weights, 28));
  return i32x4.add(left, right);
}

@inline function addByPairs<N>(weights: usize, values: usize, eights: i32, rescales: usize, units: usize, sum: usize): void {
  const ones = kept(0x00010001, eights);
  let a0 = kept(0, eights), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let w = weights;
  for (let at = values, end = values + 256; at < end; at += 32, w += 4) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
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
  addTile<N>(sum, a0, a1, a2, a3, b0, b1, b2, b3, rescales, units);
}

/** 16 dims: what is loaded of weights serves twice as many products, where there are registers for so many sums. */
@inline function addTwoByPairs<N>(weights: usize, values: usize, eights: i32, rescales: usize, units: usize, sum: usize): void {
  const ones = kept(0x00010001, eights);
  let a0 = kept(0, eights), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let c0 = a0, c1 = a0, c2 = a0, c3 = a0;
  let d0 = a0, d1 = a0, d2 = a0, d3 = a0;
  let w = weights;
  for (let at = values, end = values + 256; at < end; at += 32, w += 4) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
    const c = v128.load(at, 256);
    const d = v128.load(at, 272);
    let code = v128.load32_splat(w);
    a0 = addPairs(a0, a, code, ones);
    b0 = addPairs(b0, b, code, ones);
    c0 = addPairs(c0, c, code, ones);
    d0 = addPairs(d0, d, code, ones);
    code = v128.load32_splat(w, 32);
    a1 = addPairs(a1, a, code, ones);
    b1 = addPairs(b1, b, code, ones);
    c1 = addPairs(c1, c, code, ones);
    d1 = addPairs(d1, d, code, ones);
    if (sizeof<N>() == sizeof<Four>()) {
      code = v128.load32_splat(w, 64);
      a2 = addPairs(a2, a, code, ones);
      b2 = addPairs(b2, b, code, ones);
      c2 = addPairs(c2, c, code, ones);
      d2 = addPairs(d2, d, code, ones);
      code = v128.load32_splat(w, 96);
      a3 = addPairs(a3, a, code, ones);
      b3 = addPairs(b3, b, code, ones);
      c3 = addPairs(c3, c, code, ones);
      d3 = addPairs(d3, d, code, ones);
    }
  }
  addTile<N>(sum, a0, a1, a2, a3, b0, b1, b2, b3, rescales, units);
  addTile<N>(sum + 128, c0, c1, c2, c3, d0, d1, d2, d3, rescales, units);
}

@inline function addByWords<N>(weights: usize, values: usize, eights: i32, rescales: usize, units: usize, sum: usize): void {
  const high = kept(0xff00ff00, eights);
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let w = weights;
  for (let at = values, end = values + 256; at < end; at += 32, w += 8) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
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
  addTile<N>(
    sum, unscaled(a0), unscaled(a1), unscaled(a2), unscaled(a3), unscaled(b0), unscaled(b1), unscaled(b2), unscaled(b3), rescales, units,
  );
}

@inline function addTile<N>(
  sum: usize, a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128, rescales: usize, units: usize,
): void {
  addTo(sum, 0, a0, b0, rescales, units);
  addTo(sum, 1, a1, b1, rescales, units);
  if (sizeof<N>() != sizeof<Four>()) return;
  addTo(sum, 2, a2, b2, rescales, units);
  addTo(sum, 3, a3, b3, rescales, units);
}

/** The dots of four dims, and of the next four. */
@inline function addTo(sums: usize, query: usize, a: v128, b: v128, rescales: usize, units: usize): void {
  const at = sums + (query << 5);
  const rescale = v128.load32_splat(rescales + (query << 2));
  const unit = v128.load32_splat(units + (query << 2));
  const first = f32x4.add(f32x4.mul(v128.load(at), rescale), f32x4.mul(f32x4.convert_i32x4_s(a), unit));
  const second = f32x4.add(f32x4.mul(v128.load(at, 16), rescale), f32x4.mul(f32x4.convert_i32x4_s(b), unit));
  v128.store(at, second, 16);
  v128.store(at, first);
}
