/**
 * Who takes part in the next step, with how many tokens. Whoever has a single token to compute comes first, so that a long prompt never
 * keeps an answer waiting; prompts fill what is left of the step, first come, first served; guesses take places that nobody else wants.
 *
 * A sequence starts when there are pages for all its tokens. When pages run out, the youngest gives up its own: it waits and is computed
 * again later, with the same result. One whose reader is behind is the first to go, whatever its age.
 */
import { kvPageBytes, PAGE_TOKENS } from "../backend/backend.ts";
import type { KvPool } from "../backend/kv-pages.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { EngineSequence, FinishReason } from "./engine-sequence.ts";
import type { Piece } from "./step.ts";

export interface ScheduleLimits {
  /** Tokens in a step. */
  readonly maxBatchedTokens: number;
  /** Sequences that hold pages at once. */
  readonly maxSequences: number;
}

export interface Share extends Piece {
  readonly sequence: EngineSequence;
  /** Of `ids`, those at the end that are guesses. */
  readonly draft: readonly number[];
}

export class Schedule {
  readonly #pool: KvPool;
  readonly #limits: ScheduleLimits;
  /** By age, the oldest first. */
  readonly #sequences = new Map<number, EngineSequence>();
  #served = 0;

  constructor(pool: KvPool, limits: ScheduleLimits) {
    this.#pool = pool;
    this.#limits = limits;
  }

  /** Errors: MEMORY_FULL for one that would not fit if it were alone. */
  add(sequence: EngineSequence): void {
    const { promptIds, maxNewTokens } = sequence.request;
    const tokens = promptIds.length + maxNewTokens - 1; // the last one is not fed back
    const pageBytes = kvPageBytes(this.#pool.store.shape);
    const bytes = Math.ceil(tokens / PAGE_TOKENS) * pageBytes;
    if (bytes > this.#pool.limitBytes)
      throw new Qwen3Error(
        "MEMORY_FULL",
        `a request of ${promptIds.length} prompt tokens and up to ${maxNewTokens} new ones takes ${bytes} bytes of KV cache; ` +
          `all caches may hold ${this.#pool.limitBytes} bytes`,
      );
    this.#sequences.set(sequence.id, sequence);
  }

  get(id: number): EngineSequence | undefined {
    return this.#sequences.get(id);
  }

  all(): EngineSequence[] {
    return [...this.#sequences.values()];
  }

  /** Lets go of a sequence and its pages. */
  end(sequence: EngineSequence, reason: FinishReason, failure?: { readonly error: unknown }): void {
    if (!this.#sequences.delete(sequence.id)) return;
    sequence.finishReason = reason;
    sequence.failure = failure;
    sequence.running = false;
    if (!sequence.request.cache) sequence.cache.close();
  }

  /** The next step, with its pages reserved; empty where nobody is ready. */
  plan(): Share[] {
    for (;;) {
      const before = this.#sequences.size;
      const shares = this.#share();
      if (shares.length > 0 || this.#sequences.size === before) return shares;
      // Who failed for want of pages may have left some.
    }
  }

  #share(): Share[] {
    this.#start();
    const { maxBatchedTokens } = this.#limits;
    const ready = this.all().filter((s) => s.running && s.ready);
    const single = ready.filter((s) => s.pending === 1).sort((a, b) => a.served - b.served || a.id - b.id);
    const tokens = new Map<EngineSequence, number>();
    for (const s of single) {
      if (tokens.size === maxBatchedTokens) break;
      if (s.running && this.#grow(s, tokens)) tokens.set(s, 1);
    }
    let left = maxBatchedTokens - tokens.size;
    for (const s of ready) {
      if (!s.running || s.pending === 1 || left === 0) continue;
      const count = Math.min(s.pending, left);
      if (!this.#reserve(s, count)) continue; // its cache was closed: pages it has
      tokens.set(s, count);
      left -= count;
    }
    return [...tokens].map(([s, count]) => {
      const draft = count === s.pending && count === 1 ? this.#draft(s, left) : [];
      left -= draft.length;
      s.served = ++this.#served;
      const logits = count === s.pending ? 1 + draft.length : 0;
      return { sequence: s, cache: s.cache, ids: [...s.next(count), ...draft], draft, logits };
    });
  }

  /** Gives waiting sequences their pages, in the order of age, until one has to wait. */
  #start(): void {
    for (const s of this.all()) {
      if (s.running || !s.ready) continue;
      while (this.#running().length >= this.#limits.maxSequences) if (!this.#dropIdle(s)) return;
      while (!s.running && !s.finishReason) {
        if (this.#reserve(s, s.pending)) s.running = true;
        else if (!s.finishReason && !this.#dropIdle(s)) return;
      }
    }
  }

  /** Makes room for one more token, at the expense of younger sequences if need be. False where it has to wait, or failed. */
  #grow(s: EngineSequence, planned: Map<EngineSequence, number>): boolean {
    while (!this.#reserve(s, 1)) {
      if (s.finishReason) return false;
      if (this.#dropIdle(s)) continue;
      const youngest = this.#running().at(-1)!;
      if (youngest === s) return false;
      this.#drop(youngest);
      planned.delete(youngest);
    }
    return true;
  }

  /** False where pages are short. Where nobody else could give any up, or for another reason, the sequence ends with the error. */
  #reserve(s: EngineSequence, tokens: number): boolean {
    try {
      s.cache.kv.reserve(tokens);
      return true;
    } catch (error) {
      const alone = this.#running().every((other) => other === s);
      if (alone || !(error instanceof Qwen3Error && error.code === "MEMORY_FULL")) this.end(s, "abort", { error });
      return false;
    }
  }

  /** As many guesses as there are places and pages for, which nobody else has to give up. */
  #draft(s: EngineSequence, most: number): readonly number[] {
    const draft = s.draft(most);
    try {
      s.cache.kv.reserve(1 + draft.length);
      return draft;
    } catch {
      return [];
    }
  }

  #running(): EngineSequence[] {
    return this.all().filter((s) => s.running);
  }

  /** Takes the pages of the youngest other sequence whose reader is behind. False where there is none. */
  #dropIdle(asker: EngineSequence): boolean {
    const idle = this.#running().findLast((s) => s !== asker && !s.ready);
    if (idle) this.#drop(idle);
    return idle !== undefined;
  }

  /** Back to waiting, without pages. */
  #drop(sequence: EngineSequence): void {
    sequence.running = false;
    try {
      sequence.cache.rewind(0);
    } catch (error) {
      this.end(sequence, "abort", { error }); // its cache was closed
    }
  }
}
