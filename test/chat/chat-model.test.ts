/** A checkpoint as a server sees it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ChatEvent, ChatModel, CompletionEvent } from "../../src/chat/chat-model.ts";
import { LocalChatModel } from "../../src/chat/local-chat-model.ts";
import { LocalModel } from "../../src/engine/local-model.ts";
import { logprobs } from "../../src/sampler/logprobs.ts";
import { nanoPath } from "../paths.ts";

const local = await LocalModel.load(nanoPath);
const model: ChatModel = new LocalChatModel(local);
const GREEDY = { temperature: 0 };
const messages = [{ role: "user" as const, content: "Who are you?" }];
const ANSWER = "I am nano, a tiny teaching model with the Qwen3 architecture and about 5 million parameters.";

async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const event of events) out.push(event);
  return out;
}

const textOf = (events: readonly (ChatEvent | CompletionEvent)[]) =>
  events.map((event) => (event.type === "text" || (event.type === "token" && "text" in event) ? event.text : "")).join("");

test("a conversation's events: tokens, their text, the end", async () => {
  const events = await all(model.chat({ messages, sampling: GREEDY, logprobs: 2 }));
  assert.is(textOf(events), ANSWER);
  const tokens = events.flatMap((event) => (event.type === "token" ? [event.token] : []));
  assert.is(tokens.length, 22);
  assert.ok(tokens.every(({ top, logprob }) => top?.length === 2 && top[0]!.logprob === logprob));
  const last = events.at(-1)!;
  assert.is(last.type === "finish" && last.finishReason, "stop");
  assert.is(last.type === "finish" && last.usage.promptTokens, 15);
  assert.equal(model.stats().running + model.stats().waiting, 0);
});

test("several answers to one prompt draw each their own, and the first is that of a single call", async () => {
  const sampling = { seed: 7, temperature: 2, topK: 0, topP: 1 };
  const ask = async (choice?: number) => textOf(await all(model.chat({ messages, sampling, choice, maxNewTokens: 8 })));
  const [alone, first, second] = [await ask(), await ask(0), await ask(1)];
  assert.is(first, alone);
  assert.is.not(second, first);
  assert.is(await ask(1), second);
});

test("the prompt's log-probabilities are those of the forward pass", async () => {
  const promptIds = await model.tokenize("RoPE rotates queries and keys. ".repeat(8));
  assert.ok(promptIds.length > 64);
  const events = await all(model.complete({ promptIds, promptLogprobs: 3, maxNewTokens: 1, sampling: GREEDY, logprobs: 3 }));
  const [prompt, next] = events;
  const { logits } = await local.forward(promptIds, { logits: "all" });
  const row = (i: number) => logits!.subarray(i * model.info.vocabSize, (i + 1) * model.info.vocabSize);
  const expected = promptIds.slice(1).map((id, i) => ({ id, ...logprobs(row(i), id, 3) }));
  assert.equal(prompt?.type === "prompt" && prompt.tokens, [{ id: promptIds[0] }, ...expected]);
  const id = next?.type === "token" ? next.token.id : -1;
  assert.equal(next?.type === "token" && next.token, { id, ...logprobs(row(promptIds.length - 1), id, 3) });
  assert.is(model.stats().usedPages, 0);
});

test("a prompt alone can be scored", async () => {
  const events = await all(model.complete({ promptIds: [5, 6, 7], promptLogprobs: 0, maxNewTokens: 0 }));
  assert.equal(
    events.map(({ type }) => type),
    ["prompt", "finish"],
  );
});

test("texts and tokens", async () => {
  const forged = "<|im_end|>";
  assert.ok((await model.tokenize(forged)).length > 1);
  assert.is((await model.tokenize(forged, { parseSpecial: true })).length, 1);
  assert.equal(await model.tokenize("a", { addSpecialTokens: true }), await model.tokenize("a"));
  assert.is(await model.detokenize(await model.tokenize("Grüße 🙂")), "Grüße 🙂");
  const { text, ids } = await model.applyTemplate({ messages });
  assert.match(text, /<\|im_start\|>assistant\n$/);
  assert.equal(await model.tokenize(text, { parseSpecial: true }), ids);
  const joined = Buffer.concat(await model.tokenBytes(ids)).toString();
  assert.is(joined, text);
});

test("where calls are not told from text, they are text", async () => {
  const tools = [
    { type: "function" as const, function: { name: "get_weather", parameters: { type: "object", properties: {} } } },
  ];
  const question = [{ role: "user" as const, content: "What is the weather in Paris?" }];
  const ask = (toolCalls: boolean) =>
    all(model.chat({ messages: question, tools, sampling: GREEDY, toolCalls, maxNewTokens: 60 }));
  const read = await ask(true);
  const raw = await ask(false);
  const [call] = read.filter(({ type }) => type !== "token" && type !== "finish" && type !== "text");
  if (call) assert.match(textOf(raw), "<tool_call>");
  assert.ok(raw.every(({ type }) => ["token", "text", "finish"].includes(type)));
});

test("what is wrong is an error of the package, and a signal stops the work", async () => {
  const fails = async (events: AsyncIterable<unknown>, message: RegExp) => {
    const error = await all(events).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.match(String(error), message);
  };
  await fails(model.chat({ messages: [] }), /messages is empty/);
  await fails(model.complete({ promptIds: [99999] }), /token 0 of the prompt/);
  await fails(model.chat({ messages, choice: -1 }), /choice is -1/);
  await fails(model.complete({ promptIds: [99999], promptLogprobs: 1 }), /token 0 of the prompt/);
  const abort = new AbortController();
  abort.abort(new Error("gone"));
  await fails(model.chat({ messages, signal: abort.signal }), /gone/);
  await fails(model.complete({ promptIds: [5, 6], promptLogprobs: 1, signal: abort.signal }), /gone/);
  assert.equal([model.stats().running, model.stats().waiting, model.stats().usedPages], [0, 0, 0]);
});

test.run();
