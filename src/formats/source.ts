/**
 * Where a checkpoint's bytes come from: a folder of files on disk, behind a URL, in Blobs, or in memory. Everything above reads
 * through these two interfaces, so any object that has them is a source too.
 */
import { Qwen3Error } from "../core/errors.ts";
import { detectHost, type Host } from "../core/host.ts";
import { httpFolder, shownUrl } from "./http.ts";

export { httpFolder, httpSource } from "./http.ts";
export { blobSource, bytesSource, memoryFolder } from "./memory.ts";

/** Random-access bytes: a file, a URL read by HTTP range, a Blob, or memory. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  /** In bytes, fixed while the source is open. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset` on, in an array that the caller may keep and change.
   *
   * @param into of at least `length` bytes; a source may put them at its beginning, to spare the host new memory
   */
  read(offset: number, length: number, signal?: AbortSignal, into?: ArrayBuffer): Promise<Uint8Array>;
  close?(): Promise<void> | void;
}

/** A folder of named byte sources: what a checkpoint is read from. `open` gives undefined for a file that does not exist. */
export interface CheckpointSource {
  readonly name: string;
  open(file: string, signal?: AbortSignal): Promise<ByteSource | undefined>;
  /** The names of the files, where the source can tell: by them a GGUF file is found whose name nobody gave. */
  list?(signal?: AbortSignal): Promise<readonly string[]>;
}

/** Text that is a URL of any scheme, not a path; one letter with a colon is a drive. */
const URL_TEXT = /^((https?|file):|[a-z][a-z\d+.-]+:\/\/)/i;

/** The URL that a location is; undefined for a path, and for a URL that cannot be parsed. */
export function locationUrl(location: string | URL): URL | undefined {
  if (typeof location === "string" && !URL_TEXT.test(location)) return undefined;
  return URL.canParse(location) ? new URL(location) : undefined;
}

/**
 * The folder that `location` names: a path or `file:` URL (Node, Deno, Bun), an `http(s):` URL below which the files lie, or an
 * object that is a source already.
 *
 * @throws Qwen3Error SOURCE_READ where the folder does not exist or the host has no files; ARGUMENT for other kinds of location
 */
export async function openFolder(
  location: string | URL | CheckpointSource,
  signal?: AbortSignal,
  host: Host = detectHost(),
): Promise<CheckpointSource> {
  signal?.throwIfAborted();
  if (typeof location === "string" && !URL_TEXT.test(location)) return openPath(location, host, signal);
  if (typeof location === "string" || location instanceof URL) {
    const url = URL.canParse(location) ? new URL(location) : undefined;
    if (url?.protocol === "http:" || url?.protocol === "https:") return httpFolder(url);
    if (url?.protocol === "file:") return openPath(url, host, signal);
  } else if (typeof location?.open === "function") return location;
  throw new Qwen3Error(
    "ARGUMENT",
    `a checkpoint is a folder's path, a file:, http: or https: URL, or an object with open(file); got ${describe(location)}`,
  );
}

/** What was given instead of a location, without the secrets that a URL may hold. */
function describe(location: unknown): string {
  if (typeof location !== "string" && !(location instanceof URL)) return location === null ? "null" : typeof location;
  return URL.canParse(location) ? shownUrl(new URL(location)) : "a URL that cannot be parsed";
}

async function openPath(path: string | URL, host: Host, signal: AbortSignal | undefined): Promise<CheckpointSource> {
  if (!host.nodeModules)
    throw new Qwen3Error("SOURCE_READ", `${path}: no file access on this host (${host.name}); give an http: URL or Blobs`);
  const { fileFolder } = await import("./file-node.ts"); // loads node:fs, so only here
  return fileFolder(path, signal);
}
