import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { StreamDecoder, type TokenSource } from "../../src/text/stream-decoder.ts";
import { goldenLines } from "../paths.ts";
import { nanoTokenizer, qwen3Tokenizer } from "./tokenizers.ts";

/** Tokens that are one byte each. */
const bytes: TokenSource = { tokenBytes: (id) => Uint8Array.of(id), isSpecial: () => false };

function pieces(decoder: StreamDecoder, ids: readonly number[]): string[] {
  return [...ids.map((id) => decoder.push(id)), decoder.flush()];
}

const decodeAll = (ids: readonly number[]): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(ids));

test("pieces joined are the decoding of all bytes at once, for any bytes", () => {
  // Bytes at the edges of what UTF-8 allows, and any others.
  const edges = [
    0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1,
    0xf3, 0xf4, 0xf5, 0xff,
  ];
  const byte = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 12 }), (ids) => {
      assert.is(pieces(new StreamDecoder(bytes), ids).join(""), decodeAll(ids));
    }),
    { numRuns: 30_000 },
  );
  const texts = fc.string({ unit: "binary", maxLength: 20 });
  fc.assert(
    fc.property(texts, (text) => {
      const ids = [...new TextEncoder().encode(text)];
      const found = pieces(new StreamDecoder(bytes), ids);
      assert.is(found.join(""), decodeAll(ids));
      // Valid text has whole characters in every piece: nothing that the text lacks is ever shown.
      if (!text.includes("\ufffd")) assert.not.ok(found.some((piece) => piece.includes("\ufffd")));
      assert.not.ok(found.some((piece) => /\p{Surrogate}/u.test(piece)));
    }),
  );
});

test("every sequence of up to two bytes, and of three from the edges, decodes as at once", () => {
  const check = (...ids: number[]) => assert.is(pieces(new StreamDecoder(bytes), ids).join(""), decodeAll(ids));
  for (let first = 0; first < 256; first++) for (let second = 0; second < 256; second++) check(first, second);
  for (const lead of [0xc2, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4]) {
    for (let second = 0x70; second < 256; second++)
      for (const third of [0x41, 0x80, 0xbf, 0xc2, 0xf0]) check(lead, second, third, 0x80);
  }
});

test("bytes that begin a character wait for the rest, invalid ones do not", () => {
  const decoder = new StreamDecoder(bytes);
  assert.equal(
    [0xf0, 0x9f, 0x98, 0x80].map((byte) => decoder.push(byte)),
    ["", "", "", "\u{1f600}"],
  );
  assert.equal(
    [0xe6, 0x41].map((byte) => decoder.push(byte)),
    ["", "\ufffdA"],
  );
  assert.equal(
    [0xe0, 0x80].map((byte) => decoder.push(byte)),
    ["", "\ufffd\ufffd"],
  );
  assert.equal(
    [0xff, 0x80].map((byte) => decoder.push(byte)),
    ["\ufffd", "\ufffd"],
  );
  assert.is(decoder.push(0xe6), "");
  assert.is(decoder.flush(), "\ufffd");
  assert.is(decoder.flush(), "");
  assert.is(decoder.push(0x41), "A"); // ready for another text
});

test("golden token sequences stream to their decodings", async () => {
  const qwen3 = await qwen3Tokenizer();
  for (const line of goldenLines<{
    ids: number[];
    ids_as_plain_text: number[];
    decoded: string;
    decoded_without_special: string;
  }>("text", "tokenizer.jsonl")) {
    assert.is(pieces(qwen3.newDecoder(), line.ids).join(""), line.decoded);
    assert.is(pieces(qwen3.newDecoder({ skipSpecialTokens: true }), line.ids).join(""), line.decoded_without_special);
    assert.is(pieces(qwen3.newDecoder(), line.ids_as_plain_text).join(""), qwen3.decode(line.ids_as_plain_text));
  }
});

test("any ids stream to their decoding", async () => {
  const nano = await nanoTokenizer();
  const ids = fc.array(fc.integer({ min: 0, max: nano.vocabSize + 5 }), { maxLength: 20 });
  fc.assert(
    fc.property(ids, fc.boolean(), (ids, skipSpecialTokens) => {
      assert.is(pieces(nano.newDecoder({ skipSpecialTokens }), ids).join(""), nano.decode(ids, { skipSpecialTokens }));
    }),
    { numRuns: 3000 },
  );
});

test.run();
