/**
 * Reads tokenizer.json: the vocabulary, the merges, the added tokens, and how text is cut before it is merged. Only what Qwen
 * tokenizers are is supported, byte-level BPE; a file that asks for anything else is refused with the field that asks for it.
 * Source: the serialization format of Hugging Face tokenizers.
 */
import { Qwen3Error } from "../core/errors.ts";
import { shown } from "../formats/json.ts";
import { describe } from "./json-data.ts";
import { readPostProcessor, type SurroundingTokens } from "./post-processor.ts";
import { allow, array, flag, isTokenId, type Json, maxTokenId, object, refuse, refuseId } from "./tokenizer-fields.ts";

/** A token that is matched in text as a whole, before text is cut and merged. Flags as in tokenizer.json. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Left out when decoding with `skipSpecialTokens`. */
  readonly special: boolean;
  /** Takes the whitespace before it, or after it, along. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Matched only where no word character touches it. */
  readonly single_word: boolean;
  /** Matched in the normalized text, not in the text as given. */
  readonly normalized: boolean;
}

export interface TokenizerDefinition {
  /** Ids of the model's own tokens, written in the byte-level alphabet. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Pairs of tokens that are joined, most important first. */
  readonly merges: readonly (readonly [left: string, right: string])[];
  readonly added: readonly AddedToken[];
  readonly normalizer: "NFC" | null;
  /** The regular expression (Oniguruma's dialect) whose matches are the pieces that merging never crosses. */
  readonly pattern: string;
  /** What `addSpecialTokens` puts around a text. */
  readonly surrounding: SurroundingTokens;
}

/** Characters of an added token; the longest published ones have some 30. */
const maxAddedLength = 1024;

/** @throws Qwen3Error TOKENIZER_FILE naming the field that is broken or asks for something unsupported */
export function readTokenizerFile(file: Uint8Array | string): TokenizerDefinition {
  const root = parseJson(file, "tokenizer.json");
  const model = object(root.model, "model");
  const vocab = readVocab(object(model.vocab, "model.vocab"));
  checkModel(model);
  const addedTokens = array(root.added_tokens ?? [], "added_tokens");
  const added = addedTokens.map((token, i) => readAddedToken(token, `added_tokens[${i}]`));
  return {
    vocab,
    merges: readMerges(array(model.merges, "model.merges")),
    added,
    normalizer: readNormalizer(root.normalizer),
    pattern: readPattern(object(root.pre_tokenizer, "pre_tokenizer")),
    surrounding: readPostProcessor(root.post_processor, new Set(added.map((token) => token.id))),
  };
}

/** The JSON object that a file of the checkpoint, called `name`, holds. */
export function parseJson(file: Uint8Array | string, name: string): Json {
  try {
    const value: unknown = JSON.parse(typeof file === "string" ? file : new TextDecoder("utf-8", { fatal: true }).decode(file));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
    throw new Error(`it holds ${describe(value)}, not an object`);
  } catch (cause) {
    throw new Qwen3Error("TOKENIZER_FILE", `${name} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function checkModel(model: Json): void {
  allow("model.type", model.type, ["BPE"]);
  allow("model.dropout", model.dropout, [null, undefined, 0]);
  allow("model.unk_token", model.unk_token, [null, undefined]);
  allow("model.continuing_subword_prefix", model.continuing_subword_prefix, [null, undefined, ""]);
  allow("model.end_of_word_suffix", model.end_of_word_suffix, [null, undefined, ""]);
  allow("model.byte_fallback", model.byte_fallback, [false, undefined]);
  allow("model.ignore_merges", model.ignore_merges, [false, undefined]);
}

function readVocab(entries: Json): Map<string, number> {
  const vocab = new Map<string, number>();
  const taken = new Uint8Array(maxTokenId + 1);
  for (const token in entries) {
    const id = entries[token];
    if (!isTokenId(id)) return refuseId(id, `model.vocab[${shown(token)}]`);
    if (taken[id]) refuse(`model.vocab gives id ${id} to two tokens, one of them ${shown(token)}`);
    taken[id] = 1;
    vocab.set(token, id);
  }
  return vocab;
}

/** Merges are pairs, or in older files one string with a space between its halves. */
function readMerges(merges: unknown[]): (readonly [string, string])[] {
  const pairs = typeof merges[0] === "string" ? merges.map((merge) => String(merge).split(" ")) : merges;
  const broken = pairs.findIndex((pair) => !isPair(pair));
  if (broken >= 0) refuse(`model.merges[${broken}] is not a pair of tokens`);
  return pairs as [string, string][];
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "string";
}

function readAddedToken(value: unknown, where: string): AddedToken {
  const fields = object(value, where);
  const { content, id } = fields;
  if (typeof content !== "string" || content === "") return refuse(`${where}.content must be a string that is not empty`);
  if (content.length > maxAddedLength) {
    return refuse(`${where}.content has ${content.length} characters; at most ${maxAddedLength} are allowed`);
  }
  const special = flag(fields.special, `${where}.special`) ?? false;
  return {
    id: isTokenId(id) ? id : refuseId(id, `${where}.id`),
    content,
    special,
    lstrip: flag(fields.lstrip, `${where}.lstrip`) ?? false,
    rstrip: flag(fields.rstrip, `${where}.rstrip`) ?? false,
    single_word: flag(fields.single_word, `${where}.single_word`) ?? false,
    normalized: flag(fields.normalized, `${where}.normalized`) ?? !special,
  };
}

function readNormalizer(normalizer: unknown): "NFC" | null {
  if (normalizer == null) return null;
  allow("normalizer.type", object(normalizer, "normalizer").type, ["NFC"]);
  return "NFC";
}

/** Expects what every Qwen tokenizer has: text split by one pattern, then written in the byte-level alphabet. */
function readPattern(preTokenizer: Json): string {
  allow("pre_tokenizer.type", preTokenizer.type, ["Sequence"]);
  const steps = array(preTokenizer.pretokenizers, "pre_tokenizer.pretokenizers");
  allow("pre_tokenizer.pretokenizers.length", steps.length, [2]);
  const split = object(steps[0], "pre_tokenizer.pretokenizers[0]");
  const byteLevel = object(steps[1], "pre_tokenizer.pretokenizers[1]");
  allow("pre_tokenizer.pretokenizers[0].type", split.type, ["Split"]);
  allow("pre_tokenizer.pretokenizers[0].behavior", split.behavior, ["Isolated"]);
  allow("pre_tokenizer.pretokenizers[0].invert", split.invert, [false, undefined]);
  allow("pre_tokenizer.pretokenizers[1].type", byteLevel.type, ["ByteLevel"]);
  allow("pre_tokenizer.pretokenizers[1].add_prefix_space", byteLevel.add_prefix_space, [false]);
  allow("pre_tokenizer.pretokenizers[1].use_regex", byteLevel.use_regex, [false]);
  const { Regex: pattern } = object(split.pattern, "pre_tokenizer.pretokenizers[0].pattern");
  return typeof pattern === "string" ? pattern : refuse("pre_tokenizer.pretokenizers[0].pattern has no Regex");
}
