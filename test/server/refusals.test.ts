/** What is refused: quickly, in OpenAI's shape, by name, and the server goes on. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ANSWER, Client, type Json, QUESTION, WEATHER } from "./serving.ts";

const client = new Client();

function requireError(
  { status, json }: { status: number; json: Json },
  expected: number,
  param: string | null,
  code?: string,
): void {
  assert.is(status, expected, JSON.stringify(json));
  assert.equal(Object.keys(json), ["error"]);
  assert.equal(Object.keys(json.error), ["message", "type", "param", "code"]);
  assert.type(json.error.message, "string");
  assert.is(json.error.param, param, json.error.message);
  if (code !== undefined) assert.is(json.error.code, code);
}

/** As JSON text: some have no other form. */
const ODD_VALUES = [
  "-1",
  "-0",
  "0",
  "0.5",
  "1",
  "1e400",
  "-1e400",
  "1e-400",
  "1e308",
  "9007199254740993",
  "-9007199254740993",
  "2147483648",
  "4294967296",
  "18446744073709551616",
  "1.0000000001",
  "null",
  "true",
  "false",
  '""',
  '"1"',
  '"NaN"',
  "[]",
  "[1]",
  "{}",
];
const NUMBERS = [
  "temperature",
  "top_p",
  "top_k",
  "min_p",
  "presence_penalty",
  "frequency_penalty",
  "repetition_penalty",
  "seed",
  "max_tokens",
  "max_completion_tokens",
  "min_tokens",
  "n",
  "top_logprobs",
];

test("24 odd values in every numeric field: 400 with the field's name, or an answer", async () => {
  assert.is(ODD_VALUES.length, 24);
  let refused = 0;
  for (const field of NUMBERS)
    for (const value of ODD_VALUES) {
      const limit = field.startsWith("max_") ? "" : '"max_tokens": 2, ';
      const logprobs = field === "top_logprobs" ? '"logprobs": true, ' : "";
      const answer = await client.ask(
        "/v1/chat/completions",
        `{"messages": ${JSON.stringify(QUESTION)}, ${limit}${logprobs}"${field}": ${value}}`,
      );
      if (answer.status === 400) {
        requireError(answer, 400, field);
        refused++;
      } else assert.equal([answer.status, answer.json?.object], [200, "chat.completion"], `${field}: ${value}`);
    }
  assert.ok(refused > 150, `${refused} refused`);
  assert.is((await client.chat({})).json.choices[0].message.content, ANSWER);
});

/** A request whose body has VALUE where the odd one goes, and the fields that a refusal may name. */
const ELSEWHERE: readonly (readonly [path: string, body: string, params: readonly string[]])[] = [
  ...["temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "seed"].map(
    (field) => ["/v1/completions", `{"prompt": "a", "max_tokens": 1, "${field}": VALUE}`, [field]] as const,
  ),
  ["/v1/completions", '{"prompt": "a", "max_tokens": VALUE}', ["max_tokens"]],
  ["/v1/completions", '{"prompt": "a", "max_tokens": 2, "min_tokens": VALUE}', ["min_tokens"]],
  ["/v1/completions", '{"prompt": "a", "max_tokens": 1, "n": VALUE}', ["n"]],
  ["/v1/completions", '{"prompt": "a", "max_tokens": 1, "best_of": VALUE}', ["best_of"]],
  ["/v1/completions", '{"prompt": "a", "max_tokens": 1, "logprobs": VALUE}', ["logprobs"]],
  ["/v1/completions", '{"prompt": "a", "max_tokens": 1, "logit_bias": {"5": VALUE}}', ["logit_bias.5"]],
  ["/v1/completions", '{"prompt": "a", "max_tokens": 1, "stop_token_ids": [VALUE]}', ["stop_token_ids[0]"]],
  ["/v1/completions", '{"prompt": [VALUE], "max_tokens": 1}', ["prompt", "prompt[0]"]],
  ["/v1/completions", '{"prompt": [5, VALUE], "max_tokens": 1}', ["prompt[1]"]],
  ["/v1/completions", '{"prompt": "a", "max_tokens": 1, "stream_options": {"include_usage": VALUE}}', ["stream_options"]],
  ["/detokenize", '{"tokens": [VALUE]}', ["tokens[0]"]],
  ["/v1/chat/completions", '{"messages": MESSAGES, "max_tokens": 1, "logit_bias": {"5": VALUE}}', ["logit_bias.5"]],
  [
    "/v1/chat/completions",
    '{"messages": MESSAGES, "max_tokens": 1, "chat_template_kwargs": {"x": VALUE}}',
    ["chat_template_kwargs"],
  ],
  ...[
    "minimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
  ].map(
    (keyword) =>
      [
        "/v1/chat/completions",
        `{"messages": MESSAGES, "max_tokens": 1, "guided_json": {"${keyword}": VALUE}}`,
        ["guided_json"],
      ] as const,
  ),
];

