import { test } from "uvu";
import * as assert from "uvu/assert";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { goldenLines } from "../paths.ts";
import { assertRefused, assertRejected, nanoFiles, nanoJson, nanoTokenizer, qwen3Tokenizer } from "./tokenizers.ts";

interface GoldenText {
  text: string;
  ids: number[];
  ids_as_plain_text: number[];
  decoded: string;
  decoded_without_special: string;
}

const nano = await nanoTokenizer();
const qwen3 = await qwen3Tokenizer();
const golden = goldenLines<GoldenText>("text", "tokenizer.jsonl");

test("encodes and decodes the golden texts as Hugging Face tokenizers does", () => {
  assert.is(golden.length, 396);
  for (const { text, ids, ids_as_plain_text, decoded, decoded_without_special } of golden) {
    assert.equal(qwen3.encode(text), ids, text);
    assert.equal(qwen3.encodePlain(text), ids_as_plain_text, text);
    assert.is(qwen3.decode(ids), decoded);
    assert.is(qwen3.decode(ids, { skipSpecialTokens: true }), decoded_without_special);
  }
});

test("knows its tokens", () => {
  assert.is(qwen3.vocabSize, 151_669);
  assert.is(nano.vocabSize, 4096);
  assert.is(qwen3.tokenToId("<|im_end|>"), 151_645);
  assert.is(qwen3.tokenToId("<tool_call>"), 151_657);
  assert.is(qwen3.tokenToId("\u0120the"), qwen3.encode(" the")[0]);
  assert.is(qwen3.tokenToId("no such token"), undefined);
  assert.equal(
    [151_645, 151_657, 9707, 200_000].map((id) => qwen3.isAdded(id)),
    [true, true, false, false],
  );
  assert.equal(
    [151_645, 151_657, 9707, 200_000].map((id) => qwen3.isSpecial(id)),
    [true, false, false, false],
  );
});

test("the bytes of all tokens of a text are the text's", () => {
  const text = "caf\u00e9 \u6f22\u5b57 \u{1f469}\u200d\u{1f4bb}<|im_end|>\0\t\x7f";
  for (const tokenizer of [nano, qwen3]) {
    const bytes = tokenizer.encode(text).flatMap((id) => [...tokenizer.tokenBytes(id)]);
    assert.equal(bytes, [...new TextEncoder().encode(text)]);
  }
  const alone = new Set(Array.from({ length: nano.vocabSize }, (_, id) => nano.tokenBytes(id)).map((bytes) => bytes.join()));
  for (let byte = 0; byte < 256; byte++) assert.ok(alone.has(String(byte)), `no token is the byte ${byte}`);
});

test("ids that no token has decode to nothing; what is no id is refused", () => {
  assert.is(qwen3.decode([9707, 151_800, 9707]), "HelloHello");
  assert.is(qwen3.tokenBytes(151_936).length, 0);
  for (const id of [-1, 0.5, Number.NaN]) assertRefused(() => qwen3.decode([id]), "ARGUMENT", /token id/);
});

test("bytes that are not UTF-8 decode to replacement characters, and a byte order mark stays", () => {
  const byteIds = (bytes: number[]) => bytes.map((byte) => nanoByteIds.get(byte)!);
  const nanoByteIds = new Map<number, number>();
  for (let id = 0; id < nano.vocabSize; id++) {
    const bytes = nano.tokenBytes(id);
    if (bytes.length === 1) nanoByteIds.set(bytes[0]!, id);
  }
  assert.is(nano.decode(byteIds([0x41, 0xe6, 0xbc, 0x42, 0xff])), "A\ufffdB\ufffd");
  assert.is(nano.decode(nano.encode("\ufeffA")), "\ufeffA");
});

test("lone surrogates become U+FFFD, pairs stay", () => {
  assert.equal(qwen3.encode("a\ud83d<|im_end|>\udc00\u{1f600}"), qwen3.encode("a\ufffd<|im_end|>\ufffd\u{1f600}"));
  assert.equal(qwen3.encodePlain("\ud83d"), qwen3.encodePlain("\ufffd"));
});

test("text is normalized, around added tokens and not across them", () => {
  assert.equal(qwen3.encode("cafe\u0301"), qwen3.encode("caf\u00e9"));
  // The overlay would turn the bracket into another character, had the token not been found first.
  const [first, ...rest] = qwen3.encode("<|im_end|>\u0338");
  assert.is(first, 151_645);
  assert.equal(rest, qwen3.encodePlain("\u0338"));
});

/** Nano's tokenizer with one more added token, of id 4096. */
function withToken(flags: Record<string, unknown>): Promise<Tokenizer> {
  const json = nanoJson();
  json.added_tokens.push({ id: 4096, special: false, normalized: false, ...flags });
  return Tokenizer.fromFiles({ tokenizerJson: JSON.stringify(json) });
}

