import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3Error } from "../../src/core/errors.ts";
import { idAt, totalWeight, weigh } from "../../src/sampler/filters.ts";
import { SamplerMemory } from "../../src/sampler/memory.ts";
import type { SamplingParams } from "../../src/sampler/params.ts";
import { draw, remaining, type SampleContext, sample } from "../../src/sampler/sampler.ts";
import { decisions, goldenCases, NEUTRAL, NO_HISTORY, naiveRemaining, naiveSample } from "./cases.ts";

const INFINITE = Number.NEGATIVE_INFINITY;

/** Transformers divides by the temperature and takes exp in f32: an error of 2^-24 of a logit of 30 is 2e-6 of a weight. */
const PROBABILITY_TOLERANCE = 1e-6;

const refused = (part: string) => (e: Qwen3Error) =>
  e instanceof Qwen3Error && e.code === "SAMPLER_LOGITS" && (e.message.includes(part) || assert.unreachable(e.message));

const remainingTokens = (logits: Float32Array, params: SamplingParams, context: SampleContext) => {
  const candidates = remaining(logits, params, context);
  return Array.from(candidates.weights, (weight, index) => ({ id: idAt(candidates, index), weight })).filter(
    ({ weight }) => weight > 0,
  );
};

test("final probabilities are transformers'", () => {
  assert.ok(goldenCases.length >= 200, `${goldenCases.length} cases`);
  for (const [index, { logits, prompt, generated, params, probabilities }] of goldenCases.entries()) {
    const left = remainingTokens(logits, params, { ...NO_HISTORY, prompt, generated });
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const ours = new Map(left.map(({ id, weight }) => [id, weight / total]));
    for (const [id, probability] of probabilities.entries()) {
      assert.ok(Math.abs((ours.get(id) ?? 0) - probability) <= PROBABILITY_TOLERANCE, `case ${index}, token ${id}`);
      if (probability > 0) assert.ok(ours.has(id), `case ${index} lacks token ${id}`);
    }
    for (const [id, probability] of ours)
      assert.ok(probabilities[id]! > 0 || probability < 1e-30, `case ${index} keeps token ${id}`);
  }
});

test("what remains, and what is drawn, is what sorting and filtering lists gives, to the last bit", () => {
  fc.assert(
    fc.property(decisions, ({ logits, params, context }) => {
      assert.equal(remainingTokens(logits, params, context), naiveRemaining(logits, params, context));
      assert.is(sample(logits, params, context), naiveSample(logits, params, context));
    }),
    { numRuns: 1000 },
  );
});

test("the largest of every eight logits change no draw and no error, whatever stages come after", () => {
  const withMaxima = (logits: Float32Array, context: SampleContext): SampleContext => {
    const length = Math.ceil(logits.length / 8);
    const maxima = Float32Array.from({ length }, (_, block) => Math.max(...logits.subarray(8 * block, 8 * block + 8)));
    return { ...context, maxima };
  };
  fc.assert(
    fc.property(decisions, ({ logits, params, context }) => {
      assert.is(sample(logits, params, withMaxima(logits, context)), naiveSample(logits, params, context));
      const raised = new Map([[logits.length - 1, 40]]);
      const biased = { ...params, logitBias: raised, presencePenalty: -2, frequencyPenalty: -1 };
      assert.is(sample(logits, biased, withMaxima(logits, context)), naiveSample(logits, biased, context));
    }),
    { numRuns: 1000 },
  );
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const logits = new Float32Array(20);
    logits[17] = wrong;
    assert.throws(() => sample(logits, NEUTRAL, withMaxima(logits, NO_HISTORY)), refused(`${wrong} at token 17`));
  }
  const none = new Float32Array(20).fill(INFINITE);
  assert.throws(() => sample(none, NEUTRAL, withMaxima(none, NO_HISTORY)), refused("all 20 are -Infinity"));
});

test("what a memory keeps from token to token, and shares with another sequence, changes no draw", () => {
  fc.assert(
    fc.property(fc.array(decisions, { minLength: 1, maxLength: 4 }), (sequences) => {
      const room = { scratch: new Float32Array() };
      const memories = sequences.map(() => new SamplerMemory(room));
      const longest = Math.max(...sequences.map(({ context }) => context.generated.length));
      for (let length = 0; length <= longest; length++)
        for (const [i, { logits, params, context }] of sequences.entries()) {
          const now = { ...context, generated: Array.from(context.generated).slice(0, length) };
          const before = logits.slice();
          assert.is(sample(logits, params, { ...now, memory: memories[i] }), naiveSample(logits, params, now));
          assert.ok(logits.every((logit, id) => Object.is(logit, before[id])));
        }
    }),
    { numRuns: 200 },
  );
});

test("sampling does not change the logits", () => {
  fc.assert(
    fc.property(decisions, ({ logits, params, context }) => {
      const before = logits.slice();
      sample(logits, params, context);
      assert.ok(logits.every((logit, id) => Object.is(logit, before[id])));
    }),
  );
});

