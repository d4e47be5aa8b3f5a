/** The tokenizer inside a GGUF file does what the one of tokenizer.json does; what is broken or of another kind is refused by its key. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseGgufHeader } from "../../src/formats/gguf.ts";
import { bytesSource } from "../../src/formats/memory.ts";
import { Tokenizer, type TokenizerFiles } from "../../src/text/tokenizer.ts";
import { ggufFile, int32s, type Metadata, strings } from "../formats/gguf-file.ts";
import { ggufTokenizer } from "../formats/gguf-tokenizer-file.ts";
import { goldenLines, nanoPath } from "../paths.ts";
import { assertRejected, nanoFiles, qwen3Files } from "./tokenizers.ts";

interface TextCase {
  readonly text: string;
  readonly ids: readonly number[];
  readonly ids_as_plain_text: readonly number[];
  readonly decoded: string;
}
interface ChatCase {
  readonly messages: never[];
  readonly tools: never[] | null;
  readonly add_generation_prompt: boolean;
  readonly prompt: string;
}

const asText = (file: Uint8Array | string) => (typeof file === "string" ? file : new TextDecoder().decode(file));

async function fromMetadata(metadata: Metadata): Promise<Tokenizer> {
  const { metadata: read } = await parseGgufHeader(bytesSource("model.gguf", ggufFile({ metadata })));
  return Tokenizer.fromGguf(read);
}

const asGguf = (files: TokenizerFiles, rows: number) => ggufTokenizer(asText(files.tokenizerJson), rows, files.chatTemplate);

test("the published tokenizer: the same ids and texts, on all of the corpus", async () => {
  const tokenizer = await fromMetadata(asGguf(qwen3Files(), 151_936));
  const original = await Tokenizer.fromFiles(qwen3Files());
  assert.is(tokenizer.vocabSize, original.vocabSize);
  const cases = goldenLines<TextCase>("text", "tokenizer.jsonl");
  assert.ok(cases.length > 300);
  for (const { text, ids, ids_as_plain_text, decoded } of cases) {
    assert.equal(tokenizer.encode(text), ids);
    assert.equal(tokenizer.encodePlain(text), ids_as_plain_text);
    assert.is(tokenizer.decode(ids), decoded);
  }
});

test("nano's tokenizer and template: the same prompts and ids", async () => {
  const { tokenizerConfigJson: _, ...files } = nanoFiles();
  const tokenizer = await fromMetadata(asGguf(files, 2560));
  const original = await Tokenizer.fromFiles(nanoFiles());
  const texts = goldenLines<TextCase>("text", "tokenizer.jsonl").map(({ text }) => text);
  for (const text of texts) {
    const ids = original.encode(text);
    assert.equal(tokenizer.encode(text), ids);
    assert.is(tokenizer.decode(ids), original.decode(ids));
  }
  const chats = goldenLines<ChatCase>("text", "chat.jsonl");
  assert.ok(chats.length > 100);
  for (const { messages, tools, add_generation_prompt: addGenerationPrompt, prompt } of chats) {
    const options = { addGenerationPrompt, ...(tools && { tools }) };
    assert.is(tokenizer.applyChatTemplate(messages, options), prompt);
    assert.equal(tokenizer.encodeChat(messages, options), original.encodeChat(messages, options));
  }
});

const messages = [{ role: "user" as const, content: "" }];

/** A vocabulary of the 256 bytes, one merge, and three tokens more. */
const small = (): Record<string, Metadata[string]> => {
  const bytes = Object.keys(JSON.parse(readFileSync(join(nanoPath, "tokenizer.json"), "utf8")).model.vocab).filter(
    (token) => token.length === 1,
  );
  assert.is(bytes.length, 256);
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": strings([...bytes, "ab", "<|im_end|>", "<tool_call>", "[PAD]"]),
    "tokenizer.ggml.token_type": int32s([...bytes.map(() => 1), 1, 3, 4, 5]),
    "tokenizer.ggml.merges": strings(["a b"]),
    "tokenizer.ggml.eos_token_id": 257,
    "tokenizer.ggml.bos_token_id": 257,
    "tokenizer.chat_template": "{{ bos_token }}{{ eos_token }}",
    "tokenizer.chat_templates": strings(["short"]),
    "tokenizer.chat_template.short": "short",
  };
};

