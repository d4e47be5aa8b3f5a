/**
 * Keys and values of earlier requests, for later ones that begin with the same tokens: a tree of pages. A page's entries depend on all
 * tokens from position 0 on, so the path from the root, token by token, is what a page is found by; nothing is hashed, and what is found
 * is what would be computed.
 *
 * The pool counts who holds a page and gives up the ones that nobody holds, those given back first before others. Whoever holds a page
 * holds those in front of it and gives it back before them, so that what goes is always a leaf.
 */
import { PAGE_TOKENS } from "../backend/backend.ts";
import type { KvPool } from "../backend/kv-pages.ts";
import type { SequenceCache } from "./sequence-cache.ts";

/** A page of the tree. */
interface PrefixNode {
  readonly ids: readonly number[]; // 1 to 32; fewer than 32 only in leaves
  readonly page: number;
  /** By `tokenKey` of their ids. */
  readonly children: Map<string, PrefixNode>;
}

/** Where a sequence stands in the tree: all its full pages are in it. */
export class PrefixPath {
  readonly cache: SequenceCache;
  node: PrefixNode;
  depth = 0;
  /** Where entries were copied from, under `node`. */
  copied: PrefixNode | undefined;

  constructor(cache: SequenceCache, root: PrefixNode) {
    this.cache = cache;
    this.node = root;
  }
}

export class PrefixCache {
  readonly #pool: KvPool;
  readonly #root: PrefixNode = { ids: [], page: -1, children: new Map() };

  constructor(pool: KvPool) {
    this.#pool = pool;
  }

  /** The path of a cache whose entries begin at position 0; `like` is that of one that it was forked from. */
  path(cache: SequenceCache, like?: PrefixPath): PrefixPath {
    const path = new PrefixPath(cache, like?.node ?? this.#root);
    path.depth = like?.depth ?? 0;
    return path;
  }

  /** Goes on with whole pages that hold the tokens that come next. @param next those tokens, all of which may be taken */
  adopt(path: PrefixPath, next: (count: number) => readonly number[]): void {
    const { cache } = path;
    for (;;) {
      const begun = cache.ids.slice(path.depth * PAGE_TOKENS);
      const ids = next(PAGE_TOKENS - begun.length);
      const child = path.node.children.get(tokenKey([...begun, ...ids]));
      if (child?.ids.length !== PAGE_TOKENS) return;
      cache.adopt(child.page, ids);
      this.#step(path, child);
    }
  }

  /** Copies the page that has most of the tokens that come next from its start, if one has any. The next page is reserved and empty. */
  copy(path: PrefixPath, next: readonly number[]): void {
    let [best, most] = [path.node, 0];
    for (const child of path.node.children.values()) {
      const common = commonLength(child.ids, next);
      if (common > most) [best, most] = [child, common];
    }
    if (most === 0) return;
    path.cache.copy(best.page, next.slice(0, most));
    path.copied = best;
  }

  /** Puts full pages that have been computed since into the tree. Where it has one with the same tokens, the sequence goes on with that. */
  keep(path: PrefixPath): void {
    const { ids, kv } = path.cache;
    while ((path.depth + 1) * PAGE_TOKENS <= ids.length) {
      const at = path.depth * PAGE_TOKENS;
      const own = ids.slice(at, at + PAGE_TOKENS);
      const child = path.node.children.get(tokenKey(own)) ?? this.#add(path, own);
      if (child.page !== kv.pages[path.depth]) kv.replace(path.depth, child.page);
      this.#step(path, child);
    }
  }

  /** The sequence ends, or gives up its pages: puts the page begun into the tree too. The cache is then to be emptied. */
  leave(path: PrefixPath): void {
    this.keep(path);
    const at = path.depth * PAGE_TOKENS;
    const own = path.cache.ids.slice(at);
    const isNew = !path.node.children.has(tokenKey(own)) && !this.#pool.isKept(path.cache.kv.pages[path.depth] ?? -1);
    if (own.length > 0 && isNew) this.#add(path, own);
    path.node = this.#root;
    path.depth = 0;
    path.copied = undefined;
  }

  #step(path: PrefixPath, child: PrefixNode): void {
    path.node = child;
    path.depth++;
    path.copied = undefined;
  }

  #add({ node: parent, cache, depth, copied }: PrefixPath, ids: readonly number[]): PrefixNode {
    const node: PrefixNode = { ids, page: cache.kv.pages[depth]!, children: new Map() };
    const key = tokenKey(ids);
    parent.children.set(key, node);
    this.#pool.keep(node.page, () => parent.children.delete(key));
    // A page begun that was copied and is continued here has nothing that this one has not.
    const isContinued = copied && copied.ids.length < ids.length && commonLength(copied.ids, ids) === copied.ids.length;
    if (isContinued && parent.children.get(tokenKey(copied.ids)) === copied) this.#pool.drop(copied.page);
    return node;
  }
}

/** Equal for equal ids and for no others: two code units each, since ids have up to 21 bits. */
export function tokenKey(ids: readonly number[]): string {
  let key = "";
  for (const id of ids) key += String.fromCharCode(id & 0xffff, id >>> 16);
  return key;
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let common = 0;
  while (common < a.length && common < b.length && a[common] === b[common]) common++;
  return common;
}
