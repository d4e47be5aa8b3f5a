/** Saves the caches of one model, and takes saved ones back. */
import { type KvType, PAGE_TOKENS } from "../backend/backend.ts";
import { KvCache, type KvPool, pageCount } from "../backend/kv-pages.ts";
import { clearOtherSlots } from "../backend/kv-slots.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import { shown } from "../formats/json.ts";
import type { WeightOptions } from "../model/weight-format.ts";
import { decodeCache, encodeCache } from "./cache-format.ts";
import { type CacheOrigin, cacheOrigin } from "./cache-origin.ts";
import type { Runner } from "./runner.ts";
import { SequenceCache } from "./sequence-cache.ts";
import type { StepQueue } from "./step.ts";

export class SavedCaches {
  readonly #checkpoint: Pick<Checkpoint, "config" | "tensors">;
  readonly #options: WeightOptions & { readonly kvCache: KvType };
  readonly #pool: KvPool;
  readonly #runner: Runner;
  readonly #queue: StepQueue;
  #origin: CacheOrigin | undefined;

  /** @param runner computes what the origin is told by; @param queue in which steps and all that takes pages have their turns */
  constructor(
    checkpoint: Pick<Checkpoint, "config" | "tensors">,
    options: WeightOptions & { readonly kvCache: KvType },
    pool: KvPool,
    runner: Runner,
    queue: StepQueue,
  ) {
    this.#checkpoint = { config: checkpoint.config, tensors: checkpoint.tensors }; // not the rest of it, which may hold a vocabulary
    this.#options = options;
    this.#pool = pool;
    this.#runner = runner;
    this.#queue = queue;
  }

  /** Errors: CLOSED, MEMORY_FULL. */
  async save({ kv, ids }: SequenceCache): Promise<Uint8Array> {
    kv.requireOpen();
    const origin = await this.#originOf();
    const { store } = this.#pool;
    const { start, length } = kv;
    const pages: Uint8Array[] = [];
    for (const [i, page] of kv.pages.slice(0, pageCount(start, length)).entries()) {
      const bytes = await store.readPage(page);
      const before = i * PAGE_TOKENS - (start % PAGE_TOKENS); // entries in front of this page
      clearOtherSlots(bytes, store.shape, Math.max(0, -before), Math.min(PAGE_TOKENS, length - before));
      pages.push(bytes);
    }
    kv.requireOpen(); // what is read of a cache that was closed meanwhile may be another's
    return encodeCache(origin, { start, ids, pages });
  }

  /** Puts saved entries into `cache`, which is new. Errors: CACHE_FILE, CONTEXT_FULL for more than `maxModelLen`, MEMORY_FULL. */
  async restore(bytes: Uint8Array, cache: SequenceCache, maxModelLen: number): Promise<void> {
    if (!(bytes instanceof Uint8Array))
      throw new Qwen3Error("ARGUMENT", `a saved cache is a Uint8Array of bytes, got ${shown(bytes)}`);
    const { store } = this.#pool;
    const { start, ids, pages } = decodeCache(bytes, await this.#originOf(), store.shape);
    if (ids.length > maxModelLen)
      throw new Qwen3Error("CONTEXT_FULL", `the saved cache holds ${ids.length} tokens; maxModelLen is ${maxModelLen}`);
    await this.#queue.run(async () => {
      cache.kv.start = start;
      cache.kv.reserve(ids.length);
      for (const [i, page] of pages.entries()) store.writePage(cache.kv.pages[i]!, page);
      cache.commit(ids);
    });
  }

  async #originOf(): Promise<CacheOrigin> {
    this.#origin ??= await cacheOrigin(this.#checkpoint, this.#options, async (ids) => {
      const cache = new SequenceCache(new KvCache(this.#pool));
      try {
        const [result] = await this.#runner.run([{ cache, ids, logits: "none", hidden: true }]);
        return result!.hidden!;
      } finally {
        cache.close();
      }
    });
    return this.#origin;
  }
}
