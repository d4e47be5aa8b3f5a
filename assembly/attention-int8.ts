/**
 * Causal attention of one sequence's new tokens over its int8 cache (kv-int8.ts): the arithmetic of
 * src/backend/reference-attention-int8.ts, which also says why any order of the integer sums is right.
 *
 * For each KV head, block after block of 32 slots, each block for tile after tile of 4 queries: a query is one token's one head, and
 * those that share a KV head are taken together, token by token. So a page comes from memory once, and a tile's work on it stays in
 * the nearest cache. The last tile is filled up with queries of zeros.
 *
 *   q, out    [tokens, heads, head_dim] f32; the first token is in slot `slot`, and slots from `start` on exist
 *   scratch   queries   [tiles][fours][4 queries] 4 codes each            fours = ceil(head_dim / 4)
 *             sums      [tiles][eights][4 queries][8 dims] f32            eights = ceil(head_dim / 8)
 *             states    [tiles] { maximum, total, scale } of [4 queries] f32
 *             work      for the tile at hand: see attention-int8-weights.ts
 */
import { Four, storeCodes, Two } from "./attention-int8-dots";
import { fourBytes, scoreTile } from "./attention-int8-scores";
import { valueTile } from "./attention-int8-values";
import {
  CONSTANTS, hide, MAXIMUM, RESCALE, SCALE, SCORES, SLOT_BYTES, STATE_BYTES, TOTAL, UNIT, VISIBLE, weigh, WEIGHTS, WORK_BYTES,
} from "./attention-int8-weights";
import { storeConstants } from "./exp";
import { storeRest } from "./floats";
import { PAGE_SLOTS } from "./kv";
import { codeBytes, codes4, headBytes } from "./kv-int8";
import { inverseOf, largestMagnitude, scaleOf } from "./magnitude";

const ROWS: i32 = 4;

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
  const eights = (headDim + 7) >> 3;
  const blocks = (slot + tokens - 1) / PAGE_SLOTS + 1;
  const bytes = headBytes(headDim);
  const codes = codeBytes(headDim);
  const work = scratch;
  storeConstants(work + CONSTANTS);
  memory.fill(work + SCORES, 0, CONSTANTS - SCORES); // of queries that are not there too
  const tileBytes = bytesOfTile<T>(headDim);
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
          if (few) valueTile<W, Two>(work + WEIGHTS, values, eights, work + RESCALE, work + UNIT, sums);
          else valueTile<W, Four>(work + WEIGHTS, values, eights, work + RESCALE, work + UNIT, sums);
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

/** State, codes and sums of four queries. */
@inline function bytesOfTile<T>(headDim: i32): usize {
  return STATE_BYTES + <usize>((headDim + 3) >> 2) * fourBytes<T>() + (<usize>((headDim + 7) >> 3) << 7);
}

/** The queries' codes and scales; nothing seen yet. */
function begin<T>(
  q: usize, heads: i32, firstHead: i32, group: i32, rows: i32, headDim: i32, scale: f32, tiles: usize,
): void {
  const fours = (headDim + 3) >> 2;
  const stride = fourBytes<T>();
  const codeBytes = <usize>fours * stride;
  const tileBytes = bytesOfTile<T>(headDim);
  for (let row = 0; row < ((rows + 3) & ~3); row++) {
    const within = <usize>(row % ROWS);
    const tile = tiles + <usize>(row / ROWS) * tileBytes;
    if (within == 0) memory.fill(tile + STATE_BYTES + codeBytes, 0, tileBytes - STATE_BYTES - codeBytes);
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
  const tileBytes = bytesOfTile<T>(headDim);
  for (let row = 0; row < rows; row++) {
    const within = <usize>(row % ROWS);
    const tile = tiles + <usize>(row / ROWS) * tileBytes;
    const total = v128.load32_splat(tile + (within << 2), TOTAL);
    const sums = tile + STATE_BYTES + codeBytes + (within << 5);
    const to = out + entryOffset(row, group, heads, firstHead, headDim);
    for (let d = 0; d < headDim; d += 4) {
      const mean = f32x4.div(v128.load(sums + (<usize>(d >> 3) << 7) + (<usize>(d & 4) << 2)), total);
      if (d + 4 <= headDim) v128.store(to + (<usize>d << 2), mean);
      else storeRest(to + (<usize>d << 2), mean, headDim & 3);
    }
  }
}
