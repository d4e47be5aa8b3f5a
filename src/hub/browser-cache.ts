/**
 * Where a page's storage is: the origin private file system, the Cache API where there is none (or none that can be written to
 * everywhere), or nowhere.
 */
import type { HubCache } from "./cache.ts";
import { PageCache } from "./page-cache.ts";
import { cacheApiStore, fileSystemStore, type PieceStore } from "./piece-store.ts";

/** What a page or a worker has of these. */
export interface PageGlobals {
  readonly navigator?: {
    readonly storage?: {
      getDirectory?(): Promise<FileSystemDirectoryHandle>;
      estimate?(): Promise<{ readonly quota?: number; readonly usage?: number }>;
    };
    readonly locks?: PageLocks;
  };
  readonly caches?: Pick<CacheStorage, "open">;
  readonly FileSystemFileHandle?: { readonly prototype: object };
}

/** Of the Web Locks API, what is used here. */
export interface PageLocks {
  request<T>(
    name: string,
    options: { readonly signal?: AbortSignal; readonly ifAvailable?: boolean },
    body: (lock: unknown) => Promise<T>,
  ): Promise<T>;
}

const FOLDER = "qwen3-hub";

/** Undefined where the host keeps nothing: workers at the edge, pages in private windows. */
export async function browserCache(globals: PageGlobals = globalThis as PageGlobals): Promise<HubCache | undefined> {
  const store = (await fileSystem(globals)) ?? (await cacheApi(globals));
  if (!store) return undefined;
  const { storage, locks } = globals.navigator ?? {};
  return new PageCache(store, {
    locks,
    async freeBytes() {
      const { quota, usage } = (await storage?.estimate?.()) ?? {};
      return quota === undefined ? undefined : Math.max(0, quota - (usage ?? 0));
    },
  });
}

async function fileSystem({ navigator, FileSystemFileHandle }: PageGlobals): Promise<PieceStore | undefined> {
  if (!FileSystemFileHandle || !("createWritable" in FileSystemFileHandle.prototype)) return undefined;
  try {
    const root = await navigator?.storage?.getDirectory?.();
    return root && fileSystemStore(await root.getDirectoryHandle(FOLDER, { create: true }));
  } catch {
    return undefined; // forbidden here
  }
}

async function cacheApi({ caches }: PageGlobals): Promise<PieceStore | undefined> {
  try {
    const cache = await caches?.open(FOLDER);
    return cache && "keys" in cache ? cacheApiStore(cache) : undefined; // at the edge there are caches that cannot be listed
  } catch {
    return undefined;
  }
}
