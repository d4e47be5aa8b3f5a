/** Time grows with the length of the text alone: fitted slopes, and inputs of 4 MiB that have to finish at all. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AssistantParser } from "../../src/text/assistant-parser.ts";
import { nfc } from "../../src/text/normalization.ts";
import { StopStrings } from "../../src/text/stop-strings.ts";
import { assertLinear } from "./slope.ts";
import { qwen3Tokenizer } from "./tokenizers.ts";

const qwen3 = await qwen3Tokenizer();
const sizes = [1 << 14, 1 << 15, 1 << 16, 1 << 17];
const mebibytes4 = 4 << 20;

const inputs: readonly (readonly [name: string, unit: string])[] = [
  ["one letter", "a"],
  ["spaces", " "],
  ["CJK", "\u6f22"],
  ["one letter and another", "aaaaaaab"],
];

for (const [name, unit] of inputs) {
  test(`encoding ${name} is linear`, () => {
    assertLinear(sizes, (size) => {
      qwen3.encodePlain(unit.repeat(size / unit.length));
    });
  });

  test(`4 MiB of ${name} are encoded`, () => {
    const bytes = new TextEncoder().encode(unit).length;
    const text = unit.repeat(Math.floor(mebibytes4 / bytes));
    const ids = qwen3.encodePlain(text);
    assert.ok(qwen3.decode(ids) === text);
  });
}

test("normalizing a run of alternating marks is linear, and 4 MiB of them finish", () => {
  assertLinear(sizes, (size) => {
    nfc("\u0301\u0323".repeat(size / 2));
  });
  assert.is(nfc("\u0301\u0323".repeat(mebibytes4 / 4)).length, mebibytes4 / 2);
});

test("encoding with added tokens everywhere is linear", () => {
  assertLinear(sizes, (size) => {
    qwen3.encode("<|im_end|><|im_".repeat(size / 16));
  });
});

test("decoding as a stream is linear", () => {
  const ids = qwen3.encodePlain("a\u{1f9ea}\u6f22 the ".repeat(sizes.at(-1)!));
  assertLinear(sizes, (size) => {
    const decoder = qwen3.newDecoder();
    let length = 0;
    for (let i = 0; i < size; i++) length += decoder.push(ids[i]!).length;
    assert.ok(length + decoder.flush().length > 0);
  });
});

test("reading a tool call piece by piece is linear, and so is what is behind it", () => {
  const tags = new Map(["<think>", "</think>", "<tool_call>", "</tool_call>"].map((tag, id) => [tag, id]));
  for (const [opening, piece, closing] of [
    ['{"name": "f", "arguments": {"a": "', "ab\\u00e9\n", '"}}'],
    ['{"arguments": {"a": [0', ", 1", ']}, "name": "f"}'],
    ['{"name": "f", "arguments": "{\\"a\\": \\"', "x", '\\"}"}'],
    ['{"name": "f", "arguments": {}', "  ", "}"],
    ['{"name": "f", "arguments": {"a": ', "1", "}}"],
  ] as const)
    assertLinear(sizes, (size) => {
      const parser = new AssistantParser({ tokenToId: (tag) => tags.get(tag) });
      const parts = [...parser.push(tags.get("<tool_call>")!, "<tool_call>"), ...parser.push(9, opening)];
      for (let i = 0; i < size; i++) parts.push(...parser.push(9, piece));
      parts.push(...parser.push(9, closing), ...parser.push(tags.get("</tool_call>")!, "</tool_call>"));
      for (let i = 0; i < size; i++) parts.push(...parser.push(9, "\n"));
      assert.is(parts.at(-1)?.type, "tool_call");
      assert.equal(parser.flush(), []);
    });
});

test("looking for stop strings is linear, in the text and in the stop strings", () => {
  for (const piece of ["a", "a".repeat(1000)]) {
    assertLinear(sizes, (size) => {
      // A stop string that always seems to begin: all of it is held back, and compared again, with every letter.
      const stops = new StopStrings([`${"a".repeat(4000)}b`, `${"a".repeat(100)}c`]);
      for (let i = 0; i < size; i += piece.length) assert.is(stops.push(piece).stop, undefined);
    });
  }
  assertLinear([256, 512, 1024, 2048], (size) => {
    const stops = new StopStrings(Array.from({ length: size }, (_, i) => `stop number ${i}`));
    stops.push("stop number x ".repeat(200));
  });
});

test.run();
