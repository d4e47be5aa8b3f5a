/** The chosen files of a commit as something that `openCheckpoint` takes, wherever they are. */
import type { ByteSource, CheckpointSource } from "../formats/source.ts";
import type { HubCache } from "./cache.ts";

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
