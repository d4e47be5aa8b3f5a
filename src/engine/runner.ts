/**
 * Runs the forward pass for any number of sequences: cuts the work into steps of at most `maxBatchedTokens` tokens, has each computed,
 * and hands back the logits and hidden states that were asked for.
 *
 * How the work is cut never shows in the results: each token's arithmetic is its own.
 */
import { breather } from "../core/turn.ts";
import type { ModelConfig } from "../formats/config.ts";
import type { TraceTensor } from "../model/trace.ts";
import { allocate, type Executor } from "./executor.ts";
import type { SequenceCache } from "./sequence-cache.ts";

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
  /** Called after each step with the tokens computed so far, of those of all the work. */
  readonly onStep?: ((computedTokens: number, totalTokens: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called for every stage of every step, in order; the rows are this step's tokens. */
  readonly onTrace?: ((name: string, tensor: TraceTensor) => void) | undefined;
}

/** Tokens `from`..`to` of one work item: what one step takes of it. */
interface Piece {
  readonly item: number;
  readonly from: number;
  readonly to: number;
}

export class Runner {
  readonly #executor: Executor;
  readonly #config: ModelConfig;
  readonly #maxBatchedTokens: number;
  readonly #breathe = breather();

  constructor(executor: Executor, config: ModelConfig, maxBatchedTokens: number) {
    this.#executor = executor;
    this.#config = config;
    this.#maxBatchedTokens = maxBatchedTokens;
  }

  /** Results in the order of `work`. A step that fails leaves every cache as the last whole step left it. */
  async run(work: readonly Work[], options: RunOptions = {}): Promise<WorkResult[]> {
    const { vocab_size, hidden_size } = this.#config;
    const results = work.map((item) => ({
      ...(item.logits !== "none" && { logits: allocate(item.logits === "all" ? item.ids.length : 1, vocab_size) }),
      ...(item.hidden && { hidden: allocate(item.ids.length, hidden_size) }),
    }));
    const totalTokens = work.reduce((sum, { ids }) => sum + ids.length, 0);
    let computedTokens = 0;
    for (const pieces of cut(work, this.#maxBatchedTokens)) {
      options.signal?.throwIfAborted();
      await this.#step(work, pieces, results, options.onTrace);
      computedTokens += pieces.reduce((sum, { from, to }) => sum + to - from, 0);
      options.onStep?.(computedTokens, totalTokens);
      await this.#breathe();
    }
    options.signal?.throwIfAborted();
    return results;
  }

  async #step(
    work: readonly Work[],
    pieces: readonly Piece[],
    results: WorkResult[],
    onTrace: RunOptions["onTrace"],
  ): Promise<void> {
    const ids = Int32Array.from(pieces.flatMap(({ item, from, to }) => work[item]!.ids.slice(from, to)));
    const segments = pieces.map(({ item, from, to }) => {
      const { kv } = work[item]!.cache;
      kv.reserve(to - from);
      const { pages, start, length, tokens } = kv.segment(to - from);
      return { pages, start, length, tokens };
    });
    const wanted = wantedRows(work, pieces, results);
    const rowsOf = (rows: Row[]) => Int32Array.from(rows, ({ row }) => row);
    const [logitRows, hiddenRows] = [rowsOf(wanted.logits), rowsOf(wanted.hidden)];
    const result = await this.#executor.step({ ids, segments, logitRows, hiddenRows, trace: onTrace !== undefined });
    scatter(result.logits, wanted.logits, this.#config.vocab_size);
    scatter(result.hidden, wanted.hidden, this.#config.hidden_size);
    for (const [name, tensor] of result.trace) onTrace?.(name, tensor);
    for (const { item, from, to } of pieces) work[item]!.cache.commit(work[item]!.ids.slice(from, to));
  }
}

/** Where a row goes that somebody asked for: row `row` of the step's tokens becomes row `index` of `target`. */
interface Row {
  readonly row: number;
  readonly target: Float32Array;
  readonly index: number;
}

function scatter(values: Float32Array, rows: readonly Row[], width: number): void {
  for (const [i, { target, index }] of rows.entries()) target.set(values.subarray(i * width, (i + 1) * width), index * width);
}

function wantedRows(
  work: readonly Work[],
  pieces: readonly Piece[],
  results: readonly WorkResult[],
): { logits: Row[]; hidden: Row[] } {
  const wanted: { logits: Row[]; hidden: Row[] } = { logits: [], hidden: [] };
  let row = 0;
  for (const { item, from, to } of pieces)
    for (let token = from; token < to; token++, row++) {
      const { ids, logits } = work[item]!;
      const result = results[item]!;
      if (result.hidden) wanted.hidden.push({ row, target: result.hidden, index: token });
      if (!result.logits) continue;
      if (logits === "all") wanted.logits.push({ row, target: result.logits, index: token });
      else if (token === ids.length - 1) wanted.logits.push({ row, target: result.logits, index: 0 });
    }
  return wanted;
}

/** Fills steps with the work in order; a sequence that does not fit goes on in the next step. */
function* cut(work: readonly Work[], maxTokens: number): Generator<Piece[]> {
  let pieces: Piece[] = [];
  let room = maxTokens;
  for (const [item, { ids }] of work.entries())
    for (let from = 0; from < ids.length; ) {
      const to = Math.min(ids.length, from + room);
      pieces.push({ item, from, to });
      room -= to - from;
      from = to;
      if (room === 0) {
        yield pieces;
        pieces = [];
        room = maxTokens;
      }
    }
  if (pieces.length > 0) yield pieces;
}
