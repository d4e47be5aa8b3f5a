/** A tokenizer.json as the metadata of a GGUF file, as llama.cpp's converter writes them. */
import { int32s, type Metadata, strings } from "./gguf-file.ts";

interface TokenizerJson {
  readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly (string | readonly string[])[] };
}

const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/** @param rows the model's vocab_size: ids without a token are filled up */
export function ggufTokenizer(tokenizerJson: string, rows: number, chatTemplate?: string): Metadata {
  const { added_tokens, model } = JSON.parse(tokenizerJson) as TokenizerJson;
  const tokens = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const types = tokens.map(() => UNUSED);
  for (const [token, id] of Object.entries(model.vocab)) [tokens[id], types[id]] = [token, NORMAL];
  for (const { id, content, special } of added_tokens)
    [tokens[id], types[id]] = [content, special || /^<\|.*\|>$/.test(content) ? CONTROL : USER_DEFINED];
  const id = (content: string) => tokens.indexOf(content);
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": strings(tokens),
    "tokenizer.ggml.token_type": int32s(types),
    "tokenizer.ggml.merges": strings(model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")))),
    "tokenizer.ggml.eos_token_id": id("<|im_end|>"),
    "tokenizer.ggml.padding_token_id": id("<|endoftext|>"),
    "tokenizer.ggml.bos_token_id": id("<|endoftext|>"),
    "tokenizer.ggml.add_bos_token": false,
    ...(chatTemplate !== undefined && { "tokenizer.chat_template": chatTemplate }),
  };
}
