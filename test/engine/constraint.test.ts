/** Answers that a constraint leads: what it forbids never comes, and what it forces comes without being computed for. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KvPool } from "../../src/backend/kv-pages.ts";
import { Qwen3Error } from "../../src/core/errors.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { EngineRequest, FinishReason, SampledToken, SequenceState } from "../../src/engine/engine-request.ts";
import { Qwen3 } from "../../src/index.ts";
import type { TokenConstraint } from "../../src/sampler/constraint.ts";
import { nanoPath } from "../paths.ts";
import { END, FakeExecutor, PAGE_BYTES, params, plainAnswer, VOCAB } from "./fake-executor.ts";

/** Allows what a function of the tokens so far says. */
class Rule implements TokenConstraint {
  readonly accepted: number[] = [];
  readonly #allowed: (ids: readonly number[]) => readonly number[];

  constructor(allowed: (ids: readonly number[]) => readonly number[]) {
    this.#allowed = allowed;
  }

  mask() {
    const allowed = new Uint32Array(1);
    for (const id of this.#allowed(this.accepted)) allowed[0]! |= 1 << id;
    return { allowed };
  }

  get forced(): number | undefined {
    const ids = this.#allowed(this.accepted);
    return ids.length === 1 ? ids[0] : undefined;
  }

  accept(id: number): void {
    if (!this.#allowed(this.accepted).includes(id)) throw new Qwen3Error("ARGUMENT", `token ${id} is not allowed`);
    this.accepted.push(id);
  }
}

/** Runs of forced tokens between choices, and now and then an end. */
const randomRule = (seed: number) => (ids: readonly number[]) => {
  let state = seed;
  for (const id of ids) state = Math.imul(state ^ (id + 7), 0x9e3779b1) ^ (state >>> 13);
  const kind = (state >>> 3) % 8;
  const some = [1 + ((state >>> 8) % 11), 1 + ((state >>> 12) % 11), 1 + ((state >>> 16) % 11)];
  return kind === 0 && ids.length > 4 ? [END, some[0]!] : [...new Set(some.slice(0, kind < 5 ? 1 : 3))];
};

function newEngine() {
  const executor = new FakeExecutor();
  const pool = new KvPool(executor.store, 100 * PAGE_BYTES);
  return { executor, pool, engine: new Engine(executor, pool, { maxBatchedTokens: 16, maxSequences: 4, vocabSize: VOCAB }) };
}

async function finish(engine: Engine, ...states: SequenceState[]): Promise<void> {
  while (states.some(({ finishReason }) => !finishReason)) assert.ok(await engine.step());
}

const request = (more: Partial<EngineRequest>): EngineRequest => ({
  promptIds: [1, 2, 3],
  maxNewTokens: 30,
  sampling: params(0),
  stopIds: new Set([END]),
  onToken: () => false,
  ...more,
});

test("the answer is that of sampling every token with the mask, whatever is guessed, skipped, or ends it", async () => {
  let [forced, guessed] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 40 }), fc.nat(30), async (seed, maxNewTokens, stopAt) => {
      const rule = randomRule(seed);
      const shared = { maxNewTokens, sampling: params(seed % 5, seed % 2), stopIds: new Set([END]) };
      const plain = plainAnswer(request(shared), (ids) => new Rule(() => rule(ids)).mask()).slice(0, Math.max(1, stopAt));
      const { engine, executor, pool } = newEngine();
      const run = async (more: Partial<EngineRequest>) => {
        const tokens: [SampledToken, FinishReason | undefined][] = [];
        const constraint = new Rule(rule);
        const onToken = (token: SampledToken, ends: FinishReason | undefined) => tokens.push([token, ends]) >= stopAt;
        executor.steps.length = 0;
        const state = engine.add(request({ ...shared, constraint, onToken, ...more }));
        await finish(engine, state);
        assert.equal(state.generatedIds, plain);
        assert.equal(
          tokens.map(([{ id }]) => id),
          plain,
        );
        assert.equal(constraint.accepted, plain);
        assert.ok(tokens.slice(0, -1).every(([, ends]) => ends === undefined));
        assert.is(pool.usedBytes, 0);
        guessed += state.acceptedTokens;
        return { reason: state.finishReason, steps: executor.steps.length, tokens };
      };
      const sampled = await run({ sampleForced: true });
      const speculation = { ngram: 1, maxDraft: 4 };
      const skipped = await run({});
      assert.equal(skipped.tokens, sampled.tokens);
      for (const more of [{ speculation }, { speculation, sampleForced: true }, { logitsProcessor: () => undefined }])
        assert.is((await run(more)).reason, sampled.reason);
      const [withLogprobs, reported] = [await run({ logprobs: 2 }), await run({ logprobs: 2, sampleForced: true })];
      assert.equal(withLogprobs.tokens, reported.tokens);
      forced += sampled.steps - skipped.steps;
    }),
    { numRuns: 300 },
  );
  // Far below what any seed gives: only that both were tried at all.
  assert.ok(forced > 300, `${forced} steps saved`);
  assert.ok(guessed > 20, `${guessed} guesses right`);
});

