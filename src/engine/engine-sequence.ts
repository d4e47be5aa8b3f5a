/** One request on its way through the engine: its tokens, its cache, and how logits become the next token. */
import { Qwen3Error } from "../core/errors.ts";
import type { TokenConstraint } from "../sampler/constraint.ts";
import { type Logprobs, logprobs } from "../sampler/logprobs.ts";
import { forbidding, intersection, type LogitMask } from "../sampler/mask.ts";
import type { SamplerMemory } from "../sampler/memory.ts";
import type { SamplingParams } from "../sampler/params.ts";
import { sample } from "../sampler/sampler.ts";
import type { SequenceCache } from "./sequence-cache.ts";
import { PromptLookup, type SpeculationParams } from "./speculation.ts";

/** "stop": an end token or a stop string; "length": maxNewTokens or the context is used up; "abort": left early, or failed. */
export type FinishReason = "stop" | "length" | "abort";

export interface SampledToken {
  readonly id: number;
  readonly logprobs?: Logprobs;
}

/** A prompt and what is to become of it. Its arrays and maps are not copied. */
export interface EngineRequest {
  /** At least one. */
  readonly promptIds: readonly number[];
  /** At least 1, and with the prompt within the model's context. */
  readonly maxNewTokens: number;
  readonly sampling: SamplingParams;
  /** Which of several answers to one prompt this is; decides its random numbers. Default 0. */
  readonly choice?: number | undefined;
  /** Tokens that end the answer, but not before `minNewTokens`. */
  readonly stopIds: ReadonlySet<number>;
  readonly minNewTokens?: number | undefined;
  /** How many of the likeliest tokens to report with each; none where left out. */
  readonly logprobs?: number | undefined;
  /** Changes the next token's logits in place. What it throws ends the request. */
  readonly logitsProcessor?: ((logits: Float32Array, generatedIds: readonly number[]) => void) | undefined;
  /**
   * Decides which tokens are allowed, and is told each one. Where it ends, end tokens come, whatever `minNewTokens` says. What it throws
   * ends the request.
   */
  readonly constraint?: TokenConstraint | undefined;
  /** Samples also where the constraint leaves one token: the same answer in more time, to compare with. Default false. */
  readonly sampleForced?: boolean | undefined;
  readonly speculation?: SpeculationParams | undefined;
  /**
   * Where to go on: what it shares with the prompt is kept, the rest dropped. The caller has acquired it and closes it. Left out: the
   * engine's own, for as long as the request runs.
   */
  readonly cache?: SequenceCache | undefined;
  /** False holds the request back: nothing is computed for it, and others may take its pages. Asked before each step. */
  readonly ready?: (() => boolean) | undefined;
  /**
   * Called within `step` for every token, in order. What it throws ends the request.
   *
   * @param ends why this token is the last, if it is
   * @returns true to end the answer with this token, as by a stop string
   */
  readonly onToken: (token: SampledToken, ends: FinishReason | undefined) => boolean;
}

/** How far a request is; it changes with every step. */
export interface SequenceState {
  /** Counted from 1, in the order in which requests were added. */
  readonly id: number;
  readonly generatedIds: readonly number[];
  /** Prompt tokens that were in the cache already, and that steps have computed. */
  readonly cachedTokens: number;
  readonly computedTokens: number;
  /** Tokens that speculation guessed, and those of them that were right. */
  readonly draftTokens: number;
  readonly acceptedTokens: number;
  /** Undefined while it waits or runs. */
  readonly finishReason: FinishReason | undefined;
  /** What made it fail, if it did. */
  readonly failure: { readonly error: unknown } | undefined;
}

export class EngineSequence implements SequenceState {
  readonly id: number;
  readonly request: EngineRequest;
  readonly cache: SequenceCache;
  readonly generatedIds: number[] = [];
  readonly cachedTokens: number;
  computedTokens = 0;
  draftTokens = 0;
  acceptedTokens = 0;
  finishReason: FinishReason | undefined;
  failure: { readonly error: unknown } | undefined;
  /** Whether it has pages and a place in steps; it waits otherwise. */
  running = false;
  /** Its number in the line of those that got a place in a step, when it last did. */
  served = 0;
  readonly #memory: SamplerMemory;
  readonly #noStop: LogitMask | undefined;
  readonly #lookup: PromptLookup | undefined;

  constructor(id: number, request: EngineRequest, newCache: () => SequenceCache, memory: SamplerMemory, vocabSize: number) {
    const { promptIds, maxNewTokens, minNewTokens = 0, speculation } = request;
    if (promptIds.length < 1 || maxNewTokens < 1)
      throw new Qwen3Error(
        "ARGUMENT",
        `a request of ${promptIds.length} prompt tokens and maxNewTokens ${maxNewTokens}; allowed: at least 1 of each`,
      );
    this.id = id;
    this.request = request;
    this.cache = request.cache ?? newCache();
    this.#memory = memory;
    this.cachedTokens = this.cache.keepPrefix(promptIds);
    if (minNewTokens > 0) this.#noStop = forbidding(request.stopIds, vocabSize);
    if (speculation) this.#lookup = new PromptLookup(speculation.ngram);
  }

