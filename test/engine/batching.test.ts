/** nano in company: whatever shares its steps, its memory and its pages, an answer has the bits that it has alone. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LocalModel } from "../../src/engine/local-model.ts";
import { generateText } from "../../src/engine/text-generation.ts";
import { Qwen3, Qwen3Error, type TextGenerateOptions } from "../../src/index.ts";
import { nanoPath } from "../paths.ts";

const { cases } = JSON.parse(readFileSync(join(nanoPath, "expected.json"), "utf8")) as { cases: { prompt_ids: number[] }[] };
/** Eight prompts of 2 to some 300 tokens. */
const prompts = cases
  .slice(0, 6)
  .map(({ prompt_ids }) => prompt_ids)
  .concat([[5, 6], cases.flatMap(({ prompt_ids }) => prompt_ids).slice(0, 300)]);
const options: TextGenerateOptions = { temperature: 1, seed: 11, maxNewTokens: 12, ignoreEos: true, logprobs: 3 };

/** Ids and log-probabilities, whose last bit shows any change of the logits. */
async function answer(model: Qwen3, prompt: readonly number[], more: TextGenerateOptions = {}) {
  const parts = [];
  for await (const { id, text, logprobs } of model.generate(prompt, { ...options, ...more })) parts.push({ id, text, logprobs });
  return parts;
}

const test = suite<{ model: Qwen3; alone: Awaited<ReturnType<typeof answer>>[] }>("batching");
test.before(async (context) => {
  context.model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 1024 });
  context.alone = [];
  for (const prompt of prompts) context.alone.push(await answer(context.model, prompt));
});
test.after(({ model }) => model.close());

for (const maxBatchedTokens of [1, 3, 32, 64, 512])
  test(`steps of at most ${maxBatchedTokens} tokens, one prompt or eight`, async ({ alone }) => {
    const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 1024, maxBatchedTokens });
    const together = await Promise.all(prompts.map((prompt) => answer(model, prompt)));
    assert.equal(together, alone);
    assert.equal(await answer(model, prompts[7]!), alone[7]);
    await model.close();
  });

test("in a team of threads", async ({ alone }) => {
  const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 1024, threads: 2 });
  assert.equal(await Promise.all(prompts.map((prompt) => answer(model, prompt))), alone);
  const cache = model.newCache();
  await model.forward(prompts[7]!.slice(0, -1), { cache, logits: "none" });
  const forks = [cache, cache.fork(), cache.fork()];
  for (const parts of await Promise.all(forks.map((fork) => answer(model, prompts[7]!, { cache: fork }))))
    assert.equal(parts, alone[7]);
  await model.close();
});

test("calls at the same time share steps, of generate and of forward", async () => {
  const model = await LocalModel.load(nanoPath, { maxModelLen: 1024 });
  const steps: number[] = [];
  const { executor } = model;
  const step = executor.step.bind(executor);
  executor.step = (request) => {
    steps.push(request.segments.length);
    return step(request);
  };
  const { logits } = await model.forward(prompts[0]!);
  const results = await Promise.all([
    generateText(model, [prompts[0]!], options, ([result]) => result!.ids).final(),
    model.forward(prompts[0]!),
    generateText(model, [prompts[1]!, prompts[6]!], options, ([result]) => result!.ids).final(),
    generateText(model, [prompts[2]!], options, ([result]) => result!.ids).final(),
  ]);
  assert.equal((results[1] as { logits: Float32Array }).logits, logits);
  assert.ok(steps.filter((segments) => segments === 4).length >= 10, `${steps}`);
  await model.close();
});

