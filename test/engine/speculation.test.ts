/** Guessing: never a token, a probability or a reason to end that plain decoding would not give. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { PromptLookup, resolveSpeculation, type Speculation } from "../../src/engine/speculation.ts";
import { Qwen3, Qwen3Error, type TextGenerateOptions } from "../../src/index.ts";
import { nanoPath } from "../paths.ts";

const { cases } = JSON.parse(readFileSync(join(nanoPath, "expected.json"), "utf8")) as {
  cases: { prompt_ids: number[]; greedy_ids: number[] }[];
};

const test = suite<{ model: Qwen3 }>("speculation");
test.before(async (context) => {
  context.model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 512, prefixCache: false });
});
test.after(({ model }) => model.close());

/** What followed when the last n tokens stood there before, the latest time, and again in that what follows it. */
function naiveDraft(ids: readonly number[], n: number, most: number): number[] {
  const last = ids.slice(-n).join();
  if (ids.length < n) return [];
  for (let end = ids.length - 1; end >= n; end--) {
    if (ids.slice(end - n, end).join() !== last) continue;
    const text = [...ids];
    while (text.length < ids.length + most) text.push(text[end + text.length - ids.length]!);
    return text.slice(ids.length);
  }
  return [];
}

test("a draft is what a search through the whole text finds", () => {
  let found = 0;
  fc.assert(
    fc.property(
      fc.array(fc.nat(2), { minLength: 20, maxLength: 60 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 0, max: 9 }),
      (ids, n, most) => {
        const lookup = new PromptLookup(n);
        for (const [i, id] of ids.entries()) {
          lookup.push(id);
          const draft = lookup.draft(most);
          assert.equal(draft, naiveDraft(ids.slice(0, i + 1), n, most));
          found += draft.length;
        }
        assert.is(lookup.length, ids.length);
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(found > 1000);
});

test("options have defaults, and are refused by name", () => {
  assert.equal(resolveSpeculation({ type: "prompt-lookup" }), { ngram: 3, maxDraft: 7 });
  const bad: [object, RegExp][] = [
    [{}, /speculation.type is undefined/],
    [{ type: "draft-model" }, /speculation.type is draft-model; allowed: "prompt-lookup"/],
    [{ type: "prompt-lookup", ngram: 0 }, /speculation.ngram is 0; allowed: an integer in 1..8/],
    [{ type: "prompt-lookup", ngram: 9 }, /ngram is 9/],
    [{ type: "prompt-lookup", maxDraft: 1.5 }, /speculation.maxDraft is 1.5; allowed: an integer in 1..31/],
    [{ type: "prompt-lookup", maxDraft: 32 }, /maxDraft is 32/],
  ];
  for (const [options, mentions] of bad)
    assert.throws(
      () => resolveSpeculation(options as Speculation),
      (error: unknown) => error instanceof Qwen3Error && error.code === "ARGUMENT" && mentions.test(error.message),
    );
});

/** Everything a reader sees, and what the logits processor saw. */
async function everything(model: Qwen3, prompts: number[][], options: TextGenerateOptions) {
  const parts: object[][] = prompts.map(() => []);
  const seen: string[][] = prompts.map(() => []);
  const logitsProcessor: TextGenerateOptions["logitsProcessor"] = (logits, { index, generatedIds }) => {
    seen[index]!.push(generatedIds.join());
    logits[generatedIds.length % 50]! += 1;
    options.logitsProcessor?.(logits, { index, generatedIds, promptIds: [] });
  };
  const withProcessor = options.logitsProcessor ? { logitsProcessor } : {};
  const stream = model.generate(prompts, { ...options, ...withProcessor });
  for await (const { index, ...part } of stream) parts[index]!.push(part);
  const results = (await stream.final()).map(({ usage, ...result }) => ({
    ...result,
    usage: { ...usage, draftTokens: undefined, acceptedTokens: undefined },
  }));
  return { parts, seen, results, usage: (await stream.final()).map(({ usage }) => usage) };
}

/** Prompts that repeat themselves, so that there is something to guess. */
const promptIds = fc
  .record({ example: fc.nat(cases.length - 1), repeats: fc.integer({ min: 1, max: 3 }) })
  .map(({ example, repeats }) => {
    const { prompt_ids, greedy_ids } = cases[example]!;
    const turn = [...prompt_ids, ...greedy_ids].slice(-60);
    return [...Array.from({ length: repeats }, () => turn).flat(), ...prompt_ids].slice(-150);
  });

const generation = fc.record({
  prompts: fc.array(promptIds, { minLength: 1, maxLength: 4 }),
  speculation: fc.record({
    type: fc.constant("prompt-lookup" as const),
    ngram: fc.integer({ min: 1, max: 4 }),
    maxDraft: fc.integer({ min: 1, max: 12 }),
  }),
  options: fc.record({
    seed: fc.maxSafeInteger(),
    temperature: fc.constantFrom(0, 0.3, 0.7, 1, 2),
    topK: fc.constantFrom(0, 1, 20),
    topP: fc.constantFrom(1, 0.8),
    repetitionPenalty: fc.constantFrom(1, 1.3),
    presencePenalty: fc.constantFrom(0, 1.5),
    frequencyPenalty: fc.constantFrom(0, 0.5),
    maxNewTokens: fc.integer({ min: 1, max: 30 }),
    minNewTokens: fc.constantFrom(undefined, 5),
    ignoreEos: fc.boolean(),
    logprobs: fc.constantFrom(undefined, 0, 3),
    stop: fc.constantFrom(undefined, " a", ["the", "."]),
    logitsProcessor: fc.constantFrom(undefined, () => {}),
  }),
});

test("with and without guesses: the same ids, text, probabilities, reasons and calls, at any temperature", async ({ model }) => {
  let [drafted, accepted] = [0, 0];
  await fc.assert(
    fc.asyncProperty(generation, async ({ prompts, speculation, options }) => {
      const plain = await everything(model, prompts, options);
      const guessed = await everything(model, prompts, { ...options, speculation });
      assert.equal([guessed.parts, guessed.seen, guessed.results], [plain.parts, plain.seen, plain.results]);
      for (const { draftTokens, acceptedTokens, completionTokens } of guessed.usage) {
        assert.ok(acceptedTokens! <= draftTokens! && acceptedTokens! <= completionTokens);
        drafted += draftTokens!;
        accepted += acceptedTokens!;
      }
    }),
    { numRuns: process.env.LONG ? 2000 : 20 },
  );
  assert.ok(accepted > 10 && accepted < drafted, `${accepted} of ${drafted}`);
});

test("a text that repeats itself takes fewer steps, and says how many guesses were right", async ({ model }) => {
  const { prompt_ids, greedy_ids } = cases[0]!;
  const prompt = [...prompt_ids, ...greedy_ids, ...prompt_ids];
  const cache = model.newCache();
  const options = { temperature: 0, maxNewTokens: 60, ignoreEos: true, cache };
  const { ids, usage } = await model.generate(prompt, { ...options, speculation: { type: "prompt-lookup" } }).final();
  assert.is(cache.length, prompt.length + 59, "what was guessed wrong is not in the cache");
  assert.equal(cache.ids, [...prompt, ...ids.slice(0, -1)]);
  assert.ok(usage.acceptedTokens! > 10, `${usage.acceptedTokens} of ${usage.draftTokens}`);
  const plain = await model.generate(prompt, options).final();
  assert.equal(ids, plain.ids);
  assert.is(plain.usage.draftTokens, undefined);
  cache.close();
});

test("chat says so too", async ({ model }) => {
  const messages = [{ role: "user" as const, content: "Say this again: the cat sat on the mat, the cat sat on the mat." }];
  const plain = await model.chat(messages, { temperature: 0 }).final();
  const guessed = await model.chat(messages, { temperature: 0, speculation: { type: "prompt-lookup", ngram: 2 } }).final();
  assert.equal(guessed.message, plain.message);
  assert.type(guessed.usage.draftTokens, "number");
});

test.run();
