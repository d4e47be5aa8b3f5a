/**
 * What computes steps: the weights, the KV store and the forward pass, behind one asynchronous call. `LocalExecutor` computes where it
 * is called.
 */
import type { Backend, KvStore, KvType, Segment, Tensor } from "../backend/backend.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { ModelConfig } from "../formats/config.ts";
import { hiddenStates, logits, type Step } from "../model/qwen3.ts";
import { type RopeTable, ropeTable } from "../model/rope.ts";
import { TraceRecorder, type TraceTensor } from "../model/trace.ts";
import type { Qwen3Weights } from "../model/weights.ts";
import { LOGIT_ROWS, maximaOfRow } from "./plan.ts";

/** A sequence's share of a step, in the executor's own store. */
export type StepSegment = Omit<Segment, "store">;

/** One run of the forward pass. */
export interface StepRequest {
  /** The new tokens, segment after segment. */
  readonly ids: Int32Array;
  readonly segments: readonly StepSegment[];
  /** Of which tokens the logits are wanted, and of which the last hidden state: indices into `ids`. */
  readonly logitRows: Int32Array;
  readonly hiddenRows: Int32Array;
  /** Whether to copy every stage. */
  readonly trace: boolean;
}

export interface StepResult {
  /** [logitRows.length, vocab_size]; of a team good until the next step. */
  readonly logits: Float32Array;
  /** `Backend.blockMaxima` of the logits, with which a sampler is faster; of no length where they are not worth it. Good as long. */
  readonly maxima: Float32Array;
  readonly hidden: Float32Array; // [hiddenRows.length, hidden_size], after the final norm
  readonly trace: readonly [name: string, tensor: TraceTensor][];
}

export interface Executor {
  /** For the pool that shares pages out among sequences. */
  readonly store: KvStore;
  /** One line about what computes, for people. */
  readonly description: string;
  /** Bytes now held for weights, caches and activations. */
  readonly bytesInUse: number;
  /** Steps are computed one after the other, in the order of the calls. */
  step(request: StepRequest): Promise<StepResult>;
  close(): Promise<void> | void;
}

export class LocalExecutor implements Executor {
  readonly store: KvStore;
  /** @internal */
  readonly backend: Backend;
  readonly #config: ModelConfig;
  readonly #weights: Qwen3Weights;
  readonly #rope: RopeTable;
  readonly #results: Float32Array | undefined;

  /**
   * @param pages how many pages of the cache there will be at most, where it is known
   * @param results memory for logits, anew at each step: a new array of half a megabyte for every token has the collector at work all the time
   */
  constructor(
    backend: Backend,
    config: ModelConfig,
    weights: Qwen3Weights,
    type: KvType,
    pages?: number,
    results?: Float32Array,
  ) {
    const { num_hidden_layers: layers, num_key_value_heads: kvHeads, head_dim: headDim } = config;
    this.store = backend.createKvStore({ layers, kvHeads, headDim, type }, pages);
    this.backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#rope = ropeTable(config.rope, headDim);
    this.#results = results;
  }

  get description(): string {
    return this.backend.description;
  }

  get bytesInUse(): number {
    return this.backend.bytesInUse;
  }

  async step({ ids, segments, logitRows, hiddenRows, trace }: StepRequest): Promise<StepResult> {
    const b = this.backend;
    const recorder = trace ? new TraceRecorder(b) : undefined;
    const { vocab_size } = this.#config;
    const oneBlock = logitRows.length <= LOGIT_ROWS;
    const size = logitRows.length * vocab_size;
    const sizeOfAll = size + logitRows.length * maximaOfRow(vocab_size);
    const room = oneBlock && this.#results && sizeOfAll <= this.#results.length ? this.#results : undefined;
    const result: { logits: Float32Array; maxima: Float32Array; hidden: Float32Array } = {
      logits: allocate(oneBlock ? 0 : logitRows.length, vocab_size),
      maxima: new Float32Array(),
      hidden: new Float32Array(),
    };
    const reads: Promise<void>[] = [];
    b.scope(() => {
      const { cos, sin } = this.#rope.fill(positionsOf(segments));
      const shape = [ids.length, this.#config.head_dim / 2];
      const step: Step = {
        backend: b,
        config: this.#config,
        ids,
        segments: segments.map((segment) => ({ ...segment, store: this.store })),
        cos: b.input(cos, shape),
        sin: b.input(sin, shape),
        ...(recorder && { observe: recorder.observe }),
      };
      const hidden = hiddenStates(this.#weights, step);
      if (hiddenRows.length > 0) reads.push(this.#read(b.rows(hidden, hiddenRows), (values) => (result.hidden = values)));
      // A block of rows at a time, so that logits never take more than a block's memory beside the result.
      for (let at = 0; at < logitRows.length; at += LOGIT_ROWS)
        b.scope(() => {
          const rows = b.rows(hidden, logitRows.subarray(at, at + LOGIT_ROWS));
          const block = logits(this.#weights, rows, step);
          reads.push(
            this.#read(
              block,
              (values) => {
                if (oneBlock) result.logits = values;
                else result.logits.set(values, at * vocab_size);
              },
              room?.subarray(0, size),
            ),
          );
          if (oneBlock && maximaOfRow(vocab_size) > 0)
            reads.push(this.#read(b.blockMaxima(block), (values) => (result.maxima = values), room?.subarray(size, sizeOfAll)));
          return undefined;
        });
      return undefined;
    });
    await Promise.all(reads);
    return { ...result, trace: (await recorder?.take()) ?? [] };
  }

  close(): void {
    this.backend.close();
  }

  async #read(tensor: Tensor, take: (values: Float32Array) => void, into?: Float32Array): Promise<void> {
    take(await this.backend.read(tensor, into));
  }
}

/** The absolute position of every token of a step. */
function positionsOf(segments: readonly StepSegment[]): Int32Array {
  return Int32Array.from(
    segments.flatMap(({ start, length, tokens }) => Array.from({ length: tokens }, (_, i) => start + length + i)),
  );
}

/** Room for results. Errors: MEMORY_FULL. */
export function allocate(rows: number, width: number): Float32Array {
  try {
    return new Float32Array(rows * width);
  } catch (cause) {
    throw new Qwen3Error("MEMORY_FULL", `no room for results of [${rows}, ${width}] f32; ask for fewer at once`, { cause });
  }
}