test("temperature 0 takes the best token that is allowed, whatever the filters and the seed", () => {
  fc.assert(
    fc.property(decisions, ({ logits, params, context }) => {
      const id = sample(logits, { ...NEUTRAL, temperature: 0, topK: params.topK, topP: params.topP, seed: params.seed }, context);
      const allowed = logits.map((logit, token) =>
        context.mask && !((context.mask.allowed[token >> 5]! >>> (token & 31)) & 1) ? INFINITE : logit,
      );
      assert.is(id, allowed.indexOf(Math.max(...allowed)));
    }),
  );
});

test("a draw depends on seed, choice and position, not on what else is drawn or in which order", () => {
  const logits = Float32Array.from({ length: 500 }, (_, id) => (id * 37) % 11);
  const at = (choice: number, position: number) => sample(logits, { ...NEUTRAL, seed: 5 }, { ...NO_HISTORY, choice, position });
  const places = Array.from({ length: 300 }, (_, i) => [i % 3, Math.floor(i / 3)] as const);
  const forward = places.map(([choice, position]) => at(choice, position));
  const backward = places.toReversed().map(([choice, position]) => at(choice, position));
  assert.equal(backward.toReversed(), forward);
  assert.ok(new Set(forward).size > 100, "and they differ");
});

test("the same draws for ever: seed 42 of a fixed distribution", () => {
  const logits = Float32Array.from({ length: 1000 }, (_, id) => ((id * 7919) % 1000) / 100);
  const params = { ...NEUTRAL, temperature: 0.7, topK: 50, topP: 0.9, seed: 42 };
  const ids = Array.from({ length: 12 }, (_, position) => sample(logits, params, { ...NO_HISTORY, position }));
  assert.equal(ids, [630, 988, 852, 778, 321, 321, 247, 346, 568, 284, 556, 321]);
});

test("frequencies of draws follow the probabilities", () => {
  const logits = Float32Array.from([0.4, 0.3, 0.2, 0.1].map(Math.log));
  const N = 20_000;
  const counts = [0, 0, 0, 0];
  for (let position = 0; position < N; position++) counts[sample(logits, NEUTRAL, { ...NO_HISTORY, position })]!++;
  const chiSquare = counts.reduce((sum, count, id) => sum + (count - (N * (4 - id)) / 10) ** 2 / ((N * (4 - id)) / 10), 0);
  assert.ok(chiSquare < 16.3, `${chiSquare}: 3 degrees of freedom exceed 16.3 once in a thousand seeds`);
});

test("draw lays the shares end to end by id, each closed below and open above", () => {
  const candidates = weigh(Float32Array.of(0, INFINITE, 0, 0, 0, INFINITE), undefined, 1);
  assert.is(totalWeight(candidates), 4);
  const expected: [number, number][] = [
    [0, 0],
    [0.25 - 2 ** -53, 0],
    [0.25, 2],
    [0.5, 3],
    [0.75 - 2 ** -53, 3],
    [0.75, 4],
    [1 - 2 ** -53, 4],
  ];
  for (const [u, id] of expected) assert.is(draw(candidates, u), id, `u ${u}`);
  assert.is(draw(weigh(Float32Array.of(INFINITE, 1), undefined, 1), 0), 1, "a share of nothing holds no draw");
  assert.is(draw(candidates, 1), 5, "even an impossible u ends");
});

test("logits that no distribution can be made of are refused, each for its reason", () => {
  const cases: [Float32Array, string][] = [
    [Float32Array.of(1, Number.NaN, 2), "the model's logits: NaN at token 1;"],
    [Float32Array.of(1, 2, Number.POSITIVE_INFINITY), "the model's logits: Infinity at token 2;"],
    [Float32Array.of(INFINITE, INFINITE), "the model's logits: all 2 are -Infinity"],
    [new Float32Array(0), "the model's logits: 0 of them"],
    [new Float32Array(2_097_153), "the model's logits: 2097153 of them; allowed are 1 to 2097152"],
  ];
  for (const [logits, message] of cases)
    for (const temperature of [0, 0.7])
      assert.throws(() => sample(logits, { ...NEUTRAL, temperature, topK: 20, topP: 0.8 }, NO_HISTORY), refused(message));
});

test("a mask that leaves nothing, and penalties that overflow, are refused", () => {
  const logits = Float32Array.of(1, INFINITE, 3e38);
  const nothing = { ...NO_HISTORY, mask: { allowed: Uint32Array.of(0b010) } };
  assert.throws(() => sample(logits, NEUTRAL, nothing), refused("logits after penalties, bias and mask: all 3 are -Infinity"));
  const seen = { ...NO_HISTORY, prompt: [2] };
  assert.throws(() => sample(logits, { ...NEUTRAL, repetitionPenalty: 0.5 }, seen), refused("Infinity at token 2"));
});

test("a mask cannot hide that the model computed NaN", () => {
  const masked = { ...NO_HISTORY, mask: { allowed: Uint32Array.of(1) } };
  assert.throws(() => sample(Float32Array.of(1, Number.NaN), NEUTRAL, masked), refused("NaN at token 1"));
});

test.run();
