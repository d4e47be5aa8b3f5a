/** The reference backend's keys and values, and its attention: one query head over the pages of its sequence. */
import { f16ToF32, f32ToF16 } from "../core/dtype.ts";
import { expF32 } from "../core/math.ts";
import { type KvShape, type KvStore, kvPageBytes, PAGE_TOKENS, type Segment } from "./backend.ts";
import { Int8Attention, type Int8Page, storeInt8 } from "./reference-attention-int8.ts";
import { dot } from "./reference-products.ts";
import * as check from "./shapes.ts";

const { fround } = Math;

/** Pages are laid out as `readPage` says, but f16 entries are held as f32 of the same values. */
export class ReferenceKvStore implements KvStore {
  readonly shape: KvShape;
  readonly pages: Float32Array[] = [];
  readonly #grown: (bytes: number) => void;

  /** @param grown is told of memory taken (and, negative, given back) */
  constructor(shape: KvShape, grown: (bytes: number) => void) {
    this.shape = shape;
    this.#grown = grown;
  }

  ensure(page: number): void {
    while (this.pages.length <= page) {
      const { shape } = this;
      const values = new Float32Array(kvPageBytes(shape.type === "f16" ? { ...shape, type: "f32" } : shape) / 4);
      this.pages.push(values);
      this.#grown(values.byteLength);
    }
  }

  copyPage(from: number, to: number): void {
    this.pages[to]!.set(this.pages[from]!);
  }

  async readPage(page: number): Promise<Uint8Array> {
    const values = this.pages[page]!;
    return new Uint8Array(this.shape.type === "f16" ? Uint16Array.from(values, f32ToF16).buffer : values.slice().buffer);
  }

  writePage(page: number, bytes: Uint8Array): void {
    const { buffer } = bytes.slice();
    this.pages[page]!.set(
      this.shape.type === "f16" ? Float32Array.from(new Uint16Array(buffer), f16ToF32) : new Float32Array(buffer),
    );
  }

  close(): void {
    for (const { byteLength } of this.pages.splice(0)) this.#grown(-byteLength);
  }
}

/** The page of an absolute position. */
function pageAt({ store, pages, start }: Segment, position: number): Float32Array {
  check.require(store instanceof ReferenceKvStore, "a KV store is not of this backend");
  return store.pages[pages[Math.floor(position / PAGE_TOKENS) - Math.floor(start / PAGE_TOKENS)]!]!;
}

/** Where the entry of an absolute position begins in its page; kind 0 is K, 1 is V. */
function entryOffset(shape: KvShape, layer: number, kind: 0 | 1, head: number, position: number): number {
  return (((layer * shape.kvHeads + head) * 2 + kind) * PAGE_TOKENS + (position % PAGE_TOKENS)) * shape.headDim;
}

function int8Page(page: Float32Array): Int8Page {
  return { codes: new Int8Array(page.buffer), scales: page };
}

/** Stores token `t` of k and v [tokens, kv_heads, head_dim] at an absolute position. */
export function appendEntry(
  segment: Segment,
  position: number,
  layer: number,
  k: Float32Array,
  v: Float32Array,
  t: number,
): void {
  const { shape } = segment.store;
  const { kvHeads, headDim, type } = shape;
  const page = pageAt(segment, position);
  if (type === "int8") {
    for (let h = 0; h < kvHeads; h++) {
      const entry = (values: Float32Array) => values.subarray((t * kvHeads + h) * headDim, (t * kvHeads + h + 1) * headDim);
      storeInt8(entry(k), shape, int8Page(page), layer, 0, h, position % PAGE_TOKENS);
      storeInt8(entry(v), shape, int8Page(page), layer, 1, h, position % PAGE_TOKENS);
    }
    return;
  }
  const stored = type === "f16" ? (value: number) => f16ToF32(f32ToF16(value)) : (value: number) => value;
  for (let h = 0; h < kvHeads; h++)
    for (let d = 0; d < headDim; d++) {
      const from = (t * kvHeads + h) * headDim + d;
      page[entryOffset(shape, layer, 0, h, position) + d] = stored(k[from]!);
      page[entryOffset(shape, layer, 1, h, position) + d] = stored(v[from]!);
    }
}

/**
 * Causal attention of one query head over blocks of 32 absolute positions, with a running maximum and sum ("online softmax", Milakov
 * and Gimelshein 2018). Per block: the maximum of its visible scores, what was summed so far rescaled to the new maximum, then each
 * position's weight and value added in ascending order. Entries before the sequence's start or after the query are never read.
 * This is attention over f32 and f16; the one over int8, in the same blocks, is defined in reference-attention-int8.ts.
 *
 * @param query [head_dim]; @param out [head_dim]
 */
export function attendOne(
  query: Float32Array,
  segment: Segment,
  layer: number,
  kvHead: number,
  position: number,
  scale: number,
  out: Float32Array,
): void {
  const { start, store } = segment;
  if (store.shape.type === "int8") {
    attendOneInt8(query, segment, layer, kvHead, position, scale, out);
    return;
  }
  const headDim = query.length;
  let maximum = Number.NEGATIVE_INFINITY;
  let total = 0;
  out.fill(0);
  for (let block = start - (start % PAGE_TOKENS); block <= position; block += PAGE_TOKENS) {
    const page = pageAt(segment, block);
    const first = Math.max(block, start);
    const last = Math.min(block + PAGE_TOKENS - 1, position);
    const scores: number[] = [];
    for (let p = first; p <= last; p++)
      scores.push(fround(dot(query, 0, page, entryOffset(store.shape, layer, 0, kvHead, p), headDim) * scale));

    const previous = maximum;
    for (const score of scores) maximum = Math.max(maximum, score);
    const rescale = expF32(fround(previous - maximum)); // exp(-Infinity) = 0 at the first block
    total = fround(total * rescale);
    for (let d = 0; d < headDim; d++) out[d] = out[d]! * rescale;

    scores.forEach((score, i) => {
      const weight = expF32(fround(score - maximum));
      total = fround(total + weight);
      const value = entryOffset(store.shape, layer, 1, kvHead, first + i);
      for (let d = 0; d < headDim; d++) out[d] = out[d]! + fround(weight * page[value + d]!);
    });
  }
  for (let d = 0; d < headDim; d++) out[d] = out[d]! / total;
}

function attendOneInt8(
  query: Float32Array,
  segment: Segment,
  layer: number,
  kvHead: number,
  position: number,
  scale: number,
  out: Float32Array,
): void {
  const { start, store } = segment;
  const attention = new Int8Attention(query, scale, out);
  for (let block = start - (start % PAGE_TOKENS); block <= position; block += PAGE_TOKENS) {
    const first = Math.max(start - block, 0);
    const last = Math.min(position - block, PAGE_TOKENS - 1);
    attention.attendBlock(store.shape, int8Page(pageAt(segment, block)), layer, kvHead, first, last);
  }
  attention.finish();
}
