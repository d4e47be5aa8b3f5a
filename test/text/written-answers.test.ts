/** 500 generated conversations and those that are recorded in test/golden: tool calls in deltas, whole, and cut off after every token. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AssistantParser, type AssistantPart, type WholeToolCall } from "../../src/text/assistant-parser.ts";
import type { ChatMessage } from "../../src/text/messages.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { goldenPath } from "../paths.ts";
import { Random } from "./random.ts";
import { nanoTokenizer, qwen3Tokenizer } from "./tokenizers.ts";
import { type ExpectedCall, tokensOf, type WrittenAnswer, writtenAnswers } from "./written-answers.ts";

const tokenizers = { qwen3: await qwen3Tokenizer(), nano: await nanoTokenizer() };
const CONVERSATIONS = 500;
const answers = writtenAnswers(6, CONVERSATIONS);

interface Parsed {
  readonly content: string;
  readonly reasoning: string;
  readonly calls: readonly WholeToolCall[];
  /** By index of a call: name and arguments of its deltas. */
  readonly told: ReadonlyMap<number, ExpectedCall & { readonly id: string }>;
  readonly cut: WholeToolCall | undefined;
}

/** What of an answer is told up to some token, where it ends there. */
function parse(tokenizer: Tokenizer, ids: readonly number[], isCut = false): Parsed {
  const parser = new AssistantParser(tokenizer);
  const decoder = tokenizer.newDecoder({ skipSpecialTokens: true });
  const parts: AssistantPart[] = ids.flatMap((id) => parser.push(id, decoder.push(id)));
  parts.push(...parser.flush(decoder.flush(), isCut));
  return { ...collect(parts), cut: parser.toldCall };
}

/** Deltas as an OpenAI client adds them up. */
function collect(parts: readonly AssistantPart[]): Omit<Parsed, "cut"> {
  let [content, reasoning] = ["", ""];
  const calls: WholeToolCall[] = [];
  const told = new Map<number, ExpectedCall & { id: string }>();
  for (const part of parts) {
    assert.ok(part.type !== "text" || part.text !== "");
    if (part.type === "text") content += part.text;
    else if (part.type === "reasoning") reasoning += part.text;
    else if (part.type === "tool_call") calls.push(part);
    else if (part.name !== undefined) {
      assert.is(part.index, told.size);
      told.set(part.index, { id: part.id!, name: part.name, arguments: part.arguments });
    } else {
      assert.is(part.index, told.size - 1, "deltas are those of the last call");
      assert.ok(part.arguments !== "");
      const call = told.get(part.index)!;
      call.arguments += part.arguments;
    }
  }
  return { content, reasoning, calls, told };
}

function assertDeltas({ calls, told, cut }: Parsed): void {
  for (const { index, id, name, arguments: text } of calls) assert.equal(told.get(index), { id, name, arguments: text });
  for (const [index, { arguments: text }] of told) {
    if (calls.some((call) => call.index === index)) continue;
    assert.throws(() => JSON.parse(text), undefined, "arguments that parse are those of a whole call");
    if (cut?.index === index) assert.is(cut.arguments, text);
  }
}

function assertParsed(parsed: Parsed, expected: WrittenAnswer, what: string): void {
  assert.is(parsed.content, expected.content, what);
  assert.is(parsed.reasoning, expected.reasoning, what);
  assert.equal(
    parsed.calls.map(({ name, arguments: text }) => ({ name, arguments: text })),
    expected.calls,
    what,
  );
  assert.is(new Set(parsed.calls.map(({ id }) => id)).size, expected.calls.length);
  for (const { arguments: text } of parsed.calls) assert.ok(text.startsWith("{") && JSON.parse(text) !== null);
}

for (const [name, tokenizer] of Object.entries(tokenizers))
  for (const how of ["whole", "cut", "bytes"] as const)
    test(`${CONVERSATIONS} conversations, ${name}, ${how}: the deltas joined are the calls, and all is what was meant`, () => {
      const random = new Random(7);
      for (const [i, answer] of answers.entries()) {
        const parsed = parse(tokenizer, tokensOf(answer, tokenizer, how, random));
        assertParsed(parsed, answer, `conversation ${i}: ${JSON.stringify(answer.pieces)}`);
        assertDeltas(parsed);
      }
    });

test("piece by piece, without a tokenizer, it is the same", () => {
  const ids = new Map(["<think>", "</think>", "<tool_call>", "</tool_call>"].map((tag, i) => [tag, i]));
  for (const [i, answer] of answers.entries()) {
    const parser = new AssistantParser({ tokenToId: (tag) => ids.get(tag) });
    const parts = answer.pieces.flatMap((piece) =>
      "tag" in piece ? parser.push(ids.get(piece.tag)!, piece.tag) : parser.push(99, piece.text),
    );
    const parsed = { ...collect([...parts, ...parser.flush()]), cut: parser.toldCall };
    assertParsed(parsed, answer, `conversation ${i}`);
    assertDeltas(parsed);
  }
});

