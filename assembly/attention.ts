/**
 * Causal attention of one sequence's new tokens over its paged cache (kv.ts), with a running maximum and sum ("online softmax").
 *
 * For each KV head, block after block of 32 slots: K and V of the block are widened to f32 if need be, then every token's every
 * query head of that KV head takes them in. So a page is read once for all queries, and yet each query sums in the one defined
 * order: blocks ascending, slots ascending.
 *
 *   q, out    [tokens, heads, head_dim] f32; the first token is in slot `slot`, and slots from `start` on exist
 *   scratch   running    { f32 maximum, f32 total } for tokens * ceil(heads / kv_heads) queries
 *             scores     f32 [2][32], two queries' scores in the block, then their weights
 *             keys, values   f32 [32][head_dim] each, for f16 only
 */
import { widenF16 } from "./convert";
import { exp4 } from "./exp";
import { dotRow, dotRows4, dotTile4x2 } from "./float-dots";
import { PAGE_SLOTS } from "./kv";

/** From one query's scores to the next one's. */
const ROW: usize = PAGE_SLOTS << 2;

export function attention(
  q: usize, out: usize, pages: usize, start: i32, slot: i32, tokens: i32, heads: i32, kvHeads: i32,
  headDim: i32, valueBytes: i32, scale: f32, scratch: usize,
): void {
  const headBytes = <usize>PAGE_SLOTS * headDim * valueBytes;
  const blocks = (slot + tokens - 1) / PAGE_SLOTS + 1;
  const perKvHead = (heads + kvHeads - 1) / kvHeads;
  const scores = scratch + ((<usize>tokens * perKvHead) << 3);
  const wideKeys = scores + (PAGE_SLOTS << 3);
  const wideValues = wideKeys + ((<usize>PAGE_SLOTS * headDim) << 2);
  for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
    const firstHead = (kvHead * heads + kvHeads - 1) / kvHeads; // query head h belongs to KV head floor(h * kvHeads / heads)
    const lastHead = ((kvHead + 1) * heads + kvHeads - 1) / kvHeads;
    begin(scratch, out, tokens, heads, firstHead, lastHead, headDim);
    for (let block = 0; block < blocks; block++) {
      const base = block * PAGE_SLOTS;
      const first = max(start - base, 0); // slots of this block that exist for the last token
      const last = min(slot + tokens - base, PAGE_SLOTS);
      let keys = <usize>load<u32>(pages + (<usize>block << 2)) + <usize>(2 * kvHead) * headBytes;
      let values = keys + headBytes;
      if (valueBytes == 2) {
        const entry = <usize>first * headDim;
        widenF16(keys + (entry << 1), wideKeys + (entry << 2), (last - first) * headDim);
        widenF16(values + (entry << 1), wideValues + (entry << 2), (last - first) * headDim);
        keys = wideKeys;
        values = wideValues;
      }
      let running = scratch;
      for (let t = 0; t < tokens; t++) {
        const visible = min(slot + t + 1 - base, PAGE_SLOTS); // up to and with the token itself
        if (visible <= first) {
          running += (lastHead - firstHead) << 3;
          continue;
        }
        let h = firstHead;
        let at = (<usize>(t * heads + h) * headDim) << 2;
        for (; h + 2 <= lastHead; h += 2, running += 16, at += <usize>headDim << 3)
          takeInTwo(q + at, out + at, running, keys, values, first, visible, headDim, scale, scores);
        if (h < lastHead) {
          takeIn(q + at, out + at, running, keys, values, first, visible, headDim, scale, scores);
          running += 8;
        }
      }
    }
    finish(scratch, out, tokens, heads, firstHead, lastHead, headDim);
  }
}

/** Nothing seen yet: maximum -infinity, total 0, out 0. */
function begin(running: usize, out: usize, tokens: i32, heads: i32, firstHead: i32, lastHead: i32, headDim: i32): void {
  let state = running;
  for (let t = 0; t < tokens; t++)
    for (let h = firstHead; h < lastHead; h++, state += 8) {
      store<f32>(state, -Infinity);
      store<f32>(state, 0, 4);
      memory.fill(out + ((<usize>(t * heads + h) * headDim) << 2), 0, <usize>headDim << 2);
    }
}

/** out / total. */
function finish(running: usize, out: usize, tokens: i32, heads: i32, firstHead: i32, lastHead: i32, headDim: i32): void {
  let state = running;
  for (let t = 0; t < tokens; t++)
    for (let h = firstHead; h < lastHead; h++, state += 8) {
      const total = load<f32>(state, 4);
      let p = out + ((<usize>(t * heads + h) * headDim) << 2);
      let d = 0;
      for (; d < (headDim & ~3); d += 4, p += 16) v128.store(p, f32x4.div(v128.load(p), f32x4.splat(total)));
      for (; d < headDim; d++, p += 4) store<f32>(p, load<f32>(p) / total);
    }
}