test("the same values in the fields of other routes, in nested ones and in schemas", async () => {
  let [refused, answered] = [0, 0];
  for (const [path, body, params] of ELSEWHERE)
    for (const value of ODD_VALUES) {
      const text = body.replace("MESSAGES", JSON.stringify(QUESTION)).replace("VALUE", value);
      const { status, json } = await client.ask(path, text);
      if (status === 400) {
        assert.ok(params.includes(json.error.param), `${text}: ${JSON.stringify(json.error)}`);
        refused++;
      } else {
        assert.is(status, 200, `${text}: ${JSON.stringify(json)}`);
        answered++;
      }
    }
  assert.ok(refused > 300 && answered > 150, `${refused} refused, ${answered} answered`);
  assert.is((await client.chat({})).json.choices[0].message.content, ANSWER);
});

test("depth that hides in a text, and variables that the template has already", async () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  requireError(await client.chat({ guided_json: deep }), 400, "guided_json", "schema_too_large");
  requireError(await client.chat({ structured_outputs: { json: deep } }), 400, "structured_outputs.json", "schema_too_large");
  requireError(await client.chat({ chat_template_kwargs: { messages: [] } }), 400, "chat_template_kwargs", "invalid_value");
});

test("a body whose bytes come one by one takes little more room than they do, and all bodies together have a limit", async () => {
  const text = JSON.stringify({ messages: QUESTION, max_tokens: 1 });
  const bytes = new TextEncoder().encode(text);
  const singly = () => {
    let at = 0;
    return new ReadableStream<Uint8Array>({
      pull: (controller) => (at < bytes.length ? controller.enqueue(bytes.slice(at, ++at)) : controller.close()),
    });
  };
  const ask = async ({ server }: Client, body: ReadableStream<Uint8Array>) => {
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const response = await server.fetch(new Request("http://localhost/v1/chat/completions", init));
    return { status: response.status, json: (await response.json()) as Json };
  };
  assert.is((await ask(client, singly())).status, 200);
  const small = new Client({ limits: { heldBytes: 256 } });
  const open = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(bytes.slice(0, 1)) });
  const reader = new Client({ limits: { heldBytes: 256, bodyTimeoutMs: 50 } });
  const late = ask(reader, open);
  await new Promise((resolve) => setTimeout(resolve, 10));
  requireError(await ask(reader, singly()), 429, null, "rate_limit_exceeded");
  requireError(await late, 408, null, "request_timeout");
  assert.is((await ask(reader, singly())).status, 200, "what was held is free again");
  assert.is((await ask(small, singly())).status, 200);
  requireError(await ask(small, new Blob(["x".repeat(257)]).stream()), 429, null, "rate_limit_exceeded");
});

test("fields of the wrong type or out of range", async () => {
  for (const [body, param] of [
    [{ messages: undefined }, "messages"],
    [{ messages: [] }, "messages"],
    [{ messages: "x" }, "messages"],
    [{ messages: [null] }, "messages[0]"],
    [{ messages: [{ role: "king", content: "x" }] }, "messages[0].role"],
    [{ messages: [{ role: "user", content: 5 }] }, "messages[0].content"],
    [
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:" } }] }] },
      "messages[0].content[0].type",
    ],
    [{ messages: [{ role: "assistant", tool_calls: [{}] }] }, "messages[0].tool_calls[0].name"],
    [{ model: 5 }, "model"],
    [{ stream: "yes" }, "stream"],
    [{ stream_options: {} }, "stream_options"],
    [{ stream: true, stream_options: { include_usage: 1 } }, "stream_options.include_usage"],
    [{ stream: true, stream_options: [] }, "stream_options"],
    [{ stop: 5 }, "stop"],
    [{ stop: "" }, "stop"],
    [{ stop: ["a", ""] }, "stop[1]"],
    [{ stop: ["x".repeat(1001)] }, "stop[0]"],
    [{ logprobs: 1 }, "logprobs"],
    [{ top_logprobs: 2 }, "top_logprobs"],
    [{ logit_bias: [] }, "logit_bias"],
    [{ logit_bias: { a: 1 } }, "logit_bias"],
    [{ logit_bias: { "99999": 1 } }, "logit_bias"],
    [{ logit_bias: { "5": 101 } }, "logit_bias.5"],
    [{ min_tokens: 5, max_tokens: 4 }, "min_tokens"],
    [{ stop_token_ids: [99_999] }, "stop_token_ids[0]"],
    [{ user: 5 }, "user"],
    [{ ignore_eos: 1 }, "ignore_eos"],
    [{ echo: true }, "echo"],
    [{ chat_template: "{{ 1 }}" }, "chat_template"],
    [{ chat_template_kwargs: [] }, "chat_template_kwargs"],
    [{ add_generation_prompt: true, continue_final_message: true }, "continue_final_message"],
    [{ tools: {} }, "tools"],
    [{ tools: [5] }, "tools[0]"],
    [{ tools: [{ type: "function", function: {} }] }, "tools[0].function.name"],
    [{ tool_choice: "required" }, "tool_choice"],
    [{ tools: [WEATHER], tool_choice: "always" }, "tool_choice"],
    [{ tools: [WEATHER], tool_choice: { type: "function", function: { name: "other" } } }, "tool_choice"],
    [{ response_format: "json" }, "response_format"],
    [{ response_format: { type: "yaml" } }, "response_format.type"],
    [{ response_format: { type: "json_schema" } }, "response_format.json_schema"],
    [{ response_format: { type: "json_schema", json_schema: { schema: 5 } } }, "response_format.json_schema.schema"],
    [{ guided_json: "{" }, "guided_json"],
    [{ guided_regex: 5 }, "guided_regex"],
    [{ guided_choice: [] }, "guided_choice"],
    [{ guided_choice: [5] }, "guided_choice[0]"],
    [{ guided_grammar: "root ::= x" }, "guided_grammar"],
    [{ structured_outputs: { structural_tag: {} } }, "structured_outputs.structural_tag"],
    [{ guided_regex: "a", guided_choice: ["a"] }, "guided_choice"],
    [{ response_format: { type: "json_object" }, structured_outputs: { regex: "a" } }, "structured_outputs.regex"],
    [{ guided_regex: "a", tools: [WEATHER], tool_choice: "required" }, "guided_regex"],
  ] as const)
    requireError(await client.chat(body), 400, param);
});

