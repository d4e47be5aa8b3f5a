/** The bookkeeping of KV pages: none is lost, freed twice or written under another sequence's eyes, whatever is done in which order. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type KvShape, kvPageBytes, PAGE_TOKENS } from "../../src/backend/backend.ts";
import { KvCache, KvPool } from "../../src/backend/kv-pages.ts";
import { Qwen3Error } from "../../src/core/errors.ts";
import { NumberStore } from "./number-store.ts";

const shape: KvShape = { layers: 2, kvHeads: 3, headDim: 4, type: "f16" };
const PAGE_BYTES = kvPageBytes(shape);

const sequence = (limit?: number) => new KvCache(new KvPool(new NumberStore(shape, limit)));

const fails = (code: string, mentions: RegExp) => (error: unknown) =>
  error instanceof Qwen3Error && error.code === code && mentions.test(error.message);

const pagesFor = (start: number, length: number) =>
  length === 0 ? 0 : Math.floor((start + length - 1) / PAGE_TOKENS) - Math.floor(start / PAGE_TOKENS) + 1;

/** A sequence beside what must be in it. */
class Sequence {
  readonly cache: KvCache;
  readonly entries: number[];

  constructor(cache: KvCache, entries: number[]) {
    this.cache = cache;
    this.entries = entries;
  }

  /** What a step does: entries behind the last, in slots of the pages. */
  append(store: NumberStore, values: readonly number[]): void {
    this.cache.reserve(values.length);
    const { pages, start, length } = this.cache.segment(values.length);
    for (const [i, value] of values.entries()) {
      const slot = (start % PAGE_TOKENS) + length + i;
      store.pages[pages[Math.floor(slot / PAGE_TOKENS)]!]![slot % PAGE_TOKENS] = value;
    }
    this.cache.commit(values.length);
    this.entries.push(...values);
  }

  check(store: NumberStore): void {
    const { pages, start, length } = this.cache.segment(0);
    assert.is(length, this.entries.length);
    const found = this.entries.map((_, i) => {
      const slot = (start % PAGE_TOKENS) + i;
      return store.pages[pages[Math.floor(slot / PAGE_TOKENS)]!]![slot % PAGE_TOKENS];
    });
    assert.equal(found, this.entries);
  }
}

/** One random life of a pool: sequences come, grow, fork, shrink, fail for want of pages, and go. @returns how much was done */
function live(seed: number, operations: number): number {
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const limit = 1 + below(40);
  const store = new NumberStore(shape);
  const pool = new KvPool(store, limit * PAGE_BYTES);
  const sequences: Sequence[] = [];
  let value = 0;
  for (let i = 0; i < operations; i++) {
    const chosen = sequences[below(sequences.length)];
    const kind = below(10);
    if (!chosen || kind === 0) {
      const cache = new KvCache(pool);
      cache.start = below(100);
      sequences.push(new Sequence(cache, []));
    } else if (kind < 5) {
      const used = pool.usedBytes;
      const values = Array.from({ length: below(kind === 4 ? 90 : 5) }, () => value++);
      try {
        chosen.append(store, values);
      } catch (error) {
        assert.ok(fails("MEMORY_FULL", /at most/)(error), String(error));
        assert.ok(used + (pagesFor(31, values.length) + 1) * PAGE_BYTES > limit * PAGE_BYTES, "there was room");
      }
    } else if (kind < 7) {
      const fork = new Sequence(chosen.cache.fork(), [...chosen.entries]);
      sequences.push(fork);
    } else if (kind < 8) {
      const length = below(chosen.entries.length + 1);
      chosen.cache.truncate(length);
      chosen.entries.length = length;
    } else if (kind < 9 || sequences.length > 12) {
      chosen.cache.close();
      chosen.entries.length = 0;
      sequences.splice(sequences.indexOf(chosen), 1);
    }
    chosen?.check(store);
    const held = new Set(sequences.flatMap(({ cache }) => cache.pages));
    assert.is(pool.usedBytes, held.size * PAGE_BYTES);
    assert.ok(held.size <= limit);
    assert.is(pool.pagesLeft, limit - held.size);
    if (i % 50 === 0) for (const sequence of sequences) sequence.check(store);
  }
  for (const { cache } of sequences) cache.close();
  assert.is(pool.usedBytes, 0);
  return operations;
}

test("100,000 random steps, forks, truncations and closes lose no page and mix no entries", () => {
  let done = 0;
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      done += live(seed, 1000);
    }),
    { numRuns: 100 },
  );
  assert.ok(done >= 100_000);
});

test("a fork sees what was there, and neither sees what the other appends", () => {
  const store = new NumberStore(shape);
  const pool = new KvPool(store);
  const first = new Sequence(new KvCache(pool), []);
  first.append(
    store,
    Array.from({ length: 40 }, (_, i) => i),
  );
  const second = new Sequence(first.cache.fork(), [...first.entries]);
  assert.is(pool.usedBytes, 2 * PAGE_BYTES);
  second.append(store, [100]);
  first.append(store, [200]);
  assert.is(pool.usedBytes, 3 * PAGE_BYTES, "the full page is shared, the half-full one is not any more");
  first.check(store);
  second.check(store);
  assert.is(first.cache.pages[0], second.cache.pages[0]);
  first.cache.close();
  second.check(store);
});

test("positions share a page by blocks of 32 absolute positions", () => {
  const cache = sequence();
  cache.start = 62;
  cache.reserve(40);
  assert.is(cache.pages.length, 3); // 62..63, 64..95, 96..101
});

test("the start moves while the cache is empty, and only then", () => {
  const cache = sequence();
  cache.reserve(5);
  cache.start = 31; // what was reserved for other positions is given back
  assert.is(cache.pages.length, 0);
  cache.reserve(2);
  cache.start = 31;
  assert.is(cache.pages.length, 2);
  cache.commit(1);
  cache.start = 31;
  assert.throws(() => (cache.start = 30), fails("ARGUMENT", /holds 1 entries from position 31/));
  for (const wrong of [-1, 0.5, Number.NaN]) assert.throws(() => (cache.start = wrong), fails("ARGUMENT", /is not a position/));
});

test("a reserve that fails leaves the pages as they were", () => {
  const cache = sequence(3);
  cache.reserve(40);
  cache.commit(40);
  const before = [...cache.pages];
  assert.throws(() => cache.reserve(60), fails("MEMORY_FULL", /no page left/));
  assert.equal(cache.pages, before);
  cache.reserve(56);
  assert.is(cache.pages.length, 3);
});

test("wrong calls are refused by name", () => {
  const cache = sequence();
  assert.throws(() => cache.commit(1), fails("ARGUMENT", /1 entries were not reserved/));
  assert.throws(() => cache.truncate(1), fails("ARGUMENT", /cannot truncate a cache of 0 entries to 1/));
  for (const wrong of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => cache.reserve(wrong), fails("ARGUMENT", /is not a number of entries/));
    assert.throws(() => cache.commit(wrong), fails("ARGUMENT", /is not a number of entries/));
  }
  cache.close();
  cache.close();
  for (const call of [() => cache.reserve(1), () => cache.commit(0), () => cache.truncate(0), () => cache.fork()])
    assert.throws(call, fails("CLOSED", /the KV cache was closed/));
});

test("a page's bytes", () => {
  assert.is(kvPageBytes(shape), 2 * 2 * 3 * 32 * 4 * 2);
  assert.is(kvPageBytes({ ...shape, type: "f32" }), 2 * kvPageBytes(shape));
});

test.run();