test("types of tokens, named templates, tokens around a text", async () => {
  const tokenizer = await fromMetadata({
    ...small(),
    "tokenizer.ggml.add_bos_token": true,
    "tokenizer.ggml.add_eos_token": true,
  });
  assert.equal(tokenizer.encode("ab<|im_end|><tool_call>[PAD]").slice(0, 3), [256, 257, 258]);
  assert.ok(tokenizer.isSpecial(257) && !tokenizer.isSpecial(258) && tokenizer.isAdded(258));
  assert.is(tokenizer.decode([259]), "");
  assert.is(tokenizer.vocabSize, 259);
  assert.equal(tokenizer.encode("ab", { addSpecialTokens: true }), [257, 256, 257]);
  assert.is(tokenizer.applyChatTemplate(messages), "<|im_end|><|im_end|>");
  assert.is(tokenizer.applyChatTemplate(messages, { chatTemplate: "short" }), "short");
  const without = await fromMetadata({ ...small(), "tokenizer.ggml.add_bos_token": false });
  assert.is(without.applyChatTemplate(messages), "<|im_end|>", "no beginning where none is put");
  assert.equal(without.encode("ab", { addSpecialTokens: true }), [256]);
});

const broken: Readonly<Record<string, readonly [change: Metadata, says: RegExp]>> = {
  "another kind": [{ "tokenizer.ggml.model": "llama" }, /model is "llama"; supported: gpt2/],
  "another pattern": [{ "tokenizer.ggml.pre": "llama-bpe" }, /pre is "llama-bpe"; supported: qwen2/],
  "no array of tokens": [{ "tokenizer.ggml.tokens": 1 }, /tokens is 1; an array of string is needed/],
  "tokens that are numbers": [{ "tokenizer.ggml.tokens": int32s([1]) }, /tokens is "array of 1 int32"; an array of string/],
  "fewer types than tokens": [{ "tokenizer.ggml.token_type": int32s([1]) }, /token_type has 1 elements, and tokens 260/],
  "an unknown type": [
    { "tokenizer.ggml.token_type": int32s([...Array(259).fill(1), 6]) },
    /token_type\[259\] is 6; supported: 1, 3, 4, 5/,
  ],
  "a token twice": [{ "tokenizer.ggml.tokens": strings(Array(260).fill("x")) }, /tokens\[1\], "x", is also the token 0/],
  "an empty control token": [
    { "tokenizer.ggml.tokens": strings(Array.from({ length: 260 }, (_, i) => (i === 257 ? "" : `t${i}`))) },
    /tokens\[257\], a control token, has 0 characters/,
  ],
  "no merges": [{ "tokenizer.ggml.merges": "a b" }, /merges is "a b"; an array of string is needed/],
  "a merge of one": [{ "tokenizer.ggml.merges": strings(["ab"]) }, /merges\[0\] is "ab", not a pair/],
  "half a merge": [{ "tokenizer.ggml.merges": strings(["a b", "a "]) }, /merges\[1\] is "a ", not a pair/],
  "a merge of no token": [{ "tokenizer.ggml.merges": strings(["a c"]) }, /the vocabulary lacks "ac"/],
  "an end past the tokens": [{ "tokenizer.ggml.eos_token_id": 260 }, /eos_token_id is 260; there are 260 tokens/],
  "an end that is text": [{ "tokenizer.ggml.eos_token_id": "x" }, /eos_token_id is "x"; there are 260 tokens/],
  "an end that is a list": [
    { "tokenizer.ggml.eos_token_id": int32s([1]) },
    /eos_token_id is "array of 1 int32"; one value is needed/,
  ],
  "an end to be added that is no control token": [
    { "tokenizer.ggml.add_eos_token": true, "tokenizer.ggml.eos_token_id": 5 },
    /add_eos_token is true, but eos_token_id is 5, which is no control token/,
  ],
  "a template that is no text": [{ "tokenizer.chat_template.x": 1 }, /"tokenizer.chat_template.x" is 1; it must be a text/],
};
for (const [name, [change, says]] of Object.entries(broken))
  test(`refused: ${name}`, () => assertRejected(() => fromMetadata({ ...small(), ...change }), "TOKENIZER_FILE", says));

test("refused: a text that is not UTF-8", () =>
  assertRejected(
    () => fromMetadata({ ...small(), "tokenizer.ggml.merges": (out) => out.u32(9).u32(8).u64(1).text(Uint8Array.of(0xff)) }),
    "TOKENIZER_FILE",
    /merges.* is not UTF-8/,
  ));

test.run();
