/** What may be asked of a generation. */
import { Qwen3Error } from "../core/errors.ts";
import type { TokenConstraint } from "../sampler/constraint.ts";
import type { Logprobs } from "../sampler/logprobs.ts";
import type { SamplingOptions } from "../sampler/params.ts";
import { StopStrings } from "../text/stop-strings.ts";
import { SequenceCache } from "./sequence-cache.ts";
import type { Speculation } from "./speculation.ts";

/** A token of a prompt. */
export interface PromptToken {
  /** Which prompt, and which of its tokens, counted from 0. */
  readonly index: number;
  readonly position: number;
  readonly id: number;
  readonly logprobs: Logprobs;
}

/** Changes the logits of one sequence's next token, in place: [vocab_size], already a copy. */
export type LogitsProcessor = (
  logits: Float32Array,
  context: { index: number; promptIds: readonly number[]; generatedIds: readonly number[] },
) => void;

export interface GenerateOptions extends SamplingOptions {
  /** Default: the checkpoint's `max_new_tokens`, else until the context is full. */
  readonly maxNewTokens?: number | undefined;
  /** No end token is sampled and no stop string is looked for before this many tokens. Default 0. */
  readonly minNewTokens?: number | undefined;
  /** Texts that end the generation; they are never shown, not even in part. Needs a tokenizer. */
  readonly stop?: string | readonly string[] | undefined;
  /** Which of several answers to one prompt this is, from 0: the same seed gives each its own draws. Default 0. */
  readonly choice?: number | undefined;
  /** Token ids that end the generation, beside the checkpoint's own. The text of one that is no control token stays in the output. */
  readonly stopTokenIds?: readonly number[] | undefined;
  /** Goes on past the checkpoint's end tokens (for measurements). Default false. */
  readonly ignoreEos?: boolean | undefined;
  /** Log-probabilities of the chosen token and this many likeliest ones, of the raw logits: before penalties, temperature, masks. */
  readonly logprobs?: number | undefined;
  /**
   * Also tells how likely each token of the prompt was, given those before it, and this many likeliest ones. All of the prompt is then computed, even
   * where a cache has it. With `maxNewTokens: 0` nothing else is done.
   */
  readonly promptLogprobs?: number | undefined;
  /** Called for every token of a prompt but the first, in order, while the prompt is computed. */
  readonly onPromptLogprobs?: ((token: PromptToken) => void) | undefined;
  readonly logitsProcessor?: LogitsProcessor | undefined;
  /**
   * Makes what decides which tokens are allowed, one for each sequence. Where it ends, end tokens come, whatever `minNewTokens` says; where
   * it leaves one token, that one is taken without sampling, and several in a row in one step.
   */
  readonly constraint?: (() => TokenConstraint) | undefined;
  /** Samples those too: the same answer in more time, to compare with. Default false. */
  readonly sampleForced?: boolean | undefined;
  /**
   * Continues in this cache: what it shares with the prompt from the start is not computed again, and what it holds beyond that is
   * dropped. For a single prompt; nothing else may use the cache until the generation has ended.
   */
  readonly cache?: SequenceCache | undefined;
  /** Guesses tokens and checks several in one step: the same output in less time where a text repeats itself or its prompt. Default off. */
  readonly speculation?: Speculation | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each step of the prompt: tokens computed so far, of those that were not in the cache. */
  readonly onPromptProgress?: ((progress: { computedTokens: number; totalTokens: number }) => void) | undefined;
  /** Adds `timings` to the summary. Default false. */
  readonly timings?: boolean | undefined;
}

/** Throws ARGUMENT for what is not allowed. */
export function requireOptions(options: GenerateOptions, prompts: number, vocabSize: number): void {
  const { maxNewTokens, minNewTokens, choice, logprobs: top, cache, stop, stopTokenIds = [], signal } = options;
  const { logitsProcessor, constraint, promptLogprobs: promptTop } = options;
  const require = (right: boolean, name: string, value: unknown, allowed: string) => {
    if (!right) throw new Qwen3Error("ARGUMENT", `${name} is ${value}; allowed: ${allowed}`);
  };
  const count = (value: unknown) => value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0);
  require(prompts > 0, "prompts", "empty", "at least one prompt");
  require(count(maxNewTokens), "maxNewTokens", maxNewTokens, "an integer from 0");
  require(count(minNewTokens), "minNewTokens", minNewTokens, "an integer from 0");
  require(count(choice), "choice", choice, "an integer from 0");
  require(count(top) && (top ?? 0) <= 20, "logprobs", top, "an integer in 0..20");
  require(Array.isArray(stopTokenIds), "stopTokenIds", stopTokenIds, "an array of token ids");
  for (const id of stopTokenIds) requireId("stopTokenIds", id, vocabSize);
  if (stop !== undefined) new StopStrings([stop].flat()); // throws for what no text can end with
  require(logitsProcessor === undefined ||
    typeof logitsProcessor === "function", "logitsProcessor", logitsProcessor, "a function");
  require(count(promptTop) && (promptTop ?? 0) <= 20, "promptLogprobs", promptTop, "an integer in 0..20");
  require(constraint === undefined || typeof constraint === "function", "constraint", constraint, "a function that makes one");
  require(signal === undefined || signal instanceof AbortSignal, "signal", signal, "an AbortSignal");
  require(cache === undefined || cache instanceof SequenceCache, "cache", cache, "what newCache() made");
  if (!cache) return;
  require(prompts === 1, "cache", `given for ${prompts} prompts`, "one prompt");
  require(cache.kv.start === 0, "cache", `one that starts at position ${cache.kv.start}`, "a cache from position 0");
}

export function requireId(name: string, id: unknown, vocabSize: number): void {
  if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize)
    throw new Qwen3Error("ARGUMENT", `${name} is ${id}; allowed: 0..${vocabSize - 1}`);
}
