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
import type { EngineRequest, SequenceState } from "./engine-request.ts";
import { EngineSequence } from "./engine-sequence.ts";
import type { EngineStatistics } from "./engine-statistics.ts";
import type { Executor } from "./executor.ts";
import { LogitRows } from "./logit-rows.ts";
import { PrefixCache } from "./prefix-cache.ts";
import { Schedule, type ScheduleLimits, type Share } from "./schedule.ts";
import { SequenceCache } from "./sequence-cache.ts";
import { computeStep, StepQueue } from "./step.ts";
import { StepBudget } from "./step-budget.ts";

export interface EngineOptions extends ScheduleLimits {
  readonly vocabSize: number;
  /** Keeps pages of requests that have ended, for others that begin with the same tokens. Default true. */
  readonly prefixCache?: boolean | undefined;
  /** What a step should take at most while answers are under way. Default 250. */
  readonly stepMs?: number | undefined;
  /** A clock that never goes back, in milliseconds. Default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

export class Engine {
  readonly #executor: Executor;
  readonly #pool: KvPool;
  readonly #vocabSize: number;
  readonly #schedule: Schedule;
  readonly #budget: StepBudget;
  readonly #queue: StepQueue;
  readonly #now: () => number;
  readonly #breathe = breather();
  /** One for all: tokens are sampled one after the other. */
  readonly #samplerRoom = { scratch: new Float32Array() };
  readonly #done = { computedTokens: 0, generatedTokens: 0, steps: 0, lastStepMs: 0 };
  #lastStepAt = Number.NEGATIVE_INFINITY;
  #added = 0;
  #closed: Qwen3Error | undefined;
  /** The step under way. */
  #step: Promise<boolean> | undefined;

  /** @param queue shared with whatever else computes steps or takes pages */
  constructor(executor: Executor, pool: KvPool, options: EngineOptions, queue = new StepQueue()) {
    const { prefixCache = true, stepMs = 250, now = () => performance.now() } = options;
    this.#executor = executor;
    this.#pool = pool;
    this.#vocabSize = options.vocabSize;
    this.#budget = new StepBudget(options.maxBatchedTokens, stepMs);
    this.#schedule = new Schedule(pool, options, this.#budget, prefixCache ? new PrefixCache(pool) : undefined);
    this.#queue = queue;
    this.#now = now;
  }

  /** Puts a request in line. Errors: MEMORY_FULL for one that can never fit, QUEUE_FULL, ARGUMENT, CLOSED. */
  add(request: EngineRequest): SequenceState {
    if (this.#closed) throw this.#closed;
    const newCache = () => new SequenceCache(new KvCache(this.#pool));
    const memory = new SamplerMemory(this.#samplerRoom);
    const sequence = new EngineSequence(this.#added + 1, request, newCache, memory, this.#vocabSize, this.#now());
    this.#schedule.add(sequence);
    this.#added++;
    return sequence;
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

  get statistics(): EngineStatistics {
    const all = this.#schedule.all();
    const running = all.filter((sequence) => sequence.running).length;
    const oldest = all.find((sequence) => sequence.ready);
    const { usedPages, keptPages, pagesLeft } = this.#pool;
    const { promptTokens, cachedTokens, preemptions } = this.#schedule;
    return {
      waiting: all.length - running,
      running,
      usedPages,
      keptPages,
      mostPages: usedPages + pagesLeft,
      promptTokens,
      cachedTokens,
      ...this.#done,
      preemptions,
      stepBudget: this.#budget.tokens,
      stalledMs: oldest ? this.#now() - Math.max(oldest.addedAt, this.#lastStepAt) : 0,
    };
  }

  /** Ends all requests with CLOSED. */
  close(): void {
    this.#closed = new Qwen3Error("CLOSED", "the engine was closed");
    this.#endAll(this.#closed);
  }

  async #compute(): Promise<boolean> {
    const shares = this.#schedule.plan();
    if (shares.length === 0) return false;
    const begun = this.#now();
    try {
      const { logits, maxima } = await computeStep(this.#executor, shares);
      this.#measure(shares, begun);
      const rows = new LogitRows(logits, maxima, this.#vocabSize);
      let at = 0;
      for (const share of shares) {
        this.#read(share, rows.slice(at, at + share.logits));
        at += share.logits;
      }
    } catch (error) {
      this.#endAll(error);
    }
    await this.#breathe();
    return true;
  }

  #measure(shares: readonly Share[], begun: number): void {
    this.#lastStepAt = this.#now();
    const ms = this.#lastStepAt - begun;
    const tokens = shares.reduce((sum, { ids }) => sum + ids.length, 0);
    this.#budget.measured(tokens, ms);
    this.#done.steps++;
    this.#done.computedTokens += tokens;
    this.#done.lastStepMs = ms;
  }

  #read({ sequence, ids, draft }: Share, rows: LogitRows): void {
    let followers: EngineSequence[] = [];
    this.#attempt(sequence, () => {
      followers = this.#schedule.computed(sequence, ids.slice(0, ids.length - draft.length));
      sequence.read(rows, draft);
    });
    const end = rows.count - draft.length; // of what follows the prompt; guesses are the leader's own
    for (const other of followers) this.#attempt(other, () => other.read(rows.slice(end - 1, end), []));
  }

  /** What reading the logits of one sequence throws ends that one. */
  #attempt(sequence: EngineSequence, read: () => void): void {
    if (sequence.finishReason) return; // cancelled meanwhile
    const before = sequence.generatedIds.length;
    try {
      read();
      if (sequence.finishReason) this.#schedule.end(sequence, sequence.finishReason);
    } catch (error) {
      this.#schedule.end(sequence, "abort", { error });
    }
    this.#done.generatedTokens += sequence.generatedIds.length - before;
  }

  #endAll(error: unknown): void {
    for (const sequence of this.#schedule.all()) this.#schedule.end(sequence, "abort", { error });
  }
}
