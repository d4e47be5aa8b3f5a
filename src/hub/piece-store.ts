/**
 * Pieces of bytes under names, in a page's storage. Neither kind of storage lets a page write behind what is there without copying it, so
 * a large file is kept in pieces, each of which is there whole or not at all.
 */
import { Qwen3Error } from "../core/errors.ts";

export interface PieceStore {
  readonly name: string;
  /** Undefined where there is none. What it has need not be in memory. */
  read(key: string): Promise<Blob | undefined>;
  write(key: string, bytes: Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  keys(): Promise<string[]>;
}

/** Source: File System Standard (fs.spec.whatwg.org): what is written takes effect when the writable is closed. */
export function fileSystemStore(folder: FileSystemDirectoryHandle): PieceStore {
  const file = (key: string, create: boolean) => folder.getFileHandle(encodeURIComponent(key), { create });
  return {
    name: "the page's file system",
    read: (key) => ifFound(async () => (await file(key, false)).getFile()),
    write: (key, bytes) =>
      writing(async () => {
        const writable = await (await file(key, true)).createWritable();
        try {
          await writable.write(bytes as BufferSource);
          await writable.close();
        } catch (error) {
          await writable.abort().catch(() => undefined);
          throw error;
        }
      }),
    async remove(key) {
      await ifFound(() => folder.removeEntry(encodeURIComponent(key)));
    },
    async keys() {
      const keys: string[] = [];
      for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys())
        keys.push(decodeURIComponent(name));
      return keys;
    },
  };
}

/** A host that no request goes to: caches know their contents by URL. */
const BASE = "https://qwen3-hub.invalid/";

/** Source: Service Workers (w3.org/TR/service-workers), Cache. */
export function cacheApiStore(cache: Pick<Cache, "match" | "put" | "delete" | "keys">): PieceStore {
  const url = (key: string) => BASE + encodeURIComponent(key);
  return {
    name: "the page's cache",
    async read(key) {
      return (await cache.match(url(key)))?.blob();
    },
    write: (key, bytes) => writing(() => cache.put(url(key), new Response(bytes as BufferSource))),
    async remove(key) {
      await cache.delete(url(key));
    },
    async keys() {
      return (await cache.keys()).map(({ url }) => decodeURIComponent(url.slice(BASE.length)));
    },
  };
}

async function ifFound<T>(body: () => Promise<T>): Promise<T | undefined> {
  try {
    return await body();
  } catch (error) {
    if ((error as Error).name === "NotFoundError") return undefined;
    throw error;
  }
}

async function writing(body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    const { name, message } = error as Error;
    if (name === "QuotaExceededError")
      throw new Qwen3Error("STORAGE_FULL", `the page's storage is full: ${message}`, { cause: error });
    throw new Qwen3Error("SOURCE_READ", `the page's storage: ${message}`, { cause: error });
  }
}
