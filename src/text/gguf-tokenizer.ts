/**
 * The tokenizer inside a GGUF file: the vocabulary by id, the merges, and for each token whether it is control. Only what Qwen files hold
 * is supported, byte-level BPE cut by Qwen's pattern. The file does not say that text is put into form C first; Qwen's tokenizers all do.
 * Source: the specification of GGUF, "Tokenizer"; `llama_token_type` of llama.cpp.
 */
import { Qwen3Error } from "../core/errors.ts";
import { GgufArray, type GgufMetadata, type GgufScalar } from "../formats/gguf-metadata.ts";
import { shown } from "../formats/json.ts";
import type { SpecialTokens } from "./chat-template.ts";
import { qwenPattern } from "./pre-tokenizer.ts";
import type { ChatTemplates } from "./tokenizer-config.ts";
import { maxTokenId } from "./tokenizer-fields.ts";
import type { AddedToken, TokenizerDefinition } from "./tokenizer-file.ts";

export interface GgufTokenizer {
  readonly definition: TokenizerDefinition;
  readonly templates: ChatTemplates;
  readonly specialTokens: SpecialTokens;
}

const PREFIX = "tokenizer.ggml.";
const TEMPLATE = "tokenizer.chat_template";

// Types of tokens. Unused ones fill up the vocabulary to the model's rows; nothing is encoded to them.
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;
const TOKEN_TYPES: readonly unknown[] = [NORMAL, CONTROL, USER_DEFINED, UNUSED];

/** The names that templates have for tokens, and the ids in the file. */
const SPECIAL_IDS = {
  bos_token: "bos",
  eos_token: "eos",
  unk_token: "unknown",
  pad_token: "padding",
  sep_token: "seperator",
  mask_token: "mask",
};

/** Whether there is a tokenizer in the file. */
export function hasGgufTokenizer(metadata: GgufMetadata): boolean {
  return metadata.has(`${PREFIX}model`);
}

/** @throws Qwen3Error TOKENIZER_FILE naming the key that is broken or asks for something unsupported */
export function readGgufTokenizer(metadata: GgufMetadata): GgufTokenizer {
  try {
    return readTokenizer(metadata);
  } catch (cause) {
    // A text that is not UTF-8 is found when it is read. Ids and weights can be used all the same.
    if (!(cause instanceof Qwen3Error) || cause.code !== "CHECKPOINT_HEADER") throw cause;
    throw new Qwen3Error("TOKENIZER_FILE", cause.message, { cause });
  }
}

function readTokenizer(metadata: GgufMetadata): GgufTokenizer {
  requireOneOf(metadata, "model", ["gpt2"]);
  requireOneOf(metadata, "pre", ["qwen2"]);
  const tokens = arrayOf(metadata, "tokens", "string");
  const types = arrayOf(metadata, "token_type", "int32", "uint32");
  if (types.length !== tokens.length) refuse(`token_type has ${types.length} elements, and tokens ${tokens.length}`);
  if (tokens.length > maxTokenId + 1) refuse(`tokens has ${tokens.length} elements; at most ${maxTokenId + 1} are allowed`);
  const names = specialNames(metadata, tokens.length);
  const specialTokens: Record<string, string> = {};
  const vocab = new Map<string, number>();
  const added: AddedToken[] = [];
  const typeOf = types.values();
  let id = 0;
  for (const content of tokens.values() as Iterable<string>) {
    const type = typeOf.next().value;
    if (!TOKEN_TYPES.includes(type)) refuse(`token_type[${id}] is ${shown(type)}; supported: ${TOKEN_TYPES.join(", ")}`);
    if (type === NORMAL) {
      if (vocab.has(content)) refuse(`tokens[${id}], ${shown(content)}, is also the token ${vocab.get(content)}`);
      vocab.set(content, id);
    } else if (type !== UNUSED) added.push(addedToken(id, content, type === CONTROL));
    for (const name of names.get(id++) ?? []) specialTokens[name] = content;
  }
  const isAdded = new Set(added.map((token) => token.id));
  const definition: TokenizerDefinition = {
    vocab,
    merges: readMerges(arrayOf(metadata, "merges", "string")),
    added,
    normalizer: "NFC",
    pattern: qwenPattern,
    surrounding: { before: surrounding(metadata, "bos", isAdded), after: surrounding(metadata, "eos", isAdded) },
  };
  return { definition, templates: readTemplates(metadata), specialTokens };
}

