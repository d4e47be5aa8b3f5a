/**
 * The cache of a page, out of pieces:
 *
 *   model/OWNER/NAME    a record: branches, the files of each commit, the blobs that are here or on their way
 *   blob/ETAG/N         content, in order
 *   whole/ETAG          says that all of a blob is there: written last
 */
import { blobSource } from "../formats/memory.ts";
import type { PageLocks } from "./browser-cache.ts";
import type { CachedModel, HubBlob, HubCache, PartialBlob, PartialOptions } from "./cache.ts";
import { PagePartial } from "./page-partial.ts";
import type { PieceStore } from "./piece-store.ts";

interface ModelRecord {
  readonly refs: Record<string, string>;
  /** Paths and blobs by commit. */
  readonly commits: Record<string, Record<string, HubBlob>>;
  /** Sizes by etag. */
  readonly blobs: Record<string, number>;
}

export interface PageCacheHost {
  readonly locks?: PageLocks | undefined;
  freeBytes(): Promise<number | undefined>;
}

const MODEL = "model/";

export class PageCache implements HubCache {
  readonly name: string;
  readonly #store: PieceStore;
  readonly #host: PageCacheHost;

  constructor(store: PieceStore, host: PageCacheHost) {
    this.name = store.name;
    this.#store = store;
    this.#host = host;
  }

  freeBytes(): Promise<number | undefined> {
    return this.#host.freeBytes();
  }

  async commitOf(repo: string, revision: string): Promise<string | undefined> {
    return own((await this.#record(repo))?.refs, revision);
  }

  setCommit(repo: string, revision: string, commit: string): Promise<void> {
    return this.#change(repo, ({ refs }) => {
      refs[revision] = commit;
    });
  }

