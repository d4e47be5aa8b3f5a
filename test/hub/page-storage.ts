/** A page's storage by its standard interfaces, in memory: what the cache of a page needs of them, and a limit to run into. */
import type { PageGlobals } from "../../src/hub/browser-cache.ts";

export interface FakePage {
  readonly globals: PageGlobals;
  /** Bytes by name, of either kind of storage. */
  readonly files: Map<string, Uint8Array>;
  quota: number;
}

const named = (name: string, message = name): Error => Object.assign(new Error(message), { name });

export function fakePage(kind: "opfs" | "caches", { quota = Number.POSITIVE_INFINITY, locks = true } = {}): FakePage {
  const files = new Map<string, Uint8Array>();
  const page: FakePage = {
    files,
    quota,
    globals: {
      navigator: {
        storage: {
          estimate: async () => ({ quota: page.quota, usage: used() }),
          ...(kind === "opfs" && { getDirectory: async () => ({ getDirectoryHandle: async () => directory }) as never }),
        },
        ...(locks && { locks: fakeLocks() }),
      },
      ...(kind === "opfs"
        ? { FileSystemFileHandle: { prototype: { createWritable: () => undefined } } }
        : { caches: { open: async () => cache as never } }),
    },
  };
  const used = () => [...files.values()].reduce((sum, { length }) => sum + length, 0);
  const put = (name: string, bytes: Uint8Array) => {
    if (used() - (files.get(name)?.length ?? 0) + bytes.length > page.quota) throw named("QuotaExceededError", "no room");
    files.set(name, bytes);
  };

  const directory = {
    async getFileHandle(name: string, { create = false } = {}) {
      if (/[/\\]/.test(name) || name === "" || name === "." || name === "..") throw new TypeError(`${name} is no name`);
      if (!files.has(name)) {
        if (!create) throw named("NotFoundError");
        put(name, new Uint8Array(0));
      }
      return {
        getFile: async () => new File([files.get(name)! as BlobPart], name),
        async createWritable() {
          const parts: Uint8Array[] = [];
          return {
            write: async (bytes: Uint8Array) => void parts.push(bytes.slice()),
            close: async () => put(name, new Uint8Array(Buffer.concat(parts))), // only then it takes effect
            abort: async () => undefined,
          };
        },
      };
    },
    async removeEntry(name: string) {
      if (!files.delete(name)) throw named("NotFoundError");
    },
    async *keys() {
      yield* [...files.keys()];
    },
  };

  const cache = {
    match: async (url: string) => (files.has(url) ? new Response(files.get(url)! as BodyInit) : undefined),
    put: async (url: string, response: Response) => put(url, new Uint8Array(await response.arrayBuffer())),
    delete: async (url: string) => files.delete(url),
    keys: async () => [...files.keys()].map((url) => ({ url })),
  };
  return page;
}

function fakeLocks(): NonNullable<NonNullable<PageGlobals["navigator"]>["locks"]> {
  const queues = new Map<string, Promise<unknown>>();
  return {
    async request(name, { signal, ifAvailable = false }, body) {
      if (ifAvailable && queues.has(name)) return body(null);
      const before = queues.get(name) ?? Promise.resolve();
      let release: () => void = () => undefined;
      const mine = new Promise<void>((done) => {
        release = done;
      });
      const tail = before.then(() => mine);
      queues.set(name, tail);
      try {
        await before;
        signal?.throwIfAborted();
        return await body({});
      } finally {
        release();
        if (queues.get(name) === tail) queues.delete(name);
      }
    },
  };
}
