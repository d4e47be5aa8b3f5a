/**
 * Who takes part in the next step, with how many tokens. Answers under way come first, those that waited longest before the others;
 * prompts fill what is left, first come, first served, and while there are answers no more than the step budget, so that a long prompt
 * never keeps an answer waiting; guesses take places that nobody else wants.
 *
 * A sequence starts when there are pages for all its tokens. When pages run out, the youngest gives up its own: it waits and is computed
 * again later, with the same result. One whose reader is behind is the first to go, whatever its age.
 */
import { kvPageBytes, PAGE_TOKENS } from "../backend/backend.ts";
import type { KvPool } from "../backend/kv-pages.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { FinishReason } from "./engine-request.ts";
import type { EngineSequence } from "./engine-sequence.ts";
import { LOGIT_ROWS } from "./plan.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import { SharedPrompts } from "./shared-prompts.ts";
import type { Piece } from "./step.ts";
import type { StepBudget } from "./step-budget.ts";

export interface ScheduleLimits {
  /** Tokens in a step. */
  readonly maxBatchedTokens: number;
  /** Sequences that hold pages at once. */
  readonly maxSequences: number;
  /** Beside those, sequences that wait; more are refused. Default: any number. */
  readonly maxWaiting?: number | undefined;
}

export interface Share extends Piece {
  readonly sequence: EngineSequence;
  /** Of `ids`, those at the end that are guesses. */
  readonly draft: readonly number[];
}

/** A step as it is put together: how many tokens of whom. */
interface Plan {
  readonly counts: Map<EngineSequence, number>;
  left: number;
}

export class Schedule {
  readonly #pool: KvPool;
  readonly #limits: ScheduleLimits;
  readonly #budget: StepBudget;
  readonly #prefix: PrefixCache | undefined;
  readonly #prompts = new SharedPrompts();
  /** By age, the oldest first. */
  readonly #sequences = new Map<number, EngineSequence>();
  #served = 0;
  /** How often a sequence had to give up its pages. */
  preemptions = 0;
  /** Prompt tokens of sequences that have started, and those of them that were found in the prefix cache. */
  promptTokens = 0;
  cachedTokens = 0;

  /** @param prefix where pages of earlier sequences are found, if they are kept */
  constructor(pool: KvPool, limits: ScheduleLimits, budget: StepBudget, prefix: PrefixCache | undefined) {
    this.#pool = pool;
    this.#limits = limits;
    this.#budget = budget;
    this.#prefix = prefix;
  }

