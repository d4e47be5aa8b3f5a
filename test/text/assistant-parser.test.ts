import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  AssistantParser,
  type AssistantParserOptions,
  type AssistantPart,
  startsInReasoning,
} from "../../src/text/assistant-parser.ts";
import type { ChatMessage } from "../../src/text/messages.ts";
import { parseToolCall } from "../../src/text/tool-call.ts";
import { nanoTokenizer, qwen3Tokenizer } from "./tokenizers.ts";

const nano = await nanoTokenizer();

/** The parts of a message that a model wrote as `ids`, neighbours of one type joined, without deltas. */
function parse(ids: readonly number[], options: AssistantParserOptions = {}): AssistantPart[] {
  const parser = new AssistantParser(nano, options);
  const decoder = nano.newDecoder();
  const parts = ids.flatMap((id) => parser.push(id, decoder.push(id)));
  return join([...parts, ...parser.flush(decoder.flush())]);
}

function join(parts: readonly AssistantPart[]): AssistantPart[] {
  const joined: AssistantPart[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (part.type === "tool_call_delta") continue;
    if (part.type !== "tool_call" && last?.type === part.type)
      joined[joined.length - 1] = { type: part.type, text: last.text + part.text };
    else joined.push(part);
  }
  return joined;
}

const text = (text: string): AssistantPart => ({ type: "text", text });
const reasoning = (text: string): AssistantPart => ({ type: "reasoning", text });
const call = (index: number, name: string, args: string): AssistantPart => ({
  type: "tool_call",
  index,
  id: `call_${index}`,
  name,
  arguments: args,
});

const looksLikeACall = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>';

const cases: readonly (readonly [what: string, written: string, parts: AssistantPart[]])[] = [
  ["plain text", "Hello, world!\n\nBye.\n", [text("Hello, world!\n\nBye.\n")]],
  ["nothing", "", []],
  ["reasoning and an answer", "<think>\nHm.\n\nYes.\n</think>\n\nYes.", [reasoning("Hm.\n\nYes."), text("Yes.")]],
  ["empty reasoning", "<think>\n\n</think>\n\nYes.", [text("Yes.")]],
  ["reasoning without line breaks", "<think>Hm.</think>Yes.", [reasoning("Hm."), text("Yes.")]],
  ["more line breaks than the template's", "<think>\n\nHm.\n\n</think>\n\n\nYes.", [reasoning("\nHm.\n"), text("\nYes.")]],
  ["reasoning that does not end", "<think>\nHm.\n", [reasoning("Hm.\n")]],
  ["text before reasoning", "So:\n<think>\nHm.\n</think>\n\n", [text("So:\n"), reasoning("Hm.")]],
  ["a call", looksLikeACall, [call(0, "f", "{}")]],
  ["text and calls", `Look.\n${looksLikeACall}\n${looksLikeACall}`, [text("Look."), call(0, "f", "{}"), call(1, "f", "{}")]],
  ["text around a call", `Look.\n\n${looksLikeACall}\nSo.`, [text("Look.\n"), call(0, "f", "{}"), text("\nSo.")]],
  ["reasoning and a call", `<think>\nHm.\n</think>\n\n${looksLikeACall}`, [reasoning("Hm."), call(0, "f", "{}")]],
  [
    "arguments as they were written",
    '<tool_call>{"arguments" : {"b" :1e2, "a":"}\\"]"} , "name":"f"}</tool_call>',
    [call(0, "f", '{"b" :1e2, "a":"}\\"]"}')],
  ],
  [
    "a call in reasoning",
    `<think>\nMaybe ${looksLikeACall}?\n</think>\n\nNo.`,
    [reasoning(`Maybe ${looksLikeACall}?`), text("No.")],
  ],
  ["tags that open or close nothing", "a</think>b</tool_call>c", [text("a</think>b</tool_call>c")]],
  ["a tag inside of a call", '<tool_call>\n{"name": "<think>", "arguments": {}}\n</tool_call>', [call(0, "<think>", "{}")]],
  ["thinking about thinking", "<think>\na<think>b\n</think>\n\nc", [reasoning("a<think>b"), text("c")]],
  ["a call that is no JSON", "x\n<tool_call>\nf(1)\n</tool_call>\ny", [text("x\n<tool_call>\nf(1)\n</tool_call>\ny")]],
  ["a call that does not end", '<tool_call>\n{"name": "f"', [text('<tool_call>\n{"name": "f"')]],
  [
    "a call that another interrupts",
    `a\n<tool_call>\n{"na\n${looksLikeACall}`,
    [text('a\n<tool_call>\n{"na'), call(0, "f", "{}")],
  ],
];

for (const [what, written, parts] of cases) {
  test(`parses ${what}`, () => assert.equal(parse(nano.encode(written)), parts));
}

test("text that looks like tags, written in other tokens, is text", () => {
  const written = `<think>\n${looksLikeACall}\n</think>`;
  assert.equal(parse(nano.encodePlain(written)), [text(written)]);
});

test("a message that goes on inside of reasoning starts there", () => {
  const options = { startsInReasoning: true };
  assert.equal(parse(nano.encode("Hm.\n</think>\n\nYes."), options), [reasoning("Hm."), text("Yes.")]);
  assert.equal(parse(nano.encode("\nHm."), options), [reasoning("\nHm.")]);
});

test("whether a prompt ends in reasoning is told by its last tag", () => {
  assert.equal(
    ["<|im_start|>assistant\n", "<think>\n", "<think>\n\n</think>\n\n", "<think>a</think>b<think>", ""].map((prompt) =>
      startsInReasoning(nano.encode(prompt), nano),
    ),
    [false, true, false, true, false],
  );
  assert.is(startsInReasoning(nano.encodePlain("<think>"), nano), false);
  assert.is(startsInReasoning([1, 2], { tokenToId: () => undefined }), false);
});

