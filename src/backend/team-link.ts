/**
 * What the threads of a team have in common while they compute: a small shared memory to show each other values in, and a barrier.
 *
 *   words    [ARRIVED, SLEEPERS, FAILED], each in a cache line of its own
 *   rooms    2 of `count` slots of `slot` f32 values: one is read while the other is written, so that a barrier between
 *            writing and reading is enough
 */
import { Qwen3Error } from "../core/errors.ts";

/** One thread's place in a team. */
export interface TeamLink {
  readonly index: number;
  readonly count: number;
  /** f32 values that each thread can show at once. */
  readonly slot: number;
  /** Where all threads show values before the next `meet`, and read them after it: [count, slot]. */
  room(): Float32Array;
  /** Returns when all threads have called it. @throws BACKEND_LOST once a thread has failed */
  meet(): void;
}

const WORDS_APART = 64; // 256 bytes: neighbouring cache lines are fetched in pairs
const ARRIVED = 0; //          how often threads have come to a barrier
const SLEEPERS = WORDS_APART; // how many of them do not look by themselves
const FAILED = 2 * WORDS_APART;
const WORDS = 3 * WORDS_APART;
const ROOM_BYTES = 4 * 1024 * 1024; // a step of 64 tokens of the 4B model is gathered at once; what smaller ones do not use is never touched

/**
 * Looks, of some 7 ns each, before a thread goes to sleep. On a virtual machine waking it up can take half a millisecond, in which the
 * others come to the next barrier and would fall asleep in turn: nobody sleeps before waits are much longer than that.
 */
const SPINS = 1_000_000;
/** How long a thread sleeps before it looks whether the others are still there. */
const SLEEP_MS = 100;

export class SharedLink implements TeamLink {
  readonly index: number;
  readonly count: number;
  readonly slot: number;
  readonly #words: Int32Array;
  readonly #rooms: readonly Float32Array[];
  readonly #spins: number;
  #round = 0;

  /** The memory of a team; all threads get the same. */
  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * WORDS + 2 * ROOM_BYTES);
  }

  /** Begins anew after a failure, or for other threads. Nobody may be computing. */
  static reset(memory: SharedArrayBuffer): void {
    const words = new Int32Array(memory, 0, WORDS);
    for (const word of [ARRIVED, SLEEPERS, FAILED]) Atomics.store(words, word, 0);
  }

  /** Releases every thread that waits, now or later. */
  static fail(memory: SharedArrayBuffer): void {
    const words = new Int32Array(memory, 0, WORDS);
    Atomics.store(words, FAILED, 1);
    Atomics.notify(words, ARRIVED);
  }

  /** @param patient whether there is a processor for each thread; else waiting threads leave theirs to others at once */
  constructor(memory: SharedArrayBuffer, index: number, count: number, patient: boolean) {
    this.index = index;
    this.count = count;
    this.slot = Math.floor(ROOM_BYTES / 4 / count);
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#rooms = [0, 1].map((i) => new Float32Array(memory, 4 * WORDS + i * ROOM_BYTES, count * this.slot));
    this.#spins = patient ? SPINS : 0;
  }

  /** After `SharedLink.reset`, in every thread. */
  begin(): void {
    this.#round = 0;
  }

  room(): Float32Array {
    return this.#rooms[this.#round & 1]!;
  }

  meet(): void {
    const words = this.#words;
    const target = Math.imul(++this.#round, this.count); // counts wrap around together
    if (((Atomics.add(words, ARRIVED, 1) + 1 - target) | 0) >= 0) {
      if (Atomics.load(words, SLEEPERS) > 0) Atomics.notify(words, ARRIVED);
      return;
    }
    for (let spin = 0; spin < this.#spins; spin++) if (((Atomics.load(words, ARRIVED) - target) | 0) >= 0) return;
    this.#sleep(target);
  }

  /** Whoever comes last either sees a sleeper counted, or has been counted itself before the sleeper looks. */
  #sleep(target: number): void {
    const words = this.#words;
    Atomics.add(words, SLEEPERS, 1);
    for (;;) {
      const arrived = Atomics.load(words, ARRIVED);
      if (((arrived - target) | 0) >= 0) break;
      if (Atomics.load(words, FAILED) !== 0) throw new Qwen3Error("BACKEND_LOST", "another thread of the team has failed");
      Atomics.wait(words, ARRIVED, arrived, SLEEP_MS);
    }
    Atomics.sub(words, SLEEPERS, 1);
  }
}