  /** Errors: MEMORY_FULL for one that would not fit if it were alone, QUEUE_FULL where too many wait. */
  add(sequence: EngineSequence): void {
    const { maxSequences, maxWaiting = Number.POSITIVE_INFINITY } = this.#limits;
    if (this.#sequences.size >= maxSequences + maxWaiting)
      throw new Qwen3Error(
        "QUEUE_FULL",
        `${this.#sequences.size} requests run or wait already; allowed are ${maxSequences} that run and ${maxWaiting} that wait`,
      );
    const { promptIds, maxNewTokens, cache } = sequence.request;
    const tokens = promptIds.length + Math.max(0, maxNewTokens - 1); // the last one is not fed back
    const pageBytes = kvPageBytes(this.#pool.store.shape);
    const bytes = Math.ceil(tokens / PAGE_TOKENS) * pageBytes;
    if (bytes > this.#pool.limitBytes)
      throw new Qwen3Error(
        "MEMORY_FULL",
        `a request of ${promptIds.length} prompt tokens and up to ${maxNewTokens} new ones takes ${bytes} bytes of KV cache; ` +
          `all caches may hold ${this.#pool.limitBytes} bytes`,
      );
    this.#sequences.set(sequence.id, sequence);
    this.#prompts.add(sequence);
    if (!cache) sequence.path = this.#prefix?.path(sequence.cache);
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
    this.#prompts.delete(sequence);
    if (sequence.request.cache) return;
    if (sequence.path) this.#prefix!.leave(sequence.path);
    sequence.cache.close();
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

  /** Takes note that a step has computed the next tokens of a sequence. @returns those that go on with its prompt and its logits now */
  computed(s: EngineSequence, ids: readonly number[]): EngineSequence[] {
    s.cache.commit(ids);
    s.grown("computed");
    if (s.path) this.#prefix!.keep(s.path);
    if (s.pending > 0 || s.generatedIds.length > 0) return [];
    const group = [...(this.#prompts.of(s) ?? [])];
    for (const other of group) this.#prompts.delete(other);
    const first = this.all().find((other) => !other.running && other.ready && !group.includes(other));
    // Nobody goes on past an older one that waits; who has begun on its own may be in this very step.
    const waits = (other: EngineSequence) => !other.running && other.ready && (!first || other.id < first.id);
    return group.filter((other) => other !== s && waits(other) && this.#follow(other, s));
  }

  /** Goes on with a copy of the cache of another, which has the same prompt. False where there is no place. */
  #follow(s: EngineSequence, leader: EngineSequence): boolean {
    if (this.#running().length >= this.#limits.maxSequences) return false;
    if (s.path) this.#prefix!.leave(s.path);
    s.cache.close();
    s.cache = leader.cache.fork();
    s.path = this.#prefix?.path(s.cache, leader.path);
    this.#started(s);
    return true;
  }

  #share(): Share[] {
    this.#start();
    const plan: Plan = { counts: new Map(), left: this.#limits.maxBatchedTokens };
    const running = this.#running();
    const ready = running.filter((s) => s.ready);
    for (const s of ready.filter(isAnswer).sort((a, b) => a.served - b.served || a.id - b.id)) {
      if (plan.left === 0) break;
      const count = Math.min(s.pending, PAGE_TOKENS, plan.left);
      if (!s.running || !this.#grow(s, count, plan)) continue;
      plan.counts.set(s, count);
      plan.left -= count;
    }
    // Also where all readers of answers are just taking what the last step gave them.
    const room = running.some(isAnswer) ? this.#budget.tokens - (this.#limits.maxBatchedTokens - plan.left) : plan.left;
    plan.left = this.#prompt(ready, plan, Math.min(plan.left, Math.max(room, PAGE_TOKENS)));
    return [...plan.counts].map(([s, count]) => {
      const draft = isAnswer(s) && count === s.pending ? this.#draft(s, count, plan.left) : [];
      plan.left -= draft.length;
      s.served = ++this.#served;
      return { sequence: s, cache: s.cache, ids: [...s.next(count), ...draft], draft, logits: s.logitsOf(count) + draft.length };
    });
  }

  /** Plans prompts, at most `room` tokens of them. @returns what is left for guesses */
  #prompt(ready: readonly EngineSequence[], plan: Plan, room: number): number {
    let left = room;
    for (const s of ready) {
      if (!s.running || isAnswer(s) || left === 0) continue;
      this.#adopt(s); // others may have computed what comes next meanwhile
      this.#found(s);
      const count = Math.min(s.pending, left, s.scores ? LOGIT_ROWS : left);
      if (!this.#reserve(s, count)) continue; // its cache was closed: pages it has
      plan.counts.set(s, count);
      left -= count;
    }
    return left === room ? plan.left : left;
  }

  /** Gives waiting sequences their pages, in the order of age, until one has to wait. */
  #start(): void {
    const prompts = new Set<unknown>();
    for (const s of this.all()) {
      if (!s.ready) continue;
      const group = this.#prompts.of(s);
      const follows = group !== undefined && prompts.has(group);
      prompts.add(group);
      if (s.running || follows) continue;
      while (this.#running().length >= this.#limits.maxSequences) if (!this.#dropIdle(s)) return;
      while (!s.running && !s.finishReason) {
        this.#adopt(s);
        if (this.#reserve(s, s.pending)) {
          if (s.path && !s.scores) this.#prefix!.copy(s.path, s.next(Math.min(s.pending - 1, PAGE_TOKENS)));
          this.#started(s);
        } else if (!s.finishReason) {
          this.#empty(s);
          if (!this.#dropIdle(s)) return;
        }
      }
    }
  }

  #started(s: EngineSequence): void {
    s.running = true;
    if (s.path && !s.started) this.promptTokens += s.request.promptIds.length;
    s.started = true;
    this.#found(s);
  }

  /** Goes on with pages that hold what comes next, but for the last token: its logits are wanted. */
  #adopt(s: EngineSequence): void {
    if (!s.path || s.scores) return;
    this.#prefix!.adopt(s.path, (count) => s.next(Math.min(count, s.pending - 1)));
  }

  #found(s: EngineSequence): void {
    const before = s.cachedTokens;
    s.grown("found");
    this.cachedTokens += s.cachedTokens - before;
  }

  /** Makes room for more tokens, at the expense of younger sequences if need be. False where it has to wait, or failed. */
  #grow(s: EngineSequence, count: number, plan: Plan): boolean {
    while (!this.#reserve(s, count)) {
      if (s.finishReason) return false;
      if (this.#dropIdle(s)) continue;
      const youngest = this.#running().at(-1)!;
      if (youngest === s) return false;
      this.#drop(youngest);
      plan.left += plan.counts.get(youngest) ?? 0;
      plan.counts.delete(youngest);
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
  #draft(s: EngineSequence, count: number, most: number): readonly number[] {
    const draft = s.draft(most);
    try {
      s.cache.kv.reserve(count + draft.length);
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
    this.preemptions++;
    try {
      this.#empty(sequence);
    } catch (error) {
      this.end(sequence, "abort", { error }); // its cache was closed
    }
  }

  #empty(s: EngineSequence): void {
    if (s.path) this.#prefix!.leave(s.path);
    s.cache.rewind(0);
  }
}

/** Whether it is being answered: all that is left to compute is what was drawn last, or forced behind it. Or the end of a prompt. */
function isAnswer(s: EngineSequence): boolean {
  return s.pending === 1 || (s.cache.length >= s.request.promptIds.length && s.generatedIds.length > 0);
}
