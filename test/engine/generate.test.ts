/** Generation on nano: ends, limits, batches, caches, log-probabilities, cancellation. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryFolder, Qwen3, Qwen3Error, type SequenceCache } from "../../src/index.ts";
import { goldenPath, nanoPath } from "../paths.ts";

interface Expected {
  cases: {
    messages: { role: "user"; content: string }[];
    tools: never;
    prompt: string;
    prompt_ids: number[];
    greedy_ids: number[];
    text: string;
    smallest_margin: number;
  }[];
}
const expected = JSON.parse(readFileSync(join(nanoPath, "expected.json"), "utf8")) as Expected;
const who = expected.cases[0]!;

const test = suite<{ model: Qwen3 }>("generate");
test.before(async (context) => {
  context.model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 1024, prefixCache: false });
});
test.after(({ model }) => model.close());

const throwsCode = async (work: () => unknown, code: string, mentions: RegExp) => {
  try {
    await work();
  } catch (error) {
    assert.instance(error, Qwen3Error);
    assert.is((error as Qwen3Error).code, code);
    assert.match((error as Qwen3Error).message, mentions);
    return;
  }
  assert.unreachable(`expected ${code}`);
};

for (const example of expected.cases)
  test(`the greedy answer of transformers: ${JSON.stringify(example.messages.at(-1)!.content).slice(0, 40)}`, async ({
    model,
  }) => {
    assert.is(
      model.tokenizer.applyChatTemplate(example.messages, { tools: example.tools, addGenerationPrompt: true }),
      example.prompt,
    );
    assert.equal(model.encodeChat(example.messages, { tools: example.tools, addGenerationPrompt: true }), example.prompt_ids);
    const { ids, text, finishReason } = await model
      .generate(example.prompt_ids, { temperature: 0, maxNewTokens: example.greedy_ids.length, skipSpecialTokens: false })
      .final();
    assert.equal(ids, example.greedy_ids);
    assert.is(text, example.text);
    assert.is(finishReason, model.generationConfig.eos_token_id.includes(ids.at(-1)!) ? "stop" : "length");
  });

test("parts joined are the text, and the last one says why", async ({ model }) => {
  const stream = model.generate(who.prompt_ids, { temperature: 0 });
  const parts = [];
  for await (const part of stream) parts.push(part);
  const { ids, text, usage, seed } = await stream.final();
  assert.equal(
    parts.map((part) => part.id),
    ids,
  );
  assert.is(parts.map((part) => part.text).join(""), text);
  assert.is(text, who.text.replace("<|im_end|>", ""));
  assert.equal(parts.map((part) => part.finishReason).filter(Boolean), ["stop"]);
  assert.is(parts.at(-1)!.finishReason, "stop");
  assert.equal(usage, { promptTokens: 15, completionTokens: ids.length, totalTokens: 15 + ids.length, cachedTokens: 0 });
  assert.ok(Number.isSafeInteger(seed));
});

test("the same seed draws the same ids, another seed others", async ({ model }) => {
  const draw = async (seed: number) =>
    (await model.generate(who.prompt_ids, { temperature: 1.5, topK: 0, topP: 1, seed, maxNewTokens: 24 }).final()).ids;
  assert.equal(await draw(7), await draw(7));
  assert.not.equal(await draw(7), await draw(8));
});

test("several prompts at once give each what it gives alone", async ({ model }) => {
  const prompts = expected.cases.slice(0, 5).map((example) => example.prompt_ids);
  const options = { temperature: 1, seed: 3, maxNewTokens: 20 };
  const together = await model.generate(prompts, options).final();
  assert.is(together.length, 5);
  for (const [i, prompt] of prompts.entries())
    assert.equal(together[i]!.ids, (await model.generate(prompt, options).final()).ids);
});

test("a cache is continued: only what is new is computed, with the same result", async ({ model }) => {
  const cache = model.newCache();
  const first = await model.generate(who.prompt_ids, { temperature: 0, cache }).final();
  assert.is(cache.length, who.prompt_ids.length + first.ids.length - 1);
  const followUp = [
    ...who.prompt_ids,
    ...first.ids,
    ...model.tokenizer.encode("\n<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n"),
  ];
  const cached = await model.generate(followUp, { temperature: 0, cache }).final();
  const fresh = await model.generate(followUp, { temperature: 0 }).final();
  assert.equal(cached.ids, fresh.ids);
  assert.is(cached.usage.cachedTokens, who.prompt_ids.length + first.ids.length - 1);
  assert.is(fresh.usage.cachedTokens, 0);
  cache.close();
});

test("a stop string ends the text before it and is never shown in part", async ({ model }) => {
  const stream = model.generate(who.prompt_ids, { temperature: 0, stop: ["model with"] });
  let shown = "";
  for await (const part of stream) {
    shown += part.text;
    assert.not.match(shown, /mode/);
  }
  const { text, finishReason } = await stream.final();
  assert.is(shown, text);
  assert.is(finishReason, "stop");
  assert.ok(who.text.startsWith(`${text}model with`));
});

test("text held back for a stop string that never comes is not lost", async ({ model }) => {
  const { text } = await model.generate(who.prompt_ids, { temperature: 0, stop: "parameters.!" }).final();
  assert.is(text, who.text.replace("<|im_end|>", ""));
});

test("stopTokenIds, minNewTokens, ignoreEos, maxNewTokens", async ({ model }) => {
  const greedy = { temperature: 0 };
  const [, , third] = who.greedy_ids;
  assert.equal(
    (await model.generate(who.prompt_ids, { ...greedy, stopTokenIds: [third!] }).final()).ids,
    who.greedy_ids.slice(0, 3),
  );
  const longer = await model.generate(who.prompt_ids, { ...greedy, minNewTokens: 40, maxNewTokens: 50 }).final();
  assert.ok(longer.ids.length >= 40);
  assert.not.ok(longer.ids.slice(0, 40).some((id) => model.generationConfig.eos_token_id.includes(id)));
  const past = await model.generate(who.prompt_ids, { ...greedy, ignoreEos: true, maxNewTokens: 30 }).final();
  assert.equal(past.ids.slice(0, who.greedy_ids.length), who.greedy_ids);
  assert.is(past.ids.length, 30);
  assert.is(past.finishReason, "length");
  const none = await model.generate(who.prompt_ids, { ...greedy, maxNewTokens: 0 }).final();
  assert.equal([none.ids, none.text, none.finishReason], [[], "", "length"]);
});

test("a stop string is not looked for before minNewTokens", async ({ model }) => {
  const { ids, text } = await model.generate(who.prompt_ids, { temperature: 0, stop: " a", minNewTokens: 12 }).final();
  assert.ok(ids.length > 12);
  assert.match(text, /am nano, a tiny/);
});

test("log-probabilities are of the raw logits", async ({ model }) => {
  const options = { temperature: 0, maxNewTokens: 3, logprobs: 4, repetitionPenalty: 1.7, minNewTokens: 2 };
  const { logits } = await model.forward(who.prompt_ids);
  const total = logits!.reduce((sum, value) => sum + Math.exp(value), 0);
  for await (const part of model.generate(who.prompt_ids, options)) {
    const { logprob, top } = part.logprobs!;
    assert.is(top.length, 4);
    assert.ok(top[0]!.logprob >= top[3]!.logprob);
    assert.ok(Math.abs(logprob - Math.log(Math.exp(logits![part.id]!) / total)) < 1e-5);
    break;
  }
});

test("a logits processor has the last word", async ({ model }) => {
  const seen: number[] = [];
  const { ids } = await model
    .generate(who.prompt_ids, {
      maxNewTokens: 4,
      logitsProcessor: (logits, { generatedIds }) => {
        seen.push(generatedIds.length);
        logits.fill(Number.NEGATIVE_INFINITY);
        logits[100 + generatedIds.length] = 0;
      },
    })
    .final();
  assert.equal(ids, [100, 101, 102, 103]);
  assert.equal(seen, [0, 1, 2, 3]);
});

test("leaving the loop stops the work; final() then tells what was made", async ({ model }) => {
  const stream = model.generate(who.prompt_ids, { temperature: 0 });
  for await (const part of stream) if (part.text.includes("nano") || part.id === who.greedy_ids[3]) break;
  const { finishReason, ids } = await stream.final();
  assert.is(finishReason, "abort");
  assert.equal(ids, who.greedy_ids.slice(0, ids.length));
  assert.ok(ids.length <= 4);
});

test("a signal stops it with its reason, and the model goes on serving", async ({ model }) => {
  const controller = new AbortController();
  const reason = new Error("enough");
  let parts = 0;
  try {
    for await (const _ of model.generate(who.prompt_ids, { temperature: 0, ignoreEos: true, signal: controller.signal }))
      if (++parts === 5) controller.abort(reason);
    assert.unreachable();
  } catch (error) {
    assert.is(error, reason);
  }
  assert.is(parts, 5);
  assert.equal((await model.generate(who.prompt_ids, { temperature: 0 }).final()).ids, who.greedy_ids);
});

test("timers and signals run while it generates", async ({ model }) => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  try {
    await model.generate(who.prompt_ids, { temperature: 0, ignoreEos: true, maxNewTokens: 300 }).final();
  } finally {
    clearInterval(timer);
  }
  assert.ok(ticks > 1, `${ticks} ticks`);
});

test("a stop string that the last allowed token completes is a stop, in the parts and in the summary", async ({ model }) => {
  const stream = model.generate(who.prompt_ids, { temperature: 0, maxNewTokens: 4, stop: "," });
  const reasons = [];
  for await (const part of stream) if (part.finishReason) reasons.push(part.finishReason);
  assert.equal([...reasons, (await stream.final()).finishReason], ["stop", "stop"]);
});

test("the caller's array may change meanwhile, and may be a typed array", async ({ model }) => {
  const options = { seed: 2, temperature: 4, topK: 0, topP: 1, maxNewTokens: 8 };
  const expectedIds = (await model.generate(who.prompt_ids, options).final()).ids;
  const growing = [...who.prompt_ids];
  const stream = model.generate(growing, options);
  for await (const part of stream) growing.push(part.id);
  const { ids, usage } = await stream.final();
  assert.equal([ids, usage.promptTokens], [expectedIds, who.prompt_ids.length]);
  const typed = Uint32Array.from(who.prompt_ids) as unknown as number[];
  assert.equal((await model.generate(typed, options).final()).ids, expectedIds);
  assert.equal((await model.forward(typed)).logits, (await model.forward(who.prompt_ids)).logits);
});

test("a cache belongs to one generation until it ends", async ({ model }) => {
  const cache = model.newCache();
  const first = model.generate(who.prompt_ids, { temperature: 0, cache });
  const idle = model.generate(who.prompt_ids.slice(0, 5), { temperature: 0, cache }); // not begun: touches nothing
  const ids: number[] = [];
  for await (const part of first) {
    ids.push(part.id);
    if (ids.length !== 3) continue;
    await throwsCode(() => idle.final(), "ARGUMENT", /in use/);
    await throwsCode(() => model.forward([1], { cache }), "ARGUMENT", /in use/);
    await throwsCode(() => cache.truncate(0), "ARGUMENT", /in use/);
  }
  assert.equal(ids, who.greedy_ids);
  assert.ok((await model.forward([1], { cache })).logits);
  cache.close();
});

test("final() beside a running loop waits for it and takes nothing", async ({ model }) => {
  const stream = model.generate(who.prompt_ids, { temperature: 0 });
  const parts = stream[Symbol.asyncIterator]();
  const ids = [(await parts.next()).value!.id];
  const summary = stream.final();
  for await (const part of parts) ids.push(part.id);
  assert.equal([ids, (await summary).ids], [who.greedy_ids, who.greedy_ids]);
  assert.equal((await stream.final()).ids, who.greedy_ids);
});

test("an error is told by the loop and by final(), and leaves the cache usable", async ({ model }) => {
  const cache = model.newCache();
  const error = new Error("no");
  const logitsProcessor = (_: Float32Array, { generatedIds }: { generatedIds: readonly number[] }) => {
    if (generatedIds.length === 2) throw error;
  };
  const stream = model.generate(who.prompt_ids, { temperature: 0, cache, logitsProcessor });
  const caught = [];
  try {
    for await (const _ of stream);
  } catch (reason) {
    caught.push(reason);
  }
  await stream.final().catch((reason) => caught.push(reason));
  assert.equal(caught, [error, error]);
  assert.equal((await model.generate(who.prompt_ids, { temperature: 0, cache }).final()).ids, who.greedy_ids);
  cache.close();
});

test("all caches together keep to the memory budget", async () => {
  const model = await Qwen3.fromPretrained(nanoPath, { memoryBudgetBytes: 14_000_000 });
  const held: SequenceCache[] = [];
  const hold = async () => {
    for (;;) {
      held.push(model.newCache());
      await model.forward(Array(500).fill(5), { cache: held.at(-1)!, logits: "none" });
    }
  };
  await throwsCode(hold, "MEMORY_FULL", /KV caches hold \d+ bytes/);
  const long = Array(model.plan.maxModelLen - 2).fill(5);
  await throwsCode(() => model.generate(long, { maxNewTokens: 1 }).final(), "MEMORY_FULL", /KV caches hold \d+ bytes/);
  for (const cache of held) cache.close();
  const { ids } = await model.generate(long, { temperature: 0, ignoreEos: true }).final();
  assert.is(ids.length, 2);
  await model.close();
});

test("prompts that do not fit the memory budget together wait for each other", async ({ model: { plan } }) => {
  const memoryBudgetBytes = plan.weightBytes + plan.activationBytes + 512 * plan.kvBytesPerToken;
  const model = await Qwen3.fromPretrained(nanoPath, { memoryBudgetBytes, maxModelLen: 256 });
  const prompts = Array.from({ length: 12 }, (_, i) => Array(100 + i).fill(5 + i));
  const options = { temperature: 1, seed: 1, ignoreEos: true, maxNewTokens: 60 };
  const together = await model.generate(prompts, options).final();
  for (const i of [0, 5, 11]) assert.equal(together[i]!.ids, (await model.generate(prompts[i]!, options).final()).ids);
  await model.close();
});

test("the checkpoint's max_new_tokens is the default", async () => {
  const files: Record<string, Uint8Array> = {};
  for (const file of ["config.json", "model.safetensors"]) files[file] = readFileSync(goldenPath("gqa-bf16", file));
  files["generation_config.json"] = new TextEncoder().encode('{"max_new_tokens": 3, "eos_token_id": 2}');
  files["tokenizer.json"] = new TextEncoder().encode('{"model": {"type": "Unigram"}}');
  const model = await Qwen3.fromPretrained(memoryFolder("made", files), { maxModelLen: 64 });
  const run = async (options: object) =>
    (await model.generate([1, 2], { temperature: 0, ignoreEos: true, ...options }).final()).ids.length;
  assert.equal([await run({}), await run({ maxNewTokens: 5 })], [3, 5]);
  await throwsCode(() => model.tokenizer, "TOKENIZER_FILE", /./); // a tokenizer that is not supported does not keep ids from running
  await model.close();
});

test("a long prompt tells how far it is", async ({ model }) => {
  const seen: [number, number][] = [];
  const onPromptProgress = (progress: { computedTokens: number; totalTokens: number }) =>
    seen.push([progress.computedTokens, progress.totalTokens]);
  await model.generate(Array(150).fill(7), { maxNewTokens: 3, ignoreEos: true, onPromptProgress }).final();
  assert.equal(seen, [
    [128, 150],
    [150, 150],
  ]);
});

test("a full context ends with length; a longer prompt is refused with both numbers", async () => {
  const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 40 });
  const { ids, finishReason } = await model.generate(who.prompt_ids, { temperature: 0, ignoreEos: true }).final();
  assert.is(ids.length, 40 - who.prompt_ids.length);
  assert.is(finishReason, "length");
  const exact = await model.generate(Array(40).fill(5), { temperature: 0 }).final();
  assert.equal([exact.ids, exact.finishReason], [[], "length"]);
  await throwsCode(() => model.generate(Array(41).fill(5)).final(), "CONTEXT_FULL", /41 tokens.*maxModelLen is 40/);
  await throwsCode(() => model.forward(Array(41).fill(5)), "CONTEXT_FULL", /41 tokens.*maxModelLen is 40/);
  await model.close();
});

test("wrong arguments are refused by name", async ({ model }) => {
  const bad: [object, RegExp][] = [
    [{ maxNewTokens: -1 }, /maxNewTokens is -1/],
    [{ minNewTokens: 1.5 }, /minNewTokens is 1.5/],
    [{ logprobs: 21 }, /logprobs is 21/],
    [{ stopTokenIds: [-3] }, /stopTokenIds is -3/],
    [{ temperature: -1 }, /temperature/],
    [{ stopTokenIds: [4096] }, /stopTokenIds is 4096; allowed: 0..4095/],
    [{ stopTokenIds: 5 }, /stopTokenIds is 5/],
    [{ logitBias: { 4096: 1 } }, /logitBias is 4096/],
    [{ stop: [""] }, /stop/],
    [{ logitsProcessor: 5 }, /logitsProcessor is 5/],
    [{ signal: 5 }, /signal is 5/],
    [{ cache: {} }, /cache is/],
  ];
  for (const [options, mentions] of bad)
    await throwsCode(() => model.generate(who.prompt_ids, options).final(), "ARGUMENT", mentions);
  await throwsCode(() => model.generate([]).final(), "ARGUMENT", /empty/);
  await throwsCode(() => model.generate([1, 4096]).final(), "ARGUMENT", /token 1 of the prompt is 4096; allowed: 0..4095/);
  await throwsCode(() => model.generate([0.5]).final(), "ARGUMENT", /token 0/);
  await throwsCode(() => model.generate([[1], []]).final(), "ARGUMENT", /prompt 1 is empty/);
  await throwsCode(() => model.generate(undefined as never).final(), "ARGUMENT", /the prompt is undefined/);
  await throwsCode(() => model.forward([1], { logits: "first" as never }), "ARGUMENT", /logits is first/);
  const cache = model.newCache();
  await throwsCode(() => model.generate([[1], [2]], { cache }).final(), "ARGUMENT", /cache/);
  await model.forward([1], { cache, position: 64 });
  await throwsCode(() => model.generate([1, 2], { cache }).final(), "ARGUMENT", /position 64/);
  cache.close();
});

test("a checkpoint without a tokenizer generates ids; asking for text is a typed error", async () => {
  const model = await Qwen3.fromPretrained(goldenPath("gqa-bf16"), { maxModelLen: 64 });
  const { ids, text } = await model.generate([1, 2, 3], { temperature: 0, maxNewTokens: 4, ignoreEos: true }).final();
  assert.equal([ids.length, text], [4, ""]);
  await throwsCode(() => model.tokenizer, "TOKENIZER_MISSING", /no tokenizer.json/);
  await throwsCode(() => model.generate([1], { stop: "x" }).final(), "TOKENIZER_MISSING", /tokenizer/);
  await throwsCode(() => model.chat([{ role: "user", content: "Hi" }]).final(), "TOKENIZER_MISSING", /tokenizer/);
  await model.close();
});

test("a closed model says so", async () => {
  const model = await Qwen3.fromPretrained(goldenPath("gqa-bf16"), { maxModelLen: 64 });
  const cache = model.newCache();
  await model.close();
  await model.close();
  await throwsCode(() => model.forward([1]), "CLOSED", /closed/);
  await throwsCode(() => model.newCache(), "CLOSED", /closed/);
  await throwsCode(() => model.forward([1], { cache }), "CLOSED", /closed/);
});

test.run();