test("no end token before minNewTokens, but for where the constraint leaves nothing else", async () => {
  const { engine } = newEngine();
  const either = engine.add(request({ constraint: new Rule(() => [END, 5]), minNewTokens: 6 }));
  const ended = engine.add(request({ constraint: new Rule((ids) => (ids.length < 3 ? [4, 5] : [END])), minNewTokens: 6 }));
  const sampled = new Rule((ids) => (ids.length < 3 ? [4, 5] : [END]));
  const slow = engine.add(request({ constraint: sampled, minNewTokens: 6, sampleForced: true }));
  await finish(engine, either, ended, slow);
  assert.equal(either.generatedIds.slice(0, 6), [5, 5, 5, 5, 5, 5]);
  assert.equal([ended.generatedIds.length, ended.finishReason], [4, "stop"]);
  assert.equal(slow.generatedIds, ended.generatedIds);
});

test("what a constraint throws, or one that allows nothing, ends its request alone", async () => {
  const error = new Error("no");
  const throwing = (method: "mask" | "accept" | "forced") => {
    const rule = new Rule(() => [4, 5]);
    Object.defineProperty(rule, method, {
      get: () => {
        throw error;
      },
    });
    return rule;
  };
  const { engine, pool } = newEngine();
  const bad = (["mask", "accept", "forced"] as const).map((method) => engine.add(request({ constraint: throwing(method) })));
  const empty = engine.add(request({ constraint: new Rule(() => []) }));
  const good = engine.add(request({}));
  await finish(engine, ...bad, empty, good);
  for (const { failure, finishReason } of bad) assert.equal([finishReason, failure!.error], ["abort", error]);
  assert.is((empty.failure!.error as Qwen3Error).code, "SAMPLER_LOGITS");
  assert.equal(good.generatedIds, plainAnswer(request({})));
  assert.is(pool.usedBytes, 0);
});

test("nano: one constraint for each sequence of a batch, and the same bits with every token sampled", async () => {
  const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 256 });
  const made: Wide[] = [];
  /** Tokens 5 and 6 by turns, then anything. */
  class Wide implements TokenConstraint {
    accepted = 0;
    constructor() {
      made.push(this);
    }
    get forced() {
      return this.accepted < 8 ? 5 + (this.accepted % 2) : undefined;
    }
    mask() {
      const allowed = new Uint32Array(Math.ceil(model.config.vocab_size / 32)).fill(this.forced === undefined ? 0xffffffff : 0);
      if (this.forced !== undefined) allowed[0] = 1 << this.forced;
      return { allowed };
    }
    accept() {
      this.accepted++;
    }
  }
  const options = { temperature: 1, seed: 3, maxNewTokens: 20, ignoreEos: true, constraint: () => new Wide() };
  const prompts = [
    [7, 8, 9],
    [20, 21],
  ];
  const skipped = await model.generate(prompts, options).final();
  const sampled = await model.generate(prompts, { ...options, sampleForced: true }).final();
  assert.equal(
    skipped.map(({ ids }) => ids),
    sampled.map(({ ids }) => ids),
  );
  assert.equal(skipped[0]!.ids.slice(0, 8), [5, 6, 5, 6, 5, 6, 5, 6]);
  assert.equal(
    made.map(({ accepted }) => accepted),
    [20, 20, 20, 20],
  );
  const wrong = { constraint: new Wide() } as unknown as { constraint: () => TokenConstraint };
  assert.throws(() => model.generate(prompts, wrong), /constraint is .*allowed: a function/);
  await model.close();
});

test.run();
