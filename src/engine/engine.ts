/**
 * Continuous batching: any number of requests share the steps of one executor, each with the result it would have alone.
 *
 *     const state = engine.add({ promptIds, maxNewTokens, sampling, stopIds, onToken });
 *     while (state.finishReason === undefined) await engine.step();
 *
 * Steps are computed when somebody asks for one, so a request moves as long as anybody waits for theirs.
 */
import { KvCache, type KvPool } from "../backend/kv-pages.ts";
import { Qwen3Error } from "../core/errors.ts";
import { breather } from "../core/turn.ts";
import { SamplerMemory } from "../sampler/memory.ts";
import { type EngineRequest, EngineSequence, type SequenceState } from "./engine-sequence.ts";
import type { Executor } from "./executor.ts";
import { Schedule, type ScheduleLimits } from "./schedule.ts";
import { SequenceCache } from "./sequence-cache.ts";
import { computeStep, StepQueue } from "./step.ts";

export interface EngineOptions extends ScheduleLimits {
  readonly vocabSize: number;
}

export class Engine {
  readonly #executor: Executor;
  readonly #pool: KvPool;
  readonly #vocabSize: number;
  readonly #schedule: Schedule;
  readonly #queue: StepQueue;
  readonly #breathe = breather();
  /** One for all: tokens are sampled one after the other. */
  readonly #samplerRoom = { scratch: new Float32Array() };
  #added = 0;
  #closed: Qwen3Error | undefined;
  /** The step under way. */
  #step: Promise<boolean> | undefined;

  /** @param queue shared with whatever else computes steps or takes pages */
  constructor(executor: Executor, pool: KvPool, options: EngineOptions, queue = new StepQueue()) {
    this.#executor = executor;
    this.#pool = pool;
    this.#vocabSize = options.vocabSize;
    this.#schedule = new Schedule(pool, options);
    this.#queue = queue;
  }

  /** Puts a request in line. Errors: MEMORY_FULL for one that can never fit, ARGUMENT, CLOSED. */
  add(request: EngineRequest): SequenceState {
    if (this.#closed) throw this.#closed;
    const newCache = () => new SequenceCache(new KvCache(this.#pool));
    const memory = new SamplerMemory(this.#samplerRoom);
    const sequence = new EngineSequence(this.#added + 1, request, newCache, memory, this.#vocabSize);
    this.#schedule.add(sequence);
    this.#added++;
    return sequence;
  }

  /** Requests that have no pages at this moment, and those that have. */
  get counts(): { readonly waiting: number; readonly running: number } {
    const all = this.#schedule.all();
    const running = all.filter((sequence) => sequence.running).length;
    return { waiting: all.length - running, running };
  }

  /** Ends a request at once, if it has not ended: its pages are free, and no token of it comes any more. */
  cancel(id: number): void {
    const sequence = this.#schedule.get(id);
    if (sequence) this.#schedule.end(sequence, "abort");
  }

  /**
   * Computes one step for everybody who is ready; a call while one is under way waits for that one. It never rejects: what fails ends
   * the requests concerned (`failure`), or all, where the executor fails.
   *
   * @returns whether there was anything to compute
   */
  step(): Promise<boolean> {
    this.#step ??= this.#queue
      .run(() => this.#compute())
      .finally(() => {
        this.#step = undefined;
      });
    return this.#step;
  }

  /** Ends all requests with CLOSED. */
  close(): void {
    this.#closed = new Qwen3Error("CLOSED", "the engine was closed");
    this.#endAll(this.#closed);
  }

  async #compute(): Promise<boolean> {
    const shares = this.#schedule.plan();
    if (shares.length === 0) return false;
    try {
      const { logits } = await computeStep(this.#executor, shares);
      let at = 0;
      for (const { sequence, ids, draft, logits: rows } of shares) {
        const own = logits.subarray(at, at + rows * this.#vocabSize);
        at += own.length;
        if (sequence.finishReason) continue; // cancelled meanwhile
        try {
          sequence.advance(ids.slice(0, ids.length - draft.length), draft, own);
          if (sequence.finishReason) this.#schedule.end(sequence, sequence.finishReason);
        } catch (error) {
          this.#schedule.end(sequence, "abort", { error });
        }
      }
    } catch (error) {
      this.#endAll(error);
    }
    await this.#breathe();
    return true;
  }

  #endAll(error: unknown): void {
    for (const sequence of this.#schedule.all()) this.#schedule.end(sequence, "abort", { error });
  }
}
