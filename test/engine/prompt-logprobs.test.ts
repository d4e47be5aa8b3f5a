/** How likely a prompt was: what the forward pass over all of it says, whatever it is computed beside and whenever. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3, type TextGenerateOptions } from "../../src/index.ts";
import { logprobs } from "../../src/sampler/logprobs.ts";
import { nanoPath } from "../paths.ts";
import { finish, newEngine, promptOf, request } from "./fake-engine.ts";
import { plainAnswer } from "./fake-executor.ts";

const { cases } = JSON.parse(readFileSync(join(nanoPath, "expected.json"), "utf8")) as { cases: { prompt_ids: number[] }[] };
const prompt = cases.flatMap(({ prompt_ids }) => prompt_ids).slice(0, 140);

const test = suite<{ model: Qwen3 }>("prompt log-probabilities");
test.before(async (context) => {
  context.model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 512 });
});
test.after(({ model }) => model.close());

/** By the forward pass at once. */
async function expected(model: Qwen3, ids: readonly number[], top: number) {
  const { logits } = await model.forward(ids, { logits: "all" });
  const vocab = model.config.vocab_size;
  return ids.slice(1).map((id, row) => logprobs(logits!.subarray(row * vocab, (row + 1) * vocab), id, top));
}

async function scored(model: Qwen3, prompts: readonly (readonly number[])[], more: TextGenerateOptions = {}) {
  const tokens: { id: number; logprobs: unknown }[][] = prompts.map(() => []);
  const results = await model
    .generate(prompts, {
      temperature: 0,
      maxNewTokens: 0,
      promptLogprobs: 3,
      onPromptLogprobs({ index, position, id, logprobs }) {
        assert.is(tokens[index]!.push({ id, logprobs }), position, "in order");
      },
      ...more,
    })
    .final();
  return { tokens, results };
}

test("every token but the first, with the bits of forward, of several prompts at once and again", async ({ model }) => {
  const prompts = [prompt, prompt.slice(0, 5), [7], prompt.slice(3, 70)];
  for (let turn = 0; turn < 2; turn++) {
    const { tokens, results } = await scored(model, prompts);
    for (const [i, ids] of prompts.entries()) {
      assert.equal(
        tokens[i]!.map(({ id }) => id),
        ids.slice(1),
      );
      assert.equal(
        tokens[i]!.map(({ logprobs }) => logprobs),
        await expected(model, ids, 3),
      );
      const { finishReason, usage } = results[i]!;
      assert.equal([finishReason, usage.completionTokens, usage.cachedTokens], ["length", 0, 0]);
    }
  }
  assert.is(model.statistics.usedPages, 0);
});

test("an answer behind it is that without, and in a cache of the caller's it goes on", async ({ model }) => {
  const more = { maxNewTokens: 9, temperature: 1, seed: 4, promptLogprobs: 0 };
  const plain = await model.generate(prompt, { ...more, promptLogprobs: undefined }).final();
  const cache = model.newCache();
  await model.generate(prompt, { cache, maxNewTokens: 2 }).final();
  for (const extra of [{}, { cache }, { speculation: { type: "prompt-lookup", ngram: 1 } as const }]) {
    const { tokens, results } = await scored(model, [prompt], { ...more, ...extra });
    assert.equal(results[0]!.ids, plain.ids);
    assert.equal(
      tokens[0]!.map(({ logprobs }) => logprobs),
      await expected(model, prompt, 0),
    );
  }
  assert.is(cache.length, prompt.length + plain.ids.length - 1);
  cache.close();
});

test("what the callback throws ends the generation; a number out of range is refused", async ({ model }) => {
  const error = new Error("enough");
  const onPromptLogprobs = () => {
    throw error;
  };
  assert.is(await scored(model, [prompt], { onPromptLogprobs }).catch((thrown) => thrown), error);
  for (const promptLogprobs of [-1, 21, 0.5])
    assert.match(String(await scored(model, [prompt], { promptLogprobs }).catch((error) => error)), /promptLogprobs is/);
});

test("who has to give up its pages meanwhile reports every token once", async () => {
  const { engine, executor } = newEngine({ pages: 5, maxBatchedTokens: 64 });
  const seen: number[] = [];
  const older = [request(31, 20), request(0, 20, { promptIds: promptOf(31, 1) })].map((r) => engine.add(r));
  const promptLogprobs = { top: 1, onToken: (position: number) => void seen.push(position) };
  const r = request(90, 5, { promptLogprobs });
  const state = engine.add(r);
  await engine.step();
  await engine.step();
  assert.ok(seen.length > 0 && seen.length < 40);
  await finish(engine, ...older, state);
  assert.equal(
    seen,
    Array.from({ length: 89 }, (_, i) => i + 1),
  );
  assert.equal(state.generatedIds, plainAnswer(r));
  assert.ok(engine.statistics.preemptions > 0);
  assert.ok(executor.steps.flat().every((tokens) => tokens <= 64));
  const cancelled = engine.add(request(90, 5, { promptLogprobs: { top: 1, onToken: () => engine.cancel(cancelled.id) } }));
  await finish(engine, cancelled);
  assert.equal([cancelled.finishReason, cancelled.failure, cancelled.generatedIds.length], ["abort", undefined, 0]);
});

test.run();
