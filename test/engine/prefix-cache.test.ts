/** Pages of earlier requests: found by those that begin alike, given up when the room is wanted, and never seen in an answer. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KvCache, KvPool } from "../../src/backend/kv-pages.ts";
import type { EngineRequest } from "../../src/engine/engine-request.ts";
import { PrefixCache, tokenKey } from "../../src/engine/prefix-cache.ts";
import { SequenceCache } from "../../src/engine/sequence-cache.ts";
import { NumberStore } from "../backend/number-store.ts";
import { fails, finish, newEngine, promptOf, request } from "./fake-engine.ts";
import { PAGE_BYTES, params, plainAnswer } from "./fake-executor.ts";

/** Runs one request and checks its answer. @returns cached and computed tokens of the prompt */
async function run({ engine }: ReturnType<typeof newEngine>, r: EngineRequest) {
  const state = engine.add(r);
  await finish(engine, state);
  assert.equal(state.generatedIds, plainAnswer(r));
  return { counts: [state.cachedTokens, state.computedTokens], text: [...r.promptIds, ...state.generatedIds] };
}

test("the next turn of a conversation computes what is new, and the token that was drawn last", async () => {
  const it = newEngine();
  const first = await run(it, request(50, 30));
  assert.equal(first.counts, [0, 50]);
  const second = await run(it, request(0, 20, { promptIds: [...first.text, 3, 1, 4] }));
  assert.equal(second.counts, [79, 4]);
  const third = await run(it, request(0, 9, { promptIds: [...second.text, 2, 7] }));
  assert.equal(third.counts, [102, 3]);
  assert.is(it.pool.usedBytes, 0);
  assert.is(it.pool.keptPages, 4, "one for each 32 tokens: pages begun that were continued elsewhere are gone");
  const { promptTokens, cachedTokens, usedPages, keptPages, mostPages } = it.engine.statistics;
  assert.equal([promptTokens, cachedTokens, usedPages, keptPages, mostPages], [50 + 83 + 105, 79 + 102, 0, 4, 1000]);
});

test("the same prompt again computes its last token, whose logits are wanted; one that parts within a page what is behind", async () => {
  for (const length of [1, 2, 31, 32, 33, 64, 65, 100]) {
    const it = newEngine();
    await run(it, request(length, 5));
    assert.equal((await run(it, request(length, 5))).counts, [length - 1, 1]);
    for (const at of [0, 1, 20, 31, 32, 40, 63, 64, 70].filter((at) => at < length)) {
      const promptIds = promptOf(length).map((id, i) => (i < at ? id : 1 + (id % 11)));
      assert.equal((await run(it, request(0, 5, { promptIds }))).counts, [Math.min(at, length - 1), Math.max(1, length - at)]);
    }
  }
});

test("requests that run at once take over each other's pages", async () => {
  const it = newEngine({ maxBatchedTokens: 48 });
  const requests = [3, 4, 5].map((last) => request(0, 40, { promptIds: [...promptOf(100), last] }));
  const states = requests.map((r) => it.engine.add(r));
  await finish(it.engine, ...states);
  for (const [i, state] of states.entries()) {
    assert.equal(state.generatedIds, plainAnswer(requests[i]!));
    assert.is(state.cachedTokens + state.computedTokens, 101);
  }
  assert.is(states[0]!.cachedTokens, 0);
  for (const { cachedTokens } of states.slice(1)) assert.ok(cachedTokens >= 64, `${cachedTokens}`);
});

test("kept pages are free for others: those of whoever ended first go first, from the end", async () => {
  const it = newEngine({ pages: 8 });
  const [a, b] = [request(0, 1, { promptIds: promptOf(96, 1) }), request(0, 1, { promptIds: promptOf(96, 2) })];
  await run(it, a);
  await run(it, b);
  assert.is(it.pool.keptPages, 6);
  assert.is(it.pool.pagesLeft, 8);
  await run(it, request(0, 1, { promptIds: promptOf(128, 3) })); // takes two pages that were never used, and two of a's
  assert.is(it.pool.keptPages, 8);
  assert.equal((await run(it, a)).counts, [32, 64]); // takes two of b's
  assert.equal((await run(it, b)).counts, [32, 64]);
  assert.ok(it.executor.store.pages.length <= 8);
});