test("what is no request", async () => {
  const post = (body: string) => client.ask("/v1/chat/completions", body);
  for (const body of ["", "{", "[]", "null", '"x"', '{"temperature": NaN}', "\u00ff{}"])
    requireError(await post(body), 400, null, "invalid_json");
  requireError(await post(`{"a": ${"[".repeat(100)}${"]".repeat(100)}}`), 400, null, "nesting_too_deep");
  assert.is(
    (await post(`{"messages": ${JSON.stringify(QUESTION)}, "max_tokens": 1, "x": "${'[\\"'.repeat(100)}"}`)).status,
    200,
    "brackets in strings",
  );
  requireError(await post("x".repeat(4 * 1024 * 1024 + 1)), 413, null, "request_too_large");
  requireError(await client.chat({ model: "gpt-4" }), 404, "model", "model_not_found");
  requireError(await client.ask("/v1/models/gpt-4"), 404, "model", "model_not_found");
  requireError(await client.ask("/v1/nothing"), 404, null, "not_found");
  requireError(await client.ask("/v1/chat/completions"), 405, null, "method_not_allowed");
});

test("bytes of a body are counted while they come", async () => {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(1024 * 1024).fill(0x20));
    },
  });
  const init = { method: "POST", body, duplex: "half" } as RequestInit;
  const response = await client.server.fetch(new Request("http://localhost/v1/chat/completions", init));
  assert.is(response.status, 413);
  assert.ok(pulled < 10, `${pulled} MiB were read`);
});

test("a body that does not come, and one that breaks off", async () => {
  const slow = new Client({ limits: { bodyTimeoutMs: 20 } });
  const ask = async (body: ReadableStream<Uint8Array>) => {
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const response = await slow.server.fetch(new Request("http://localhost/v1/chat/completions", init));
    return { status: response.status, json: (await response.json()) as Json };
  };
  requireError(await ask(new ReadableStream()), 408, null, "request_timeout");
  const broken = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(new Error("reset")) });
  requireError(await ask(broken), 400, null, "invalid_body");
});

test("limits", async () => {
  const small = new Client({
    limits: {
      messages: 2,
      tools: 1,
      choices: 2,
      prompts: 2,
      stops: 1,
      logitBias: 1,
      answers: 3,
      schemaDepth: 3,
      schemaLength: 100,
      logprobs: 1,
      bodies: 0,
    },
  });
  requireError(await small.chat({}), 429, null, "rate_limit_exceeded");
  const limited = new Client({
    limits: {
      messages: 2,
      tools: 1,
      choices: 4,
      prompts: 2,
      stops: 1,
      logitBias: 1,
      answers: 3,
      schemaDepth: 3,
      schemaLength: 100,
      logprobs: 1,
    },
  });
  const deep = { type: "object", properties: { a: { type: "object", properties: {} } } };
  for (const [body, param] of [
    [{ messages: [...QUESTION, ...QUESTION, ...QUESTION] }, "messages"],
    [{ tools: [WEATHER, WEATHER] }, "tools"],
    [{ tools: [{ type: "function", function: { name: "f", parameters: deep } }] }, "tools[0]"],
    [{ n: 5 }, "n"],
    [{ n: 4 }, "n"],
    [{ stop: ["a", "b"] }, "stop"],
    [{ logit_bias: { "5": 1, "6": 1 } }, "logit_bias"],
    [{ logprobs: true, top_logprobs: 2 }, "top_logprobs"],
    [{ guided_json: deep }, "guided_json"],
    [{ guided_regex: "a".repeat(101) }, "guided_regex"],
    [{ guided_choice: ["a".repeat(101)] }, "guided_choice"],
  ] as const)
    requireError(await limited.chat(body), 400, param);
  requireError(await limited.complete({ prompt: ["a", "b", "c"] }), 400, "prompt");
  requireError(
    await limited.chat({ messages: [{ role: "user", content: "word ".repeat(5000) }] }),
    400,
    "messages",
    "context_length_exceeded",
  );
});

test.run();
