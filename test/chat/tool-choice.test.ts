/** `toolChoice` and `strict`, end to end with the bundled model. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { toolFormat, withoutToolCalls } from "../../src/chat/tool-choice.ts";
import { type ChatMessage, type ChatOptions, type ChatResult, Qwen3, type Tool } from "../../src/index.ts";
import { nanoPath } from "../paths.ts";
import { assertRefused } from "../text/tokenizers.ts";

const test = suite<{ model: Qwen3 }>("tool choice");
test.before(async (context) => {
  context.model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 1024 });
});
test.after(({ model }) => model.close());

const tool = (name: string, properties: Record<string, unknown>, more: Record<string, unknown> = {}): Tool => ({
  type: "function",
  function: {
    name,
    ...more,
    parameters: { type: "object", properties, required: Object.keys(properties), additionalProperties: false },
  },
});
/** As nano learnt to call it. */
const familiar: Tool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current weather for a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "The name of the city." } },
      required: ["city"],
    },
  },
};
const weather = tool("get_weather", { city: { type: "string", maxLength: 12 } });
const paint = tool("paint", { color: { enum: ["red", "green"] }, layers: { type: "integer", minimum: 1, maximum: 3 } });
const weatherQuestion: ChatMessage[] = [{ role: "user", content: "What is the weather in Berlin?" }];
const otherQuestion: ChatMessage[] = [{ role: "user", content: "Who are you?" }];

const ask = (model: Qwen3, messages: ChatMessage[], options: ChatOptions): Promise<ChatResult> =>
  model.chat(messages, { tools: [weather, paint], temperature: 0, maxNewTokens: 200, ...options }).final();
const callsOf = ({ message }: ChatResult): { name: string; args: Record<string, unknown> }[] =>
  (message.tool_calls ?? []).map((call) => {
    const { name, arguments: text } = "function" in call ? call.function : call;
    return { name, args: JSON.parse(text as string) };
  });

test("none: the model reads about the tools, and calls none", async ({ model }) => {
  const free = await ask(model, weatherQuestion, { tools: [familiar] });
  assert.equal(callsOf(free), [{ name: "get_weather", args: { city: "Berlin" } }]);
  const none = await ask(model, weatherQuestion, { tools: [familiar], toolChoice: "none" });
  assert.is(none.message.tool_calls, undefined);
  assert.is.not(none.finishReason, "tool_calls");
  assert.is(none.usage.promptTokens, free.usage.promptTokens);
  const json = await ask(model, weatherQuestion, { toolChoice: "none", responseFormat: { type: "choice", choices: ["sunny"] } });
  assert.is(json.message.content, "sunny");
});

test("required: it calls one of the tools, whatever it was asked", async ({ model }) => {
  for (const [messages, sampling] of [
    [weatherQuestion, {}],
    [otherQuestion, {}],
    [otherQuestion, { temperature: 1.5, topK: 0, topP: 1, seed: 4 }],
  ] as const) {
    const answer = await ask(model, messages, { toolChoice: "required", parallelToolCalls: false, ...sampling });
    const calls = callsOf(answer);
    assert.is(answer.finishReason, "tool_calls");
    assert.is(calls.length, 1);
    assert.is(answer.message.content, "");
    if (calls[0]!.name === "get_weather") assert.type(calls[0]!.args.city, "string");
    else assert.equal([calls[0]!.name, ["red", "green"].includes(calls[0]!.args.color as string)], ["paint", true]);
  }
});

test("a named function is called, by its schema", async ({ model }) => {
  for (const seed of [1, 2, 3]) {
    const sampling = { temperature: 2, topK: 0, topP: 1, seed };
    const answer = await ask(model, weatherQuestion, { toolChoice: { name: "paint" }, parallelToolCalls: false, ...sampling });
    const [{ name, args }] = callsOf(answer) as [{ name: string; args: Record<string, number> }];
    assert.equal([name, Object.keys(args)], ["paint", ["color", "layers"]]);
    assert.ok(args.layers! >= 1 && args.layers! <= 3);
  }
});

test("tools that are strict get arguments by their schema when they are called, and text stays free", async ({ model }) => {
  const strict = tool("get_weather", { city: { type: "string", enum: ["Paris"] } }, { strict: true });
  const called = await ask(model, weatherQuestion, { tools: [strict] });
  assert.equal(callsOf(called), [{ name: "get_weather", args: { city: "Paris" } }]);
  const said = await ask(model, otherQuestion, { tools: [strict] });
  assert.match(said.message.content as string, "I am nano");
  const bare: Tool = {
    name: "get_weather",
    strict: true,
    parameters: { type: "object", properties: { city: { const: "Rome" } } },
  };
  assert.equal(callsOf(await ask(model, weatherQuestion, { tools: [bare], parallelToolCalls: false }))[0]!.name, "get_weather");
});

test("choices that ask for nothing, or for what cannot be", ({ model }) => {
  const refused = (options: ChatOptions, message: RegExp) =>
    assertRefused(() => model.chat(otherQuestion, options), "ARGUMENT", message);
  refused({ toolChoice: "required" }, /there are no tools/);
  refused({ toolChoice: { name: "f" }, tools: [] }, /there are no tools/);
  refused({ toolChoice: "required", tools: [weather], toolCalls: false }, /toolCalls is false/);
  refused({ toolChoice: "any" as "auto", tools: [weather] }, /toolChoice is "any"; allowed/);
  refused({ toolChoice: {} as { name: string }, tools: [weather] }, /toolChoice is \{\}; allowed/);
  refused({ toolChoice: "required", tools: [weather], responseFormat: { type: "json_object" } }, /allowed is one of them/);
  assertRefused(
    () => model.chat(otherQuestion, { toolChoice: { name: "f" }, tools: [weather] }),
    "GRAMMAR_SYNTAX",
    /no tool is called/,
  );
});

test("calls are left to the model unless a tool is strict, and where calls are text", () => {
  const strict = tool("f", {}, { strict: true });
  assert.is(toolFormat({}), undefined);
  assert.is(toolFormat({ tools: [weather] }), undefined);
  assert.is(toolFormat({ tools: [strict], toolChoice: "none" }), undefined);
  assert.is(toolFormat({ tools: [strict], toolCalls: false }), undefined);
  assert.equal(toolFormat({ tools: [weather, strict] }), {
    type: "tool_calls",
    tools: [weather, strict],
    choice: "auto",
    parallel: true,
  });
});

test("what forbids calls allows everything else", () => {
  const constraint = withoutToolCalls({ tokenToId: () => 37 }, 100)!();
  const { allowed } = constraint.mask();
  const forbidden = Array.from({ length: 100 }, (_, id) => id).filter((id) => !((allowed[id >>> 5]! >>> (id & 31)) & 1));
  assert.equal(forbidden, [37]);
  assert.is(constraint.forced, undefined);
  constraint.accept(36);
  assertRefused(() => constraint.accept(37), "ARGUMENT", /opens a tool call/);
  assert.is(withoutToolCalls({ tokenToId: () => undefined }, 100), undefined);
});

test.run();
