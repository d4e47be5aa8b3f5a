/**
 * Autoregressive generation: run the prompt, then again and again sample a token, look whether it ends the text, and feed it back. The
 * engine does it, together with whatever else runs on the model; here options become requests, and tokens parts for the caller.
 *
 * Several prompts run as one batch; each gives the ids it would give alone, because a token's logits do not depend on its neighbours
 * in a step and its random draw is counted by seed, choice and position, not taken from a stream.
 */
import { Qwen3Error } from "../core/errors.ts";
import type { TokenConstraint } from "../sampler/constraint.ts";
import { resolveSampling, type SamplingOptions, type SamplingParams } from "../sampler/params.ts";
import { StopStrings } from "../text/stop-strings.ts";
import type { EngineRequest, FinishReason, SampledToken, SequenceState } from "./engine-sequence.ts";
import type { LocalModel } from "./local-model.ts";
import { SequenceCache } from "./sequence-cache.ts";
import { resolveSpeculation, type Speculation, type SpeculationParams } from "./speculation.ts";

export type { FinishReason, SampledToken } from "./engine-sequence.ts";

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

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  /** Prompt tokens whose keys and values were in the cache already. */
  readonly cachedTokens: number;
  /** With speculation: how many tokens were guessed, and how many of them were right. */
  readonly draftTokens?: number;
  readonly acceptedTokens?: number;
}

/** Wall-clock times of one generation; in a batch the prompts share them. */
export interface Timings {
  readonly promptMs: number;
  readonly completionMs: number;
  readonly promptTokensPerSecond: number;
  readonly completionTokensPerSecond: number;
}

/** Turns one sequence's tokens into parts for the caller, and may end the sequence by its text. */
export interface Follower<Part> {
  /** @param ends why this token is the last, if it is known already; held-back text is then due */
  push(token: SampledToken, ends: FinishReason | undefined): { parts: Part[]; stop: boolean };
}

/** One prompt on its way. */
export interface Sequence {
  readonly index: number;
  readonly promptIds: readonly number[];
  readonly generatedIds: number[];
  readonly maxNewTokens: number;
  finishReason: FinishReason | undefined;
  /** Once it was handed to the engine. */
  state: SequenceState | undefined;
}

