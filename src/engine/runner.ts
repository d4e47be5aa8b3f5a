/**
 * Runs given tokens of any number of sequences: cuts the work into steps of at most `maxBatchedTokens` tokens, has each computed, and
 * hands back the logits and hidden states that were asked for.
 *
 * How the work is cut never shows in the results: each token's arithmetic is its own.
 */
import { breather } from "../core/turn.ts";
import type { ModelConfig } from "../formats/config.ts";
import type { TraceTensor } from "../model/trace.ts";
import { allocate, type Executor } from "./executor.ts";
import type { SequenceCache } from "./sequence-cache.ts";
import { computeStep, StepQueue } from "./step.ts";

/** One sequence's share: its next tokens, and which results are wanted. */
export interface Work {
  readonly cache: SequenceCache;
  readonly ids: readonly number[];
  readonly logits: "last" | "all" | "none";
  readonly hidden?: boolean;
}

export interface WorkResult {
  /** "last": [vocab]; "all": [tokens, vocab]; "none": absent. */
  readonly logits?: Float32Array;
  /** [tokens, hidden_size], after the final norm. */
  readonly hidden?: Float32Array;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called for every stage of every step, in order; the rows are this step's tokens. */
  readonly onTrace?: ((name: string, tensor: TraceTensor) => void) | undefined;
}

/** Tokens `from`..`to` of one work item: what one step takes of it. */
interface Cut {
  readonly item: number;
  readonly from: number;
  readonly to: number;
}

export class Runner {
  readonly #executor: Executor;
  readonly #config: ModelConfig;
  readonly #maxBatchedTokens: number;
  readonly #queue: StepQueue;
  readonly #breathe = breather();

  /** @param queue shared with whatever else computes steps */
  constructor(executor: Executor, config: ModelConfig, maxBatchedTokens: number, queue = new StepQueue()) {
    this.#executor = executor;
    this.#config = config;
    this.#maxBatchedTokens = maxBatchedTokens;
    this.#queue = queue;
  }

  /** Results in the order of `work`. A step that fails leaves every cache as the last whole step left it. */
  async run(work: readonly Work[], options: RunOptions = {}): Promise<WorkResult[]> {
    const { vocab_size, hidden_size } = this.#config;
    const results = work.map((item) => ({
      ...(item.logits !== "none" && { logits: allocate(item.logits === "all" ? item.ids.length : 1, vocab_size) }),
      ...(item.hidden && { hidden: allocate(item.ids.length, hidden_size) }),
    }));
    for (const cuts of cut(work, this.#maxBatchedTokens)) {
      options.signal?.throwIfAborted();
      await this.#queue.run(() => this.#step(work, cuts, results, options.onTrace));
      await this.#breathe();
    }
    options.signal?.throwIfAborted();
    return results;
  }

  async #step(
    work: readonly Work[],
    cuts: readonly Cut[],
    results: readonly WorkResult[],
    onTrace: RunOptions["onTrace"],
  ): Promise<void> {
    const { vocab_size, hidden_size } = this.#config;
    const pieces = cuts.map(({ item, from, to }) => {
      const { cache, ids, logits, hidden } = work[item]!;
      const wanted = logits === "all" ? to - from : logits === "last" && to === ids.length ? 1 : 0;
      return { cache, ids: ids.slice(from, to), logits: wanted, hidden };
    });
    const result = await computeStep(this.#executor, pieces, onTrace !== undefined);
    let [logitAt, hiddenAt] = [0, 0];
    for (const [i, { item, from }] of cuts.entries()) {
      const { ids, logits: wanted } = pieces[i]!;
      const { logits, hidden } = results[item]!;
      const last = logitAt + wanted * vocab_size;
      if (wanted > 0) logits!.set(result.logits.subarray(logitAt, last), work[item]!.logits === "all" ? from * vocab_size : 0);
      logitAt = last;
      if (!hidden) continue;
      hidden.set(result.hidden.subarray(hiddenAt, hiddenAt + ids.length * hidden_size), from * hidden_size);
      hiddenAt += ids.length * hidden_size;
    }
    for (const [name, tensor] of result.trace) onTrace?.(name, tensor);
    for (const { cache, ids } of pieces) cache.commit(ids);
  }
}

/** Fills steps with the work in order; a sequence that does not fit goes on in the next step. */
function* cut(work: readonly Work[], maxTokens: number): Generator<Cut[]> {
  let cuts: Cut[] = [];
  let room = maxTokens;
  for (const [item, { ids }] of work.entries())
    for (let from = 0; from < ids.length; ) {
      const to = Math.min(ids.length, from + room);
      cuts.push({ item, from, to });
      room -= to - from;
      from = to;
      if (room === 0) {
        yield cuts;
        cuts = [];
        room = maxTokens;
      }
    }
  if (cuts.length > 0) yield cuts;
}