test("added tokens take whitespace along, or need a word's edge, as their flags say", async () => {
  const texts = (tokenizer: Tokenizer, text: string) => tokenizer.encode(text).map((id) => tokenizer.decode([id]));
  assert.equal(texts(await withToken({ content: "[X]", lstrip: true }), "a \u3000[X] b"), ["a", "[X]", " b"]);
  assert.equal(texts(await withToken({ content: "[X]", rstrip: true }), "a [X] \n b"), ["a", " ", "[X]", "b"]);
  assert.equal(texts(await withToken({ content: "[X]", rstrip: true, lstrip: true }), "[X] [X]"), ["[X]", "[X]"]);
  const word = await withToken({ content: "zq", single_word: true });
  assert.equal(
    ["zq", "(zq)", "azq", "zq1", "zq_", "\u{1d400}zq", "zq\u{1d400}", "zq-"].map((text) => word.encode(text).includes(4096)),
    [true, true, false, false, false, false, false, true],
  );
  // The longest token at the first place counts.
  const [longer] = (await withToken({ content: "<think>!" })).encode("<think>!");
  assert.is(longer, 4096);
});

test("added tokens marked normalized are found in the normalized text, the others in the text as given", async () => {
  const normalized = await withToken({ content: "e\u0301x", normalized: true });
  const given = await withToken({ content: "e\u0301x" });
  assert.equal(normalized.encode("\u00e9x"), [4096]);
  assert.equal(normalized.encode("e\u0301x"), [4096]);
  assert.equal(given.encode("e\u0301x"), [4096]);
  assert.not.ok(given.encode("\u00e9x").includes(4096));
  assert.not.ok(normalized.encodePlain("\u00e9x").includes(4096));
});

test("another pattern than Qwen's goes to the library and means what it says", async () => {
  const json = nanoJson();
  json.pre_tokenizer.pretokenizers[0].pattern.Regex = "[a-z]{2}|\\p{N}+";
  const other = await Tokenizer.fromFiles({ tokenizerJson: JSON.stringify(json) });
  assert.is(nano.encode("ing").length, 1);
  assert.equal(
    other.encode("ing\u00e9 42"),
    ["in", "g\u00e9 ", "42"].flatMap((piece) => nano.encode(piece)),
  );
});

test("a tokenizer without a normalizer takes text as it is", async () => {
  const json = nanoJson();
  json.normalizer = null;
  const bare = await Tokenizer.fromFiles({ tokenizerJson: JSON.stringify(json) });
  assert.is(bare.decode(bare.encode("cafe\u0301")), "cafe\u0301");
  assert.is(nano.decode(nano.encode("cafe\u0301")), "caf\u00e9");
});

test("what is not a string is refused", () => {
  assertRefused(() => nano.encode(5 as never), "ARGUMENT", /text is a number/);
  assertRefused(() => nano.encodePlain(undefined as never), "ARGUMENT", /text is undefined/);
});

test("the template comes from chat_template.jinja, else tokenizer_config.json, else the call", async () => {
  const files = nanoFiles();
  const message = { role: "user", content: "Hi" } as const;
  const config = (chat_template: unknown) =>
    Tokenizer.fromFiles({ ...files, chatTemplate: undefined as never, tokenizerConfigJson: JSON.stringify({ chat_template }) });
  assert.is((await Tokenizer.fromFiles({ ...files, chatTemplate: "jinja" })).applyChatTemplate([message]), "jinja");
  const configured = await config("config");
  assert.is(configured.applyChatTemplate([message]), "config");
  assert.is(configured.applyChatTemplate([message], { chatTemplate: "call" }), "call");
  const without = await config(null);
  assertRefused(() => without.applyChatTemplate([message]), "CHAT_TEMPLATE", /no chat template/);
  const bare = await Tokenizer.fromFiles({ tokenizerJson: files.tokenizerJson });
  assertRefused(() => bare.encodeChat([message]), "CHAT_TEMPLATE", /no chat/);

  const several = await config([
    { name: "default", template: "plain" },
    { name: "tool_use", template: "tools" },
  ]);
  assert.is(several.applyChatTemplate([message]), "plain");
  assert.is(several.applyChatTemplate([message], { tools: [{ name: "f" }] }), "tools");
  assert.is(several.applyChatTemplate([message], { chatTemplate: "tool_use" }), "tools");
});

test("broken configurations are refused", async () => {
  const config = (json: unknown) => () => Tokenizer.fromFiles({ ...nanoFiles(), tokenizerConfigJson: JSON.stringify(json) });
  await assertRejected(config({ chat_template: 1 }), "TOKENIZER_FILE", /chat_template is a number/);
  await assertRejected(config({ chat_template: [null] }), "TOKENIZER_FILE", /chat_template\[0\]/);
  await assertRejected(config({ eos_token: 1 }), "TOKENIZER_FILE", /eos_token/);
  await assertRejected(config({ additional_special_tokens: [{}] }), "TOKENIZER_FILE", /additional_special_tokens\[0\]/);
  await assertRejected(config([]), "TOKENIZER_FILE", /tokenizer_config.json cannot be read: it holds an array/);
});

test.run();
