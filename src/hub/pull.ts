/** A model from the hub into the cache: what it takes to run it, or what patterns name. */
import { Qwen3Error } from "../core/errors.ts";
import { INDEX_FILE } from "../formats/shards.ts";
import type { CheckpointSource } from "../formats/source.ts";
import type { HubCache } from "./cache.ts";
import { chooseFiles, globMatcher } from "./choose-files.ts";
import { downloadBlob } from "./download.ts";
import { HubApi, type HubFile } from "./hub-api.ts";
import { type HubId, isCommit } from "./hub-id.ts";
import type { HubSettings } from "./settings.ts";
import { cachedLocation, cachedShards } from "./snapshot.ts";

export interface PullProgress {
  /** The file that is being downloaded. */
  readonly file: string;
  /** Whether another process downloads it at the moment. */
  readonly waiting: boolean;
  /** Of all files together, those that were here before included. */
  readonly loadedBytes: number;
  readonly totalBytes: number;
  /** What came over the network in this call. */
  readonly downloadedBytes: number;
}

export interface PullOptions {
  /** Instead of what it takes to run the model: every file that one of the patterns names. */
  readonly include?: readonly string[] | undefined;
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly connections?: number | undefined;
  readonly rangeBytes?: number | undefined;
}

export interface Pulled {
  readonly repo: string;
  readonly commit: string;
  /** What opens the model: a folder or file of the cache. */
  readonly location: string | CheckpointSource;
  readonly files: readonly HubFile[];
  readonly downloadedBytes: number;
}

/** Room for what the file system itself takes. */
const SPARE_BYTES = 16 * 1024 * 1024;

/**
 * @throws Qwen3Error HUB_OFFLINE, HUB_NOT_FOUND, HUB_ACCESS, HUB_FILE, STORAGE_FULL before anything is downloaded that will not fit,
 *   SOURCE_READ; ARGUMENT where there is no cache or several files may be meant; the signal's reason
 */
export async function pull(id: HubId, settings: HubSettings, options: PullOptions = {}): Promise<Pulled> {
  const { cache, offline, endpoint } = settings;
  const { signal } = options;
  if (!cache) throw new Qwen3Error("ARGUMENT", "this host keeps no files; the model can be read from the hub without (stream)");
  if (offline)
    throw new Qwen3Error("HUB_OFFLINE", `${id.repo} is not downloaded: HF_HUB_OFFLINE is set, ${endpoint} is not asked`);
  const revision = id.revision ?? "main";
  const api = new HubApi(settings);
  const commit = await api.commitOf(id.repo, revision, signal);
  const files = await api.files(id.repo, commit, signal);
  const work = new Work(id.repo, commit, cache, settings, options);
  const main = await work.all(files, id, options.include);
  if (!isCommit(revision)) await cache.setCommit(id.repo, revision, commit);
  return {
    repo: id.repo,
    commit,
    location: cachedLocation(
      cache,
      id.repo,
      commit,
      work.files.map(({ path }) => path),
      main,
    ),
    files: work.files,
    downloadedBytes: work.downloadedBytes,
  };
}

/** One pull as it goes on. */
class Work {
  files: readonly HubFile[] = [];
  downloadedBytes = 0;
  #doneBytes = 0;

  readonly #repo: string;
  readonly #commit: string;
  readonly #cache: HubCache;
  readonly #settings: HubSettings;
  readonly #options: PullOptions;

  constructor(repo: string, commit: string, cache: HubCache, settings: HubSettings, options: PullOptions) {
    this.#repo = repo;
    this.#commit = commit;
    this.#cache = cache;
    this.#settings = settings;
    this.#options = options;
  }

  /** @returns what opens the model, as `Choice.main` */
  async all(files: readonly HubFile[], id: HubId, include: readonly string[] | undefined): Promise<string> {
    if (include) {
      const matchers = include.map(globMatcher);
      const named = files.filter(({ path }) => matchers.some((matches) => matches(path)));
      if (named.length === 0) throw new Qwen3Error("HUB_NOT_FOUND", `${this.#repo}: no file is named by ${include.join(", ")}`);
      await this.#download(named);
      return "";
    }
    const byPath = new Map(files.map((file) => [file.path, file]));
    const choice = chooseFiles([...byPath.keys()], id);
    const chosen = choice.files.map((path) => byPath.get(path)!);
    if (!choice.hasIndex) await this.#download(chosen);
    else {
      const index = byPath.get(INDEX_FILE)!;
      await this.#download([index]);
      const shards = (await cachedShards(this.#cache, this.#repo, this.#commit, this.#options.signal)).map((path) => {
        const shard = byPath.get(path);
        if (!shard) throw new Qwen3Error("HUB_FILE", `${this.#repo}: ${path} is missing, though ${INDEX_FILE} names it`);
        return shard;
      });
      await this.#download([...chosen, ...shards]);
    }
    return choice.main;
  }

  async #download(files: readonly HubFile[]): Promise<void> {
    this.files = files;
    this.#doneBytes = 0;
    await this.#requireRoom();
    for (const file of files) {
      await this.#one(file);
      this.#doneBytes += file.size;
      this.#report(file, 0);
    }
  }

  /** Before the first byte: two files of the same content count once. */
  async #requireRoom(): Promise<void> {
    const free = await this.#cache.freeBytes();
    if (free === undefined) return;
    let needed = 0;
    for (const blob of new Map(this.files.map((file) => [file.etag, file])).values())
      if (!(await this.#cache.hasBlob(this.#repo, blob)))
        needed += Math.max(0, blob.size - (await this.#cache.partialBytes(this.#repo, blob)));
    if (needed > 0 && needed + SPARE_BYTES > free)
      throw new Qwen3Error("STORAGE_FULL", `${this.#cache.name}: ${needed} bytes of ${this.#repo} are to come, ${free} are free`);
  }

  async #one(file: HubFile): Promise<void> {
    const [cache, repo, commit] = [this.#cache, this.#repo, this.#commit];
    const { signal, connections, rangeBytes } = this.#options;
    if (!(await cache.hasBlob(repo, file))) {
      const onWait = () => this.#report(file, 0, true);
      const partial = await cache.partial(repo, file, { signal, onWait });
      try {
        let before = partial.length;
        const onBytes = (bytes: number) => {
          this.downloadedBytes += Math.max(0, bytes - before);
          before = bytes;
          this.#report(file, bytes);
        };
        const http = new HubApi(this.#settings).file(repo, commit, file.path);
        // Whoever was waited for may have made it.
        if (!(await cache.hasBlob(repo, file)))
          await downloadBlob(http, file, partial, { signal, connections, rangeBytes, onBytes });
      } finally {
        await partial.close();
      }
    }
    await cache.link(repo, commit, file.path, file);
  }

  #report(file: HubFile, bytes: number, waiting = false): void {
    this.#options.onProgress?.({
      file: file.path,
      waiting,
      loadedBytes: this.#doneBytes + bytes,
      totalBytes: this.files.reduce((sum, { size }) => sum + size, 0),
      downloadedBytes: this.downloadedBytes,
    });
  }
}
