/** The public face of a loaded model: everything a program needs of it on one screen. */
/// <reference lib="esnext.disposable" preserve="true" />

import { Qwen3Error } from "../core/errors.ts";
import type { EngineStatistics } from "../engine/engine-statistics.ts";
import { type ForwardOptions, type ForwardResult, LocalModel } from "../engine/local-model.ts";
import type { ModelOptions } from "../engine/model-options.ts";
import type { PartStream } from "../engine/part-stream.ts";
import type { MemoryPlan } from "../engine/plan.ts";
import type { SequenceCache } from "../engine/sequence-cache.ts";
import { type GeneratedPart, type GenerationResult, generateText, type TextGenerateOptions } from "../engine/text-generation.ts";
import type { GenerationConfig, ModelConfig } from "../formats/config.ts";
import type { CheckpointLocation } from "../formats/location.ts";
import type { Grammar } from "../grammar/compile.ts";
import type { GrammarSpec } from "../grammar/grammar-spec.ts";
import type { ChatMessage } from "../text/messages.ts";
import type { ChatTemplateOptions, Tokenizer } from "../text/tokenizer.ts";
import { type ChatOptions, type ChatPart, type ChatResult, chat, encodeChat } from "./chat.ts";
import type { ChatModel } from "./chat-model.ts";
import { LocalChatModel } from "./local-chat-model.ts";
import { ResponseFormats } from "./response-format.ts";

/**
 * A Qwen3 checkpoint, ready to run.
 *
 * @example
 * ```ts
 * import { Qwen3 } from "qwen3.ts";
 * const model = await Qwen3.fromPretrained("weights/nano");
 * for await (const part of model.chat([{ role: "user", content: "Who are you?" }], { temperature: 0 }))
 *   if (part.type === "text") process.stdout.write(part.text);
 * await model.close();
 * ```
 */
export class Qwen3 {
  readonly #model: LocalModel;
  readonly #formats: ResponseFormats;

  private constructor(model: LocalModel) {
    this.#model = model;
    this.#formats = new ResponseFormats(model);
  }

  /**
   * Loads a checkpoint: a folder or a GGUF file, by path or by `file:` or `https:` URL; a GGUF file as a Blob; any `CheckpointSource`
   * (`memoryFolder` makes one of Blobs); or a model of the hub (`Qwen/Qwen3-0.6B`, `owner/name:Q4_K_M`), which is downloaded once (options
   * `hub`). A path that exists comes first.
   * Memory is planned first; what does not fit is refused with the plan (MEMORY_PLAN). Other errors: SOURCE_READ, CHECKPOINT_*,
   * HUB_*, STORAGE_FULL, TOKENIZER_FILE, CONTEXT_FULL for a maxModelLen past the model's own, BACKEND_UNAVAILABLE, the signal's reason.
   */
  static async fromPretrained(location: CheckpointLocation, options: ModelOptions = {}): Promise<Qwen3> {
    return new Qwen3(await LocalModel.load(location, options));
  }

  get config(): ModelConfig {
    return this.#model.config;
  }

  /** Sampling defaults and end tokens, from the checkpoint's generation_config.json. */
  get generationConfig(): GenerationConfig {
    return this.#model.generationConfig;
  }

  /** What the model takes of memory, in bytes, and `maxModelLen`. */
  get plan(): MemoryPlan {
    return this.#model.plan;
  }

  /** One line about what computes ("wasm, relaxed-simd"). */
  get description(): string {
    return this.#model.description;
  }

  /** How busy the model is, and what its generations have come to. */
  get statistics(): EngineStatistics {
    return this.#model.statistics;
  }

  /** Throws TOKENIZER_MISSING for a checkpoint without one; `forward` and `generate` work on ids all the same. */
  get tokenizer(): Tokenizer {
    return this.#model.tokenizer;
  }

  /** An empty KV cache. It grows as it is used; `close` it, or close the model. */
  newCache(): SequenceCache {
    return this.#model.newCache();
  }

  /**
   * A cache with what another one had when it was saved (`cache.save()`), by this model or by any of the same weights and options on
   * whatever machine: the results that follow are the same bits. What was saved by others is refused. Errors: CACHE_FILE, which says what
   * differs or is broken, CONTEXT_FULL, MEMORY_FULL.
   */
  restoreCache(bytes: Uint8Array): Promise<SequenceCache> {
    return this.#model.restoreCache(bytes);
  }

  /** Runs token ids through the model: logits, and on request the hidden state and a trace of every stage. */
  forward(ids: readonly number[], options: ForwardOptions = {}): Promise<ForwardResult> {
    return this.#model.forward(ids, options);
  }

  /** Continues a prompt of token ids, or several as one batch; parts come token by token. */
  generate(prompt: readonly number[], options?: TextGenerateOptions): PartStream<GeneratedPart, GenerationResult>;
  generate(prompts: readonly (readonly number[])[], options?: TextGenerateOptions): PartStream<GeneratedPart, GenerationResult[]>;
  generate(
    prompt: readonly number[] | readonly (readonly number[])[],
    options: TextGenerateOptions = {},
  ): PartStream<GeneratedPart, GenerationResult> | PartStream<GeneratedPart, GenerationResult[]> {
    if (isBatch(prompt)) return generateText(this.#model, prompt, options, (results) => results);
    return generateText(this.#model, [prompt], options, ([result]) => result!);
  }

  /** Answers a conversation; `<think>` blocks come as `reasoning` parts, tool calls whole, a `finish` part last. */
  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): PartStream<ChatPart, ChatResult> {
    return chat(this.#model, messages, options, this.#formats);
  }

  /**
   * A form for answers, for `generate`: `{ constraint: () => grammar.newConstraint(model.generationConfig.eos_token_id) }`. `chat` takes
   * `responseFormat` instead. Errors: GRAMMAR_UNSUPPORTED, GRAMMAR_SYNTAX, GRAMMAR_EMPTY, GRAMMAR_LIMIT.
   */
  compileGrammar(spec: GrammarSpec): Grammar {
    return this.#formats.compile(spec);
  }

  /** Exactly the ids that `chat` feeds: text of users and tools never becomes a control token. */
  encodeChat(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): number[] {
    return encodeChat(this.#model, messages, options);
  }

  /** This model as a server takes it: `createServer(model.chatModel())` of `qwen3.ts/server`. */
  chatModel(): ChatModel {
    return new LocalChatModel(this.#model, this.#formats);
  }

  /** Frees weights and caches. Safe to call twice. */
  close(): Promise<void> {
    return this.#model.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function isBatch(prompt: readonly number[] | readonly (readonly number[])[]): prompt is readonly (readonly number[])[] {
  if (!(Array.isArray(prompt) || ArrayBuffer.isView(prompt)))
    throw new Qwen3Error("ARGUMENT", `the prompt is ${prompt}; allowed: an array of token ids, or an array of such arrays`);
  return typeof prompt[0] === "object";
}
