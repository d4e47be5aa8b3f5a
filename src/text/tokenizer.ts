/**
 * The tokenizer of a checkpoint: text to token ids and back, and conversations to prompts. Text goes in by two ways, `encode` for text
 * that may hold control tokens, and `encodePlain` for text that somebody else wrote; `encodeChat` combines them.
 */
import { Qwen3Error } from "../core/errors.ts";
import type { GgufMetadata } from "../formats/gguf-metadata.ts";
import { AddedTokenMatcher } from "./added-tokens.ts";
import { BytePairEncoder } from "./bpe.ts";
import { bytesByCharacter } from "./byte-level.ts";
import { ChatEncoder } from "./chat-encoding.ts";
import { ChatTemplate, type ChatTemplateOptions, checkConversation, type SpecialTokens } from "./chat-template.ts";
import { readGgufTokenizer } from "./gguf-tokenizer.ts";
import { describe, wellFormed } from "./json-data.ts";
import type { ChatMessage } from "./messages.ts";
import { nfc } from "./normalization.ts";
import type { SurroundingTokens } from "./post-processor.ts";
import { createPreTokenizer, type PreTokenizer } from "./pre-tokenizer.ts";
import { type DecodeOptions, StreamDecoder } from "./stream-decoder.ts";
import { type ChatTemplates, readTokenizerConfig } from "./tokenizer-config.ts";
import { type AddedToken, readTokenizerFile, type TokenizerDefinition } from "./tokenizer-file.ts";

export type { ChatTemplateOptions } from "./chat-template.ts";
export type { DecodeOptions } from "./stream-decoder.ts";

export interface EncodeOptions {
  /**
   * Put the special tokens around the text that the checkpoint's post_processor asks for, as transformers does by default. Qwen3-Embedding
   * needs it (an <|endoftext|> at the end); chat models have none. Default false.
   */
  addSpecialTokens?: boolean;
}

/** The files of a checkpoint that a tokenizer is made of. */
export interface TokenizerFiles {
  tokenizerJson: Uint8Array | string;
  tokenizerConfigJson?: Uint8Array | string;
  /** chat_template.jinja; it wins over the template in tokenizer_config.json. */
  chatTemplate?: string;
}

export class Tokenizer {
  /** One more than the largest token id. A model may have more rows than that; such ids decode to nothing. */
  readonly vocabSize: number;
  private readonly normalize: (text: string) => string;
  private readonly preTokenize: PreTokenizer;
  private readonly pairs: BytePairEncoder;
  private readonly vocab: ReadonlyMap<string, number>;
  /** The vocabulary by id. */
  private readonly tokens: readonly string[];
  private readonly byteOf = bytesByCharacter();
  private readonly added: ReadonlyMap<number, AddedToken>;
  /** Added tokens are found in the text as given, or in the normalized text, as each one says. */
  private readonly addedToGiven: AddedTokenMatcher;
  private readonly addedToNormalized: AddedTokenMatcher;
  private readonly chatEncoder: ChatEncoder;
  private readonly templates: ChatTemplates;
  /** Those of `templates` that were used, compiled. */
  private readonly compiled = new Map<string, ChatTemplate>();
  private readonly specialTokens: SpecialTokens;
  /** What `addSpecialTokens` puts before and after a text. */
  readonly surrounding: SurroundingTokens;

  private constructor(
    definition: TokenizerDefinition,
    preTokenize: PreTokenizer,
    templates: ChatTemplates,
    specialTokens: SpecialTokens,
  ) {
    const { vocab, added } = definition;
    this.normalize = definition.normalizer === "NFC" ? nfc : (text) => text;
    this.preTokenize = preTokenize;
    this.added = new Map(added.map((token) => [token.id, token]));
    this.pairs = new BytePairEncoder(vocab, definition.merges, new Set(this.added.keys()));
    this.vocab = vocab;
    const tokens: string[] = [];
    for (const [token, id] of vocab) tokens[id] = token;
    this.tokens = tokens;
    this.vocabSize = added.reduce((size, token) => Math.max(size, token.id + 1), tokens.length);
    this.addedToGiven = new AddedTokenMatcher(added.filter((token) => !token.normalized));
    const normalized = added.filter((token) => token.normalized);
    this.addedToNormalized = new AddedTokenMatcher(
      normalized.map((token) => ({ ...token, content: this.normalize(token.content) })),
    );
    this.chatEncoder = new ChatEncoder(added, (text) => this.encodePlain(text));
    this.templates = templates;
    this.specialTokens = specialTokens;
    this.surrounding = definition.surrounding;
  }

  /** @throws Qwen3Error TOKENIZER_FILE if a file is broken or describes a tokenizer that is not supported */
  static async fromFiles(files: TokenizerFiles): Promise<Tokenizer> {
    const { templates, specialTokens } = readTokenizerConfig(files.tokenizerConfigJson);
    const own = files.chatTemplate === undefined ? templates : new Map([["default", files.chatTemplate]]);
    const definition = readTokenizerFile(files.tokenizerJson);
    return new Tokenizer(definition, await createPreTokenizer(definition.pattern), own, specialTokens);
  }

