/** Splitting text by patterns other than Qwen's. */
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { Qwen3Error } from "../core/errors.ts";
import { shown } from "../formats/json.ts";

/**
 * The library's splitting by a pattern, which knows Oniguruma's dialect; its tokenizer is made without a vocabulary.
 *
 * @throws Qwen3Error TOKENIZER_FILE for a pattern that cannot be understood
 */
export function librarySplit(pattern: string): (text: string) => string[] {
  const pre_tokenizer = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
  const model = { type: "BPE", vocab: {}, merges: [] };
  const definition = { model, pre_tokenizer, normalizer: null, post_processor: null, decoder: null, added_tokens: [] };
  try {
    return (new LibraryTokenizer(definition, {}) as { pre_tokenizer: (text: string) => string[] }).pre_tokenizer;
  } catch (cause) {
    throw new Qwen3Error("TOKENIZER_FILE", `tokenizer.json: the pattern ${shown(pattern)} is not understood`, { cause });
  }
}
