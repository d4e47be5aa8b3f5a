/** Models of the hub by the names that people give them: fetched into the cache, listed, removed. */
import { Qwen3Error } from "../core/errors.ts";
import { splitNames } from "../formats/gguf-files.ts";
import { shown } from "../formats/json.ts";
import type { CachedModel, HubCache } from "./cache.ts";
import { chooseFiles } from "./choose-files.ts";
import type { HubId } from "./hub-id.ts";
import { type Pulled, type PullOptions, pull } from "./pull.ts";
import { type HubOptions, type HubSettings, hubSettings, idWithRevision } from "./settings.ts";

/**
 * Downloads a model of the hub into the cache, or what is missing of it; `Qwen3.fromPretrained(id)` then finds it there.
 *
 * @param id `owner/name`, `owner/name:Q4_K_M`, `owner/name:file.gguf`, with `hf.co/` in front or not, or a URL of the hub
 * @throws Qwen3Error HUB_NOT_FOUND, HUB_ACCESS, HUB_OFFLINE, HUB_FILE, STORAGE_FULL, SOURCE_READ, ARGUMENT; the signal's reason
 */
export async function pullModel(id: string, options: HubOptions & PullOptions = {}): Promise<Pulled> {
  const { settings, parsed } = await settingsFor(id, options);
  return pull(parsed, settings, options);
}

/** What is in the cache, by name. */
export async function cachedModels(options: HubOptions = {}): Promise<CachedModel[]> {
  const { cache } = await hubSettings(options);
  return cache ? cache.list() : [];
}

/**
 * Removes a model from the cache, whoever downloaded it; of an id with a file or a quantization only that.
 *
 * @returns the bytes that are free now
 * @throws Qwen3Error HUB_NOT_FOUND where it is not in the cache
 */
export async function removeModel(id: string, options: HubOptions = {}): Promise<number> {
  const { settings, parsed } = await settingsFor(id, options);
  const { cache } = settings;
  const { repo } = parsed;
  const isPart = parsed.file !== undefined || parsed.quantization !== undefined;
  const only = cache && isPart ? await chosenPaths(cache, parsed) : undefined;
  const freed = await cache?.remove(repo, only && ((path) => only.has(path)));
  if (freed === undefined)
    throw new Qwen3Error("HUB_NOT_FOUND", `${id} is not in ${cache?.name ?? "a cache: this host has none"}`);
  return freed;
}

/** In any revision. */
async function chosenPaths(cache: HubCache, id: HubId): Promise<Set<string>> {
  const model = (await cache.list()).find(({ repo }) => repo === id.repo);
  const paths = new Set((model?.revisions ?? []).flatMap(({ files }) => files.map(({ path }) => path)));
  const [first] = paths.size > 0 ? chooseFiles(withWholeSets(paths), id).files : [];
  if (first === undefined) return new Set();
  const folder = first.slice(0, first.lastIndexOf("/") + 1);
  return new Set(splitNames(first.slice(folder.length)).map((name) => folder + name));
}

/** As if all parts of a split file were there, so that a set of which one is missing can be removed too. */
function withWholeSets(paths: ReadonlySet<string>): string[] {
  const all = [...paths].flatMap((path) => {
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    return splitNames(path.slice(folder.length)).map((name) => folder + name);
  });
  return [...new Set(all)];
}

async function settingsFor(id: string, options: HubOptions): Promise<{ settings: HubSettings; parsed: HubId }> {
  const settings = await hubSettings(options);
  const parsed = idWithRevision(id, settings, options);
  if (!parsed)
    throw new Qwen3Error(
      "ARGUMENT",
      `${shown(id)} is no model of the hub; allowed: owner/name, owner/name:Q4_K_M, owner/name:file.gguf, a URL`,
    );
  return { settings, parsed };
}