test("a planned number of pages is not passed for the sake of kept ones", () => {
  const pool = new KvPool(new NumberStore({ layers: 1, kvHeads: 1, headDim: 1, type: "f32" }), 6 * PAGE_BYTES, 3);
  const forgotten: number[] = [];
  const page = () => {
    const page = pool.take();
    pool.keep(page, () => forgotten.push(page));
    return page;
  };
  const pages = [page(), page()];
  for (const page of pages) pool.release(page);
  assert.equal([pool.take(), pool.take()], [2, 0]);
  assert.equal(forgotten, [0]);
  assert.equal([pool.take(), pool.take()], [1, 3], "beyond the plan where nothing is kept");
  assert.equal(forgotten, [0, 1]);
});

test("less memory than planned: kept pages go first; what is held is refused as ever", () => {
  const pool = new KvPool(new NumberStore({ layers: 1, kvHeads: 1, headDim: 1, type: "f32" }, 2), 6 * PAGE_BYTES);
  const [first, second] = [pool.take(), pool.take()];
  pool.keep(first, () => undefined);
  pool.release(first);
  assert.is(pool.take(), first);
  assert.throws(() => pool.take(), fails("MEMORY_FULL", /no page left/));
  pool.release(second);
  pool.drop(second); // which was not kept
  assert.is(pool.take(), second);
});

test("caches that the program holds take the place of kept pages, up to the limit", async () => {
  const it = newEngine({ pages: 4 });
  await run(it, request(100, 1));
  const held = new KvCache(it.pool);
  held.reserve(96);
  held.commit(96);
  assert.equal([it.pool.usedPages, it.pool.keptPages], [3, 1]);
  assert.throws(() => held.reserve(64), fails("MEMORY_FULL", /hold 768 bytes of at most 1024.*2 pages take 512 more/));
  assert.is(it.pool.keptPages, 1, "nothing is given up for what does not fit anyway");
  held.reserve(32);
  assert.is(it.pool.keptPages, 0);
  held.close();
});

test("without it nothing is kept", async () => {
  const it = newEngine({ prefixCache: false });
  await run(it, request(100, 5));
  assert.equal((await run(it, request(100, 5))).counts, [0, 100]);
  assert.equal([it.pool.keptPages, it.engine.statistics.cachedTokens], [0, 0]);
});

test("caches of the program's own are neither read from nor kept", async () => {
  const it = newEngine();
  const cache = new SequenceCache(new KvCache(it.pool));
  await run(it, request(100, 5, { cache }));
  cache.close();
  assert.is(it.pool.keptPages, 0);
  await run(it, request(100, 5));
  const other = new SequenceCache(new KvCache(it.pool));
  assert.equal((await run(it, request(100, 5, { cache: other }))).counts, [0, 100]);
});

test("who gave up its pages finds those again that nobody took", async () => {
  const { engine, pool, executor } = newEngine({ pages: 6, maxBatchedTokens: 40 });
  const requests = [request(60, 60), request(0, 60, { promptIds: promptOf(61, 1) })];
  const states = requests.map((r) => engine.add(r));
  await finish(engine, ...states);
  for (const [i, r] of requests.entries()) assert.equal(states[i]!.generatedIds, plainAnswer(r));
  const { preemptions, computedTokens } = engine.statistics;
  assert.ok(preemptions > 0);
  assert.is(
    computedTokens,
    executor.steps.flat().reduce((sum, tokens) => sum + tokens, 0),
  );
  assert.ok(computedTokens < 60 + 61 + 118 + 61, "not all of it was computed twice");
  assert.is(pool.usedBytes, 0);
});

test("several answers to one prompt: it is computed once, and each goes on with a copy", async () => {
  for (const prefixCache of [true, false]) {
    const { engine, pool, executor } = newEngine({ prefixCache, maxBatchedTokens: 45 });
    const requests = [0, 1, 2, 3].map((seed) => request(0, 20, { promptIds: promptOf(45), sampling: params(seed) }));
    const other = request(0, 20, { promptIds: promptOf(45, 2) });
    const states = requests.map((r) => engine.add(r));
    const last = engine.add(other);
    await engine.step();
    assert.is(pool.usedPages, 4, "two for all four, two for the other prompt");
    await finish(engine, ...states, last);
    for (const [i, r] of requests.entries()) assert.equal(states[i]!.generatedIds, plainAnswer(r));
    assert.equal(last.generatedIds, plainAnswer(other));
    assert.equal(
      states.map(({ cachedTokens, computedTokens }) => [cachedTokens, computedTokens]),
      [
        [0, 45],
        [45, 0],
        [45, 0],
        [45, 0],
      ],
    );
    const computed = executor.steps.flat().reduce((sum, tokens) => sum + tokens, 0);
    const drawn = states.reduce((sum, { generatedIds }) => sum + generatedIds.length - 1, 0);
    assert.is(computed, 45 + drawn + 45 + last.generatedIds.length - 1);
    assert.is(engine.statistics.generatedTokens, drawn + 4 + last.generatedIds.length);
  }
});