/** One query over slots first..end - 1 of a block. */
function takeIn(
  query: usize, out: usize, running: usize, keys: usize, values: usize, first: i32, end: i32, headDim: i32, scale: f32,
  scores: usize,
): void {
  const skipped = (<usize>first * headDim) << 2;
  const count = end - first;
  const maximum = score(query, keys + skipped, count, headDim, scale, scores);
  addValues(out, weigh(running, maximum, scores, count), scores, values + skipped, count, headDim);
}

/** Two queries side by side, so that what is loaded of keys and values serves both. */
function takeInTwo(
  query: usize, out: usize, running: usize, keys: usize, values: usize, first: i32, end: i32, headDim: i32, scale: f32,
  scores: usize,
): void {
  const entryBytes = <usize>headDim << 2;
  const count = end - first;
  let key = keys + <usize>first * entryBytes;
  let at = scores;
  for (const fours = scores + (<usize>(count & ~3) << 2); at < fours; at += 16, key += 4 * entryBytes)
    dotTile4x2(query, entryBytes, key, entryBytes, headDim, at, ROW);
  for (let i = count & 3; i > 0; i--, at += 4, key += entryBytes) {
    store<f32>(at, dotRow(query, key, headDim));
    store<f32>(at + ROW, dotRow(query + entryBytes, key, headDim));
  }
  const rescale = weigh(running, scaled(scores, count, scale), scores, count);
  const rescaleNext = weigh(running + 8, scaled(scores + ROW, count, scale), scores + ROW, count);
  addValuesTwo(out, rescale, rescaleNext, scores, values + <usize>first * entryBytes, count, headDim);
}

/** scores[i] * scale. @returns the largest, NaN if any is */
function scaled(scores: usize, count: i32, scale: f32): f32 {
  const by = f32x4.splat(scale);
  let largest = f32x4.splat(-Infinity);
  let at = scores;
  for (const fours = scores + (<usize>(count & ~3) << 2); at < fours; at += 16) {
    const four = f32x4.mul(v128.load(at), by);
    largest = f32x4.max(largest, four);
    v128.store(at, four);
  }
  for (const end = scores + (<usize>count << 2); at < end; at += 4) {
    const one = load<f32>(at) * scale;
    largest = f32x4.max(largest, f32x4.splat(one));
    store<f32>(at, one);
  }
  largest = f32x4.max(largest, v128.shuffle<i32>(largest, largest, 2, 3, 0, 1));
  return max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1));
}

/** Scores become weights. @returns what the sum so far is to be rescaled by */
function weigh(running: usize, largest: f32, scores: usize, count: i32): f32 {
  const previous = load<f32>(running);
  const maximum = max<f32>(previous, largest);
  const rescale = f32x4.extract_lane(exp4(f32x4.splat(previous - maximum)), 0); // exp(-infinity) = 0 at the first block
  for (let at = scores; at < scores + (<usize>count << 2); at += 16) // the last four may go past the count; there is room
    v128.store(at, exp4(f32x4.sub(v128.load(at), f32x4.splat(maximum))));
  let total = load<f32>(running, 4) * rescale;
  for (let i = 0; i < count; i++) total += load<f32>(scores + (<usize>i << 2));
  store<f32>(running, maximum);
  store<f32>(running, total, 4);
  return rescale;
}

/** scores[i] = (query . key i) * scale. @returns the largest, NaN if any is */
@inline function score(query: usize, keys: usize, count: i32, headDim: i32, scale: f32, scores: usize): f32 {
  const entryBytes = <usize>headDim << 2;
  let largest = f32x4.splat(-Infinity);
  let key = keys;
  let at = scores;
  for (const end = scores + (<usize>(count & ~3) << 2); at < end; at += 16, key += 4 * entryBytes) {
    const four = f32x4.mul(dotRows4(query, key, entryBytes, headDim), f32x4.splat(scale));
    largest = f32x4.max(largest, four);
    v128.store(at, four);
  }
  for (let i = count & 3; i > 0; i--, at += 4, key += entryBytes) {
    const one = dotRow(query, key, headDim) * scale;
    largest = f32x4.max(largest, f32x4.splat(one));
    store<f32>(at, one);
  }
  largest = f32x4.max(largest, v128.shuffle<i32>(largest, largest, 2, 3, 0, 1));
  return max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1));
}

