import { test } from "uvu";
import * as assert from "uvu/assert";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { readTokenizerFile } from "../../src/text/tokenizer-file.ts";
import { assertRefused, assertRejected, nanoJson } from "./tokenizers.ts";

// biome-ignore lint/suspicious/noExplicitAny: each case breaks the file somewhere else
type Break = (json: any) => void;

const cases: readonly (readonly [what: string, change: Break, message: RegExp])[] = [
  ["another model", (json) => (json.model.type = "Unigram"), /model.type is "Unigram"; supported is "BPE"/],
  ["no model", (json) => delete json.model, /model is undefined/],
  ["dropout", (json) => (json.model.dropout = 0.1), /model.dropout is 0.1/],
  ["an unknown token", (json) => (json.model.unk_token = "<unk>"), /model.unk_token is "<unk>"; supported is null or absent/],
  ["a prefix", (json) => (json.model.continuing_subword_prefix = "##"), /continuing_subword_prefix/],
  ["a suffix", (json) => (json.model.end_of_word_suffix = "</w>"), /end_of_word_suffix/],
  ["byte fallback", (json) => (json.model.byte_fallback = true), /byte_fallback/],
  ["ignored merges", (json) => (json.model.ignore_merges = true), /ignore_merges/],
  ["a list for a vocabulary", (json) => (json.model.vocab = []), /model.vocab is an array/],
  ["a negative id", (json) => (json.model.vocab.new = -1), /model.vocab\["new"\] is -1/],
  ["an id that is text", (json) => (json.model.vocab.new = "7"), /model.vocab\["new"\] is "7"/],
  ["a fractional id", (json) => (json.model.vocab.new = 4096.5), /is 4096.5; a token id is an integer from 0 to 1048575/],
  ["a huge id", (json) => (json.model.vocab.new = 2 ** 31), /a token id is an integer from 0 to 1048575/],
  ["an id twice", (json) => (json.model.vocab.new = 5), /gives id 5 to two tokens/],
  ["a byte without a token", (json) => delete json.model.vocab["!"], /lacks "!"/],
  ["merges that are none", (json) => (json.model.merges = {}), /model.merges is an object/],
  ["a merge of three", (json) => (json.model.merges[7] = ["a", "b", "c"]), /model.merges\[7\] is not a pair/],
  ["a merge of numbers", (json) => (json.model.merges[7] = [1, 2]), /model.merges\[7\] is not a pair/],
  ["a merge without a space", (json) => (json.model.merges = ["ab"]), /model.merges\[0\] is not a pair/],
  ["a merge of unknown tokens", (json) => (json.model.merges[7] = ["nope", "a"]), /lacks "nope"/],
  ["a merge to an unknown token", (json) => (json.model.merges[7] = ["!", "\u0120"]), /lacks "!\u0120"/],
  [
    "a merge to an added token",
    (json) => (json.added_tokens[0].id = json.model.vocab["\u0120the"]),
    /plain text could be encoded to it/,
  ],
  ["a byte that is an added token", (json) => (json.added_tokens[0].id = json.model.vocab["!"]), /plain text could be/],
  ["added tokens that are none", (json) => (json.added_tokens = 5), /added_tokens is a number/],
  ["an added token that is none", (json) => (json.added_tokens[3] = null), /added_tokens\[3\] is null/],
  ["an added token without text", (json) => (json.added_tokens[3].content = ""), /added_tokens\[3\].content/],
  ["an added token with a broken id", (json) => (json.added_tokens[3].id = 1e9), /added_tokens\[3\].id is 1000000000/],
  ["a flag that is none", (json) => (json.added_tokens[3].special = "yes"), /added_tokens\[3\].special is a string/],
  ["another normalizer", (json) => (json.normalizer = { type: "NFKC" }), /normalizer.type is "NFKC"; supported is "NFC"/],
  ["no pre-tokenizer", (json) => (json.pre_tokenizer = null), /pre_tokenizer is null/],
  ["another pre-tokenizer", (json) => (json.pre_tokenizer.type = "Metaspace"), /pre_tokenizer.type/],
  ["more steps", (json) => json.pre_tokenizer.pretokenizers.push({}), /pretokenizers.length is 3; supported is 2/],
  ["another split", (json) => (json.pre_tokenizer.pretokenizers[0].behavior = "Removed"), /behavior is "Removed"/],
  ["an inverted split", (json) => (json.pre_tokenizer.pretokenizers[0].invert = true), /invert is true/],
  ["no regular expression", (json) => (json.pre_tokenizer.pretokenizers[0].pattern = { String: " " }), /no Regex/],
  ["a broken one", (json) => (json.pre_tokenizer.pretokenizers[0].pattern.Regex = "(("), /pattern "\(\(" is not understood/],
  ["a prefix space", (json) => (json.pre_tokenizer.pretokenizers[1].add_prefix_space = true), /add_prefix_space/],
  ["a second regular expression", (json) => (json.pre_tokenizer.pretokenizers[1].use_regex = true), /use_regex is true/],
];

