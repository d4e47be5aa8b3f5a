/** `/v1/completions`, and the routes about tokens. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { logprobs } from "../../src/sampler/logprobs.ts";
import { Client, ENDLESS, eventsOf, type Json, model, QUESTION } from "./serving.ts";

const client = new Client();
const { tokenizer } = model;
const TEXT = "RoPE rotates queries and keys.";
const IDS = tokenizer.encode(TEXT);

test("a text goes on", async () => {
  const { json } = await client.complete({ prompt: TEXT, max_tokens: 4 });
  assert.match(json.id, /^cmpl-/);
  assert.equal([json.object, json.model, json.choices.length], ["text_completion", "nano", 1]);
  const expected = await model.generate(IDS, { temperature: 0, maxNewTokens: 4 }).final();
  assert.equal(json.choices[0], { index: 0, text: expected.text, logprobs: null, finish_reason: "length" });
  assert.equal([json.usage.prompt_tokens, json.usage.completion_tokens], [IDS.length, 4]);
  assert.is((await client.complete({ prompt: TEXT })).json.usage.completion_tokens, 16, "the default length");
});

test("prompts are texts or ids, one or several", async () => {
  const one = (await client.complete({ prompt: TEXT, max_tokens: 3 })).json.choices[0].text;
  assert.is((await client.complete({ prompt: IDS, max_tokens: 3 })).json.choices[0].text, one);
  for (const prompt of [
    [TEXT, TEXT],
    [IDS, IDS],
    [IDS, TEXT],
  ]) {
    const { choices, usage } = (await client.complete({ prompt, max_tokens: 3, n: 2 })).json;
    assert.equal(
      choices.map(({ index, text }: Json) => [index, text]),
      [0, 1, 2, 3].map((index) => [index, one]),
    );
    assert.equal([usage.prompt_tokens, usage.completion_tokens], [2 * IDS.length, 12]);
  }
});

test("the prompt comes back where that is asked for, as text and as stream", async () => {
  const whole = (await client.complete({ prompt: IDS, max_tokens: 3, echo: true })).json.choices[0].text;
  assert.ok(whole.startsWith(TEXT));
  const chunks = eventsOf(
    (await client.complete({ prompt: TEXT, max_tokens: 3, echo: true, stream: true, stream_options: { include_usage: true } }))
      .text,
  );
  assert.is(chunks.pop()!.usage.completion_tokens, 3);
  assert.is(chunks.map(({ choices }) => choices[0].text).join(""), whole);
});

test("log-probabilities of the prompt are those of the forward pass", async () => {
  const { json } = await client.complete({ prompt: IDS, max_tokens: 1, echo: true, logprobs: 2 });
  const told = json.choices[0].logprobs;
  const { logits } = await model.forward(IDS, { logits: "all" });
  const size = model.config.vocab_size;
  const expected = IDS.slice(1).map((id, i) => logprobs(logits!.subarray(i * size, (i + 1) * size), id, 2));
  assert.equal(told.token_logprobs.slice(0, -1), [null, ...expected.map(({ logprob }) => logprob)]);
  assert.is(told.top_logprobs[0], null);
  assert.equal(
    Object.values(told.top_logprobs[1]).slice(0, 2),
    expected[0]!.top.map(({ logprob }) => logprob),
  );
  assert.is(told.tokens.slice(0, -1).join(""), TEXT);
  assert.equal(told.text_offset.slice(0, 2), [0, told.tokens[0].length]);
  assert.is(json.usage.prompt_tokens_details.cached_tokens, 0);
  const streamed = eventsOf((await client.complete({ prompt: IDS, max_tokens: 1, echo: true, logprobs: 2, stream: true })).text);
  assert.equal(
    streamed.flatMap(({ choices }) => choices[0].logprobs?.token_logprobs ?? []),
    told.token_logprobs,
  );
  const scored = (await client.complete({ prompt: IDS, max_tokens: 0, echo: true, logprobs: 0 })).json.choices[0];
  assert.equal([scored.text, scored.logprobs.token_logprobs.length, scored.logprobs.top_logprobs[1]], [TEXT, IDS.length, null]);
});

test("a token that is no whole character is told by its bytes", async () => {
  const { tokens, text_offset } = (await client.complete({ prompt: "a🙂", max_tokens: 0, echo: true, logprobs: 0 })).json
    .choices[0].logprobs;
  assert.is(tokens[0], "a");
  assert.ok(
    tokens.slice(1).every((token: string) => /^bytes:(\\x[0-9a-f]{2})+$/.test(token)),
    JSON.stringify(tokens),
  );
  assert.ok(text_offset.every((offset: number) => offset <= 2));
});

test("the best of several", async () => {
  const body = { ...ENDLESS, temperature: 2, max_tokens: 4, logprobs: 0 };
  const all = (await client.complete({ ...body, n: 4 })).json.choices;
  const mean = ({ logprobs }: Json) =>
    logprobs.token_logprobs.reduce((sum: number, one: number) => sum + one, 0) / logprobs.token_logprobs.length;
  const expected =
    all.toSorted?.((a: Json, b: Json) => mean(b) - mean(a)) ?? [...all].sort((a: Json, b: Json) => mean(b) - mean(a));
  const best = (await client.complete({ ...body, n: 2, best_of: 4 })).json;
  assert.equal(
    best.choices.map(({ text }: Json) => text),
    expected.slice(0, 2).map(({ text }: Json) => text),
  );
  assert.ok(best.usage.completion_tokens > 8);
});

test("control tokens in a prompt are text unless the request says otherwise", async () => {
  const count = async (body: object) =>
    (await client.complete({ prompt: "<|im_end|>", max_tokens: 1, ...body })).json.usage.prompt_tokens;
  assert.ok((await count({})) > 1);
  assert.is(await count({ parse_special: true }), 1);
});

test("texts to tokens and back", async () => {
  const { json } = await client.ask("/tokenize", { prompt: TEXT, return_token_strs: true });
  assert.equal([json.tokens, json.count, json.max_model_len, json.token_strs.join("")], [IDS, IDS.length, 4096, TEXT]);
  assert.equal((await client.ask("/tokenize", { content: TEXT })).json.tokens, IDS);
  const { tokens } = (await client.ask("/tokenize", { content: "a🙂", with_pieces: true })).json;
  assert.is(tokens[0].piece, "a");
  assert.ok(Array.isArray(tokens[1].piece));
  assert.is((await client.ask("/tokenize", { messages: QUESTION })).json.count, 15);
  assert.equal((await client.ask("/detokenize", { tokens: IDS })).json, { prompt: TEXT, content: TEXT });
  const { prompt } = (await client.ask("/apply-template", { messages: QUESTION })).json;
  assert.is(prompt, tokenizer.applyChatTemplate([{ role: "user", content: "Who are you?" }], { addGenerationPrompt: true }));
  for (const [path, body] of [
    ["/tokenize", {}],
    ["/detokenize", {}],
    ["/apply-template", {}],
    ["/detokenize", { tokens: [-1] }],
  ] as const)
    assert.is((await client.ask(path, body)).status, 400);
});

test("what a completion cannot be", async () => {
  for (const [body, param] of [
    [{ prompt: undefined }, "prompt"],
    [{ prompt: [] }, "prompt"],
    [{ prompt: "" }, "prompt"],
    [{ prompt: [""] }, "prompt"],
    [{ prompt: [[]] }, "prompt"],
    [{ prompt: [1.5] }, "prompt[0]"],
    [{ prompt: [TEXT, 7] }, "prompt[1]"],
    [{ prompt: [99_999] }, "prompt[0]"],
    [{ prompt: {} }, "prompt"],
    [{ prompt: Array(5000).fill(5) }, "prompt"],
    [{ suffix: "end" }, "suffix"],
    [{ max_tokens: 0 }, "max_tokens"],
    [{ n: 2, best_of: 1 }, "best_of"],
    [{ n: 1, best_of: 2, stream: true }, "best_of"],
    [{ logprobs: 21 }, "logprobs"],
    [{ logprobs: true }, "logprobs"],
    [{ echo: "yes" }, "echo"],
  ] as const) {
    const { status, json } = await client.complete(body);
    assert.equal([status, json.error?.param], [400, param], JSON.stringify(body).slice(0, 100));
  }
});

test.run();
