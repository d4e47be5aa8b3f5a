/**
 * Who uses which page of a KV store: pages of 32 absolute positions, taken as a sequence grows and shared by forks.
 *
 * Page i of a sequence holds absolute positions 32 (first + i) and up, where first = floor(start / 32). Pages are aligned to absolute
 * positions, not to the sequence's start, so that attention sums in the same blocks wherever a step begins.
 */
import { Qwen3Error } from "../core/errors.ts";
import { type KvStore, kvPageBytes, PAGE_TOKENS, type Segment } from "./backend.ts";

/** The pages of one store: how many sequences use each, and how many bytes all may take together. */
export class KvPool {
  readonly store: KvStore;
  readonly limitBytes: number;
  readonly #pageBytes: number;
  /** By page number: how many sequences hold it. */
  readonly #holders: number[] = [];
  /** Numbers that nobody holds; the last given back is the first used again. */
  readonly #free: number[] = [];

  constructor(store: KvStore, limitBytes = Number.POSITIVE_INFINITY) {
    this.store = store;
    this.limitBytes = limitBytes;
    this.#pageBytes = kvPageBytes(store.shape);
  }

  /** Bytes of the pages that somebody holds; a shared page counts once. */
  get usedBytes(): number {
    return (this.#holders.length - this.#free.length) * this.#pageBytes;
  }

  /** Pages that could still be taken within the limit. */
  get pagesLeft(): number {
    return Math.floor((this.limitBytes - this.usedBytes) / this.#pageBytes);
  }

  /** A page for one holder. Errors: MEMORY_FULL. */
  take(): number {
    if (this.usedBytes + this.#pageBytes > this.limitBytes)
      throw new Qwen3Error(
        "MEMORY_FULL",
        `the KV caches hold ${this.usedBytes} bytes of at most ${this.limitBytes} in the memory plan; a page takes ${this.#pageBytes} more`,
      );
    const page = this.#free[this.#free.length - 1] ?? this.#holders.length;
    this.store.ensure(page);
    if (page < this.#holders.length) this.#free.pop();
    this.#holders[page] = 1;
    return page;
  }

  /** One more holder. */
  share(page: number): void {
    this.#holders[page]!++;
  }

  /** One holder less. */
  release(page: number): void {
    if (--this.#holders[page]! === 0) this.#free.push(page);
  }

  isShared(page: number): boolean {
    return this.#holders[page]! > 1;
  }
}

/** Keys and values of one sequence. */
export class KvCache {
  readonly pages: number[] = [];
  readonly #pool: KvPool;
  #start = 0;
  #length = 0;
  #closed = false;

  constructor(pool: KvPool) {
    this.#pool = pool;
  }

  /** Entries that later steps can see. */
  get length(): number {
    return this.#length;
  }

  /** Absolute position of the first entry; may be set while the cache is empty. */
  get start(): number {
    return this.#start;
  }

  set start(position: number) {
    if (!Number.isSafeInteger(position) || position < 0)
      throw new Qwen3Error("ARGUMENT", `start position ${position} is not a position`);
    if (this.#length > 0 && position !== this.#start)
      throw new Qwen3Error(
        "ARGUMENT",
        `the cache holds ${this.#length} entries from position ${this.#start}; its start cannot become ${position}`,
      );
    if (position !== this.#start) this.#release(0);
    this.#start = position;
  }

  /** A step's next `tokens` tokens of this sequence, which must be reserved. */
  segment(tokens: number): Segment {
    return { store: this.#pool.store, pages: this.pages.slice(), start: this.#start, length: this.#length, tokens };
  }

  /** Makes room for `tokens` more entries that nobody else sees, or throws MEMORY_FULL and leaves the entries as they were. */
  reserve(tokens: number): void {
    this.requireOpen();
    requireCount(tokens);
    const before = this.pages.length;
    const needed = pageCount(this.#start, this.#length + tokens);
    if (tokens > 0) this.#ownLastPage();
    try {
      while (this.pages.length < needed) this.pages.push(this.#pool.take());
    } catch (error) {
      this.#release(before);
      throw error;
    }
  }

  /** Makes `tokens` appended entries visible: a step that fails half-way leaves no trace. */
  commit(tokens: number): void {
    this.requireOpen();
    requireCount(tokens);
    if (pageCount(this.#start, this.#length + tokens) > this.pages.length)
      throw new Qwen3Error("ARGUMENT", `${tokens} entries were not reserved`);
    this.#length += tokens;
  }

  /** Forgets all entries from `length` on and gives their pages back. */
  truncate(length: number): void {
    this.requireOpen();
    if (!Number.isSafeInteger(length) || length < 0 || length > this.#length)
      throw new Qwen3Error("ARGUMENT", `cannot truncate a cache of ${this.#length} entries to ${length}`);
    this.#length = length;
    this.#release(pageCount(this.#start, length));
  }

  /** A second sequence with the same entries. The pages are shared; the first of the two that appends to a shared page copies it. */
  fork(): KvCache {
    this.requireOpen();
    const copy = new KvCache(this.#pool);
    copy.#start = this.#start;
    copy.#length = this.#length;
    for (const page of this.pages.slice(0, pageCount(this.#start, this.#length))) {
      this.#pool.share(page);
      copy.pages.push(page);
    }
    return copy;
  }

  close(): void {
    this.#closed = true;
    this.#length = 0;
    this.#release(0);
  }

  /** @throws CLOSED */
  requireOpen(): void {
    if (this.#closed) throw new Qwen3Error("CLOSED", "the KV cache was closed");
  }

  /** Copies the page that the next entry goes to, if entries of others are in it. */
  #ownLastPage(): void {
    const last = pageCount(this.#start, this.#length) - 1;
    const page = this.pages[last];
    if (page === undefined || (this.#start + this.#length) % PAGE_TOKENS === 0 || !this.#pool.isShared(page)) return;
    const own = this.#pool.take();
    this.#pool.store.copyPage(page, own);
    this.#pool.release(page);
    this.pages[last] = own;
  }

  #release(keep: number): void {
    while (this.pages.length > keep) this.#pool.release(this.pages.pop()!);
  }
}

/** Pages that `length` entries from absolute position `start` on lie in. */
export function pageCount(start: number, length: number): number {
  if (length === 0) return 0;
  return Math.floor((start + length - 1) / PAGE_TOKENS) - Math.floor(start / PAGE_TOKENS) + 1;
}

function requireCount(tokens: number): void {
  if (!Number.isSafeInteger(tokens) || tokens < 0) throw new Qwen3Error("ARGUMENT", `${tokens} is not a number of entries`);
}
