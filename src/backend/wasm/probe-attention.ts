/**
 * Whether attention over an int8 cache computes the right bits, with relaxed dots by pairs and by fours. An engine may multiply codes above
 * 127 as signed numbers, or saturate sums of products; both change bits, so it is tried on codes of the largest magnitude, against the definition.
 */
import type { Backend, Segment, Tensor } from "../backend.ts";
import { KvCache, KvPool } from "../kv-pages.ts";
import { ReferenceBackend } from "../reference.ts";

/** A whole block and a part of one; the last token asks. */
const TOKENS = 34;
/** Heads that share the one KV head: two have kernels of their own, four are a tile, one more is a part of one. */
const HEADS = [2, 5];
/** 16 dims and a part of 8. */
const HEAD_DIM = 20;
/** Scores are at most 127 * 127 * 20 of these, so that all weights are codes worth the name. */
const SCALE = 1 / 131072;

/** @returns what is wrong, or undefined */
export async function probeAttention(backend: Backend): Promise<string | undefined> {
  const reference = new ReferenceBackend();
  for (const heads of HEADS) {
    const [expected, actual] = await Promise.all([attended(reference, heads), attended(backend, heads)]);
    const at = expected.findIndex((value, i) => !Object.is(value, actual[i]));
    if (at >= 0) return `attention over an int8 cache: value ${at} of ${heads} heads is ${actual[at]}, not ${expected[at]}`;
  }
  return undefined;
}

function attended(b: Backend, heads: number): Promise<Float32Array> {
  const store = b.createKvStore({ layers: 1, kvHeads: 1, headDim: HEAD_DIM, type: "int8" });
  const cache = new KvCache(new KvPool(store));
  const input = (tokens: number, heads: number, seed: number): Tensor =>
    b.input(
      Float32Array.from({ length: tokens * heads * HEAD_DIM }, (_, i) => value(Math.floor(i / HEAD_DIM), i % HEAD_DIM, seed)),
      [tokens, heads, HEAD_DIM],
    );
  const append = (tokens: number): Segment[] => {
    cache.reserve(tokens);
    const segments = [cache.segment(tokens)];
    const entries = input(tokens, 1, 1);
    b.appendKv(segments, 0, entries, entries);
    cache.commit(tokens);
    return segments;
  };
  let result: Promise<Float32Array> | undefined;
  b.scope(() => {
    append(TOKENS - 1);
    result = b.read(b.attention(input(1, heads, 3), append(1), 0, SCALE));
    return undefined;
  });
  store.close();
  return result!;
}

/** Entries of all 127, all -127, by turns, by pairs, and mixed. */
function value(entry: number, d: number, seed: number): number {
  const line = (entry * seed) % 7;
  if (line === 0) return 127;
  if (line === 1) return -127;
  if (line === 2) return d % 2 ? 127 : -127;
  if (line === 3) return d % 4 < 2 ? 127 : -127;
  return ((entry * 7919 + d * 104729) % 255) - 127;
}
