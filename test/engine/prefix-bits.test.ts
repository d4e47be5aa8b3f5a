/** nano with a prefix cache: what is found has the bits of what would be computed, whatever the cache's type and whoever computes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LocalModel } from "../../src/engine/local-model.ts";
import type { ModelOptions } from "../../src/engine/model-options.ts";
import { generateText } from "../../src/engine/text-generation.ts";
import { Qwen3, type TextGenerateOptions } from "../../src/index.ts";
import { nanoPath } from "../paths.ts";

const { cases } = JSON.parse(readFileSync(join(nanoPath, "expected.json"), "utf8")) as { cases: { prompt_ids: number[] }[] };
const long = cases.flatMap(({ prompt_ids }) => prompt_ids).slice(0, 150);
const options: TextGenerateOptions = { temperature: 1, seed: 11, maxNewTokens: 40, ignoreEos: true, logprobs: 3 };

/** Ids, log-probabilities, and all logits of the first three tokens. */
async function answer(model: Qwen3, prompt: readonly number[], more: TextGenerateOptions = {}) {
  const logits: Float32Array[] = [];
  const keep: TextGenerateOptions["logitsProcessor"] = (row) => void (logits.length < 3 && logits.push(row.slice()));
  const parts = [];
  const stream = model.generate(prompt, { ...options, ...more, logitsProcessor: keep });
  for await (const { id, logprobs } of stream) parts.push({ id, logprobs });
  const { usage } = await stream.final();
  return { result: { parts, logits }, cachedTokens: usage.cachedTokens };
}

const kinds: [string, ModelOptions][] = [
  ...(["f32", "f16", "int8"] as const).map((kvCache): [string, ModelOptions] => [kvCache, { kvCache }]),
  ["f16, simd", { wasm: { build: "simd" } }],
  ["int8 weights and cache", { weights: "int8" }],
  ["int8, two threads", { kvCache: "int8", threads: 2 }],
  ["reference, int8", { kvCache: "int8", backend: "reference" }],
];
for (const [name, modelOptions] of kinds)
  test(`hits have the bits of misses: ${name}`, async () => {
    const slow = modelOptions.backend === "reference" || modelOptions.threads === 2;
    const prompt = slow ? long.slice(0, 47) : long;
    const more = slow ? { maxNewTokens: 3 } : {};
    const plain = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 512, ...modelOptions, prefixCache: false });
    const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 512, ...modelOptions });
    const first = await answer(plain, prompt, more);
    const miss = await answer(model, prompt, more);
    assert.equal(miss.result, first.result);
    const hit = await answer(model, prompt, more);
    assert.equal([first.cachedTokens, miss.cachedTokens, hit.cachedTokens], [0, 0, prompt.length - 1]);
    assert.equal(hit.result, first.result);
    // Parts within a page, and goes on behind an answer.
    const others = [
      [...prompt.slice(0, 45), 5, 6, 7],
      [...prompt, ...first.result.parts.map(({ id }) => id), 8, 9],
    ];
    for (const [i, other] of others.entries()) {
      const found = await answer(model, other, more);
      assert.is(found.cachedTokens, i === 0 ? 45 : other.length - 3);
      assert.equal(found.result, (await answer(plain, other, more)).result);
    }
    await Promise.all([model.close(), plain.close()]);
  });

test("the second turn of a chat computes the new tokens only", async () => {
  const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 512 });
  const messages = [{ role: "user" as const, content: "Who are you?" }];
  const first = await model.chat(messages, { temperature: 0 }).final();
  assert.is(first.usage.cachedTokens, 0);
  const next = [...messages, first.message, { role: "user" as const, content: "And who made you?" }];
  const before = model.statistics.computedTokens;
  const second = await model.chat(next, { temperature: 0 }).final();
  // All of the first turn but its end token, which was drawn and never computed.
  const known = first.usage.totalTokens - 1;
  assert.is(second.usage.cachedTokens, known);
  const computed = model.statistics.computedTokens - before;
  assert.is(computed, second.usage.promptTokens - known + second.usage.completionTokens - 1);
  assert.is(model.statistics.usedPages, 0);
  await model.close();
});

test("n choices at once compute the prompt once, and are what each is alone", async () => {
  const model = await LocalModel.load(nanoPath, { maxModelLen: 512 });
  const alone = await LocalModel.load(nanoPath, { maxModelLen: 512, prefixCache: false });
  const ids = (of: LocalModel, choice: number) =>
    generateText(of, [long], { ...options, choice }, ([result]) => result!.ids).final();
  const together = await Promise.all([0, 1, 2, 3].map((choice) => ids(model, choice)));
  for (const [choice, answer] of together.entries()) assert.equal(answer, await ids(alone, choice));
  assert.is(model.statistics.computedTokens, long.length + 4 * 39);
  await Promise.all([model.close(), alone.close()]);
});

test("an abort frees the pages at once, also where nobody asks for parts any more", async () => {
  const model = await LocalModel.load(nanoPath, { maxModelLen: 512, prefixCache: false });
  const controller = new AbortController();
  const parts = generateText(model, [long], { ...options, signal: controller.signal }, () => undefined)[Symbol.asyncIterator]();
  await parts.next();
  assert.ok(model.statistics.usedPages > 0);
  controller.abort(new Error("gone"));
  assert.is(model.statistics.usedPages, 0);
  const error = await parts.next().catch((error) => error);
  assert.is(error.message, "gone");
  await model.close();
});

test("no more wait than may", async () => {
  const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 512, maxSequences: 1, maxWaiting: 1 });
  const results = await Promise.allSettled([3, 4, 5].map((count) => model.generate(long.slice(0, count), options).final()));
  assert.equal(
    results.map(({ status }) => status),
    ["fulfilled", "fulfilled", "rejected"],
  );
  assert.is((results[2] as PromiseRejectedResult).reason.code, "QUEUE_FULL");
  await model.close();
  for (const [wrong, message] of [
    [{ maxWaiting: -1 }, /maxWaiting is -1/],
    [{ prefixCache: 1 as unknown as boolean }, /prefixCache is 1/],
  ] as const)
    assert.match(String(await Qwen3.fromPretrained(nanoPath, wrong).catch((error) => error)), message);
});

test.run();
