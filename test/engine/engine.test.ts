/** Scheduling, over a model of a few lines: who is in which step, whose pages go, and that nobody's answer shows any of it. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KvCache } from "../../src/backend/kv-pages.ts";
import { Qwen3Error } from "../../src/core/errors.ts";
import type { EngineRequest, SequenceState } from "../../src/engine/engine-request.ts";
import type { EngineSequence } from "../../src/engine/engine-sequence.ts";
import { SequenceCache } from "../../src/engine/sequence-cache.ts";
import { fails, finish, newEngine, promptOf, request } from "./fake-engine.ts";
import { END, PAGE_BYTES, params, plainAnswer } from "./fake-executor.ts";

test("an answer comes token by token, and says at the last one why", async () => {
  const { engine, pool, executor } = newEngine();
  const seen: [number, string | undefined][] = [];
  const r = request(5, 6, { stopIds: new Set([END]), onToken: ({ id }, ends) => seen.push([id, ends]) < 0 });
  const state = engine.add(r);
  assert.is(state.id, 1);
  await finish(engine, state);
  const answer = plainAnswer(r);
  assert.equal(
    seen.map(([id]) => id),
    answer,
  );
  assert.equal(state.generatedIds, answer);
  assert.is(state.finishReason, answer.at(-1) === END ? "stop" : "length");
  assert.is(seen.at(-1)![1], state.finishReason);
  assert.equal([state.computedTokens, state.cachedTokens], [5, 0]);
  assert.equal(executor.steps[0], [5]);
  assert.is(pool.usedBytes, 0);
  assert.is(await engine.step(), false);
});

test("single tokens come before prompts, prompts in their order; a prompt too long for a step goes on in the next", async () => {
  const { engine, executor } = newEngine({ maxBatchedTokens: 8 });
  const first = engine.add(request(3, 6));
  await engine.step();
  const second = engine.add(request(12, 1));
  const third = engine.add(request(4, 1));
  await finish(engine, first, second, third);
  assert.equal(executor.steps, [[3], [1, 7], [1, 5, 2], [1, 2], [1], [1]]);
});

test("at most maxSequences at once; with more of them than places in a step they take turns", async () => {
  const { engine, executor } = newEngine({ maxBatchedTokens: 2, maxSequences: 3 });
  const states = Array.from({ length: 5 }, (_, i) => engine.add(request(1, 4, { promptIds: [1 + i] })));
  await engine.step();
  await engine.step();
  await engine.step();
  assert.equal(
    states.map(({ generatedIds }) => generatedIds.length),
    [2, 2, 2, 0, 0],
  );
  await finish(engine, ...states);
  assert.ok(executor.steps.every((tokens) => tokens.length <= 2));
});

test("when pages run out the youngest gives up its own, and nobody's answer shows it", async () => {
  const { engine, pool, executor } = newEngine({ pages: 4, maxBatchedTokens: 40 });
  const requests = [request(30, 60), request(31, 60), request(20, 40, { sampling: params(3) })];
  const states = requests.map((r) => engine.add(r));
  let dropped = false;
  while (states.some(({ finishReason }) => !finishReason)) {
    await engine.step();
    assert.ok(pool.usedBytes <= 4 * PAGE_BYTES);
    dropped ||= states.slice(1).some((s) => s.generatedIds.length > 0 && !s.finishReason && !(s as EngineSequence).running);
  }
  assert.ok(dropped, "somebody had to wait");
  for (const [i, r] of requests.entries()) assert.equal(states[i]!.generatedIds, plainAnswer(r));
  assert.ok(executor.steps.flat().reduce((sum, tokens) => sum + tokens, 0) > 30 + 31 + 20 + 157, "and was computed again");
  assert.is(states[2]!.computedTokens, 20, "which does not count");
});

test("who has a place in a step already gives it up with its pages", async () => {
  for (let length = 36; length < 48; length++) {
    const { engine } = newEngine({ pages: 4, maxBatchedTokens: 2 });
    const requests = [request(length, 40), request(1, 28), request(1, 28)];
    const states = [engine.add(requests[0]!)];
    while (states[0]!.generatedIds.length === 0) await engine.step();
    for (const r of requests.slice(1)) states.push(engine.add(r)); // three of one token each now take turns at two places
    while (states.some(({ finishReason }) => !finishReason)) {
      await engine.step();
      for (const { running, cache } of states as EngineSequence[]) assert.ok(running || cache.kv.pages.length === 0);
    }
    for (const [i, r] of requests.entries()) assert.equal(states[i]!.generatedIds, plainAnswer(r));
  }
});

test("a request that can never fit is refused with the numbers; the largest that can runs", async () => {
  const { engine } = newEngine({ pages: 3 });
  assert.throws(
    () => engine.add(request(90, 8)),
    fails("MEMORY_FULL", /90 prompt tokens and up to 8 new ones takes 1024 bytes.*768/),
  );
  const state = engine.add(request(90, 7));
  await finish(engine, state);
  assert.is(state.generatedIds.length, 7);
  assert.throws(() => engine.add(request(0, 7)), fails("ARGUMENT", /0 prompt tokens/));
  assert.throws(() => engine.add(request(1, 0)), fails("ARGUMENT", /maxNewTokens 0/));
});

test("pages that caches of others hold are an error for who is alone, and a wait beside somebody who will end", async () => {
  const { engine, pool } = newEngine({ pages: 3 });
  const held = new KvCache(pool);
  held.reserve(32);
  held.commit(32);
  const first = engine.add(request(10, 12));
  const second = engine.add(request(33, 31));
  const third = engine.add(request(40, 40));
  await finish(engine, first, second);
  assert.is(second.finishReason, "length");
  await finish(engine, third);
  assert.is(third.finishReason, "abort");
  assert.ok(fails("MEMORY_FULL", /KV caches hold/)(third.failure!.error));
  assert.is(pool.usedBytes, PAGE_BYTES);
  const fourth = engine.add(request(70, 1));
  assert.is(await engine.step(), false);
  assert.ok(fails("MEMORY_FULL", /KV caches hold/)(fourth.failure!.error), "not even a start");
});

test("cancel frees the pages at once, before, between and within steps; the others go on", async () => {
  const { engine, pool, executor } = newEngine();
  const requests = [request(20, 9), request(21, 9), request(22, 9)];
  const [a, b, c] = requests.map((r) => engine.add(r));
  engine.cancel(a!.id);
  engine.cancel(a!.id);
  engine.cancel(99);
  await engine.step();
  await engine.step();
  await engine.step();
  executor.during = () => {
    executor.during = undefined;
    engine.cancel(b!.id);
    assert.is(pool.usedBytes, PAGE_BYTES);
  };
  await finish(engine, b!, c!);
  assert.equal([a!.finishReason, b!.finishReason, c!.finishReason], ["abort", "abort", "length"]);
  assert.is(b!.failure, undefined);
  assert.ok(b!.generatedIds.length < 9);
  assert.equal(c!.generatedIds, plainAnswer(requests[2]!));
  assert.is(pool.usedBytes, 0);
});

test("a request may cancel itself from its own token", async () => {
  const { engine, pool } = newEngine();
  const onToken = () => {
    engine.cancel(state.id);
    return false;
  };
  const state: SequenceState = engine.add(request(3, 9, { onToken }));
  await finish(engine, state);
  assert.equal([state.finishReason, state.generatedIds.length, state.failure, pool.usedBytes], ["abort", 1, undefined, 0]);
});

test("what one request throws ends that one alone", async () => {
  const { engine, pool } = newEngine();
  const error = new Error("no");
  const throwing = {
    onToken: () => true,
    logitsProcessor: () => {
      throw error;
    },
  };
  const bad = engine.add(request(3, 9, throwing));
  const masked = engine.add(request(3, 9, { logitsProcessor: (logits) => void logits.fill(Number.NEGATIVE_INFINITY) }));
  const follower = engine.add(
    request(3, 9, {
      onToken: () => {
        throw error;
      },
    }),
  );
  const good = engine.add(request(3, 9));
  await finish(engine, bad, masked, follower, good);
  assert.is(bad.failure!.error, error);
  assert.is(follower.failure!.error, error);
  assert.ok(fails("SAMPLER_LOGITS", /-Infinity/)(masked.failure!.error));
  assert.equal([good.finishReason, good.generatedIds], ["length", plainAnswer(request(3, 9))]);
  assert.is(pool.usedBytes, 0);
});

test("a step that fails ends all with its error; closing ends all with CLOSED", async () => {
  const { engine, pool, executor } = newEngine({ maxSequences: 1 });
  const states = [engine.add(request(3, 9)), engine.add(request(3, 9))];
  executor.failure = new Qwen3Error("BACKEND_UNAVAILABLE", "gone");
  await engine.step();
  for (const state of states) assert.equal([state.finishReason, state.failure!.error], ["abort", executor.failure]);
  assert.is(pool.usedBytes, 0);
  executor.failure = undefined;
  const last = engine.add(request(3, 9));
  await engine.step();
  engine.close();
  assert.ok(fails("CLOSED", /closed/)(last.failure!.error));
  assert.throws(() => engine.add(request(3, 9)), fails("CLOSED", /closed/));
  assert.is(pool.usedBytes, 0);
});

test("a caller's cache is gone on with, and is theirs again; closed meanwhile it fails its own request", async () => {
  const { engine, pool } = newEngine();
  const cache = new SequenceCache(new KvCache(pool));
  const r = request(20, 9);
  const first = engine.add({ ...r, cache });
  await finish(engine, first);
  assert.is(cache.length, 28);
  const promptIds = [...r.promptIds, ...first.generatedIds, 3, 4];
  const second = engine.add({ ...r, promptIds, cache });
  await finish(engine, second);
  assert.equal([second.cachedTokens, second.computedTokens], [28, 3]);
  assert.equal(second.generatedIds, plainAnswer({ ...r, promptIds }));
  for (const promptLength of [4, 20]) {
    const third = engine.add({ ...request(promptLength, 9), cache: new SequenceCache(new KvCache(pool)) });
    const other = engine.add(r);
    if (promptLength === 4) await engine.step();
    (third as EngineSequence).cache.close();
    await finish(engine, third, other);
    assert.ok(fails("CLOSED", /closed/)(third.failure!.error));
    assert.equal(other.generatedIds, plainAnswer(r));
  }
});

test("who is not ready is left out, and is the first to give up pages and its place", async () => {
  const { engine } = newEngine({ pages: 3, maxSequences: 2 });
  let ready = true;
  const requests = [request(40, 20, { ready: () => ready }), request(20, 30), request(20, 9)];
  const [slow, ...others] = requests.map((r) => engine.add(r));
  for (let i = 0; i < 4; i++) await engine.step();
  ready = false;
  const before = slow!.generatedIds.length;
  await finish(engine, ...others);
  assert.is(slow!.generatedIds.length, before);
  assert.not.ok((slow as EngineSequence).running);
  assert.is(await engine.step(), false);
  ready = true;
  await finish(engine, slow!);
  for (const [i, state] of [slow!, ...others].entries()) assert.equal(state.generatedIds, plainAnswer(requests[i]!));
});

test("a cache that its owner closed while its reader was behind fails its request when its place is wanted", async () => {
  const { engine, pool } = newEngine({ maxSequences: 1 });
  let ready = true;
  const cache = new SequenceCache(new KvCache(pool));
  const slow = engine.add(request(20, 9, { cache, ready: () => ready }));
  await engine.step();
  ready = false;
  cache.close();
  const other = engine.add(request(20, 9));
  await finish(engine, other);
  assert.ok(fails("CLOSED", /closed/)(slow.failure!.error));
  assert.is(other.finishReason, "length");
});

test("guesses that are right save steps, and end where the answer ends", async () => {
  const { engine, executor, pool } = newEngine();
  // 1 2 3 1 2 3 ..., whatever the model says.
  const logitsProcessor: EngineRequest["logitsProcessor"] = (logits, generatedIds) => {
    logits.fill(Number.NEGATIVE_INFINITY);
    logits[1 + (generatedIds.length % 3)] = 0;
  };
  const speculation = { ngram: 2, maxDraft: 5 };
  const cyclic = (length: number) => Array.from({ length }, (_, i) => 1 + (i % 3));
  const all = engine.add(request(4, 40, { logitsProcessor, speculation }));
  await finish(engine, all);
  assert.equal(all.generatedIds, cyclic(40));
  assert.ok(executor.steps.length < 15, `${executor.steps.length} steps`);
  assert.ok(all.acceptedTokens > 25 && all.acceptedTokens <= all.draftTokens);

  for (let stopAt = 10; stopAt < 16; stopAt++) {
    let seen = 0;
    const cache = new SequenceCache(new KvCache(pool));
    const onToken = () => ++seen === stopAt;
    const stopped = engine.add(request(4, 40, { logitsProcessor, speculation, onToken, cache }));
    await finish(engine, stopped);
    assert.equal([stopped.finishReason, stopped.generatedIds, seen], ["stop", cyclic(stopAt), stopAt]);
    assert.equal(cache.ids, [...promptOf(4, 0), ...cyclic(stopAt - 1)]);
    cache.close();
  }
});

test("calls of step() at the same time share one step", async () => {
  const { engine, executor } = newEngine();
  engine.add(request(3, 9));
  assert.equal(await Promise.all([engine.step(), engine.step(), engine.step()]), [true, true, true]);
  assert.is(executor.steps.length, 1);
});

let kept = 0;

/** One random life of an engine and of caches beside it. @returns how much was done */
async function live(seed: number, operations: number): Promise<number> {
  let random = seed;
  const below = (n: number) => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return Math.floor((random / 2 ** 32) * n);
  };
  const limit = 3 + below(20);
  const limits = { pages: limit, maxBatchedTokens: [1, 3, 32, 64][below(4)]!, maxSequences: 1 + below(8) };
  const { engine, pool, executor } = newEngine({ ...limits, prefixCache: below(4) > 0 });
  const running = new Map<SequenceState, EngineRequest>();
  const held: { cache: SequenceCache; free: () => void; busy: SequenceState | undefined }[] = [];
  const pausedIds = new Set<number>();
  const scoredBy = new Map<SequenceState, number[]>();
  const hold = (cache: SequenceCache) => held.push({ cache, free: () => {}, busy: undefined });

  const settle = () => {
    for (const [state, r] of running) {
      if (!state.finishReason) continue;
      running.delete(state);
      const answer = plainAnswer(r);
      if (state.finishReason === "abort") assert.equal(state.generatedIds, answer.slice(0, state.generatedIds.length));
      else assert.equal(state.generatedIds, answer);
      const scored = scoredBy.get(state);
      const all = Array.from({ length: r.promptIds.length - 1 }, (_, i) => i + 1);
      if (scored) assert.equal(scored, state.finishReason === "abort" ? all.slice(0, scored.length) : all);
      if (state.failure) assert.ok(fails("MEMORY_FULL", /KV caches hold/)(state.failure.error), String(state.failure.error));
      for (const entry of held.filter(({ busy }) => busy === state)) {
        entry.free();
        entry.busy = undefined;
        const text = [...r.promptIds, ...state.generatedIds];
        assert.equal(entry.cache.ids, text.slice(0, entry.cache.length));
      }
    }
  };
  const account = () => {
    const caches = [...[...running.keys()].map((state) => (state as EngineSequence).cache), ...held.map(({ cache }) => cache)];
    const pages = new Set(caches.flatMap(({ kv }) => kv.pages));
    assert.is(pool.usedBytes, pages.size * PAGE_BYTES);
    assert.ok(pages.size + pool.keptPages <= limit);
    assert.ok(executor.store.pages.length <= limit);
    kept = Math.max(kept, pool.keptPages);
    for (const [state, r] of running) {
      const { cache, running, pending } = state as EngineSequence;
      const most = Math.ceil((cache.length + 1) / 32); // the next token may have its page already
      if (running && pending === 1 && state.generatedIds.length > 0) assert.ok(cache.kv.pages.length <= most, "no page too many");
      if (!running && !r.cache) assert.is(cache.kv.pages.length, 0, "who waits has none");
    }
    for (const tokens of executor.steps.splice(0))
      assert.ok(tokens.reduce((sum, count) => sum + count, 0) <= limits.maxBatchedTokens);
  };

  for (let i = 0; i < operations; i++) {
    const kind = below(20);
    const chosen = held[below(held.length)];
    const some = [...running.keys()][below(running.size)];
    if (kind < 3 && running.size < 12) {
      const entry = chosen && !chosen.busy && below(2) === 0 ? chosen : undefined;
      const length = Math.min(entry?.cache.length ?? 0, 60);
      const known = entry ? entry.cache.ids.slice(0, length) : [];
      const room = limit * 32 - length;
      const promptIds = [...known, ...promptOf(1 + below(Math.min(room - 30, 60)), below(3))];
      const speculation = below(2) ? { ngram: 1 + below(2), maxDraft: 1 + below(8) } : undefined;
      const id = { value: 0 };
      const scored: number[] = [];
      const promptLogprobs = below(6) === 0 ? { top: 0, onToken: (position: number) => void scored.push(position) } : undefined;
      const r: EngineRequest = {
        promptIds,
        maxNewTokens: 1 + below(24),
        sampling: params(below(5), below(2)),
        stopIds: new Set([END]),
        speculation,
        promptLogprobs,
        cache: entry?.cache,
        ready: () => !pausedIds.has(id.value),
        onToken: () => false,
      };
      const free = entry?.cache.acquire();
      const state = engine.add(r);
      id.value = state.id;
      running.set(state, r);
      if (promptLogprobs) scoredBy.set(state, scored);
      if (entry && free) Object.assign(entry, { free, busy: state });
    } else if (kind < 4 && held.length < 5) hold(new SequenceCache(new KvCache(pool)));
    else if (kind < 6 && chosen && !chosen.busy && held.length < 8) hold(chosen.cache.fork());
    else if (kind < 7 && chosen && !chosen.busy) chosen.cache.truncate(below(chosen.cache.length + 1));
    else if (kind < 8 && chosen && !chosen.busy) {
      chosen.cache.close();
      held.splice(held.indexOf(chosen), 1);
    } else if (kind < 9 && some) engine.cancel(some.id);
    else if (kind < 10 && some) pausedIds[pausedIds.has(some.id) ? "delete" : "add"](some.id);
    else {
      if (some && below(8) === 0) executor.during = () => engine.cancel(some.id);
      await engine.step();
      executor.during = undefined;
    }
    settle();
    account();
  }
  pausedIds.clear();
  await finish(engine, ...running.keys());
  settle();
  for (const { cache } of held) cache.close();
  assert.is(pool.usedBytes, 0);
  // Every page is there once, and can be had.
  const pages = new Set(Array.from({ length: limit }, () => pool.take()));
  assert.equal([pages.size, pool.keptPages, pool.pagesLeft], [limit, 0, 0]);
  return operations;
}

test("100,000 random adds, forks, truncations, cancels and steps lose no page and change no answer", async () => {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      done += await live(seed, 1000);
    }),
    { numRuns: 100 },
  );
  assert.ok(done >= 100_000);
  assert.ok(kept >= 10);
});

test.run();