for (const [what, change, message] of cases) {
  test(`refuses ${what}`, async () => {
    const json = nanoJson();
    change(json);
    await assertRejected(() => Tokenizer.fromFiles({ tokenizerJson: JSON.stringify(json) }), "TOKENIZER_FILE", message);
  });
}

test("refuses what is not JSON, not UTF-8 or not an object", () => {
  assertRefused(() => readTokenizerFile("{"), "TOKENIZER_FILE", /tokenizer.json cannot be read/);
  assertRefused(() => readTokenizerFile(Uint8Array.of(0x7b, 0xff, 0x7d)), "TOKENIZER_FILE", /cannot be read/);
  assertRefused(() => readTokenizerFile("[]"), "TOKENIZER_FILE", /holds an array, not an object/);
  assertRefused(() => readTokenizerFile("null"), "TOKENIZER_FILE", /holds null/);
});

test("refuses nested and huge values without writing them out", () => {
  const nested = "[".repeat(6000) + "]".repeat(6000);
  const refused = (old: string, broken: string, message: RegExp): void => {
    const text = JSON.stringify(nanoJson());
    assert.ok(text.includes(old));
    assertRefused(() => readTokenizerFile(text.replace(old, broken)), "TOKENIZER_FILE", message);
  };
  refused('"type":"BPE"', `"type":${nested}`, /model.type is an array; supported is "BPE"$/);
  refused('"id":4070', `"id":${nested}`, /added_tokens\[0\].id is an array; a token id is/);
  const long = (length: number): string => `"content":"${"x".repeat(length)}"`;
  refused(
    '"content":"<|endoftext|>"',
    long(100_000),
    /added_tokens\[0\].content has 100000 characters; at most 1024 are allowed$/,
  );
  refused('"type":"BPE"', `"type":"${"\\u001b".repeat(100_000)}"`, /^[ -~]{0,200}; supported is "BPE"$/);
  const longest = JSON.stringify(nanoJson()).replace('"content":"<|endoftext|>"', long(1024));
  assert.is(readTokenizerFile(longest).added[0]!.content.length, 1024);
});

test("reads merges in the older notation, and fills in the flags that a token leaves out", () => {
  const json = nanoJson();
  const { merges } = readTokenizerFile(JSON.stringify(json));
  json.model.merges = json.model.merges.map((pair: string[]) => pair.join(" "));
  json.added_tokens = [
    { id: 4070, content: "[A]" },
    { id: 4071, content: "[B]", special: true },
  ];
  const older = readTokenizerFile(JSON.stringify(json));
  assert.equal(older.merges, merges);
  assert.equal(
    older.added.map((token) => [token.special, token.normalized, token.lstrip]),
    [
      [false, true, false],
      [true, false, false],
    ],
  );
  delete json.added_tokens;
  assert.equal(readTokenizerFile(JSON.stringify(json)).added, []);
});

test("a token outside of the byte-level alphabet stands for itself", async () => {
  const json = nanoJson();
  json.model.vocab["\u6f22\u5b57"] = 5000;
  const tokenizer = await Tokenizer.fromFiles({ tokenizerJson: JSON.stringify(json) });
  assert.is(tokenizer.decode([5000]), "\u6f22\u5b57");
  assert.is(tokenizer.vocabSize, 5001);
});

test.run();