test("the generated conversations have what they should have", () => {
  const all = answers.flatMap(({ calls }) => calls);
  assert.ok(all.length > 400 && answers.filter(({ calls }) => calls.length > 1).length > 80);
  assert.ok(answers.filter(({ content }) => content.includes("<tool_call>\n{")).length > 80, "calls that are none");
  assert.ok(answers.filter(({ reasoning }) => reasoning !== "").length > 50);
  const inStrings = all.filter(({ arguments: text }) => text.includes("</tool_call>"));
  assert.ok(inStrings.length > 40, `closing tags in ${inStrings.length} strings`);
});

test("an answer that is cut off after any token has told what the whole one tells, and nothing that it takes back", () => {
  const tokenizer = tokenizers.nano;
  let cuts = 0;
  for (const [i, answer] of answers.entries()) {
    if (i % 5 !== 0) continue;
    const ids = tokensOf(answer, tokenizer, "whole", new Random(i));
    const whole = parse(tokenizer, ids);
    for (let length = 0; length < ids.length; length++) {
      const { content, reasoning, calls, told, cut } = parse(tokenizer, ids.slice(0, length), true);
      const what = `conversation ${i} after ${length} tokens`;
      cuts++;
      assert.ok(whole.reasoning.startsWith(reasoning.replace(/[\n\ufffd]+$/, "")), what);
      // An object that is complete is a call, even if junk would have followed it.
      const sure = calls.filter(({ id }, at) => at < calls.length - 1 || whole.calls.some((call) => call.id === id));
      assert.equal(sure, whole.calls.slice(0, sure.length), what);
      for (const [index, call] of told) {
        const final = whole.told.get(index)!;
        assert.equal([call.id, call.name], [final.id, final.name], what);
        const isTakenBack = calls.length > sure.length && calls.at(-1)!.id === call.id;
        assert.ok(isTakenBack || final.arguments.startsWith(call.arguments), what);
      }
      // What is cut off before anything of the call was told is text, and so is all that was before.
      if (cut === undefined && !content.includes("<tool_call>"))
        assert.ok(whole.content.startsWith(content.replace(/[\s\ufffd]+$/, "")), what);
      assertDeltas({ content, reasoning, calls, told, cut });
    }
  }
  assert.ok(cuts > 10_000, `${cuts} cuts`);
});

test("deltas come with the tokens, not in one piece at the end", () => {
  const ids = tokenizers.qwen3.encode(
    '<tool_call>\n{"name": "f", "arguments": {"text": "one two three four five six seven eight nine ten"}}\n</tool_call>',
  );
  const parser = new AssistantParser(tokenizers.qwen3);
  const decoder = tokenizers.qwen3.newDecoder();
  const seen = ids.map((id) => parser.push(id, decoder.push(id)).filter(({ type }) => type === "tool_call_delta").length);
  assert.ok(seen.filter((deltas) => deltas > 0).length >= 12, `${seen}`);
});

/** Assistant messages with calls that the checkpoint's own template wrote. */
function recorded(): { messages: ChatMessage[]; tools?: never }[] {
  const lines = ["held-out.jsonl", "text/chat.jsonl"].flatMap((file) =>
    readFileSync(goldenPath(file), "utf8").trimEnd().split("\n"),
  );
  return lines.map((line) => JSON.parse(line)).filter(({ messages }) => Array.isArray(messages));
}

test("recorded conversations: what the template writes of an answer is parsed into that answer", () => {
  const tokenizer = tokenizers.nano;
  const opening = tokenizer.encode("<|im_start|>assistant\n");
  let [turns, called] = [0, 0];
  for (const { messages } of recorded()) {
    for (const [i, message] of messages.entries()) {
      if (message.role !== "assistant" || message.reasoning_content || typeof message.content !== "string") continue;
      if (message.content.trim() !== message.content || message.content.includes("<")) continue;
      const calls = (message.tool_calls ?? []).map((call) => ("function" in call ? call.function : call));
      const ids = tokenizer.encodeChat([{ role: "user", content: "?" }, messages[i]!]);
      const start = ids.findLastIndex((_, at) => opening.every((id, j) => ids[at + j] === id)) + opening.length;
      const end = ids.lastIndexOf(tokenizer.tokenToId("<|im_end|>")!);
      const parsed = parse(tokenizer, ids.slice(start, end));
      assertDeltas(parsed);
      assert.is(parsed.content, message.content);
      const objects = calls.map(({ name, arguments: args }) => [name, typeof args === "string" ? JSON.parse(args) : args]);
      assert.equal(
        parsed.calls.map((call) => [call.name, JSON.parse(call.arguments)]),
        objects,
      );
      turns++;
      called += calls.length;
    }
  }
  assert.ok(turns >= 100 && called >= 13, `${turns} turns, ${called} calls`);
});

test.run();
