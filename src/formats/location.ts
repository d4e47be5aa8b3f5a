/** Where a checkpoint is: a folder, or one file with everything in it. */
import { detectHost, type Host } from "../core/host.ts";
import { blobSource } from "./memory.ts";
import { isFileName } from "./range.ts";
import { type CheckpointSource, httpFolder, locationUrl, openFolder } from "./source.ts";

/** A folder's path or URL, one of a file that is a whole checkpoint, such a file as a Blob, or a folder of any other kind. */
export type CheckpointLocation = string | URL | Blob | CheckpointSource;

export interface OpenLocation {
  readonly folder: CheckpointSource;
  /** The file in it that was named; undefined where the folder itself was. */
  readonly file?: string;
}

/** Files by which an `http(s):` URL is told from a folder's. */
const FILE_URL = /[^/]\.(gguf|safetensors)$/i;

/** @throws Qwen3Error as `openFolder` */
export async function openLocation(
  location: CheckpointLocation,
  signal?: AbortSignal,
  host: Host = detectHost(),
): Promise<OpenLocation> {
  if (location instanceof Blob) return blobLocation(location);
  if (typeof location === "string" || location instanceof URL) {
    const url = locationUrl(location);
    if (url?.protocol === "http:" || url?.protocol === "https:") return urlLocation(url);
    if (host.nodeModules && (url === undefined ? typeof location === "string" : url.protocol === "file:")) {
      const { fileAt } = await import("./file-node.ts"); // loads node:fs, so only here
      const found = await fileAt(url ?? location, signal);
      if (found) return found;
    }
  }
  return { folder: await openFolder(location, signal, host) };
}

/** A Blob is a folder of one file, under the name that it has if it is a File. */
function blobLocation(blob: Blob): OpenLocation {
  const given = (blob as Blob & { readonly name?: unknown }).name;
  const file = typeof given === "string" && isFileName(given) ? given : "model.gguf";
  const folder: CheckpointSource = {
    name: file,
    open: async (name, signal) => {
      signal?.throwIfAborted();
      return name === file ? blobSource(file, blob) : undefined;
    },
    list: async () => [file],
  };
  return { folder, file };
}

function urlLocation(url: URL): OpenLocation {
  if (!FILE_URL.test(url.pathname)) return { folder: httpFolder(url) };
  const parent = new URL(".", url);
  parent.search = url.search;
  return { folder: httpFolder(parent), file: decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf("/") + 1)) };
}
