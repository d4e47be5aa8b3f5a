/** How long steps are while answers are under way, by a clock of the test's own. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { StepBudget } from "../../src/engine/step-budget.ts";
import { fails, finish, newEngine, promptOf, request } from "./fake-engine.ts";
import { params, plainAnswer } from "./fake-executor.ts";

/** An engine whose steps take `fixed + perToken * tokens` milliseconds. */
function timed(fixed: number, perToken: number, options: Parameters<typeof newEngine>[0] = {}) {
  const clock = { now: 1000 };
  const it = newEngine({ maxBatchedTokens: 4096, prefixCache: false, ...options, now: () => clock.now });
  const took: number[] = [];
  it.executor.during = () => {
    const tokens = it.executor.steps.at(-1)!.reduce((sum, count) => sum + count, 0);
    took.push(fixed + perToken * tokens);
    clock.now += took.at(-1)!;
  };
  return { ...it, took, clock };
}

test("the budget settles where a step takes its time, and is never less than a page nor more than a step may have", () => {
  for (const [fixed, perToken, wanted] of [
    [0, 1, 250],
    [50, 1, 200],
    [100, 0.5, 300],
    [0, 20, 32],
    [400, 1, 32],
    [0, 0.01, 1000],
  ] as const) {
    const budget = new StepBudget(1000, 250);
    assert.is(budget.tokens, 32);
    for (let i = 0; i < 60; i++) budget.measured(budget.tokens, fixed + perToken * budget.tokens);
    assert.ok(Math.abs(budget.tokens - wanted) <= 2, `${budget.tokens} for ${fixed} + ${perToken}`);
    const before = budget.tokens;
    budget.measured(3, 10_000); // few tokens say nothing
    budget.measured(100, 0); // a clock that is too coarse neither
    assert.is(budget.tokens, before);
  }
  assert.is(new StepBudget(8, 250).tokens, 8);
});

test("one step that others slowed down takes at most a part of the budget", () => {
  const budget = new StepBudget(1000, 250);
  for (let i = 0; i < 20; i++) budget.measured(250, 250);
  budget.measured(250, 500);
  assert.is(budget.tokens, 200);
});

test("a long prompt delays answers by no more than a step of the budget, however slow the machine", async () => {
  for (const perToken of [0.1, 2, 30]) {
    const { engine, executor, took } = timed(5, perToken);
    const chats = [0, 1, 2].map((seed) => request(0, 200, { promptIds: promptOf(9 + seed), sampling: params(seed) }));
    const states = chats.map((r) => engine.add(r));
    for (let i = 0; i < 3; i++) await engine.step();
    const long = engine.add(request(3000, 5));
    const begun = took.length;
    while (long.generatedIds.length === 0) {
      const before = states.map(({ generatedIds }) => generatedIds.length);
      await engine.step();
      for (const [i, state] of states.entries())
        if (!state.finishReason) assert.ok(state.generatedIds.length > before[i]!, "every answer moves in every step");
    }
    assert.ok(took.length > begun + 1);
    const most = Math.max(250, 5 + perToken * (32 + 3)); // a page of the prompt comes in any case
    for (const ms of took.slice(begun, -1)) assert.ok(ms <= most + perToken, `${ms} ms`);
    await finish(engine, long, ...states);
    for (const [i, r] of chats.entries()) assert.equal(states[i]!.generatedIds, plainAnswer(r));
    assert.equal(long.generatedIds, plainAnswer(request(3000, 5)));
    assert.ok(executor.steps.every((tokens) => tokens.length <= 4));
  }
});

test("where nobody is being answered a prompt has whole steps", async () => {
  const { engine, executor } = timed(0, 10, { maxBatchedTokens: 500 });
  await finish(engine, engine.add(request(1200, 1)));
  assert.equal(executor.steps, [[500], [500], [200]]);
});

test("answers that their readers are just taking count as under way", async () => {
  const { engine, executor } = timed(0, 10, { maxBatchedTokens: 500 });
  let ready = true;
  const chat = engine.add(request(10, 5, { ready: () => ready }));
  await engine.step();
  ready = false;
  const long = engine.add(request(100, 1));
  await engine.step();
  assert.equal(executor.steps.at(-1), [32]);
  ready = true;
  await finish(engine, chat, long);
});

test("prompts are served in the order in which they came", async () => {
  const { engine, executor } = timed(0, 10, { maxSequences: 64 });
  const answered: number[] = [];
  const chat = engine.add(request(1, 300));
  await engine.step();
  const requests = Array.from({ length: 12 }, (_, i) =>
    request(0, 2, { promptIds: promptOf(20 + ((i * 37) % 90), i), onToken: () => answered.push(i) < 0 }),
  );
  const states = requests.map((r) => engine.add(r));
  await finish(engine, chat, ...states);
  const first = answered.filter((id, at) => answered.indexOf(id) === at);
  assert.equal(
    first,
    requests.map((_, i) => i),
  );
  assert.ok(executor.steps.every((tokens) => tokens.slice(1).reduce((sum, count) => sum + count, 0) <= 32 + 12));
});

test("tokens that a constraint forces go with the answers, a page of them at a time", async () => {
  const { engine, executor } = timed(0, 10);
  const forced = (count: number) => {
    let taken = 0;
    return {
      get forced() {
        return taken < count ? 5 : undefined;
      },
      mask: () => ({ allowed: Uint32Array.of(taken < count ? 1 << 5 : 0xffffffff) }),
      accept: () => void taken++,
    };
  };
  const long = engine.add(request(2000, 1));
  await engine.step();
  const state = engine.add(request(3, 60, { constraint: forced(40) }));
  await finish(engine, state, long);
  assert.equal(state.generatedIds.slice(0, 40), new Array(40).fill(5));
  const own = executor.steps.map((tokens) => tokens[0]);
  assert.ok(own.includes(32) && own.includes(8), `${own}`);
});

test("statistics: what waits, what was done, and for how long nothing moved", async () => {
  const { engine, clock, pool } = timed(10, 0, { maxSequences: 2, maxWaiting: 1, pages: 50, prefixCache: true });
  assert.equal(engine.statistics, {
    waiting: 0,
    running: 0,
    usedPages: 0,
    keptPages: 0,
    mostPages: 50,
    promptTokens: 0,
    cachedTokens: 0,
    computedTokens: 0,
    generatedTokens: 0,
    steps: 0,
    lastStepMs: 0,
    preemptions: 0,
    stepBudget: 32,
    stalledMs: 0,
  });
  let ready = true;
  const states = [5, 6, 7].map((length) => engine.add(request(length, 3, { ready: () => ready })));
  clock.now += 40;
  assert.equal([engine.statistics.waiting, engine.statistics.stalledMs], [3, 40]);
  assert.throws(() => engine.add(request(8, 3)), fails("QUEUE_FULL", /3 requests run or wait.*2 that run and 1 that wait/));
  await engine.step();
  clock.now += 7;
  const { waiting, running, computedTokens, generatedTokens, steps, lastStepMs, stalledMs } = engine.statistics;
  assert.equal([waiting, running, computedTokens, generatedTokens, steps, lastStepMs, stalledMs], [1, 2, 11, 2, 1, 10, 7]);
  ready = false;
  assert.is(engine.statistics.stalledMs, 0, "a reader that is behind waits for nobody");
  ready = true;
  await finish(engine, ...states);
  assert.equal([engine.statistics.generatedTokens, engine.statistics.usedPages], [9, 0]);
  assert.is(engine.statistics.keptPages, pool.keptPages);
  await finish(engine, engine.add(request(8, 3)));
});

test.run();
