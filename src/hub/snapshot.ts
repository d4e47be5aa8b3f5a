/** The chosen files of a commit as something that `openCheckpoint` takes, wherever they are. */
import { Qwen3Error } from "../core/errors.ts";
import { OpenFiles } from "../formats/open-files.ts";
import { INDEX_FILE } from "../formats/shards.ts";
import type { ByteSource, CheckpointSource } from "../formats/source.ts";
import type { HubCache } from "./cache.ts";
import { shardsOf } from "./choose-files.ts";

/** Opens a file of a commit by its path. */
export type OpenPath = (path: string, signal?: AbortSignal) => Promise<ByteSource | undefined>;

/**
 * @param files paths in the repository
 * @param main  the GGUF file that opens the model, of a set the first; "" for safetensors, which lie in the root
 */
export function snapshotFolder(name: string, files: readonly string[], main: string, open: OpenPath): CheckpointSource {
  const parent = main.slice(0, main.lastIndexOf("/") + 1);
  const names = files.filter((path) => path.startsWith(parent)).map((path) => path.slice(parent.length));
  return {
    name,
    open: async (file, signal) => (names.includes(file) ? open(parent + file, signal) : undefined),
    list: async () => names,
  };
}

const INDEX_BYTES = 100 * 1024 * 1024;

/** The shards that the index of a commit in a cache names. @throws Qwen3Error HUB_FILE where it is broken */
export async function cachedShards(cache: HubCache, repo: string, commit: string, signal?: AbortSignal): Promise<string[]> {
  const folder: CheckpointSource = { name: repo, open: (file, signal) => cache.open(repo, commit, file, signal) };
  const bytes = await new OpenFiles(folder).readWhole(INDEX_FILE, INDEX_BYTES, signal);
  if (!bytes) throw new Qwen3Error("HUB_FILE", `${repo}: ${INDEX_FILE} is gone from ${cache.name}`);
  return shardsOf(bytes, repo);
}

/** The same in a cache: a path where it has paths. */
export function cachedLocation(
  cache: HubCache,
  repo: string,
  commit: string,
  files: readonly string[],
  main: string,
): string | CheckpointSource {
  if (cache.path) return cache.path(repo, commit, main);
  return snapshotFolder(repo, files, main, (path, signal) => cache.open(repo, commit, path, signal));
}
