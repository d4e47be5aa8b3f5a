/**
 * Reads post_processor of tokenizer.json: the special tokens that a checkpoint wants around a text, such as the <|endoftext|> that ends
 * a text for Qwen3-Embedding. The template for pairs of texts is not looked at.
 * Source: the serialization format of Hugging Face tokenizers.
 */
import { allow, array, isTokenId, type Json, object, refuse, refuseId } from "./tokenizer-fields.ts";

/** Token ids. */
export interface SurroundingTokens {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const nothing: SurroundingTokens = { before: [], after: [] };

/**
 * @param added ids of the added tokens; no other tokens can be put around a text
 * @throws Qwen3Error TOKENIZER_FILE naming the field that is broken or asks for something unsupported
 */
export function readPostProcessor(value: unknown, added: ReadonlySet<number>): SurroundingTokens {
  if (value == null) return nothing;
  const processor = object(value, "post_processor");
  if (processor.type !== "Sequence") {
    return readStep(processor, "post_processor", ["ByteLevel", "TemplateProcessing", "Sequence"], added);
  }
  let { before, after } = nothing;
  array(processor.processors, "post_processor.processors").forEach((item, i) => {
    const where = `post_processor.processors[${i}]`;
    const step = readStep(object(item, where), where, ["ByteLevel", "TemplateProcessing"], added);
    before = [...step.before, ...before];
    after = [...after, ...step.after];
  });
  return { before, after };
}

function readStep(processor: Json, where: string, types: string[], added: ReadonlySet<number>): SurroundingTokens {
  allow(`${where}.type`, processor.type, types);
  if (processor.type === "ByteLevel") return nothing; // it moves offsets, and adds nothing
  const before: number[] = [];
  const after: number[] = [];
  let ids = before;
  for (const [i, item] of array(processor.single, `${where}.single`).entries()) {
    const at = `${where}.single[${i}]`;
    const piece = object(item, at);
    if (piece.SpecialToken !== undefined) {
      const tokens = object(processor.special_tokens, `${where}.special_tokens`);
      for (const id of readToken(object(piece.SpecialToken, `${at}.SpecialToken`), at, tokens, added)) ids.push(id);
    } else {
      allow(`${at}.Sequence.id`, object(piece.Sequence, `${at}.Sequence`).id, ["A"]);
      if (ids === after) refuse(`${at} is the text for a second time`);
      ids = after;
    }
  }
  return ids === after ? { before, after } : refuse(`${where}.single lacks the text, {"Sequence": {"id": "A"}}`);
}

/** The ids of a token that the template puts at `at`. */
function readToken({ id }: Json, at: string, tokens: Json, added: ReadonlySet<number>): number[] {
  if (typeof id !== "string" || !Object.hasOwn(tokens, id)) return refuse(`${at} is not one of special_tokens`);
  const { ids } = object(tokens[id], `${at}: its entry of special_tokens`);
  return array(ids, `${at}: ids`).map((tokenId) => checkId(tokenId, `${at}: an id`, added));
}

function checkId(id: unknown, where: string, added: ReadonlySet<number>): number {
  if (!isTokenId(id)) return refuseId(id, where);
  return added.has(id) ? id : refuse(`${where} is ${id}, which is no added token`);
}
