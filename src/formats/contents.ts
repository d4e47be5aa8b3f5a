/**
 * What is in a file or a checkpoint, whatever model it is of: tensors and metadata as the headers have them. Nothing is computed, and no
 * tensor's bytes are read.
 */
import { Qwen3Error } from "../core/errors.ts";
import { beginsAsGguf } from "./gguf.ts";
import { ggufIn } from "./gguf-checkpoint.ts";
import { readGgufFiles } from "./gguf-files.ts";
import type { GgufArray, GgufScalar } from "./gguf-metadata.ts";
import { HEADER_VALUES, type Json, parseJson } from "./json.ts";
import { type CheckpointLocation, openLocation } from "./location.ts";
import { OpenFiles } from "./open-files.ts";
import { readRange } from "./range.ts";
import { MAX_HEADER_BYTES, parseSafetensorsHeader } from "./safetensors.ts";
import { shardFiles } from "./shards.ts";
import type { ByteSource } from "./source.ts";

export interface Contents {
  readonly name: string;
  /** "GGUF 3", "safetensors". */
  readonly format: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** By where they stand: the file itself, or config.json beside it. */
  readonly metadata: ReadonlyMap<string, ReadonlyMap<string, ContentValue>>;
  /** In the order of the headers. */
  readonly tensors: readonly ContentTensor[];
}

export type ContentValue = GgufScalar | GgufArray | Json;

export interface ContentTensor {
  readonly name: string;
  /** In the file's own words. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly file: string;
}

const CONFIG_BYTES = 1024 * 1024;

/**
 * @param location as `openCheckpoint` takes them, and safetensors files
 * @throws Qwen3Error CHECKPOINT_HEADER, CHECKPOINT_FILE, SOURCE_READ; the signal's reason once that is aborted
 */
export async function readContents(location: CheckpointLocation, signal?: AbortSignal): Promise<Contents> {
  const { folder, file } = await openLocation(location, signal);
  const files = new OpenFiles(folder);
  try {
    if (file === undefined) {
      const gguf = await ggufIn(folder, signal);
      return gguf === undefined ? await ofFolder(files, folder.name, signal) : await ofGguf(files, gguf, signal);
    }
    const source = await files.openRequired(file, "though it was asked for", signal);
    const isGguf = beginsAsGguf(await readRange(source, 0, Math.min(4, source.size), signal)) || /\.gguf$/i.test(file);
    return isGguf ? await ofGguf(files, file, signal) : await ofSafetensors(source.name, new Map([[file, source]]), signal);
  } finally {
    await files.close();
  }
}

async function ofGguf(files: OpenFiles, file: string, signal: AbortSignal | undefined): Promise<Contents> {
  const open = (name: string) => files.openRequired(name, "though the set has it", signal);
  const { version, metadata, sources, tensors } = await readGgufFiles(file, open, signal);
  return {
    name: sources[0]!.name,
    format: `GGUF ${version}`,
    files: sources.map(({ name, size }) => ({ name, bytes: size })),
    metadata: new Map([["metadata", metadata]]),
    tensors: Array.from(tensors.values(), ({ name, dtype, shape, byteLength, source }) => ({
      ...{ name, dtype, shape },
      ...{ bytes: byteLength, file: source.name },
    })),
  };
}

async function ofFolder(files: OpenFiles, name: string, signal: AbortSignal | undefined): Promise<Contents> {
  const sources = new Map<string, ByteSource>();
  for (const file of await shardFiles(files, signal))
    sources.set(file, await files.openRequired(file, "and there is no GGUF file", signal));
  const contents = await ofSafetensors(name, sources, signal);
  const config = await files.readWhole("config.json", CONFIG_BYTES, signal);
  if (!config) return contents;
  const json = parseJson(config, "config.json", "CHECKPOINT_FILE", HEADER_VALUES);
  if (typeof json !== "object" || json === null) throw new Qwen3Error("CHECKPOINT_FILE", "config.json: an object is needed");
  return { ...contents, metadata: new Map([["config.json", new Map(Object.entries(json))], ...contents.metadata]) };
}

async function ofSafetensors(
  name: string,
  sources: ReadonlyMap<string, ByteSource>,
  signal: AbortSignal | undefined,
): Promise<Contents> {
  const metadata = new Map<string, ReadonlyMap<string, ContentValue>>();
  const tensors: ContentTensor[] = [];
  let headerBytes = 0;
  for (const [file, source] of sources) {
    const header = await parseSafetensorsHeader(source, signal, MAX_HEADER_BYTES - headerBytes);
    headerBytes += header.bytes;
    if (header.metadata.size > 0) metadata.set(file, header.metadata);
    for (const { name, dtype, shape, byteLength } of header.tensors.values())
      tensors.push({ name, dtype, shape, bytes: byteLength, file: source.name });
  }
  const listed = Array.from(sources.values(), ({ name, size }) => ({ name, bytes: size }));
  return { name, format: "safetensors", files: listed, metadata, tensors };
}
