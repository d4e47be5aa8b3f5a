/** An executor on several threads: each computes its share of every step in memory of its own, and the caller's thread only waits. */
import type { Checkpoint } from "../formats/checkpoint.ts";
import type { LoadOptions } from "../model/weights.ts";
import type { Executor, StepRequest, StepResult } from "./executor.ts";
import { maximaOfRow } from "./plan.ts";
import { ServedWeights } from "./served-weights.ts";
import { type OpenRequest, reportOf } from "./team-messages.ts";
import { TeamKvStore } from "./team-store.ts";
import { TeamThreads } from "./team-threads.ts";
import type { StartThread } from "./threads.ts";

type ForEveryThread = Pick<OpenRequest, "count" | "patient" | "kernels" | "limits" | "planned" | "kvCache" | "mostPages">;

/** Rows of logits that the threads' common memory has room for; those of more are sent. */
const RESULT_ROWS = 16;

export interface TeamOptions extends ForEveryThread, LoadOptions {
  readonly start: StartThread;
}

export class TeamExecutor implements Executor {
  readonly description: string;
  readonly store: TeamKvStore;
  readonly #threads: TeamThreads;

  private constructor(threads: TeamThreads, description: string, store: TeamKvStore) {
    this.#threads = threads;
    this.description = description;
    this.store = store;
  }

  /** Starts the threads and has each load its share. Errors: those of loading, BACKEND_LOST, the signal's reason. */
  static async open(checkpoint: Checkpoint, options: TeamOptions): Promise<TeamExecutor> {
    const { count, start, signal, kvCache } = options;
    signal?.throwIfAborted();
    const weights = new ServedWeights(checkpoint, options);
    const { vocab_size } = checkpoint.config;
    const resultBytes = 4 * RESULT_ROWS * (vocab_size + maximaOfRow(vocab_size));
    const threads: TeamThreads = new TeamThreads(start, count, resultBytes, async ({ id, ...wanted }, index) => {
      try {
        const bytes = await weights.rows(wanted, index);
        threads.tell(index, { kind: "rows", id, bytes }, [bytes.buffer as ArrayBuffer]);
      } catch (error) {
        threads.tell(index, { kind: "rows", id, error: reportOf(error) });
      }
    });
    const abort = () => void threads.close();
    signal?.addEventListener("abort", abort);
    try {
      const description = await threads.ask<string>((index) => openRequest(checkpoint, options, threads, index));
      const { num_hidden_layers: layers, num_key_value_heads: kvHeads, head_dim: headDim } = checkpoint.config;
      const store = new TeamKvStore(threads, { layers, kvHeads, headDim, type: kvCache });
      return new TeamExecutor(threads, description, store);
    } catch (error) {
      await threads.close();
      signal?.throwIfAborted();
      throw weights.failure?.error ?? error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  get bytesInUse(): number {
    return this.#threads.bytesInUse;
  }

  step(step: StepRequest): Promise<StepResult> {
    const { pages } = this.store;
    return this.#threads.ask(() => ({ kind: "step", step, pages }));
  }

  close(): Promise<void> {
    return this.#threads.close();
  }
}

function openRequest(checkpoint: Checkpoint, options: TeamOptions, { memory, results }: TeamThreads, index: number): OpenRequest {
  const { count, patient, kernels, limits, planned, kvCache, mostPages, weights, activations } = options;
  const { name, config, tensorBytes } = checkpoint;
  const tensors = Array.from(checkpoint.tensors.values(), ({ name, encoding, shape, byteLength }) => ({
    name,
    encoding,
    shape,
    byteLength,
  }));
  return {
    kind: "open",
    ...{ index, count, memory, results, patient, kernels, limits, planned, kvCache, mostPages },
    checkpoint: { name, config, tensorBytes, tensors },
    weights: { weights, activations },
  };
}
