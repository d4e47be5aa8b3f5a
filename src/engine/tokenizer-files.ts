/** The tokenizer of a checkpoint, beside the weights or inside of them; weights and ids can be used without. */
import { Qwen3Error } from "../core/errors.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import { hasGgufTokenizer } from "../text/gguf-tokenizer.ts";
import { Tokenizer } from "../text/tokenizer.ts";

/** The checkpoint's tokenizer, if there is one. */
export async function loadTokenizer(checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  const { metadata } = checkpoint;
  if (metadata) return hasGgufTokenizer(metadata) ? Tokenizer.fromGguf(metadata) : undefined;
  const [tokenizerJson, tokenizerConfigJson, template] = await Promise.all([
    checkpoint.file("tokenizer.json"),
    checkpoint.file("tokenizer_config.json"),
    checkpoint.file("chat_template.jinja"),
  ]);
  if (!tokenizerJson) return undefined;
  return Tokenizer.fromFiles({
    tokenizerJson,
    ...(tokenizerConfigJson && { tokenizerConfigJson }),
    ...(template && { chatTemplate: decodeTemplate(template, checkpoint.name) }),
  });
}

function decodeTemplate(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Qwen3Error("TOKENIZER_FILE", `${name}: chat_template.jinja is not UTF-8`, { cause });
  }
}

/** The tokenizer, or why there is none: token ids can be used without, so that is for the first call that needs it to say. */
export async function tokenizerOrReason(checkpoint: Checkpoint): Promise<Tokenizer | Qwen3Error> {
  try {
    const lacks = checkpoint.metadata ? "tokenizer" : "tokenizer.json";
    const none = `${checkpoint.name} has no ${lacks}: only token ids can be used`;
    return (await loadTokenizer(checkpoint)) ?? new Qwen3Error("TOKENIZER_MISSING", none);
  } catch (error) {
    if (error instanceof Qwen3Error && error.code === "TOKENIZER_FILE") return error;
    throw error;
  }
}
