/** Answers in a form, end to end, with the bundled model. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ChatPart } from "../../src/chat/chat.ts";
import { Qwen3 } from "../../src/chat/pretrained.ts";
import type { GrammarSpec } from "../../src/grammar/grammar-spec.ts";
import { validator } from "../grammar/answers.ts";
import { nanoPath } from "../paths.ts";
import { assertRefused } from "../text/tokenizers.ts";

const model = await Qwen3.fromPretrained(nanoPath);
const schema = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 20 },
    parameters: { type: "integer", minimum: 1 },
    teaches: { type: "boolean" },
    tags: { type: "array", items: { enum: ["small", "large"] }, maxItems: 2 },
  },
  required: ["name", "parameters", "teaches", "tags"],
  additionalProperties: false,
};
const responseFormat: GrammarSpec = { type: "json_schema", schema };
const messages = [{ role: "user" as const, content: "Who are you? Answer as JSON." }];
const text = (parts: readonly ChatPart[]) => parts.map((part) => (part.type === "text" ? part.text : "")).join("");

async function answer(options: object): Promise<{ text: string; parts: ChatPart[]; finish: string }> {
  const stream = model.chat(messages, { responseFormat, maxNewTokens: 600, ...options });
  const parts: ChatPart[] = [];
  for await (const part of stream) parts.push(part);
  return { text: text(parts), parts, finish: (await stream.final()).finishReason };
}

test("an answer by a schema parses and is valid, greedy and at any temperature", async () => {
  const validate = validator(schema);
  for (const options of [{ temperature: 0 }, ...[1, 2, 3].map((seed) => ({ temperature: 1, seed }))]) {
    const { text, finish } = await answer(options);
    assert.is(finish, "stop");
    assert.ok(validate(JSON.parse(text)), text);
  }
});

test("forced tokens, speculation and log-probabilities change nothing", async () => {
  const options = { temperature: 1.2, seed: 7 };
  const { text } = await answer(options);
  for (const more of [
    { sampleForced: true },
    { speculation: { type: "prompt-lookup" } },
    { logprobs: 3 },
    { constraint: undefined },
  ])
    assert.is((await answer({ ...options, ...more })).text, text);
});

test("answers to one prompt each have a constraint of their own", async () => {
  const texts = await Promise.all([0, 1, 2].map(async (choice) => (await answer({ temperature: 1, seed: 3, choice })).text));
  for (const text of texts) assert.ok(validator(schema)(JSON.parse(text)), text);
  assert.ok(new Set(texts).size > 1);
});

test("patterns, choices, any object, and stop strings", async () => {
  const chat = async (form: GrammarSpec, more = {}) => (await answer({ temperature: 0, responseFormat: form, ...more })).text;
  assert.match(await chat({ type: "regex", pattern: "\\\\boxed\\{[A-D]\\}" }), /^\\boxed\{[A-D]\}$/);
  assert.ok(["yes", "no"].includes(await chat({ type: "choice", choices: ["yes", "no"] })));
  const any = JSON.parse(
    await chat({ type: "json_schema", schema: { type: "object", additionalProperties: { type: "integer" }, maxProperties: 2 } }),
  );
  assert.ok(Object.values(any).every(Number.isInteger));
  assert.is(await chat({ type: "choice", choices: ["alpha beta"] }, { stop: " b" }), "alpha");
});

test("a call that is asked for is made", async () => {
  const tools = [
    {
      type: "function" as const,
      function: {
        name: "weather",
        parameters: {
          type: "object",
          properties: { city: { type: "string", maxLength: 12 } },
          required: ["city"],
          additionalProperties: false,
        },
      },
    },
  ];
  const form: GrammarSpec = { type: "tool_calls", tools, choice: "required", parallel: false };
  const { parts, finish } = await answer({ temperature: 0, tools, responseFormat: form });
  const calls = parts.filter((part) => part.type === "tool_call");
  assert.is(calls.length, 1);
  assert.is(calls[0]!.name, "weather");
  assert.is(typeof JSON.parse(calls[0]!.arguments).city, "string");
  assert.is(finish, "tool_calls");
});

test("generate takes a grammar too", async () => {
  const grammar = model.compileGrammar({ type: "choice", choices: ["one", "two"] });
  const constraint = () => grammar.newConstraint(model.generationConfig.eos_token_id);
  const ids = model.tokenizer.encode("Once upon a time");
  const results = await model.generate([ids, ids], { constraint, temperature: 0 }).final();
  for (const { text } of results) assert.ok(["one", "two"].includes(text), text);
  assert.throws(() => model.chat(messages, { responseFormat, constraint }), /both/);
});

test("what cannot be enforced is refused before anything is computed", () => {
  assertRefused(
    () => model.chat(messages, { responseFormat: { type: "json_schema", schema: { not: {} } } }),
    "GRAMMAR_UNSUPPORTED",
    /"not"/,
  );
});

test("a served model holds its answers to it, of chats and of completions", async () => {
  const served = model.chatModel();
  const texts: string[] = ["", ""];
  const options = { constraint: responseFormat, sampling: { temperature: 0 } };
  for await (const event of served.chat({ messages, ...options })) if (event.type === "text") texts[0] += event.text;
  for await (const event of served.complete({ promptIds: model.tokenizer.encode("JSON: "), ...options }))
    if (event.type === "token") texts[1] += event.text;
  for (const text of texts) assert.ok(validator(schema)(JSON.parse(text)), text);
});

test.run();