  get ready(): boolean {
    return this.request.ready?.() ?? true;
  }

  /** Tokens that are known and not in the cache: at least one. */
  get pending(): number {
    return this.request.promptIds.length + this.generatedIds.length - this.cache.length;
  }

  /** The next `count` pending tokens. */
  next(count: number): number[] {
    const { promptIds } = this.request;
    const from = this.cache.length;
    const ids = promptIds.slice(from, from + count);
    const generatedFrom = from + ids.length - promptIds.length;
    return ids.length === count ? ids : ids.concat(this.generatedIds.slice(generatedFrom, generatedFrom + count - ids.length));
  }

  /** At most `most` guesses at the tokens behind the pending ones. */
  draft(most: number): number[] {
    const { promptIds, maxNewTokens, speculation } = this.request;
    if (!this.#lookup || !speculation) return [];
    for (let at = this.#lookup.length; at < promptIds.length + this.generatedIds.length; at++)
      this.#lookup.push(promptIds[at] ?? this.generatedIds[at - promptIds.length]!);
    // One token comes without being guessed.
    return this.#lookup.draft(Math.min(most, speculation.maxDraft, maxNewTokens - this.generatedIds.length - 1));
  }

  /**
   * Takes what a step computed: pending tokens `ids`, then guesses `draft`.
   *
   * @param logits [1 + draft.length, vocab], of the last pending token and the guesses; none while tokens are still pending
   */
  advance(ids: readonly number[], draft: readonly number[], logits: Float32Array): void {
    this.cache.commit(ids);
    const prompt = Math.min(this.cache.length, this.request.promptIds.length) - this.cachedTokens;
    this.computedTokens = Math.max(this.computedTokens, prompt);
    if (logits.length === 0) return;
    const vocabSize = logits.length / (1 + draft.length);
    this.draftTokens += draft.length;
    const { generatedIds } = this;
    const first = generatedIds.length;
    let right = 0;
    // A guess that is what the sampler draws makes the next row of logits those of the text as it is.
    do {
      const at = right * vocabSize;
      // A token that the constraint forced is known before its logits.
      if (first + right === generatedIds.length) this.#take(logits.subarray(at, at + vocabSize));
    } while (draft[right] === generatedIds[first + right] && ++right && !this.#isEnd(first + right));
    this.acceptedTokens += right;
    this.cache.commit(draft.slice(0, Math.min(right, this.pending - 1)));
    if (draft.length > 0) this.cache.rewind(this.cache.length); // gives back pages that wrong guesses took
  }

  /** Whether the answer has ended with its first `count` tokens. */
  #isEnd(count: number): boolean {
    return this.finishReason !== undefined && count === this.generatedIds.length;
  }

  /** Samples a token, and adds those that the constraint forces behind it; any may be the last. */
  #take(raw: Float32Array): void {
    const { constraint, logprobs: top, logitsProcessor, sampleForced } = this.request;
    const known = !logitsProcessor && !sampleForced;
    const id = (known ? constraint?.forced : undefined) ?? this.#sample(raw);
    this.#push(top === undefined ? { id } : { id, logprobs: logprobs(raw, id, top) });
    if (!constraint || !known || top !== undefined) return;
    for (let next = constraint.forced; next !== undefined && !this.finishReason; next = constraint.forced)
      this.#push({ id: next });
  }

  #sample(raw: Float32Array): number {
    const { promptIds, sampling, choice = 0, logitsProcessor } = this.request;
    const generated = this.generatedIds;
    const logits = logitsProcessor ? raw.slice() : raw;
    logitsProcessor?.(logits, generated);
    const position = promptIds.length + generated.length;
    const mask = this.#mask();
    return sample(logits, sampling, { prompt: promptIds, generated, choice, position, mask, memory: this.#memory });
  }

  #mask(): LogitMask | undefined {
    const { constraint, minNewTokens = 0 } = this.request;
    const noStop = this.generatedIds.length < minNewTokens ? this.#noStop : undefined;
    const mask = constraint?.mask();
    return mask && noStop ? intersection(mask, noStop) : (mask ?? noStop);
  }

  #push(token: SampledToken): void {
    const { constraint, maxNewTokens, stopIds, onToken } = this.request;
    constraint?.accept(token.id);
    this.generatedIds.push(token.id);
    const ends = stopIds.has(token.id) ? "stop" : this.generatedIds.length >= maxNewTokens ? "length" : undefined;
    const stop = onToken(token, ends);
    this.finishReason ??= stop ? "stop" : ends; // unless it was cancelled in there
  }
}