function addedToken(id: number, content: string, special: boolean): AddedToken {
  if (content === "" || content.length > 1024)
    refuse(`tokens[${id}], a control token, has ${content.length} characters; 1 to 1024 are allowed`);
  return { id, content, special, lstrip: false, rstrip: false, single_word: false, normalized: false };
}

/** A merge is its two halves with a space between. */
function readMerges(merges: GgufArray): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (const merge of merges.values() as Iterable<string>) {
    const space = merge.indexOf(" ", 1); // a half has one character at least
    if (space < 1 || space === merge.length - 1) refuse(`merges[${pairs.length}] is ${shown(merge)}, not a pair of tokens`);
    pairs.push([merge.slice(0, space), merge.slice(space + 1)]);
  }
  return pairs;
}

/** The token that is put around every text, if the file says so. */
function surrounding(metadata: GgufMetadata, name: "bos" | "eos", added: ReadonlySet<number>): number[] {
  if (scalar(metadata, `add_${name}_token`) !== true) return [];
  const id = scalar(metadata, `${name}_token_id`);
  if (typeof id === "number" && added.has(id)) return [id];
  return refuse(`add_${name}_token is true, but ${name}_token_id is ${shown(id)}, which is no control token`);
}

function readTemplates(metadata: GgufMetadata): ChatTemplates {
  const templates = new Map<string, string>();
  for (const [key, value] of metadata) {
    if (key !== TEMPLATE && !key.startsWith(`${TEMPLATE}.`)) continue;
    if (typeof value !== "string") return refuse(`${shown(key)} is ${shown(value)}; it must be a text`);
    templates.set(key === TEMPLATE ? "default" : key.slice(TEMPLATE.length + 1), value);
  }
  return templates;
}

/** What templates may call tokens, by id. A beginning that the file puts nowhere is none, as tokenizer_config.json has it for Qwen. */
function specialNames(metadata: GgufMetadata, count: number): Map<number, string[]> {
  const names = new Map<number, string[]>();
  for (const [name, key] of Object.entries(SPECIAL_IDS)) {
    const id = scalar(metadata, `${key}_token_id`);
    if (id === undefined || (key === "bos" && scalar(metadata, "add_bos_token") === false)) continue;
    if (typeof id !== "number" || id < 0 || id >= count)
      return refuse(`${key}_token_id is ${shown(id)}; there are ${count} tokens`);
    names.set(id, [...(names.get(id) ?? []), name]);
  }
  return names;
}

function requireOneOf(metadata: GgufMetadata, key: string, allowed: readonly string[]): void {
  const value = metadata.get(PREFIX + key);
  if (!allowed.includes(value as string))
    refuse(`${key} is ${value === undefined ? "absent" : shown(value)}; supported: ${allowed.join(" or ")}`);
}

function scalar(metadata: GgufMetadata, key: string): GgufScalar | undefined {
  const value = metadata.get(PREFIX + key);
  return value instanceof GgufArray ? refuse(`${key} is ${shown(value)}; one value is needed`) : value;
}

function arrayOf(metadata: GgufMetadata, key: string, ...types: readonly string[]): GgufArray {
  const value = metadata.get(PREFIX + key);
  if (value instanceof GgufArray && types.includes(value.elementType)) return value;
  return refuse(`${key} is ${value === undefined ? "absent" : shown(value)}; an array of ${types.join(" or ")} is needed`);
}

function refuse(problem: string): never {
  throw new Qwen3Error("TOKENIZER_FILE", `the tokenizer of the GGUF file: ${problem}`);
}
