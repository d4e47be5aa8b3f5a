/** A sequence in a store of its own. */
import type { Backend, KvShape } from "../../src/backend/backend.ts";
import { KvCache, KvPool } from "../../src/backend/kv-pages.ts";

/** @param tokens entries that are reserved */
export function sequence(b: Backend, shape: KvShape, tokens = 0): KvCache {
  const cache = new KvCache(new KvPool(b.createKvStore(shape)));
  cache.reserve(tokens);
  return cache;
}
