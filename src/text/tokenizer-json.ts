/** A tokenizer's files, for one that lies inside a GGUF file: tokenizer.json and tokenizer_config.json as Hugging Face's tools write them. */
import { Qwen3Error } from "../core/errors.ts";
import type { GgufTokenizer } from "./gguf-tokenizer.ts";

/** @throws Qwen3Error TOKENIZER_FILE for a tokenizer that puts tokens around every text, which no Qwen3 does */
export function tokenizerFiles({ definition, templates, specialTokens }: GgufTokenizer): Record<string, object> {
  const { vocab, merges, added, normalizer, pattern, surrounding } = definition;
  if (surrounding.before.length > 0 || surrounding.after.length > 0)
    throw new Qwen3Error("TOKENIZER_FILE", "a tokenizer that puts tokens around every text cannot be written to tokenizer.json");
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };
  const named = [...templates].map(([name, template]) => ({ name, template }));
  const template = templates.size === 1 ? templates.get("default") : undefined;
  return {
    "tokenizer.json": {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: normalizer && { type: normalizer },
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [{ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false }, byteLevel],
      },
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(vocab),
        merges,
      },
    },
    "tokenizer_config.json": {
      tokenizer_class: "Qwen2Tokenizer",
      ...specialTokens,
      ...(named.length > 0 && { chat_template: template ?? named }),
    },
  };
}
