/** What comes between the scores of a tile of 4 queries with a block of 32 slots and its values: weights, as codes, and sums of them. */
import { store16Codes } from "./attention-int8-dots";
import { exp4, exp4From } from "./exp";
import { totals } from "./float-dots";
import { PAGE_SLOTS } from "./kv";

export const SLOT_BYTES: usize = PAGE_SLOTS << 2;

// A tile's state.
export const MAXIMUM: usize = 0;
export const TOTAL: usize = 16;
export const SCALE: usize = 32;
export const STATE_BYTES: usize = 48;

// The work on a tile and a block.
export const RESCALE: usize = 0; //    [4] f32
export const UNIT: usize = 16; //      [4] f32
export const SCORES: usize = 32; //    [4][32] f32, then weights
export const VISIBLE: usize = 544; //  [4][32] f32, the value scales of the slots that a query sees, else zeros
export const WEIGHTS: usize = 1056; // [4][8] fours of codes
const SUMS: usize = 1312; //           [4][4] f32
const LARGEST: usize = 1376; //        [4][4] f32
export const CONSTANTS: usize = 1440; // of exp.ts
export const WORK_BYTES: usize = 1504;

/** Takes slots out of a row's scores and value scales, but for first..end - 1: they may hold anything. */
export function hide(work: usize, row: i32, valueScales: usize, first: i32, end: i32): void {
  const scores = work + SCORES + <usize>row * SLOT_BYTES;
  const visible = work + VISIBLE + <usize>row * SLOT_BYTES;
  for (let slot = 0; slot < PAGE_SLOTS; slot++) {
    const at = <usize>slot << 2;
    const seen = slot >= first && slot < end;
    if (!seen) store<f32>(scores + at, -Infinity);
    store<f32>(visible + at, seen ? load<f32>(valueScales + at) : 0);
  }
}

/**
 * From the scores of four queries to their weights' codes, with `rescale` and `unit` for `valueTile`. Vectors of four hold one
 * number of each query where they can.
 *
 * @param valueScales of the first query; the next one's are `stride` bytes on
 * @param queries 2 or 4: what is wanted of a tile; numbers of the others are of no consequence
 */
