/**
 * Autoregressive generation: run the prompt, then again and again sample a token, look whether it ends the text, and feed it back. The
 * engine does it, together with whatever else runs on the model; here options become requests, and tokens parts for the caller.
 *
 * Several prompts run as one batch; each gives the ids it would give alone, because a token's logits do not depend on its neighbours
 * in a step and its random draw is counted by seed, choice and position, not taken from a stream.
 */
import { resolveSampling, type SamplingParams } from "../sampler/params.ts";
import type { Engine } from "./engine.ts";
import type { EngineRequest, FinishReason, SampledToken, SequenceState } from "./engine-request.ts";
import { type GenerateOptions, requireId, requireOptions } from "./generate-options.ts";
import type { LocalModel } from "./local-model.ts";
import { resolveSpeculation, type SpeculationParams } from "./speculation.ts";

export type { FinishReason, SampledToken } from "./engine-request.ts";
export type { GenerateOptions, LogitsProcessor } from "./generate-options.ts";

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
    // Frees the pages at once, also where nobody asks for parts any more.
    const abort = () => this.#cancel(engine);
    signal?.addEventListener("abort", abort);
    try {
      for (const s of this.sequences) {
        const follower = follow(s);
        if (s.maxNewTokens === 0 && this.#options.promptLogprobs === undefined) s.finishReason = "length";
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
        // Where nothing but log-probabilities of the prompt was asked for no token came.
        for (const s of this.sequences) if (s.state?.finishReason === "length") s.finishReason ??= "length";
        if (this.sequences.every((s) => s.finishReason)) return;
        signal?.throwIfAborted();
        await this.#step();
        signal?.throwIfAborted();
      }
    } catch (error) {
      if (!signal?.aborted) this.#failure = { error };
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
      for (const s of this.sequences) s.finishReason ??= "abort";
      this.#cancel(engine);
      release?.();
    }
  }

  #cancel(engine: Engine): void {
    for (const { state } of this.sequences) if (state) engine.cancel(state.id);
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
      promptLogprobs: this.#promptLogprobs(s),
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

  #promptLogprobs({ index, promptIds }: Sequence): EngineRequest["promptLogprobs"] {
    const { promptLogprobs: top, onPromptLogprobs } = this.#options;
    if (top === undefined) return undefined;
    return { top, onToken: (position, logprobs) => onPromptLogprobs?.({ index, position, id: promptIds[position]!, logprobs }) };
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
