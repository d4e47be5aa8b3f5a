/**
 * Causal attention of one sequence's new tokens over its int8 cache (kv-int8.ts): the arithmetic of
 * src/backend/reference-attention-int8.ts, which also says why any order of the integer sums is right.
 *
 * For each KV head, block after block of 32 slots, each block for tile after tile of 4 queries: a query is one token's one head, and
 * those that share a KV head are taken together, token by token. So a page comes from memory once, and a tile's work on it stays in
 * the nearest cache. The last tile is filled up with queries of zeros.
 *
 *   q, out    [tokens, heads, head_dim] f32; the first token is in slot `slot`, and slots from `start` on exist
 *   scratch   queries   [tiles][fours][4 queries] 4 codes each       fours = ceil(head_dim / 4)
 *             sums      [tiles][fours][4 queries][4 dims] f32
 *             states    [tiles] { maximum, total, scale } of [4 queries] f32
 *             work      for the tile at hand: see below
 */
import { Four, store16Codes, storeCodes, Two } from "./attention-int8-dots";
import { fourBytes, scoreTile } from "./attention-int8-scores";
import { valueTile } from "./attention-int8-values";
import { exp4, exp4From, storeConstants } from "./exp";
import { totals } from "./float-dots";
import { storeRest } from "./floats";
import { PAGE_SLOTS } from "./kv";
import { codeBytes, codes4, headBytes } from "./kv-int8";
import { inverseOf, largestMagnitude, scaleOf } from "./magnitude";

const ROWS: i32 = 4;
const SLOT_BYTES: usize = PAGE_SLOTS << 2;

// A tile's state.
const MAXIMUM: usize = 0;
const TOTAL: usize = 16;
const SCALE: usize = 32;
const STATE_BYTES: usize = 48;

// The work on a tile and a block.
const RESCALE: usize = 0; //    [4] f32
const UNIT: usize = 16; //      [4] f32
const SCORES: usize = 32; //    [4][32] f32, then weights
const VISIBLE: usize = 544; //  [4][32] f32, the value scales of the slots that a query sees, else zeros
const WEIGHTS: usize = 1056; // [4][8] fours of codes
const SUMS: usize = 1312; //    [4][4] f32
const LARGEST: usize = 1376; // [4][4] f32
const CONSTANTS: usize = 1440; // of exp.ts
const WORK_BYTES: usize = 1648;

/** KV heads are taken together, page by page, while their queries are no more tiles than this: about 100 KiB. */
const TILES_TOGETHER: i32 = 32;

/** With codes in 8 bits and relaxed dots by fours (attention-int8-dots.ts). */
export function attentionInt8Relaxed(
  q: usize, out: usize, pages: usize, start: i32, slot: i32, tokens: i32, heads: i32, kvHeads: i32,
  headDim: i32, scale: f32, scratch: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) attend<u8, u8>(q, out, pages, start, slot, tokens, heads, kvHeads, headDim, scale, scratch);
}

/** With codes of queries in 16 bits; of weights, too, without relaxed SIMD. */
export function attentionInt8(
  q: usize, out: usize, pages: usize, start: i32, slot: i32, tokens: i32, heads: i32, kvHeads: i32,
  headDim: i32, scale: f32, scratch: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) attend<i16, i8>(q, out, pages, start, slot, tokens, heads, kvHeads, headDim, scale, scratch);
  else attend<i16, i16>(q, out, pages, start, slot, tokens, heads, kvHeads, headDim, scale, scratch);
}