export function weigh<W>(state: usize, work: usize, valueScales: usize, stride: usize, queries: i32): void {
  const scores = work + SCORES;
  const previous = v128.load(state, MAXIMUM);
  let a = largestOf(scores);
  let b = largestOf(scores + SLOT_BYTES);
  let c = largestOf(scores + 2 * SLOT_BYTES);
  let d = largestOf(scores + 3 * SLOT_BYTES);
  const ab = f32x4.pmax(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7)); // a02 b02 a13 b13
  const cd = f32x4.pmax(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  const block = f32x4.pmax(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3));
  const maximum = f32x4.pmax(previous, block);
  const rescale = exp4(f32x4.sub(previous, maximum)); // exp(-infinity) = 0 at the first block
  v128.store(state, maximum, MAXIMUM);
  v128.store(work, rescale, RESCALE);
  exponentials(state, work, valueScales, stride, queries);
  const sums = totals(v128.load(work, SUMS), v128.load(work, SUMS + 16), v128.load(work, SUMS + 32), v128.load(work, SUMS + 48));
  v128.store(state, f32x4.add(f32x4.mul(v128.load(state, TOTAL), rescale), sums), TOTAL);

  // As integers, the bits of positive numbers are in order, and NaN is the largest.
  a = v128.load(work, LARGEST);
  b = v128.load(work, LARGEST + 16);
  c = v128.load(work, LARGEST + 32);
  d = v128.load(work, LARGEST + 48);
  const mostAb = i32x4.max_u(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const mostCd = i32x4.max_u(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  const most = i32x4.max_u(v128.shuffle<i64>(mostAb, mostCd, 0, 2), v128.shuffle<i64>(mostAb, mostCd, 1, 3));
  const tiny = f32x4.lt(most, f32x4.splat(7.888609052210118e-31)); // 2^-100: such weights count as zeros
  const inverse = v128.andnot(f32x4.div(f32x4.splat(127), most), tiny);
  v128.store(work, v128.andnot(f32x4.div(most, f32x4.splat(127)), tiny), UNIT);
  const bytes: usize = PAGE_SLOTS * sizeof<W>();
  let weights = work + WEIGHTS;
  encode<W>(scores, f32x4.splat(f32x4.extract_lane(inverse, 0)), weights);
  encode<W>(scores + SLOT_BYTES, f32x4.splat(f32x4.extract_lane(inverse, 1)), weights + bytes);
  if (queries == 2) return;
  encode<W>(scores + 2 * SLOT_BYTES, f32x4.splat(f32x4.extract_lane(inverse, 2)), weights + 2 * bytes);
  encode<W>(scores + 3 * SLOT_BYTES, f32x4.splat(f32x4.extract_lane(inverse, 3)), weights + 3 * bytes);
}

/**
 * The largest of each fourth of 32 scores. A NaN may be lost (maxima that keep it take eight times as long): it comes back in the sum of
 * the exponentials, by which everything is divided.
 */
@inline function largestOf(row: usize): v128 {
  const ab = f32x4.pmax(v128.load(row), v128.load(row, 16));
  const cd = f32x4.pmax(v128.load(row, 32), v128.load(row, 48));
  const ef = f32x4.pmax(v128.load(row, 64), v128.load(row, 80));
  const gh = f32x4.pmax(v128.load(row, 96), v128.load(row, 112));
  return f32x4.pmax(f32x4.pmax(ab, cd), f32x4.pmax(ef, gh));
}

/**
 * Of every query: exp(score - maximum) times the value scale, in place of the scores; the sums of the exponentials, and the largest
 * products, both of slots modulo 4.
 */
function exponentials(state: usize, work: usize, valueScales: usize, stride: usize, queries: i32): void {
  const constants = work + CONSTANTS;
  let row = work + SCORES;
  let scales = valueScales;
  for (let r: usize = 0, end = <usize>queries << 2; r < end; r += 4, row += SLOT_BYTES, scales += stride) {
    const maximum = v128.load32_splat(state + r, MAXIMUM);
    let sum = f32x4.splat(0);
    let most = sum;
    for (let at: usize = 0; at < SLOT_BYTES; at += 32) {
      const first = exp4From(f32x4.sub(v128.load(row + at), maximum), constants);
      const second = exp4From(f32x4.sub(v128.load(row + at, 16), maximum), constants);
      sum = f32x4.add(f32x4.add(sum, first), second);
      const scaled = f32x4.mul(first, v128.load(scales + at));
      const secondScaled = f32x4.mul(second, v128.load(scales + at, 16));
      most = i32x4.max_u(most, i32x4.max_u(scaled, secondScaled));
      v128.store(row + at, secondScaled, 16);
      v128.store(row + at, scaled);
    }
    v128.store(work + (r << 2), sum, SUMS);
    v128.store(work + (r << 2), most, LARGEST);
  }
}

/** 32 weights as codes 0..127; with a NaN among them as anything, since the unit is NaN. */
@inline function encode<W>(row: usize, inverse: v128, to: usize): void {
  const round = f32x4.splat(12582912);
  const code = i32x4.splat(127);
  for (let at: usize = 0; at < SLOT_BYTES; at += 64, to += 16 * sizeof<W>()) {
    const a = v128.and(f32x4.add(f32x4.mul(v128.load(row + at), inverse), round), code);
    const b = v128.and(f32x4.add(f32x4.mul(v128.load(row + at, 16), inverse), round), code);
    const c = v128.and(f32x4.add(f32x4.mul(v128.load(row + at, 32), inverse), round), code);
    const d = v128.and(f32x4.add(f32x4.mul(v128.load(row + at, 48), inverse), round), code);
    store16Codes<W>(to, i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  }
}