/**
 * out = out * rescale + weights[0] * values[0] + weights[1] * values[1] + ..., each step rounded; 16 values at a time
 * stay in registers.
 */
@inline function addValues(out: usize, rescale: f32, weights: usize, values: usize, count: i32, headDim: i32): void {
  const entryBytes = <usize>headDim << 2;
  const old = f32x4.splat(rescale);
  const end = weights + (<usize>count << 2);
  let d = 0;
  let o = out;
  let column = values;
  for (; d < (headDim & ~15); d += 16, o += 64, column += 64) {
    let a = f32x4.mul(v128.load(o), old);
    let b = f32x4.mul(v128.load(o, 16), old);
    let c = f32x4.mul(v128.load(o, 32), old);
    let e = f32x4.mul(v128.load(o, 48), old);
    let v = column;
    for (let w = weights; w < end; w += 4, v += entryBytes) {
      const weight = v128.load32_splat(w);
      a = f32x4.add(a, f32x4.mul(weight, v128.load(v)));
      b = f32x4.add(b, f32x4.mul(weight, v128.load(v, 16)));
      c = f32x4.add(c, f32x4.mul(weight, v128.load(v, 32)));
      e = f32x4.add(e, f32x4.mul(weight, v128.load(v, 48)));
    }
    v128.store(o, a);
    v128.store(o, b, 16);
    v128.store(o, c, 32);
    v128.store(o, e, 48);
  }
  for (; d < headDim; d++, o += 4, column += 4) {
    let sum = load<f32>(o) * rescale;
    let v = column;
    for (let w = weights; w < end; w += 4, v += entryBytes) sum += load<f32>(w) * load<f32>(v);
    store<f32>(o, sum);
  }
}

/** `addValues` for two outputs, one behind the other, with weights [2][32]: 8 values of each stay in registers. */
@inline function addValuesTwo(
  out: usize, rescale: f32, rescaleNext: f32, weights: usize, values: usize, count: i32, headDim: i32,
): void {
  const entryBytes = <usize>headDim << 2;
  const end = weights + (<usize>count << 2);
  const old = f32x4.splat(rescale);
  const oldNext = f32x4.splat(rescaleNext);
  let d = 0;
  let o = out;
  let column = values;
  for (; d < (headDim & ~15); d += 16, o += 64, column += 64) {
    const next = o + entryBytes;
    let a = f32x4.mul(v128.load(o), old);
    let b = f32x4.mul(v128.load(o, 16), old);
    let c = f32x4.mul(v128.load(o, 32), old);
    let e = f32x4.mul(v128.load(o, 48), old);
    let f = f32x4.mul(v128.load(next), oldNext);
    let g = f32x4.mul(v128.load(next, 16), oldNext);
    let h = f32x4.mul(v128.load(next, 32), oldNext);
    let i = f32x4.mul(v128.load(next, 48), oldNext);
    let v = column;
    for (let w = weights; w < end; w += 4, v += entryBytes) {
      const weight = v128.load32_splat(w);
      const weightNext = v128.load32_splat(w, ROW);
      let value = v128.load(v);
      a = f32x4.add(a, f32x4.mul(weight, value));
      f = f32x4.add(f, f32x4.mul(weightNext, value));
      value = v128.load(v, 16);
      b = f32x4.add(b, f32x4.mul(weight, value));
      g = f32x4.add(g, f32x4.mul(weightNext, value));
      value = v128.load(v, 32);
      c = f32x4.add(c, f32x4.mul(weight, value));
      h = f32x4.add(h, f32x4.mul(weightNext, value));
      value = v128.load(v, 48);
      e = f32x4.add(e, f32x4.mul(weight, value));
      i = f32x4.add(i, f32x4.mul(weightNext, value));
    }
    v128.store(o, a);
    v128.store(o, b, 16);
    v128.store(o, c, 32);
    v128.store(o, e, 48);
    v128.store(next, f);
    v128.store(next, g, 16);
    v128.store(next, h, 32);
    v128.store(next, i, 48);
  }
  for (; d < headDim; d++, o += 4, column += 4) {
    let sum = load<f32>(o) * rescale;
    let sumNext = load<f32>(o + entryBytes) * rescaleNext;
    let v = column;
    for (let w = weights; w < end; w += 4, v += entryBytes) {
      sum += load<f32>(w) * load<f32>(v);
      sumNext += load<f32>(w, ROW) * load<f32>(v);
    }
    store<f32>(o, sum);
    store<f32>(o + entryBytes, sumNext);
  }
}