test("whoever waits for another's prompt computes it where that one is cancelled, held up, or short of places", async () => {
  const { engine } = newEngine({ maxSequences: 2, maxBatchedTokens: 32, prefixCache: false });
  const promptIds = promptOf(70);
  let ready = true;
  const requests = [0, 1, 2, 3, 4].map((seed) => request(0, 8, { promptIds, sampling: params(seed) }));
  requests[1] = { ...requests[1]!, ready: () => ready };
  const states = requests.map((r) => engine.add(r));
  await engine.step();
  engine.cancel(states[0]!.id);
  await engine.step();
  ready = false;
  await finish(engine, ...states.slice(2));
  ready = true;
  await finish(engine, states[1]!);
  assert.is(states[0]!.generatedIds.length, 0);
  for (let i = 1; i < 5; i++) assert.equal(states[i]!.generatedIds, plainAnswer(requests[i]!));
});

test("nobody goes on with another's prompt past an older one that waits", async () => {
  const { engine } = newEngine({ maxSequences: 2 });
  const requests = [
    request(0, 9, { promptIds: promptOf(12) }),
    request(0, 9, { promptIds: promptOf(13) }),
    request(0, 9, { promptIds: promptOf(14) }),
    request(0, 9, { promptIds: promptOf(12), sampling: params(1) }),
  ];
  const states = requests.map((r) => engine.add(r));
  await engine.step();
  engine.cancel(states[1]!.id);
  await finish(engine, ...states.filter((_, i) => i !== 1));
  for (const [i, r] of requests.entries()) if (i !== 1) assert.equal(states[i]!.generatedIds, plainAnswer(r));
});

test("who goes on with another's prompt draws from the logits behind it, whatever was guessed in the same step", async () => {
  const { engine } = newEngine({ maxBatchedTokens: 32 });
  const promptIds = Array.from({ length: 33 }, (_, i) => 1 + (i % 3)); // its last token has a step of its own, with guesses
  const requests = [0, 1, 2].map((seed) =>
    request(0, 12, { promptIds, sampling: params(seed), speculation: { ngram: 1, maxDraft: 4 } }),
  );
  const states = requests.map((r) => engine.add(r));
  await finish(engine, ...states);
  assert.ok(states[0]!.draftTokens > 0 && states[1]!.computedTokens === 0, "guesses, and a prompt that was gone on with");
  for (const [i, r] of requests.entries()) assert.equal(states[i]!.generatedIds, plainAnswer(r));
});

test("who has begun the same prompt ends it alone, in the step in which another ends it too", async () => {
  const { engine, executor } = newEngine({ maxBatchedTokens: 48, prefixCache: false });
  let ready = false;
  const promptIds = promptOf(70);
  const requests = [request(0, 5, { promptIds, ready: () => ready }), request(0, 5, { promptIds, sampling: params(1) })];
  const states = requests.map((r) => engine.add(r));
  await engine.step();
  ready = true;
  await engine.step();
  await engine.step();
  assert.equal(executor.steps, [[48], [48], [22, 22]]);
  await finish(engine, ...states);
  for (const [i, r] of requests.entries()) assert.equal(states[i]!.generatedIds, plainAnswer(r));
});

test("the key of tokens is their own", () => {
  const keys = [[], [0], [0, 0], [65536], [1, 0], [1], [2097151], [65535, 31]].map((ids) => tokenKey(ids));
  assert.is(new Set(keys).size, keys.length);
});

test("a page begun that somebody else has is kept once", () => {
  const pool = new KvPool(new NumberStore({ layers: 1, kvHeads: 1, headDim: 1, type: "f32" }));
  const prefix = new PrefixCache(pool);
  const first = new SequenceCache(new KvCache(pool));
  first.kv.reserve(5);
  first.commit([1, 2, 3, 4, 5]);
  const second = first.fork();
  const paths = [prefix.path(first), prefix.path(second)];
  for (const path of paths) {
    prefix.leave(path);
    path.cache.close();
  }
  assert.equal([pool.usedPages, pool.keptPages], [0, 1]);
});

test.run();
