/** One step of the forward pass for any number of sequences, and the queue in which steps take turns. */
import type { Executor, StepResult, StepSegment } from "./executor.ts";
import type { SequenceCache } from "./sequence-cache.ts";

/** A sequence's share of a step: its next tokens, and which results are wanted. */
export interface Piece {
  readonly cache: SequenceCache;
  readonly ids: readonly number[];
  /** Of how many tokens, counted from the last one back, the logits are wanted. */
  readonly logits: number;
  /** Whether the last hidden state of every token is. */
  readonly hidden?: boolean | undefined;
}

/** Lets one do its work after the other. What takes pages or computes steps does so in its turn: a step's pages are its own. */
export class StepQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(turn: () => Promise<T>): Promise<T> {
    const result = this.#last.then(turn);
    this.#last = result.catch(() => {});
    return result;
  }
}

/**
 * Computes one step. The caches are grown but not committed: that is for the caller, with the tokens that are to stay.
 *
 * @returns rows of logits and hidden states, piece after piece
 */
export async function computeStep(executor: Executor, pieces: readonly Piece[], trace = false): Promise<StepResult> {
  const segments = pieces.map(({ cache: { kv }, ids }): StepSegment => {
    kv.reserve(ids.length);
    const { pages, start, length, tokens } = kv.segment(ids.length);
    return { pages, start, length, tokens };
  });
  const logitRows: number[] = [];
  const hiddenRows: number[] = [];
  let row = 0;
  for (const { ids, logits, hidden } of pieces)
    for (let left = ids.length; left > 0; left--, row++) {
      if (left <= logits) logitRows.push(row);
      if (hidden) hiddenRows.push(row);
    }
  return executor.step({
    ids: Int32Array.from(pieces.flatMap(({ ids }) => ids)),
    segments,
    logitRows: Int32Array.from(logitRows),
    hiddenRows: Int32Array.from(hiddenRows),
    trace,
  });
}