/** A batch of sequences with its options resolved and checked. */
export class Batch {
  readonly sequences: Sequence[];
  readonly sampling: SamplingParams;
  readonly #model: LocalModel;
  readonly #options: GenerateOptions;
  readonly #stopIds: ReadonlySet<number>;
  readonly #speculation: SpeculationParams | undefined;
  #promptMs = 0;
  #completionMs = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(model: LocalModel, prompts: readonly (readonly number[])[], options: GenerateOptions) {
    const { vocab_size } = model.config;
    requireOptions(options, prompts.length, vocab_size);
    const { eos_token_id, max_new_tokens = Number.POSITIVE_INFINITY } = model.generationConfig;
    this.#model = model;
    this.#options = options;
    this.#stopIds = new Set([...(options.ignoreEos ? [] : eos_token_id), ...(options.stopTokenIds ?? [])]);
    this.#speculation = options.speculation && resolveSpeculation(options.speculation);
    this.sampling = resolveSampling(options, model.generationConfig);
    for (const id of this.sampling.logitBias.keys()) requireId("logitBias", id, vocab_size);
    this.sequences = prompts.map((prompt, index) => {
      const promptIds = [...prompt]; // the caller may go on to change theirs
      model.requirePrompt(promptIds, { which: prompts.length > 1 ? `prompt ${index}` : "the prompt" });
      const room = model.plan.maxModelLen - promptIds.length;
      const maxNewTokens = Math.min(options.maxNewTokens ?? max_new_tokens, room);
      return { index, promptIds, generatedIds: [], maxNewTokens, finishReason: undefined, state: undefined };
    });
  }

  /**
   * Yields each sequence's parts as its tokens are sampled. Nothing is computed unless somebody waits for it; where several generations
   * run at once, those whose parts have been taken move on together. Errors: SAMPLER_LOGITS, MEMORY_FULL, CLOSED, the signal's reason.
   */
  async *parts<Part>(follow: (sequence: Sequence) => Follower<Part>): AsyncGenerator<Part, void> {
    const { cache, signal } = this.#options;
    const { engine } = this.#model;
    const release = cache?.acquire();
    let made: Part[] = [];
    try {
      for (const s of this.sequences) {
        const follower = follow(s);
        if (s.maxNewTokens === 0) s.finishReason = "length";
        else
          s.state = engine.add(
            this.#request(
              s,
              follower,
              (parts) => made.push(...parts),
              () => made.length === 0,
            ),
          );
      }
      for (;;) {
        const taken = made;
        made = [];
        for (const part of taken) {
          signal?.throwIfAborted();
          yield part;
        }
        const failed = this.sequences.find(({ state }) => state?.failure);
        if (failed) throw failed.state!.failure!.error;
        if (made.length > 0) continue; // others' steps went on meanwhile
        if (this.sequences.every((s) => s.finishReason)) return;
        signal?.throwIfAborted();
        await this.#step();
        signal?.throwIfAborted();
      }
    } catch (error) {
      if (!signal?.aborted) this.#failure = { error };
      throw error;
    } finally {
      for (const s of this.sequences) {
        s.finishReason ??= "abort";
        if (s.state) engine.cancel(s.state.id);
      }
      release?.();
    }
  }

  /** Throws the error that ended the generation, if one did; an aborted signal is none. */
  requireSuccess(): void {
    if (this.#failure) throw this.#failure.error;
  }

  usage(s: Sequence): Usage {
    const [promptTokens, completionTokens] = [s.promptIds.length, s.generatedIds.length];
    const { cachedTokens = 0, draftTokens = 0, acceptedTokens = 0 } = s.state ?? {};
    return {
      promptTokens,
      completionTokens,
      totalTokens: promptTokens + completionTokens,
      cachedTokens,
      ...(this.#speculation && { draftTokens, acceptedTokens }),
    };
  }

  timings(): Timings {
    const decoded = this.sequences.reduce((sum, s) => sum + Math.max(0, s.generatedIds.length - 1), 0); // the first comes with the prompt
    const perSecond = (tokens: number, ms: number) => (ms > 0 ? (tokens * 1000) / ms : 0);
    return {
      promptMs: this.#promptMs,
      completionMs: this.#completionMs,
      promptTokensPerSecond: perSecond(this.#computed(), this.#promptMs),
      completionTokensPerSecond: perSecond(decoded, this.#completionMs),
    };
  }

  #request<Part>(s: Sequence, follower: Follower<Part>, give: (parts: Part[]) => void, ready: () => boolean): EngineRequest {
    const { logitsProcessor } = this.#options;
    const { index, promptIds } = s;
    return {
      promptIds,
      maxNewTokens: s.maxNewTokens,
      sampling: this.sampling,
      choice: this.#options.choice,
      stopIds: this.#stopIds,
      minNewTokens: this.#options.minNewTokens,
      logprobs: this.#options.logprobs,
      logitsProcessor: logitsProcessor && ((logits, generatedIds) => logitsProcessor(logits, { index, promptIds, generatedIds })),
      constraint: this.#options.constraint?.(),
      sampleForced: this.#options.sampleForced,
      speculation: this.#speculation,
      cache: this.#options.cache,
      ready,
      onToken(token, ends) {
        s.generatedIds.push(token.id);
        const { parts, stop } = follower.push(token, ends);
        s.finishReason = stop ? "stop" : ends;
        give(parts);
        return stop;
      },
    };
  }

  async #step(): Promise<void> {
    const begun = performance.now();
    const isPrompt = this.sequences.some((s) => s.generatedIds.length === 0 && !s.finishReason);
    const before = this.#computed();
    await this.#model.engine.step();
    const ms = performance.now() - begun;
    if (isPrompt) this.#promptMs += ms;
    else this.#completionMs += ms;
    const computedTokens = this.#computed();
    if (computedTokens > before) {
      const totalTokens = this.sequences.reduce((sum, s) => sum + (s.state ? s.promptIds.length - s.state.cachedTokens : 0), 0);
      this.#options.onPromptProgress?.({ computedTokens, totalTokens });
    }
  }

  #computed(): number {
    return this.sequences.reduce((sum, { state }) => sum + (state?.computedTokens ?? 0), 0);
  }
}

function requireOptions(options: GenerateOptions, prompts: number, vocabSize: number): void {
  const { maxNewTokens, minNewTokens, choice, logprobs: top, cache, stop, stopTokenIds = [], signal } = options;
  const { logitsProcessor, constraint } = options;
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
  require(constraint === undefined || typeof constraint === "function", "constraint", constraint, "a function that makes one");
  require(signal === undefined || signal instanceof AbortSignal, "signal", signal, "an AbortSignal");
  require(cache === undefined || cache instanceof SequenceCache, "cache", cache, "what newCache() made");
  if (!cache) return;
  require(prompts === 1, "cache", `given for ${prompts} prompts`, "one prompt");
  require(cache.kv.start === 0, "cache", `one that starts at position ${cache.kv.start}`, "a cache from position 0");
}

function requireId(name: string, id: unknown, vocabSize: number): void {
  if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize)
    throw new Qwen3Error("ARGUMENT", `${name} is ${id}; allowed: 0..${vocabSize - 1}`);
}
