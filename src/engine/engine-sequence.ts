/** One request on its way through the engine: its tokens, its cache, and how logits become the next token. */
import { Qwen3Error } from "../core/errors.ts";
import { logprobs } from "../sampler/logprobs.ts";
import { forbidding, intersection, type LogitMask } from "../sampler/mask.ts";
import type { SamplerMemory } from "../sampler/memory.ts";
import { sample } from "../sampler/sampler.ts";
import type { EngineRequest, FinishReason, SampledToken, SequenceState } from "./engine-request.ts";
import type { LogitRows } from "./logit-rows.ts";
import type { PrefixPath } from "./prefix-cache.ts";
import type { SequenceCache } from "./sequence-cache.ts";
import { PromptLookup } from "./speculation.ts";

export class EngineSequence implements SequenceState {
  readonly id: number;
  /** By the engine's clock. */
  readonly addedAt: number;
  readonly request: EngineRequest;
  cache: SequenceCache;
  /** Where its cache stands among the pages that are kept; none for a cache of the caller's. */
  path: PrefixPath | undefined;
  readonly generatedIds: number[] = [];
  cachedTokens = 0;
  computedTokens = 0;
  draftTokens = 0;
  acceptedTokens = 0;
  finishReason: FinishReason | undefined;
  failure: { readonly error: unknown } | undefined;
  /** Whether it has pages and a place in steps; it waits otherwise. */
  running = false;
  /** Whether it ever had them. */
  started = false;
  /** Its number in the line of those that got a place in a step, when it last did. */
  served = 0;
  /** The first token of the prompt whose log-probability is still wanted. */
  #scored: number;
  readonly #memory: SamplerMemory;
  readonly #noStop: LogitMask | undefined;
  readonly #lookup: PromptLookup | undefined;

  constructor(
    id: number,
    request: EngineRequest,
    newCache: () => SequenceCache,
    memory: SamplerMemory,
    vocabSize: number,
    addedAt: number,
  ) {
    const { promptIds, maxNewTokens, minNewTokens = 0, promptLogprobs, speculation } = request;
    if (promptIds.length < 1 || maxNewTokens < (promptLogprobs ? 0 : 1))
      throw new Qwen3Error(
        "ARGUMENT",
        `a request of ${promptIds.length} prompt tokens and maxNewTokens ${maxNewTokens}; allowed: at least 1 of each`,
      );
    this.id = id;
    this.addedAt = addedAt;
    this.request = request;
    this.cache = request.cache ?? newCache();
    this.#memory = memory;
    this.#scored = promptLogprobs ? 1 : promptIds.length;
    if (promptLogprobs) this.cache.rewind(0);
    else this.cachedTokens = this.cache.keepPrefix(promptIds);
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

  /** Whether log-probabilities of the prompt are still wanted: what is found in a cache has no logits. */
  get scores(): boolean {
    return this.#scored < this.request.promptIds.length;
  }

  /** The next `count` pending tokens. */
  next(count: number): number[] {
    const { promptIds } = this.request;
    const from = this.cache.length;
    const ids = promptIds.slice(from, from + count);
    const generatedFrom = from + ids.length - promptIds.length;
    return ids.length === count ? ids : ids.concat(this.generatedIds.slice(generatedFrom, generatedFrom + count - ids.length));
  }

  /** Of how many of the next `count` tokens the logits are wanted, counted from the last one back. */
  logitsOf(count: number): number {
    const { length } = this.cache;
    if (this.scores) return Math.max(0, Math.min(count, length + count + 1 - this.#scored));
    return count === this.pending ? 1 : 0;
  }

  /** At most `most` guesses at the tokens behind the pending ones. */
  draft(most: number): number[] {
    const { promptIds, maxNewTokens, speculation } = this.request;
    if (!this.#lookup || !speculation || this.scores) return [];
    for (let at = this.#lookup.length; at < promptIds.length + this.generatedIds.length; at++)
      this.#lookup.push(promptIds[at] ?? this.generatedIds[at - promptIds.length]!);
    // One token comes without being guessed.
    return this.#lookup.draft(Math.min(most, speculation.maxDraft, maxNewTokens - this.generatedIds.length - 1));
  }

  /** Notes that the cache has grown, by entries that were found or by ones that a step has computed for this request. */
  grown(by: "found" | "computed"): void {
    const reached = Math.min(this.cache.length, this.request.promptIds.length);
    const more = Math.max(0, reached - this.cachedTokens - this.computedTokens); // none where it is computed again
    if (by === "found") this.cachedTokens += more;
    else this.computedTokens += more;
  }

  /**
   * Takes the logits of the last of its tokens that a step has computed, and of the guesses behind them.
   *
   * @param logits n + draft.length rows, of the last n entries and the guesses; none where nothing was asked for
   */
  read(logits: LogitRows, draft: readonly number[]): void {
    const rows = logits.count - draft.length;
    if (rows <= 0) return;
    if (this.scores) this.#score(logits, rows);
    if (this.pending > 0 || this.finishReason) return;
    if (this.request.maxNewTokens === 0) this.finishReason ??= "length";
    else this.#answer(logits.slice(rows - 1), draft);
  }

  /** Reports the tokens behind the last `rows` entries, as far as they are the prompt's. */
  #score(logits: LogitRows, rows: number): void {
    const { promptIds, promptLogprobs } = this.request;
    const first = this.cache.length - rows;
    for (let row = 0; row < rows && this.scores && !this.finishReason; row++) {
      const position = first + row + 1;
      if (position !== this.#scored) continue;
      this.#scored++;
      promptLogprobs!.onToken(position, logprobs(logits.logits(row), promptIds[position]!, promptLogprobs!.top));
    }
  }

  /** @param logits 1 + draft.length rows, of the last known token and of the guesses */
  #answer(logits: LogitRows, draft: readonly number[]): void {
    this.draftTokens += draft.length;
    const { generatedIds } = this;
    const first = generatedIds.length;
    let right = 0;
    // A guess that is what the sampler draws makes the next row of logits those of the text as it is.
    do {
      // A token that the constraint forced is known before its logits.
      if (first + right === generatedIds.length) this.#take(logits.logits(right), logits.maxima(right));
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
  #take(raw: Float32Array, maxima: Float32Array | undefined): void {
    const { constraint, logprobs: top, logitsProcessor, sampleForced } = this.request;
    const known = !logitsProcessor && !sampleForced;
    const id = (known ? constraint?.forced : undefined) ?? this.#sample(raw, maxima);
    this.#push(top === undefined ? { id } : { id, logprobs: logprobs(raw, id, top) });
    if (!constraint || !known || top !== undefined) return;
    for (let next = constraint.forced; next !== undefined && !this.finishReason; next = constraint.forced)
      this.#push({ id: next });
  }

  #sample(raw: Float32Array, maxima: Float32Array | undefined): number {
    const { promptIds, sampling, choice = 0, logitsProcessor } = this.request;
    const generated = this.generatedIds;
    const logits = logitsProcessor ? raw.slice() : raw;
    logitsProcessor?.(logits, generated);
    const position = promptIds.length + generated.length;
    const mask = this.#mask();
    const known = logitsProcessor ? undefined : maxima; // what it does to logits nobody knows
    const context = { prompt: promptIds, generated, choice, position, mask, maxima: known, memory: this.#memory };
    return sample(logits, sampling, context);
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