/** T: how the queries' codes are held; W: the weights'. */
function attend<T, W>(
  q: usize, out: usize, pages: usize, start: i32, slot: i32, tokens: i32, heads: i32, kvHeads: i32,
  headDim: i32, scale: f32, scratch: usize,
): void {
  const fours = (headDim + 3) >> 2;
  const blocks = (slot + tokens - 1) / PAGE_SLOTS + 1;
  const bytes = headBytes(headDim);
  const codes = codeBytes(headDim);
  const work = scratch;
  storeConstants(work + CONSTANTS);
  memory.fill(work + SCORES, 0, CONSTANTS - SCORES); // of queries that are not there too
  const tileBytes = <usize>fours * (fourBytes<T>() + 64) + STATE_BYTES;
  const headTiles = (tokens * ((heads + kvHeads - 1) / kvHeads) + ROWS - 1) / ROWS;
  const together = max(1, TILES_TOGETHER / headTiles);
  for (let from = 0; from < kvHeads; from += together) {
    const to = min(from + together, kvHeads);
    for (let kvHead = from; kvHead < to; kvHead++) {
      const firstHead = headOf(kvHead, heads, kvHeads);
      const group = headOf(kvHead + 1, heads, kvHeads) - firstHead;
      begin<T>(q, heads, firstHead, group, tokens * group, headDim, scale, work + WORK_BYTES + <usize>((kvHead - from) * headTiles) * tileBytes);
    }
    for (let block = 0; block < blocks; block++) {
      const base = block * PAGE_SLOTS;
      let keys = firstKeys(pages, block, from, bytes);
      for (let kvHead = from; kvHead < to; kvHead++, keys += 2 * bytes) {
        const values = keys + bytes;
        const group = headOf(kvHead + 1, heads, kvHeads) - headOf(kvHead, heads, kvHeads);
        const tiles = (tokens * group + ROWS - 1) / ROWS;
        let tile = max(base - slot, 0) * group / ROWS; // the first that sees the block
        const few = tokens * group <= 2;
        const queries = few ? 2 : ROWS;
        let state = work + WORK_BYTES + <usize>((kvHead - from) * headTiles + tile) * tileBytes;
        for (; tile < tiles; tile++, state += tileBytes) {
          if (few) scoreTile<T, Two>(state + STATE_BYTES, state + SCALE, keys, keys + codes, fours, work + SCORES);
          else scoreTile<T, Four>(state + STATE_BYTES, state + SCALE, keys, keys + codes, fours, work + SCORES);
          if (few) touch(values, codes, work + UNIT);
          const whole = start <= base && slot + tile * ROWS / group >= base + PAGE_SLOTS - 1;
          if (whole) weigh<W>(state, work, values + codes, 0, queries);
          else {
            for (let row = 0; row < queries; row++) {
              const token = min((tile * ROWS + row) / group, tokens - 1);
              hide(work, row, values + codes, max(start - base, 0), min(slot + token + 1 - base, PAGE_SLOTS));
            }
            weigh<W>(state, work, work + VISIBLE, SLOT_BYTES, queries);
          }
          const sums = state + STATE_BYTES + <usize>fours * fourBytes<T>();
          if (few) valueTile<W, Two>(work + WEIGHTS, values, fours, work + RESCALE, work + UNIT, sums);
          else valueTile<W, Four>(work + WEIGHTS, values, fours, work + RESCALE, work + UNIT, sums);
        }
      }
    }
    for (let kvHead = from; kvHead < to; kvHead++) {
      const firstHead = headOf(kvHead, heads, kvHeads);
      const group = headOf(kvHead + 1, heads, kvHeads) - firstHead;
      finish<T>(out, heads, firstHead, group, tokens * group, headDim, work + WORK_BYTES + <usize>((kvHead - from) * headTiles) * tileBytes);
    }
  }
}

/**
 * Asks memory for bytes that are wanted next, while what is computed before has no use for it.
 *
 * @param to gets a vector of no meaning, without which the loads would be none
 */
@inline function touch(from: usize, bytes: usize, to: usize): void {
  let all = i32x4.splat(0);
  for (let at = from, end = from + bytes; at < end; at += 64) all = v128.or(all, v128.load(at));
  v128.store(to, all);
}

