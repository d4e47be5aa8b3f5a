/**
 * Who uses which page of a KV store: pages of 32 absolute positions, taken as a sequence grows and shared by forks.
 *
 * Page i of a sequence holds absolute positions 32 (first + i) and up, where first = floor(start / 32). Pages are aligned to absolute
 * positions, not to the sequence's start, so that attention sums in the same blocks wherever a step begins.
 */
import { Qwen3Error } from "../core/errors.ts";
import { type KvStore, kvPageBytes, PAGE_TOKENS, type Segment } from "./backend.ts";

/**
 * The pages of one store: how many sequences use each, and how many bytes all may take together. Pages that nobody holds are free, or
 * kept: their entries may be asked for again, until somebody needs the room.
 */
export class KvPool {
  readonly store: KvStore;
  readonly limitBytes: number;
  readonly #pageBytes: number;
  /** As long as there are fewer pages, new ones are made before kept ones go. */
  readonly #plannedPages: number;
  /** By page number: how many sequences hold it. */
  readonly #holders: number[] = [];
  /** Numbers that nobody holds or keeps; the last given back is the first used again. */
  readonly #free: number[] = [];
  /** Of pages to keep, held or not: whom to tell when they go. */
  readonly #forget = new Map<number, () => void>();
  /** Of these, the ones that nobody holds: those that were given back first come first. */
  readonly #kept = new Set<number>();

  /** @param plannedPages pages from which on kept ones are given up for new entries, though the limit be further */
  constructor(store: KvStore, limitBytes = Number.POSITIVE_INFINITY, plannedPages = Number.POSITIVE_INFINITY) {
    this.store = store;
    this.limitBytes = limitBytes;
    this.#pageBytes = kvPageBytes(store.shape);
    this.#plannedPages = plannedPages;
  }

  /** Bytes of the pages that somebody holds; a shared page counts once. */
  get usedBytes(): number {
    return this.usedPages * this.#pageBytes;
  }

  /** Pages that somebody holds. */
  get usedPages(): number {
    return this.#holders.length - this.#free.length - this.#kept.size;
  }

  /** Pages that nobody holds, with entries that may be asked for again. */
  get keptPages(): number {
    return this.#kept.size;
  }

  /** Pages that could still be taken within the limit, kept ones included. */
  get pagesLeft(): number {
    return Math.floor((this.limitBytes - this.usedBytes) / this.#pageBytes);
  }

  /** A page for one holder. Errors: MEMORY_FULL. */
  take(): number {
    this.requireLeft(1);
    const page = this.#unused();
    this.#holders[page] = 1;
    return page;
  }

  /** Throws MEMORY_FULL unless so many pages could be taken. */
  requireLeft(pages: number): void {
    if (this.usedBytes + pages * this.#pageBytes <= this.limitBytes) return;
    throw new Qwen3Error(
      "MEMORY_FULL",
      `the KV caches hold ${this.usedBytes} bytes of at most ${this.limitBytes} in the memory plan; ` +
        `${pages === 1 ? "a page takes" : `${pages} pages take`} ${pages * this.#pageBytes} more`,
    );
  }

  /** One more holder, of a page that is held or kept. */
  share(page: number): void {
    if (this.#holders[page]!++ === 0) this.#kept.delete(page);
  }

  /** One holder less. */
  release(page: number): void {
    if (--this.#holders[page]! > 0) return;
    if (this.#forget.has(page)) this.#kept.add(page);
    else this.#free.push(page);
  }

  /** Keeps a page, which is held now, when nobody holds it any more; nobody may write to it. `forget` is called when it goes after all. */
  keep(page: number, forget: () => void): void {
    this.#forget.set(page, forget);
  }

  isKept(page: number): boolean {
    return this.#forget.has(page);
  }

  /** Keeps a page no longer. Who holds it still has it. */
  drop(page: number): void {
    const forget = this.#forget.get(page);
    this.#forget.delete(page);
    if (this.#kept.delete(page)) this.#free.push(page);
    forget?.();
  }

  /** Whether the entries of a page are somebody else's too. */
  isShared(page: number): boolean {
    return this.#holders[page]! > 1 || this.#forget.has(page);
  }

  #unused(): number {
    const [oldest] = this.#kept;
    const full = this.#holders.length >= this.#plannedPages || (this.#holders.length + 1) * this.#pageBytes > this.limitBytes;
    if (this.#free.length === 0 && full && oldest !== undefined) this.drop(oldest);
    const page = this.#free[this.#free.length - 1] ?? this.#holders.length;
    try {
      this.store.ensure(page);
    } catch (error) {
      if (oldest === undefined) throw error;
      this.drop(oldest); // less memory than was planned with
      return this.#free.pop()!;
    }
    if (page < this.#holders.length) this.#free.pop();
    return page;
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
    if (needed > before) this.#pool.requireLeft(needed - before);
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

  /** Goes on with a page that others keep: it holds the entries that are in the page begun, if one is, and all that follow in it. */
  adopt(page: number): void {
    const at = Math.floor(this.#length / PAGE_TOKENS);
    this.replace(at, page);
    this.#length = (at + 1) * PAGE_TOKENS;
  }

  /** Copies a page that others keep into the next one, which is reserved and empty, and goes on behind its first `entries`. */
  copy(page: number, entries: number): void {
    this.#pool.store.copyPage(page, this.pages[this.#length / PAGE_TOKENS]!);
    this.#length += entries;
  }

  /** Holds `page`, which has the same entries or more, instead of its page number `at`. */
  replace(at: number, page: number): void {
    this.#pool.share(page);
    if (at < this.pages.length) this.#pool.release(this.pages[at]!);
    this.pages[at] = page;
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