  async paths(repo: string, commit: string): Promise<string[]> {
    return Object.keys(own((await this.#record(repo))?.commits, commit) ?? {}).sort();
  }

  async open(repo: string, commit: string, path: string, signal?: AbortSignal) {
    const blob = own(own((await this.#record(repo))?.commits, commit), path);
    signal?.throwIfAborted();
    const content = blob && (await this.#content(blob.etag));
    return content && blobSource(`${repo}/${path}`, content);
  }

  /** Not in memory: a Blob of files refers to them. */
  async #content(etag: string): Promise<Blob | undefined> {
    const parts: Blob[] = [];
    for (let part = await this.#store.read(`blob/${etag}/0`); part; part = await this.#store.read(`blob/${etag}/${parts.length}`))
      parts.push(part);
    return parts.length > 0 ? new Blob(parts) : undefined;
  }

  async hasBlob(repo: string, { etag, size }: HubBlob): Promise<boolean> {
    const whole = await this.#store.read(`whole/${etag}`);
    if (!whole || Number(await whole.text()) !== size) return false;
    await this.#change(repo, ({ blobs }) => {
      blobs[etag] = size; // it may have come with another model
    });
    return true;
  }

  link(repo: string, commit: string, path: string, { etag, size }: HubBlob): Promise<void> {
    return this.#change(repo, ({ commits }) => {
      commits[commit] = { ...commits[commit], [path]: { etag, size } };
    });
  }

  async partial(repo: string, blob: HubBlob, { signal, onWait }: PartialOptions = {}): Promise<PartialBlob> {
    const release = await this.#lock(`blob/${blob.etag}`, signal, onWait);
    try {
      await this.#change(repo, ({ blobs }) => {
        blobs[blob.etag] = blob.size;
      });
      return await PagePartial.open(this.#store, blob, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  async partialBytes(_repo: string, { etag }: HubBlob): Promise<number> {
    return (await this.#content(etag))?.size ?? 0;
  }

  async list(): Promise<CachedModel[]> {
    const models: CachedModel[] = [];
    for (const key of (await this.#store.keys()).filter((key) => key.startsWith(MODEL)).sort()) {
      const repo = key.slice(MODEL.length);
      const { refs, commits, blobs } = (await this.#record(repo)) ?? empty();
      const sizes = await Promise.all(Object.keys(blobs).map(async (etag) => (await this.#content(etag))?.size ?? 0));
      const revisions = Object.entries(commits).map(([commit, files]) => ({
        commit,
        refs: Object.keys(refs).filter((name) => refs[name] === commit),
        files: Object.entries(files).map(([path, { size }]) => ({ path, bytes: size })),
      }));
      models.push({ repo, bytes: sizes.reduce((sum, size) => sum + size, 0), revisions });
    }
    return models;
  }

  async remove(repo: string, only?: (path: string) => boolean): Promise<number | undefined> {
    const record = await this.#record(repo);
    if (!record) return undefined;
    const kept: ModelRecord["commits"] = {};
    if (only)
      for (const [commit, files] of Object.entries(record.commits)) {
        const left = Object.entries(files).filter(([path]) => !only(path));
        if (left.length > 0) kept[commit] = Object.fromEntries(left);
      }
    const count = (commits: ModelRecord["commits"]) => Object.values(commits).flatMap((files) => Object.keys(files)).length;
    if (only && count(kept) === count(record.commits)) return undefined;
    const stays = new Set(Object.values(kept).flatMap((files) => Object.values(files).map(({ etag }) => etag)));
    const goes = Object.keys(record.blobs).filter((etag) => !stays.has(etag));
    if (stays.size === 0) await this.#store.remove(MODEL + repo);
    else
      await this.#change(repo, (changed) => {
        for (const commit of Object.keys(changed.commits)) delete changed.commits[commit];
        Object.assign(changed.commits, kept);
        for (const etag of goes) delete changed.blobs[etag];
      });
    return this.#removeBlobs(goes);
  }

  /** Those that no model has. */
  async #removeBlobs(etags: readonly string[]): Promise<number> {
    const keys = await this.#store.keys();
    const records = await Promise.all(
      keys.filter((key) => key.startsWith(MODEL)).map((key) => this.#record(key.slice(MODEL.length))),
    );
    let freed = 0;
    for (const etag of etags.filter((etag) => !records.some((record) => record && etag in record.blobs))) {
      freed += (await this.#content(etag))?.size ?? 0;
      await this.#store.remove(`whole/${etag}`); // first, so that no blob counts as whole that is not
      for (const key of keys.filter((key) => key.startsWith(`blob/${etag}/`))) await this.#store.remove(key);
    }
    return freed;
  }

  async #record(repo: string): Promise<ModelRecord | undefined> {
    const text = await (await this.#store.read(MODEL + repo))?.text();
    try {
      return text === undefined ? undefined : { ...empty(), ...JSON.parse(text) };
    } catch {
      return undefined; // as if it were not there
    }
  }

  async #change(repo: string, change: (record: ModelRecord) => void): Promise<void> {
    const release = await this.#lock(MODEL + repo);
    try {
      const record = (await this.#record(repo)) ?? empty();
      const before = JSON.stringify(record);
      change(record);
      const text = JSON.stringify(record);
      if (text !== before) await this.#store.write(MODEL + repo, new TextEncoder().encode(text));
    } finally {
      release();
    }
  }

  /** Among the pages and workers of the origin, where the host has such locks. Gives what lets it go. */
  async #lock(name: string, signal?: AbortSignal, onWait?: () => void): Promise<() => void> {
    const { locks } = this.#host;
    if (!locks) return () => undefined;
    const take = (options: { signal?: AbortSignal; ifAvailable?: boolean }) =>
      new Promise<(() => void) | undefined>((resolve, reject) => {
        const held = (lock: unknown) => {
          if (lock === null) {
            resolve(undefined);
            return Promise.resolve();
          }
          return new Promise<void>((release) => resolve(release));
        };
        locks.request(`qwen3-hub/${name}`, options, held).catch(reject);
      });
    const now = await take({ ifAvailable: true });
    if (now) return now;
    onWait?.();
    return (await take(signal ? { signal } : {}))!;
  }
}

const empty = (): ModelRecord => ({ refs: {}, commits: {}, blobs: {} });

const own = <T>(record: Record<string, T> | undefined, key: string): T | undefined =>
  record && Object.hasOwn(record, key) ? record[key] : undefined;
