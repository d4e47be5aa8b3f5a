/** `/v1/chat/completions`: what is asked and what comes back. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ANSWER, Client, ENDLESS, eventsOf, type Json, model, QUESTION, WEATHER } from "./serving.ts";

const client = new Client();
const BERLIN = [{ role: "user", content: "What is the weather in Berlin?" }];

test("an answer", async () => {
  const { status, headers, json } = await client.chat({ model: "nano", user: "somebody", unknown: [1] });
  assert.is(status, 200);
  assert.match(headers.get("content-type")!, "application/json");
  assert.match(json.id, /^chatcmpl-\w{32}$/);
  assert.equal([json.object, json.model], ["chat.completion", "nano"]);
  assert.ok(Math.abs(json.created - Date.now() / 1000) < 60);
  assert.equal(json.choices, [
    { index: 0, message: { role: "assistant", content: ANSWER, refusal: null }, logprobs: null, finish_reason: "stop" },
  ]);
  assert.equal(json.usage.prompt_tokens + json.usage.completion_tokens, json.usage.total_tokens);
  assert.equal([json.usage.prompt_tokens, json.usage.completion_tokens], [15, 22]);
  assert.type(json.usage.prompt_tokens_details.cached_tokens, "number");
  assert.is(json.timings.predicted_n, 22);
  assert.is(json.timings.prompt_n + json.timings.cache_n, 15);
});

test("the same as a stream", async () => {
  const { headers, text } = await client.chat({ stream: true });
  assert.match(headers.get("content-type")!, "text/event-stream");
  const chunks = eventsOf(text);
  assert.is(new Set(chunks.map(({ id }) => id)).size, 1);
  assert.ok(chunks.every(({ object, usage }) => object === "chat.completion.chunk" && usage === undefined));
  assert.equal(chunks[0]!.choices[0].delta, { role: "assistant", content: "" });
  assert.is(chunks.map(({ choices }) => choices[0].delta.content ?? "").join(""), ANSWER);
  assert.equal(
    chunks.map(({ choices }) => choices[0].finish_reason).filter((reason) => reason !== null),
    ["stop"],
  );
  assert.equal(chunks.at(-1)!.choices[0].delta, {});
  assert.is(chunks.at(-1)!.timings.predicted_n, 22);
});

test("a stream tells the usage where that is asked for", async () => {
  const chunks = eventsOf((await client.chat({ stream: true, stream_options: { include_usage: true } })).text);
  const last = chunks.pop()!;
  assert.equal([last.choices, last.usage.prompt_tokens, last.usage.completion_tokens], [[], 15, 22]);
  assert.ok(chunks.every(({ usage }) => usage === null));
});

test("length, stop strings, the least number of tokens, end tokens ignored", async () => {
  const choice = async (body: object): Promise<Json> => (await client.chat(body)).json.choices[0];
  assert.equal((await choice({ max_tokens: 2 })).finish_reason, "length");
  assert.equal((await choice({ max_tokens: 2, max_completion_tokens: 3 })).message.content, "I am nano");
  assert.equal((await choice({ stop: " tiny" })).message.content, "I am nano, a");
  assert.equal((await choice({ stop: ["zzz", " with"] })).finish_reason, "stop");
  const long = (await client.chat({ ignore_eos: true, max_tokens: 30 })).json;
  assert.is(long.usage.completion_tokens, 30);
  assert.ok((await client.chat({ min_tokens: 25, max_tokens: 30 })).json.usage.completion_tokens >= 25);
  assert.is((await client.chat({ max_tokens: 1_000_000 })).json.choices[0].finish_reason, "stop");
  const [comma] = await model.chatModel().tokenize(",");
  assert.is((await choice({ stop_token_ids: [comma] })).finish_reason, "stop");
});

test("several answers, each its own and the first that of a single one", async () => {
  const body = { ...ENDLESS, max_tokens: 6 };
  const [alone, several] = [await client.chat(body), await client.chat({ ...body, n: 3 })];
  const texts = several.json.choices.map(({ message }: Json) => message.content);
  assert.equal(
    several.json.choices.map(({ index }: Json) => index),
    [0, 1, 2],
  );
  assert.is(new Set(texts).size, 3);
  assert.is(texts[0], alone.json.choices[0].message.content);
  assert.equal([several.json.usage.prompt_tokens, several.json.usage.completion_tokens], [15, 18]);
  const streamed = ["", "", ""];
  for (const { choices } of eventsOf((await client.chat({ ...body, n: 3, stream: true })).text))
    for (const { index, delta } of choices) streamed[index] += delta.content ?? "";
  assert.equal(streamed, texts);
});

test("log-probabilities, with the bytes of every token", async () => {
  const body = { logprobs: true, top_logprobs: 2 };
  const { content } = (await client.chat(body)).json.choices[0].logprobs;
  assert.is(content.length, 22);
  for (const { logprob, top_logprobs } of content) {
    assert.is(top_logprobs.length, 2);
    assert.is(top_logprobs[0].logprob, logprob); // greedy
  }
  const bytes = content.slice(0, -1).flatMap((token: Json) => token.bytes);
  assert.is(new TextDecoder().decode(Uint8Array.from(bytes)), ANSWER);
  const streamed = eventsOf((await client.chat({ ...body, stream: true })).text).flatMap(
    ({ choices }) => choices[0].logprobs?.content ?? [],
  );
  assert.equal(streamed, content);
  assert.equal((await client.chat({ logprobs: true, max_tokens: 1 })).json.choices[0].logprobs.content[0].top_logprobs, []);
});

test("characters that several tokens make are whole in the text, and in bytes token by token", async () => {
  const ids = await model.chatModel().tokenize("🙂");
  assert.ok(ids.length > 1);
  const logit_bias = Object.fromEntries(ids.map((id) => [id, 100]));
  const { json } = await client.chat({ logit_bias, max_tokens: 8, temperature: 0, logprobs: true });
  const { message, logprobs } = json.choices[0];
  const bytes = logprobs.content.flatMap((token: Json) => token.bytes);
  assert.is(new TextDecoder().decode(Uint8Array.from(bytes)), message.content);
});

test("a bias decides", async () => {
  const [id] = await model.chatModel().tokenize("Hello");
  const { json } = await client.chat({ logit_bias: { [id!]: 100 }, max_tokens: 3 });
  assert.is(json.choices[0].message.content, "HelloHelloHello");
});

test("seeds repeat answers", async () => {
  const ask = async (seed: number) => (await client.chat({ ...ENDLESS, seed, max_tokens: 5 })).json.choices[0].message.content;
  assert.is(await ask(5), await ask(5));
  assert.is.not(await ask(5), await ask(6));
});

test("messages of every role, in parts", async () => {
  const parts = [
    { type: "text", text: "Who " },
    { type: "text", text: "are you?" },
  ];
  const { json } = await client.chat({ messages: [{ role: "user", content: parts }] });
  assert.is(json.choices[0].message.content, ANSWER);
  const roles = [
    { role: "developer", content: "Be brief." },
    { role: "user", content: "Weather in Oslo?" },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "a", type: "function", function: { name: "get_weather", arguments: '{"city": "Oslo"}' } }],
    },
    { role: "tool", tool_call_id: "a", content: '{"temperature": 7}' },
  ];
  const { status, json: all } = await client.chat({ messages: roles, max_tokens: 2 });
  assert.is(status, 200, JSON.stringify(all));
  const continued = await client.chat({
    messages: [...QUESTION, { role: "assistant", content: "I am nano" }],
    continue_final_message: true,
  });
  assert.is(`I am nano${continued.json.choices[0].message.content}`, ANSWER);
});

test("tools are called, whole and in deltas", async () => {
  const body = { messages: BERLIN, tools: [WEATHER] };
  const { json } = await client.chat(body);
  const [{ message, finish_reason }] = json.choices;
  assert.is(finish_reason, "tool_calls");
  assert.is(message.content, null);
  const [call] = message.tool_calls;
  assert.match(call.id, /^call_\w{32}$/);
  assert.equal(
    [call.type, call.function.name, JSON.parse(call.function.arguments)],
    ["function", "get_weather", { city: "Berlin" }],
  );
  const deltas = eventsOf((await client.chat({ ...body, stream: true })).text).flatMap(
    ({ choices }) => choices[0].delta.tool_calls ?? [],
  );
  assert.equal([deltas[0].index, deltas[0].type, deltas[0].function.name], [0, "function", "get_weather"]);
  assert.ok(deltas.slice(1).every(({ id, function: { name } }) => id === undefined && name === undefined));
  assert.is(deltas.map((delta) => delta.function.arguments).join(""), call.function.arguments);
  const none = (await client.chat({ ...body, tool_choice: "none", max_tokens: 20 })).json;
  assert.is(none.choices[0].message.tool_calls, undefined);
});

test("a call in which the answer is cut off is told as far as it came", async () => {
  const { usage } = (await client.chat({ messages: BERLIN, tools: [WEATHER] })).json;
  const { choices } = (await client.chat({ messages: BERLIN, tools: [WEATHER], max_tokens: usage.completion_tokens - 4 })).json;
  assert.is(choices[0].finish_reason, "length");
  assert.is(choices[0].message.tool_calls?.[0].function.name, "get_weather");
});

test("calls are left as text where the server is told so", async () => {
  const plain = new Client({ toolCalls: false });
  const { json } = await plain.chat({ messages: BERLIN, tools: [WEATHER] });
  assert.match(json.choices[0].message.content, '<tool_call>\n{"name": "get_weather"');
  assert.is(json.choices[0].finish_reason, "stop");
});

test("variables of the template are the request's", async () => {
  const { status } = await client.chat({ chat_template_kwargs: { enable_thinking: false }, max_tokens: 1 });
  assert.is(status, 200);
  assert.is((await client.chat({ chat_template_kwargs: { messages: [] }, max_tokens: 1 })).status, 400);
});

test("the second turn of a conversation computes the new tokens alone", async () => {
  const long = [{ role: "system", content: "You answer questions about models. ".repeat(20) }, ...QUESTION];
  const first = (await client.chat({ messages: long })).json;
  const { message } = first.choices[0];
  const second = (await client.chat({ messages: [...long, message, { role: "user", content: "What is RoPE?" }], max_tokens: 4 }))
    .json;
  const { cached_tokens } = second.usage.prompt_tokens_details;
  assert.ok(cached_tokens > first.usage.prompt_tokens - 32, `${cached_tokens} of ${first.usage.prompt_tokens}`);
  assert.is(second.timings.prompt_n, second.usage.prompt_tokens - cached_tokens);
});

test("forms: a schema, a pattern, a choice, and what is not supported by name", async () => {
  const schema = {
    type: "object",
    properties: { n: { type: "integer", minimum: 1, maximum: 9 } },
    required: ["n"],
    additionalProperties: false,
  };
  const content = async (body: object) => (await client.chat(body)).json.choices[0].message.content;
  const { n } = JSON.parse(await content({ response_format: { type: "json_schema", json_schema: { name: "x", schema } } }));
  assert.ok(n >= 1 && n <= 9);
  assert.match(await content({ guided_regex: "[0-9]{3}" }), /^[0-9]{3}$/);
  assert.ok(["yes", "no"].includes(await content({ structured_outputs: { choice: ["yes", "no"] } })));
  for (const [unsupported, code] of [
    [{ type: "object", unevaluatedProperties: false }, "grammar_unsupported"],
    [{ type: "nothing" }, "grammar_syntax"],
  ] as const) {
    const { status, json } = await client.chat({ guided_json: unsupported });
    assert.equal([status, json.error.param, json.error.code], [400, "guided_json", code]);
  }
});

test.run();