test("answers that end, stop or are left early leave the others alone", async ({ model, alone }) => {
  const controller = new AbortController();
  const leave = async () => {
    for await (const _ of model.generate(prompts[1]!, options)) break;
  };
  const abort = async () => {
    let seen = 0;
    for await (const _ of model.generate(prompts[2]!, { ...options, signal: controller.signal }))
      if (++seen === 5) controller.abort(new Error("enough"));
  };
  const fail = answer(model, prompts[3]!, {
    logitsProcessor: (logits, { generatedIds }) => void (generatedIds.length === 4 && logits.fill(Number.NaN)),
  });
  const results = await Promise.allSettled([
    answer(model, prompts[0]!),
    leave(),
    abort(),
    fail,
    answer(model, prompts[4]!, { maxNewTokens: 3 }),
    answer(model, prompts[7]!),
  ]);
  const reasons = results.map((result) => (result.status === "rejected" ? result.reason : undefined));
  assert.is(reasons[2].message, "enough");
  assert.instance(reasons[3], Qwen3Error);
  assert.is(reasons[3].code, "SAMPLER_LOGITS");
  const values = results.map((result) => (result.status === "fulfilled" ? result.value : undefined));
  assert.equal([values[0], values[4], values[5]], [alone[0], alone[4]!.slice(0, 3), alone[7]]);
});

test("a slow reader holds nobody up, and is at most a step behind", async ({ model, alone }) => {
  let drawn = 0;
  const slow = model.generate(prompts[0]!, { ...options, logitsProcessor: () => void drawn++ })[Symbol.asyncIterator]();
  await slow.next();
  assert.equal(await answer(model, prompts[1]!), alone[1]);
  assert.is(drawn, 2);
  const ids = [];
  for await (const { id } of slow) ids.push(id);
  assert.equal(
    ids,
    alone[0]!.slice(1).map(({ id }) => id),
  );
});

test("less memory than the answers take together: some wait or are computed again", async ({ model, alone }) => {
  const { weightBytes, activationBytes, kvBytesPerToken } = model.plan;
  const memoryBudgetBytes = weightBytes + activationBytes + 384 * kvBytesPerToken;
  assert.ok(384 + 32 < prompts.flat().length + 8 * 12);
  const small = await Qwen3.fromPretrained(nanoPath, { memoryBudgetBytes, maxModelLen: 384 });
  assert.equal(await Promise.all(prompts.map((prompt) => answer(small, prompt))), alone);
  await small.close();
});

test("at most maxSequences generate at once", async ({ alone }) => {
  const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 1024, maxSequences: 2 });
  assert.equal(await Promise.all(prompts.map((prompt) => answer(model, prompt))), alone);
  await model.close();
});

test("forks go on as if each had computed its prompt", async ({ model, alone }) => {
  const prompt = prompts[7]!;
  const cache = model.newCache();
  await model.forward(prompt.slice(0, -1), { cache, logits: "none" });
  const forks = Array.from({ length: 4 }, () => cache.fork());
  const computed: number[] = [];
  const onPromptProgress = ({ totalTokens }: { totalTokens: number }) => computed.push(totalTokens);
  const together = await Promise.all(
    forks.map((fork, i) => answer(model, prompt, { cache: fork, seed: 11 + (i % 2), onPromptProgress })),
  );
  assert.equal(computed, [1, 1, 1, 1]);
  assert.equal([together[0], together[2]], [alone[7], alone[7]]);
  assert.equal(together[1], together[3]);
  assert.not.equal(together[1], together[0]);
  const [first, second] = forks;
  second!.truncate(100);
  assert.equal(await answer(model, prompt, { cache: second! }), alone[7]);
  assert.equal(first!.ids.slice(0, prompt.length), prompt);
  assert.is(cache.length, prompt.length - 1);
  const release = model.generate(prompt, { ...options, cache })[Symbol.asyncIterator]();
  await release.next();
  assert.throws(() => cache.fork(), /in use/);
  await release.return();
  for (const fork of forks) fork.close();
  cache.close();
  assert.throws(() => cache.fork(), /closed/);
});

test("a model that is closed ends what runs with CLOSED", async () => {
  const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 64 });
  const fork = model.newCache().fork();
  const parts = model.generate([1, 2, 3], options)[Symbol.asyncIterator]();
  await parts.next();
  const pending = parts.next();
  await model.close();
  try {
    for (let result = await pending; !result.done; result = await parts.next());
    assert.unreachable();
  } catch (error) {
    assert.is((error as Qwen3Error).code, "CLOSED");
  }
  try {
    fork.truncate(0);
    assert.unreachable();
  } catch (error) {
    assert.is((error as Qwen3Error).code, "CLOSED");
  }
});

test.run();
