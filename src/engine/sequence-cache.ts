/**
 * The KV cache of one sequence together with the token ids that are in it, so that a later prompt can tell how much of it is already
 * computed.
 */
import type { KvCache } from "../backend/kv-pages.ts";
import { Qwen3Error } from "../core/errors.ts";

/** Whose caches they are. */
export interface CacheOwner {
  closed(cache: SequenceCache): void;
  forked(cache: SequenceCache): void;
  save(cache: SequenceCache): Promise<Uint8Array>;
}

export class SequenceCache {
  /** The token ids of the entries, oldest first. */
  readonly ids: number[] = [];
  /** @internal */
  readonly kv: KvCache;
  readonly #owner: CacheOwner | undefined;
  #busy = false;

  /** @internal Made by `model.newCache()`. */
  constructor(kv: KvCache, owner?: CacheOwner) {
    this.kv = kv;
    this.#owner = owner;
  }

  /** Entries in the cache. */
  get length(): number {
    return this.kv.length;
  }

  /** Absolute position of the next token. */
  get position(): number {
    return this.kv.start + this.kv.length;
  }

  /** Forgets all entries from `length` on. Errors: ARGUMENT while a call uses the cache, or for more than it holds. */
  truncate(length: number): void {
    this.acquire()();
    this.rewind(length);
  }

  /**
   * A second cache with the same entries. Memory is shared until one of the two goes on in it, so that many answers to one prompt keep
   * it once. Errors: ARGUMENT while a call uses the cache, CLOSED.
   */
  fork(): SequenceCache {
    this.acquire()();
    const copy = new SequenceCache(this.kv.fork(), this.#owner);
    for (const id of this.ids) copy.ids.push(id);
    this.#owner?.forked(copy);
    return copy;
  }

  /**
   * The entries as bytes, for `restoreCache` of a model of the same weights, wherever that runs; about `plan.kvBytesPerToken` a token.
   * Nothing may use the cache meanwhile. Errors: ARGUMENT while a call uses the cache, CLOSED, MEMORY_FULL.
   */
  async save(): Promise<Uint8Array> {
    if (!this.#owner) throw new Qwen3Error("ARGUMENT", "only a cache of a model can be saved");
    const release = this.acquire();
    try {
      return await this.#owner.save(this);
    } finally {
      release();
    }
  }

  /** @internal Keeps the longest common prefix with `ids` but never the last of them (its logits are still wanted); returns its length. */
  keepPrefix(ids: readonly number[]): number {
    let common = 0;
    while (common < this.ids.length && common < ids.length - 1 && this.ids[common] === ids[common]) common++;
    this.rewind(common);
    return common;
  }

  /** @internal Records tokens whose keys and values a step has stored. */
  commit(ids: readonly number[]): void {
    this.kv.commit(ids.length);
    for (const id of ids) this.ids.push(id);
  }

  /** @internal Goes on with a page that is kept: `ids` are the tokens in it that come next. */
  adopt(page: number, ids: readonly number[]): void {
    this.kv.adopt(page);
    for (const id of ids) this.ids.push(id);
  }

  /** @internal Copies the entries of `ids` from the start of a page that is kept. */
  copy(page: number, ids: readonly number[]): void {
    this.kv.copy(page, ids.length);
    for (const id of ids) this.ids.push(id);
  }

  /** @internal Makes the caller the only user, for two at once would mix two texts. @returns what gives the cache free again */
  acquire(): () => void {
    if (this.#busy) throw new Qwen3Error("ARGUMENT", "the cache is in use by another call that has not finished");
    this.#busy = true;
    return () => {
      this.#busy = false;
    };
  }

  /** @internal `truncate` for the user that has acquired the cache. */
  rewind(length: number): void {
    this.kv.truncate(length);
    this.ids.length = length;
  }

  close(): void {
    this.kv.close();
    this.ids.length = 0;
    this.#owner?.closed(this);
  }
}
