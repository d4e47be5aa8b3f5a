/** Our cutting and merging against the library's, which has another algorithm for both. */
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BytePairEncoder } from "../../src/text/bpe.ts";
import { createPreTokenizer, qwenPattern } from "../../src/text/pre-tokenizer.ts";
import { nanoJson, nanoTokenizer, qwen3Files, qwen3Tokenizer } from "./tokenizers.ts";

interface Library {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  pre_tokenizer(text: string): string[];
}

const library = (json: object): Library => new LibraryTokenizer({ ...json, added_tokens: [] }, {}) as Library;
const qwen3Json = JSON.parse(new TextDecoder().decode(qwen3Files().tokenizerJson as Uint8Array));

// Pieces of every class that the pattern tells apart, and their neighbours. (Not the long s, which the library takes for no s.)
const fragments =
  "a e t re ve ll 's 'S 't 're 'LL 'd ' '' I 1 2 \u00b2 \u2167 \u0661 ! ? - -- <| |> _ $ \u3002 \u{1f600} \u00e9 \u0301 \u0323 \u6f22 \u5b57 \u3042 \ud55c \u0e01 \u05d0 \u0939\u093f \r \n \r\n \t \u00a0 \u3000 \u0085 \u200b \ufeff \u180e the token <think> \0"
    .split(" ")
    .concat([" ", "  ", "     ", " \n"]);
const texts = fc.array(fc.oneof(fc.constantFrom(...fragments), fc.string({ unit: "binary", maxLength: 3 })), { maxLength: 40 });
const text = texts.map((pieces) => pieces.join("").replaceAll("\u017f", ""));

for (const [name, tokenizer, json] of [
  ["nano's", await nanoTokenizer(), nanoJson()],
  ["Qwen3's", await qwen3Tokenizer(), qwen3Json],
] as const) {
  const reference = library(json);
  test(`any text has the library's tokens, with ${name} vocabulary`, () => {
    const same = (input: string) =>
      assert.equal(
        tokenizer.encodePlain(input),
        reference.encode(input, { add_special_tokens: false }).ids,
        JSON.stringify(input),
      );
    fc.assert(fc.property(text, same), { numRuns: 4000 });
    // Single pieces far longer than those that are merged without a heap.
    const unit = fc.array(fc.constantFrom("a", "ab", "the", "\u6f22", "er", "X"), { minLength: 1, maxLength: 6 });
    const long = fc.tuple(unit, fc.integer({ min: 10, max: 120 })).map(([parts, times]) => parts.join("").repeat(times));
    fc.assert(fc.property(long, same), { numRuns: 200 });
  });
}

const scan = await createPreTokenizer(qwenPattern);

function cut(input: string): string[] {
  const pieces: string[] = [];
  scan(input, (bytes, start, end) =>
    pieces.push(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(start, end))),
  );
  return pieces;
}

test("Qwen's pattern cuts text as the library's regular expression does", () => {
  const split = library({ ...qwen3Json, pre_tokenizer: qwen3Json.pre_tokenizer.pretokenizers[0] });
  const same = (input: string) => assert.equal(cut(input), split.pre_tokenizer(input), JSON.stringify(input));
  fc.assert(fc.property(text, same), { numRuns: 10_000 });
  // Every character by itself, between two others, and after a space.
  for (let codePoint = 0; codePoint < 0x20000; codePoint += codePoint < 0x3100 ? 1 : 97) {
    if ((codePoint >= 0xd800 && codePoint < 0xe000) || codePoint === 0x17f) continue;
    same(`a${String.fromCodePoint(codePoint)}1 ${String.fromCodePoint(codePoint)}`);
  }
});

test("the long s is an s where case is ignored, as in the tokenizer that the checkpoint was made with", () => {
  // Pieces by Hugging Face tokenizers 0.23. JavaScript's regular expressions, and so the library, do not fold it here.
  assert.equal(cut("'\u017ftuff x'\u017f y"), ["'\u017f", "tuff", " x", "'\u017f", " y"]);
});

test("a merge may come before the merges that make its parts", () => {
  // The last rank joins a and b; joining ab and c comes first, so its rank is lower than that of the pair that makes it possible.
  const vocab = new Map(Object.entries(nanoJson().model.vocab as Record<string, number>));
  const alphabet = "abcd".split("");
  for (const [i, token] of ["bc", "ab", "abc", "abcabc"].entries()) vocab.set(token, 5000 + i);
  const merges = [
    ["abc", "abc"],
    ["ab", "c"],
    ["b", "c"],
    ["a", "b"],
  ] as const;
  const encoder = new BytePairEncoder(vocab, merges, new Set());
  const encode = (input: string) => {
    const out: number[] = [];
    encoder.encode(new TextEncoder().encode(input), 0, input.length, out);
    return out.map((id) => [...vocab].find(([, other]) => other === id)![0]);
  };
  const reference = library({ ...nanoJson(), model: { ...nanoJson().model, vocab: Object.fromEntries(vocab), merges } });
  const ids = (input: string) => reference.encode(input, { add_special_tokens: false }).ids;
  const letters = fc.array(fc.constantFrom(...alphabet), { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(letters, (word) =>
      assert.equal(
        encode(word.join("")).map((token) => vocab.get(token)),
        ids(word.join("")),
      ),
    ),
    { numRuns: 500 },
  );
});

test.run();