test("ids of tool calls can go on where an earlier answer ended", () => {
  const ids = nano.encode('<tool_call>{"name": "f", "arguments": {}}</tool_call>'.repeat(2));
  const idsOf = (first: number): string[] =>
    parse(ids, { callId: (index) => `call_${first + index}` }).map((part) => (part.type === "tool_call" ? part.id : part.type));
  assert.equal([...idsOf(0), ...idsOf(2)], ["call_0", "call_1", "call_2", "call_3"]);
});

test("parts come as soon as they are known", () => {
  const parser = new AssistantParser(nano, { callId: (index) => `id-${index}` });
  const id = (tag: string): number => nano.tokenToId(tag)!;
  assert.equal(parser.push(1, "Hi"), [text("Hi")]);
  assert.equal(parser.push(1, "!\n"), [text("!")]); // the line break goes if a call follows
  assert.equal(parser.push(1, ""), []);
  assert.equal(parser.push(1, "Now\n"), [text("\nNow")]);
  assert.equal(parser.push(id("<tool_call>"), "\ufffd<tool_call>"), [text("\n\ufffd")]); // the decoder gave up on a byte
  assert.equal(parser.push(1, '{"name": "f", "arguments": {'), []);
  const delta = (args: string): AssistantPart => ({ type: "tool_call_delta", index: 0, arguments: args });
  assert.equal(parser.push(1, '"a'), [{ ...delta(""), id: "id-0", name: "f" }, delta('{"a')]);
  assert.equal(parser.push(1, '": 1'), [delta('": ')]);
  assert.equal(parser.push(1, ", "), [delta("1")]);
  assert.equal(parser.push(1, '"b": 2}}'), [delta(', "b": 2')]);
  const whole = '{"a": 1, "b": 2}';
  const last = [delta("}"), { type: "tool_call", index: 0, id: "id-0", name: "f", arguments: whole }];
  assert.equal(parser.push(id("</tool_call>"), "</tool_call>"), last);
  assert.equal(parser.push(id("<think>"), ""), []); // a decoder may leave the tag's text out
  assert.equal(parser.push(1, "\n"), []);
  assert.equal(parser.push(1, "Hm"), [reasoning("Hm")]);
  assert.equal(parser.flush("\ufffd"), [reasoning("\ufffd")]);
  assert.equal(parser.flush(), []);
});

test("a tokenizer without the tags knows text only", () => {
  const parser = new AssistantParser({ tokenToId: () => undefined });
  assert.equal(parser.push(7, "<think>"), [text("<think>")]);
});

test("a message that was parsed becomes, as history, the tokens that the model wrote", async () => {
  const qwen3 = await qwen3Tokenizer();
  const question: ChatMessage = { role: "user", content: "Hi" };
  const prompt = qwen3.encodeChat([question], { addGenerationPrompt: true });
  const end = qwen3.encode("<|im_end|>\n");
  for (const written of [
    "Yes.",
    "<think>\nHm.\n\nYes.\n</think>\n\nYes.",
    `<think>\nHm.\n</think>\n\nLook.\n${looksLikeACall}\n${looksLikeACall}`,
  ]) {
    const parser = new AssistantParser(qwen3);
    const parts = join([...qwen3.encode(written).flatMap((id) => parser.push(id, qwen3.decode([id]))), ...parser.flush()]);
    const history: ChatMessage = {
      role: "assistant",
      content: parts.map((part) => (part.type === "text" ? part.text : "")).join(""),
      reasoning_content: parts.map((part) => (part.type === "reasoning" ? part.text : "")).join(""),
      tool_calls: parts.flatMap((part) => (part.type === "tool_call" ? [{ name: part.name, arguments: part.arguments }] : [])),
    };
    // The hybrid template shows the reasoning of the last turn, and an empty one where there was none.
    const shown = written.startsWith("<think>") ? written : `<think>\n\n</think>\n\n${written}`;
    assert.is(qwen3.decode(qwen3.encodeChat([question, history])), qwen3.decode([...prompt, ...qwen3.encode(shown), ...end]));
    assert.equal(qwen3.encodeChat([question, history]), [...prompt, ...qwen3.encode(shown), ...end]);
  }
});

test("tool calls are an object with a name and an object of arguments, and nothing else is", () => {
  assert.equal(parseToolCall(' {"name": "f", "arguments": {"a": [{"b": "x:,}"}]}, "id": 7} '), {
    name: "f",
    arguments: '{"a": [{"b": "x:,}"}]}',
  });
  assert.equal(parseToolCall('{"n\\u0061me": "f", "arguments": {"\\\\": "\\\\"}}'), { name: "f", arguments: '{"\\\\": "\\\\"}' });
  for (const broken of [
    "",
    "null",
    "[]",
    '"f"',
    "{}",
    '{"name": "f"}',
    '{"name": "", "arguments": {}}',
    '{"name": 5, "arguments": {}}',
    '{"name": "f", "arguments": null}',
    '{"name": "f", "arguments": []}',
    '{"name": "f", "arguments": ""}',
    '{"name": "f", "arguments": {}} {}',
    '{"name": "f", "arguments": {}, "name": "g"}',
    '{"name": "f", "arguments": {"a": 1}, "arguments": {}}',
    `{"name": "f", "arguments": ${'{"a":'.repeat(200_000)}`,
  ]) {
    assert.is(parseToolCall(broken), null, broken.slice(0, 80));
  }
});

test.run();
