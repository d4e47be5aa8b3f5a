/** Tool calls: between control tokens, which count by their id; the arguments by the tool's schema. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Reasoning } from "../../src/grammar/compile.ts";
import type { GrammarSpec } from "../../src/grammar/grammar-spec.ts";
import { accepts, allowedIds, allows, compiler, nano, random, randomAnswer, STOP } from "./answers.ts";

const [OPEN, CLOSE, THINK, END_THINK] = ["<tool_call>", "</tool_call>", "<think>", "</think>"].map((tag) => nano.tokenToId(tag)!);
const weather = {
  type: "function" as const,
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  },
};
const clock = {
  name: 'clo"ck',
  strict: true,
  parameters: { type: "object", properties: { zone: { type: "integer" } }, additionalProperties: false },
};
const loose = { name: "loose", strict: false, parameters: { type: "object", properties: { x: { type: "integer" } } } };
type ToolSpec = Extract<GrammarSpec, { type: "tool_calls" }>;
const spec = (more: Partial<ToolSpec>): GrammarSpec => ({
  type: "tool_calls",
  tools: [weather, clock, loose],
  choice: "required",
  parallel: false,
  ...more,
});

/** Texts are plain, control tokens stand for themselves. */
const ids = (...parts: readonly (string | number | undefined)[]): number[] =>
  parts.flatMap((part) => (typeof part === "string" ? nano.encodePlain(part) : part!));
const fits = (grammar: GrammarSpec, parts: readonly (string | number | undefined)[], reasoning?: Reasoning): boolean =>
  accepts(compiler.compile(grammar).newConstraint([STOP], reasoning && { reasoning }), ids(...parts));
const call = (name: string, args: string) => [OPEN, `\n{"name": ${JSON.stringify(name)}, "arguments": ${args}}\n`, CLOSE];

test("a required call is one of the tools', with its arguments", () => {
  assert.ok(fits(spec({}), call("weather", '{"city": "Paris"}')));
  assert.ok(fits(spec({}), call('clo"ck', '{"zone": 1}')));
  assert.ok(fits(spec({}), call("loose", '{"x": "not its schema", "y": []}')));
  assert.not(fits(spec({}), call("weather", "{}")));
  assert.not(fits(spec({}), call("weather", '{"city": 1}')));
  assert.not(fits(spec({}), call('clo"ck', '{"city": "Paris"}')));
  assert.not(fits(spec({}), call("loose", "[]")));
  assert.not(fits(spec({}), call("other", "{}")));
  assert.not(fits(spec({}), ["text", ...call("weather", '{"city": "Paris"}')]));
  assert.not(fits(spec({}), []));
  assert.not(fits(spec({}), call("weather", '{"city": "Paris"}').slice(0, 2)));
});

test("the tags are tokens: their text is none", () => {
  assert.not(fits(spec({}), ['<tool_call>\n{"name": "weather", "arguments": {"city": "a"}}\n</tool_call>']));
  assert.ok(fits(spec({}), call("weather", '{"city": "</tool_call>"}')));
  assert.equal(allowedIds(compiler.compile(spec({})).newConstraint([STOP])), [OPEN]);
  assert.is(compiler.compile(spec({})).newConstraint([STOP]).forced, OPEN);
});

test("a named function alone", () => {
  const named = spec({ choice: { name: "weather" } });
  assert.ok(fits(named, call("weather", '{"city": "Paris"}')));
  assert.not(fits(named, call("loose", "{}")));
});

test("several calls only where they may be", () => {
  const two = [...call("weather", '{"city": "Paris"}'), "\n", ...call("loose", "{}")];
  assert.ok(fits(spec({ parallel: true }), two));
  assert.ok(fits(spec({ parallel: true }), two.slice(0, 3)));
  assert.not(fits(spec({ parallel: false }), two));
  assert.not(fits(spec({ parallel: true }), two.slice(0, 4)));
});

test("auto leaves the call to the model, not its form", () => {
  const auto = spec({ choice: "auto", parallel: true });
  assert.ok(fits(auto, ["any text {", ...call('clo"ck', '{"zone": 2}')]));
  assert.ok(fits(auto, ["any <tool_call> text"]));
  assert.ok(fits(auto, [THINK, "hm", END_THINK, "\n\n", ...call("loose", "{}")]));
  assert.ok(fits(auto, call("weather", '{"other": 1}')), "a tool that is not strict may get any object");
  assert.not(fits(auto, call('clo"ck', '{"other": 2}')));
  assert.not(fits(auto, [OPEN, "no call"]));
  assert.not(fits(auto, [nano.tokenToId("<|im_start|>")]));
});

test("reasoning comes first where the prompt began it, or the caller lets it", () => {
  const json: GrammarSpec = { type: "json_object" };
  assert.ok(fits(json, ["let me {think", END_THINK, "\n\n{}"], "open"));
  assert.ok(fits(json, ["", END_THINK, "{}"], "open"));
  assert.not(fits(json, ["{}"], "open"));
  assert.not(fits(json, [END_THINK, "\n\n\n{}"], "open"));
  assert.ok(fits(json, ["{}"], "optional"));
  assert.ok(fits(json, [THINK, "hm", END_THINK, "\n\n{}"], "optional"));
  assert.not(fits(json, [THINK, "hm", END_THINK, "\n\n{}"]));
  assert.ok(fits(spec({}), [THINK, "hm", END_THINK, "\n\n", ...call("loose", "{}")], "optional"));
  assert.not(allows(compiler.compile(json).newConstraint([STOP], { reasoning: "open" }), STOP));
});

test("random calls are whole, and their JSON parses", () => {
  for (let seed = 0; seed < 20; seed++) {
    const constraint = compiler.compile(spec({ tools: [weather, clock], parallel: true })).newConstraint([STOP]);
    const text = randomAnswer(constraint, random(seed + 5), 8, 400);
    assert.ok(text !== undefined, `seed ${seed}`);
    for (const part of text.split("<tool_call>").slice(1)) {
      const { name, arguments: args } = JSON.parse(part.split("</tool_call>")[0]!);
      assert.ok(name === "weather" ? typeof args.city === "string" : name === 'clo"ck', text);
    }
  }
});

test.run();
