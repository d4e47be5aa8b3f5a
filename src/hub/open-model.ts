/**
 * What a user calls a model, and what is behind it: a folder or file that is there, a URL, or a model of the hub, from the cache if it is
 * in it, else downloaded or read from there.
 */
import { Qwen3Error } from "../core/errors.ts";
import { detectHost } from "../core/host.ts";
import { type Checkpoint, openCheckpoint } from "../formats/checkpoint.ts";
import { httpSource } from "../formats/http.ts";
import type { CheckpointLocation } from "../formats/location.ts";
import type { CheckpointSource } from "../formats/source.ts";
import type { HubCache } from "./cache.ts";
import { chooseFiles, isDefaultChoice } from "./choose-files.ts";
import { HubApi } from "./hub-api.ts";
import { type HubId, isCommit, parseHubId } from "./hub-id.ts";
import { pull } from "./pull.ts";
import { type HubOptions, type HubSettings, hubSettings, idWithRevision, isHubUrl } from "./settings.ts";
import { cachedLocation, cachedShards, snapshotFolder } from "./snapshot.ts";

export interface OpenModelOptions {
  readonly hub?: HubOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens the checkpoint that `location` names.
 *
 * @throws Qwen3Error as `locateModel` and `openCheckpoint` do
 */
export async function openModel(location: CheckpointLocation, { hub, signal }: OpenModelOptions = {}): Promise<Checkpoint> {
  const found = await locateModel(location, { hub, signal });
  return openCheckpoint(found, signal ? { signal } : {});
}

/**
 * Where the model is that `location` names: what `openCheckpoint` takes. A path that exists is that path, whatever else it may mean.
 *
 * @throws Qwen3Error HUB_OFFLINE, HUB_NOT_FOUND, HUB_ACCESS, HUB_FILE, STORAGE_FULL, SOURCE_READ, ARGUMENT; the signal's reason
 */
export async function locateModel(
  location: CheckpointLocation,
  { hub = {}, signal }: OpenModelOptions = {},
): Promise<CheckpointLocation> {
  const text = location instanceof URL ? location.href : location;
  if (typeof text !== "string" || !mayBeId(text)) return location;
  const host = detectHost();
  if (/^https?:/i.test(text) && !(await isHubUrl(text, hub, host))) return location;
  if (host.nodeModules && (await (await import("./path-node.ts")).exists(text))) return location;
  const settings = await hubSettings(hub, host);
  const id = idWithRevision(text, settings, hub);
  if (!id) return location;
  try {
    return await find(id, settings, hub, signal);
  } catch (error) {
    throw host.nodeModules ? noSuchPath(text, error) : error;
  }
}

/** Spares paths that cannot be ids the look at settings and disk. */
const mayBeId = (text: string): boolean =>
  /^https?:/i.test(text) || parseHubId(text) !== undefined || /^[\w.:-]+\/[\w.-]+\/[\w.-]+/.test(text);

async function find(
  id: HubId,
  settings: HubSettings,
  { stream, onProgress }: HubOptions,
  signal: AbortSignal | undefined,
): Promise<string | CheckpointSource> {
  const { cache, offline, endpoint } = settings;
  const cached = cache && (await inCache(id, cache, signal));
  if (cached && (cached.complete || offline)) return cached.location;
  if (offline)
    throw new Qwen3Error(
      "HUB_OFFLINE",
      `${id.repo} is not in ${cache?.name ?? "any cache"}, and HF_HUB_OFFLINE is set: ${endpoint} is not asked`,
    );
  if (stream || !cache) return remote(id, settings, signal);
  try {
    return (await pull(id, settings, { onProgress, signal })).location;
  } catch (error) {
    if (cached && error instanceof Qwen3Error && error.code === "SOURCE_READ") return cached.location; // better than nothing
    throw error;
  }
}

interface Cached {
  readonly location: string | CheckpointSource;
  /** Whether the hub could tell nothing new: without a tokenizer, or with one of several GGUF files that might be meant, it could. */
  readonly complete: boolean;
}

/** The model in the cache, if its weights are there. */
async function inCache(id: HubId, cache: HubCache, signal: AbortSignal | undefined): Promise<Cached | undefined> {
  const { repo, revision = "main" } = id;
  const commit = isCommit(revision) ? revision : await cache.commitOf(repo, revision);
  if (commit === undefined) return undefined;
  const paths = await cache.paths(repo, commit);
  try {
    const choice = chooseFiles(paths, id);
    if (choice.hasIndex && !(await cachedShards(cache, repo, commit, signal)).every((shard) => paths.includes(shard)))
      return undefined;
    const isNamed = id.file !== undefined || id.quantization !== undefined;
    const complete =
      choice.main === ""
        ? paths.includes("config.json") && paths.includes("tokenizer.json")
        : isNamed || isDefaultChoice(choice.main);
    const files = choice.main === "" ? paths : choice.files;
    return { location: cachedLocation(cache, repo, commit, files, choice.main), complete };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Qwen3Error && error.code !== "ARGUMENT") return undefined; // weights are missing, or cut short
    throw error;
  }
}

/** The files of one commit, read from the hub by ranges. */
async function remote(id: HubId, settings: HubSettings, signal: AbortSignal | undefined): Promise<CheckpointSource> {
  const { repo, revision = "main" } = id;
  const api = new HubApi(settings);
  const commit = await api.commitOf(repo, revision, signal);
  const paths = (await api.files(repo, commit, signal)).map(({ path }) => path);
  const { files, main } = chooseFiles(paths, id);
  return snapshotFolder(`${settings.endpoint}/${repo}`, main === "" ? paths : files, main, (path, signal) =>
    httpSource(api.fileUrl(repo, commit, path), settings.client, signal),
  );
}

/** A mistyped path looks like an id: the error says both. */
function noSuchPath(text: string, error: unknown): unknown {
  if (!(error instanceof Qwen3Error) || /^https?:/i.test(text)) return error;
  return new Qwen3Error(error.code, `${text}: no such path here, so a model of the hub; ${error.message}`, { cause: error });
}
