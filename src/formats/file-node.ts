/** Files and folders on disk, for Node, Deno and Bun. */
import type { Stats } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Qwen3Error } from "../core/errors.ts";
import type { OpenLocation } from "./location.ts";
import { checkRange, isFileName, reading } from "./range.ts";
import type { ByteSource, CheckpointSource } from "./source.ts";

/** @throws Qwen3Error SOURCE_READ where the path does not exist, is not a folder, or may not be read */
export async function fileFolder(location: string | URL, signal?: AbortSignal): Promise<CheckpointSource> {
  const folder = await pathOf(location, signal);
  const stats = await statIfPresent(folder, signal);
  if (!stats) throw new Qwen3Error("SOURCE_READ", `${folder}: no such file or folder`);
  if (!stats.isDirectory())
    throw new Qwen3Error("SOURCE_READ", `${folder}: not a folder; give the folder that holds config.json, or a GGUF file`);
  return {
    name: folder,
    async open(file, signal) {
      if (!isFileName(file)) throw new Qwen3Error("ARGUMENT", `${folder}: ${JSON.stringify(file)} is not a file's name`);
      return fileSource(join(folder, file), signal);
    },
    list: (signal) => reading(folder, signal, () => readdir(folder)),
  };
}

/** The file that the path names, in its folder; undefined where it names none. */
export async function fileAt(location: string | URL, signal?: AbortSignal): Promise<OpenLocation | undefined> {
  const path = await pathOf(location, signal);
  if (!(await statIfPresent(path, signal))?.isFile()) return undefined;
  return { folder: await fileFolder(dirname(path), signal), file: basename(path) };
}

function pathOf(location: string | URL, signal: AbortSignal | undefined): Promise<string> {
  return reading(String(location), signal, async () => (location instanceof URL ? fileURLToPath(location) : location));
}

/** A file, held open until `close`; undefined where there is none. */
export async function fileSource(path: string, signal?: AbortSignal): Promise<ByteSource | undefined> {
  const stats = await statIfPresent(path, signal);
  if (!stats) return undefined;
  if (!stats.isFile()) throw new Qwen3Error("SOURCE_READ", `${path}: not a regular file`); // a pipe would block
  const file = await reading(path, signal, () => open(path, "r"));
  const source: ByteSource = {
    name: path,
    size: stats.size,
    read: (offset, length, signal, into) =>
      reading(path, signal, async () => {
        checkRange(source, offset, length);
        const bytes = into ? new Uint8Array(into, 0, length) : new Uint8Array(length);
        for (let filled = 0; filled < length; ) {
          const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
          if (bytesRead === 0)
            throw new Error(`the file ended at byte ${offset + filled}; it had ${stats.size} when it was opened`);
          filled += bytesRead;
        }
        return bytes;
      }),
    close: () => file.close(),
  };
  return source;
}

function statIfPresent(path: string, signal: AbortSignal | undefined): Promise<Stats | undefined> {
  return reading(path, signal, () =>
    stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw error;
    }),
  );
}
