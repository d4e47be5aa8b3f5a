import { test } from "uvu";
import * as assert from "uvu/assert";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { assertRejected, nanoJson } from "./tokenizers.ts";

const text = { Sequence: { id: "A", type_id: 0 } };
const special = (id: string): object => ({ SpecialToken: { id, type_id: 0 } });
const end = special("<|endoftext|>");
const start = special("<|im_start|>");
const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };
const special_tokens = {
  "<|endoftext|>": { id: "<|endoftext|>", ids: [4070], tokens: ["<|endoftext|>"] },
  "<|im_start|>": { id: "<|im_start|>", ids: [4071], tokens: ["<|im_start|>"] },
  unknown: { id: "unknown", ids: [17] },
  broken: { id: "broken", ids: ["4070"] },
};
const template = (...single: unknown[]): object => ({ type: "TemplateProcessing", single, pair: [], special_tokens });
const sequence = (...processors: unknown[]): object => ({ type: "Sequence", processors });

const withPostProcessor = (post_processor: unknown): Promise<Tokenizer> =>
  Tokenizer.fromFiles({ tokenizerJson: JSON.stringify({ ...nanoJson(), post_processor }) });

const added: readonly (readonly [what: string, postProcessor: unknown, before: number[], after: number[]])[] = [
  ["no post-processor", null, [], []],
  ["ByteLevel", byteLevel, [], []],
  ["Qwen3-Embedding's", sequence(byteLevel, template(text, end)), [], [4070]],
  ["a template by itself", template(start, text, end, end), [4071], [4070, 4070]],
  ["a template that adds nothing", template(text), [], []],
  [
    "two templates, the second around the first",
    sequence(template(start, text), template(end, text, start)),
    [4070, 4071],
    [4071],
  ],
];
for (const [what, postProcessor, before, after] of added) {
  test(`addSpecialTokens: ${what}`, async () => {
    const tokenizer = await withPostProcessor(postProcessor);
    const plain = tokenizer.encode("Hello<|im_end|> world");
    assert.equal(plain, (await withPostProcessor(undefined)).encode("Hello<|im_end|> world"));
    assert.equal(tokenizer.encode("Hello<|im_end|> world", { addSpecialTokens: false }), plain);
    assert.equal(tokenizer.encode("Hello<|im_end|> world", { addSpecialTokens: true }), [...before, ...plain, ...after]);
    assert.equal(tokenizer.encode("", { addSpecialTokens: true }), [...before, ...after]);
  });
}

const refused: readonly (readonly [what: string, postProcessor: unknown, message: RegExp])[] = [
  ["another kind", { type: "RobertaProcessing" }, /post_processor.type is "RobertaProcessing"; supported is "ByteLevel" or/],
  ["another kind in a sequence", sequence(byteLevel, { type: "BertProcessing" }), /processors\[1\].type is "BertProcessing"/],
  ["a sequence in a sequence", sequence(sequence()), /processors\[0\].type is "Sequence"/],
  ["no object", "ByteLevel", /post_processor is a string; it must be an object/],
  ["a sequence of nothing", { type: "Sequence" }, /post_processor.processors is undefined/],
  ["a template without the text", template(end), /single lacks the text/],
  ["the text twice", template(text, end, text), /single\[2\] is the text for a second time/],
  ["the second text of a pair", template({ Sequence: { id: "B" } }), /Sequence.id is "B"; supported is "A"/],
  ["a token that the template lacks", template(text, special("toString")), /single\[1\] is not one of special_tokens/],
  ["a token that is not added", template(text, special("unknown")), /single\[1\]: an id is 17, which is no added token/],
  ["an id that is text", template(text, special("broken")), /single\[1\]: an id is "4070"; a token id is/],
];
for (const [what, postProcessor, message] of refused) {
  test(`refuses ${what}`, () => assertRejected(() => withPostProcessor(postProcessor), "TOKENIZER_FILE", message));
}

test.run();