/** The keys of KV head `kvHead` in the page of a block. */
@inline function firstKeys(pages: usize, block: i32, kvHead: i32, bytes: usize): usize {
  return <usize>load<u32>(pages + (<usize>block << 2)) + <usize>(2 * kvHead) * bytes;
}

/** The first query head of a KV head: head h belongs to KV head floor(h * kvHeads / heads). */
@inline function headOf(kvHead: i32, heads: i32, kvHeads: i32): i32 {
  return (kvHead * heads + kvHeads - 1) / kvHeads;
}

/** Where row `row`, of the rows of one KV head, has its head_dim values in q and out. */
@inline function entryOffset(row: i32, group: i32, heads: i32, firstHead: i32, headDim: i32): usize {
  return <usize>((row / group * heads + firstHead + row % group) * headDim) << 2;
}

/** The queries' codes and scales; nothing seen yet. */
function begin<T>(
  q: usize, heads: i32, firstHead: i32, group: i32, rows: i32, headDim: i32, scale: f32, tiles: usize,
): void {
  const fours = (headDim + 3) >> 2;
  const stride = fourBytes<T>();
  const codeBytes = <usize>fours * stride;
  const tileBytes = STATE_BYTES + codeBytes + (<usize>fours << 6);
  for (let row = 0; row < ((rows + 3) & ~3); row++) {
    const within = <usize>(row % ROWS);
    const tile = tiles + <usize>(row / ROWS) * tileBytes;
    if (within == 0) memory.fill(tile + STATE_BYTES + codeBytes, 0, <usize>fours << 6);
    let to = tile + STATE_BYTES + within * (stride >> 2);
    const entry = q + entryOffset(min(row, rows - 1), group, heads, firstHead, headDim);
    const largest = row < rows ? largestMagnitude(entry, headDim) : 0;
    const inverse = inverseOf(largest);
    for (let d = 0; d < headDim; d += 4, to += stride) {
      const codes = codes4(entry, d, headDim, inverse);
      storeCodes<T>(to, sizeof<T>() == 1 ? i32x4.add(codes, i32x4.splat(128)) : codes);
    }
    const state = tile + (within << 2);
    store<f32>(state, -Infinity, MAXIMUM);
    store<f32>(state, 0, TOTAL);
    store<f32>(state, scaleOf(largest) * scale, SCALE);
  }
}

/** sums / total. */
function finish<T>(out: usize, heads: i32, firstHead: i32, group: i32, rows: i32, headDim: i32, tiles: usize): void {
  const fours = (headDim + 3) >> 2;
  const codeBytes = <usize>fours * fourBytes<T>();
  const tileBytes = STATE_BYTES + codeBytes + (<usize>fours << 6);
  for (let row = 0; row < rows; row++) {
    const within = <usize>(row % ROWS);
    const tile = tiles + <usize>(row / ROWS) * tileBytes;
    const total = v128.load32_splat(tile + (within << 2), TOTAL);
    let sum = tile + STATE_BYTES + codeBytes + (within << 4);
    let to = out + entryOffset(row, group, heads, firstHead, headDim);
    for (const end = to + (<usize>(headDim & ~3) << 2); to < end; to += 16, sum += 64) v128.store(to, f32x4.div(v128.load(sum), total));
    if (headDim & 3) storeRest(to, f32x4.div(v128.load(sum), total), headDim & 3);
  }
}

/** Takes slots out of a row's scores and value scales, but for first..end - 1: they may hold anything. */
function hide(work: usize, row: i32, valueScales: usize, first: i32, end: i32): void {
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
function weigh<W>(state: usize, work: usize, valueScales: usize, stride: usize, queries: i32): void {
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
    for (let at: usize = 0; at < SLOT_BYTES; at += 16) {
      const weight = exp4From(f32x4.sub(v128.load(row + at), maximum), constants);
      sum = f32x4.add(sum, weight);
      const scaled = f32x4.mul(weight, v128.load(scales + at));
      most = i32x4.max_u(most, scaled);
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