  /** @throws Qwen3Error TOKENIZER_FILE if the metadata of a GGUF file is broken or describes a tokenizer that is not supported */
  static async fromGguf(metadata: GgufMetadata): Promise<Tokenizer> {
    const { definition, templates, specialTokens } = readGgufTokenizer(metadata);
    return new Tokenizer(definition, await createPreTokenizer(definition.pattern), templates, specialTokens);
  }

  /** The tokens of trusted text: added and control tokens that are written in it are recognised. */
  encode(text: string, { addSpecialTokens = false }: EncodeOptions = {}): number[] {
    const ids: number[] = [];
    this.encodeSections(this.addedToGiven, wellFormed(checkText(text)), ids, (given) => {
      this.encodeSections(this.addedToNormalized, this.normalize(given), ids, (section) => this.encodeSection(section, ids));
    });
    return addSpecialTokens ? [...this.surrounding.before, ...ids, ...this.surrounding.after] : ids;
  }

  /** The tokens of anybody's text, whatever is written in it: never an added token. */
  encodePlain(text: string): number[] {
    const ids: number[] = [];
    this.encodeSection(this.normalize(wellFormed(checkText(text))), ids);
    return ids;
  }

  private encodeSections(matcher: AddedTokenMatcher, text: string, ids: number[], encodeBetween: (text: string) => void): void {
    let done = 0;
    for (const { id, start, end } of matcher.find(text)) {
      encodeBetween(text.slice(done, start));
      ids.push(id);
      done = end;
    }
    encodeBetween(text.slice(done));
  }

  private encodeSection(normalized: string, ids: number[]): void {
    this.preTokenize(normalized, (bytes, start, end) => this.pairs.encode(bytes, start, end, ids));
  }

  /** The text of tokens. Bytes that are not UTF-8 become U+FFFD; ids that no token has become nothing. */
  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    const kept = options.skipSpecialTokens ? ids.filter((id) => !this.isSpecial(id)) : ids;
    const pieces = kept.map((id) => this.tokenBytes(id));
    const bytes = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
    let end = 0;
    for (const piece of pieces) {
      bytes.set(piece, end);
      end += piece.length;
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }

  /** Decodes tokens that come one by one. */
  newDecoder(options: DecodeOptions = {}): StreamDecoder {
    return new StreamDecoder(this, options);
  }

  /** The bytes that a token stands for; none if no token has this id. They need not be whole characters. */
  tokenBytes(id: number): Uint8Array {
    if (!Number.isInteger(id) || id < 0) throw new Qwen3Error("ARGUMENT", `token id ${id} is not an integer from 0 on`);
    const added = this.added.get(id);
    if (added !== undefined) return new TextEncoder().encode(added.content);
    const token = this.tokens[id] ?? "";
    const bytes = new Uint8Array(token.length);
    for (let i = 0; i < token.length; i++) {
      const byte = this.byteOf[token.charCodeAt(i)] ?? -1;
      // A token outside of the byte-level alphabet can only stand for itself; merging never yields one.
      if (byte < 0) return new TextEncoder().encode(token);
      bytes[i] = byte;
    }
    return bytes;
  }

  /** The id of a token as the checkpoint writes it: an added token, or one of the vocabulary in the byte-level alphabet. */
  tokenToId(token: string): number | undefined {
    for (const added of this.added.values()) if (added.content === token) return added.id;
    return this.vocab.get(token);
  }

  /** Whether `id` is an added token: one that `encodePlain` never yields. */
  isAdded(id: number): boolean {
    return this.added.has(id);
  }

  /** Whether `id` is an added token that is marked special: one that is no part of the text it stands in. */
  isSpecial(id: number): boolean {
    return this.added.get(id)?.special ?? false;
  }

  /**
   * The prompt of a conversation as text, by the checkpoint's chat template.
   *
   * @throws Qwen3Error ARGUMENT for messages or options that are not as their types say, CHAT_TEMPLATE if there is no template, or
   * it fails or refuses the conversation
   */
  applyChatTemplate(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    return this.chatTemplate(options).render(checkConversation(messages, options));
  }

  /**
   * The prompt of a conversation as tokens. Control tokens are those that the template wrote; what merely looks like one in a message,
   * a tool or an argument is plain text.
   *
   * @throws Qwen3Error as `applyChatTemplate`
   */
  encodeChat(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): number[] {
    return this.chatEncoder.encode(this.chatTemplate(options), checkConversation(messages, options));
  }

  /** The template that the options name or bring along, or else the one for tools, if there are some, or the default one. */
  private chatTemplate({ chatTemplate, tools }: ChatTemplateOptions): ChatTemplate {
    const name = chatTemplate ?? (tools !== undefined && this.templates.has("tool_use") ? "tool_use" : "default");
    const source = this.templates.get(name);
    if (source === undefined) {
      if (chatTemplate !== undefined) return new ChatTemplate(chatTemplate, this.specialTokens);
      throw new Qwen3Error(
        "CHAT_TEMPLATE",
        "the checkpoint has no chat template (chat_template.jinja); give one in chatTemplate",
      );
    }
    const template = this.compiled.get(name) ?? new ChatTemplate(source, this.specialTokens);
    this.compiled.set(name, template);
    return template;
  }
}

function checkText(text: string): string {
  if (typeof text === "string") return text;
  throw new Qwen3Error("ARGUMENT", `text is ${describe(text)}; it must be a string`);
}
