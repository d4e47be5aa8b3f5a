/**
 * A GGUF checkpoint's files: one, or several whose names say which of how many they are (`name-00001-of-00003.gguf`). The first one has
 * the metadata; all together have the tensors.
 * Source: llama.cpp, gguf-split.
 */
import { Qwen3Error } from "../core/errors.ts";
import { type GgufHeader, type GgufTensor, MAX_TENSORS, parseGgufHeader } from "./gguf.ts";
import type { GgufMetadata } from "./gguf-metadata.ts";
import { MAX_BINARY_HEADER_BYTES } from "./header-reader.ts";
import { shown } from "./json.ts";
import type { ByteSource } from "./source.ts";

const MAX_FILES = 256; // each stays open
const SPLIT_NAME = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

/** Opens a file beside the first one. */
export type OpenBeside = (file: string) => Promise<ByteSource>;

export interface StoredGgufTensor extends GgufTensor {
  readonly source: ByteSource;
}

export interface GgufFiles {
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly sources: readonly ByteSource[];
  readonly tensors: ReadonlyMap<string, StoredGgufTensor>;
}

/** The files of a set, in order, by the name of any of them; the name alone where it is no part of one. */
export function splitNames(file: string): string[] {
  const [, stem, , total] = SPLIT_NAME.exec(file) ?? [];
  const count = Number(total);
  if (stem === undefined || count < 1 || count > MAX_FILES) return [file];
  const extension = file.slice(-".gguf".length);
  return Array.from({ length: count }, (_, i) => `${stem}-${String(i + 1).padStart(5, "0")}-of-${total}${extension}`);
}

/**
 * @param file the name of any file of the set
 * @throws Qwen3Error CHECKPOINT_HEADER for files that break the format or do not belong together, and what `open` throws
 */
export async function readGgufFiles(file: string, open: OpenBeside, signal?: AbortSignal): Promise<GgufFiles> {
  const names = splitNames(file);
  const tensors = new Map<string, StoredGgufTensor>();
  const sources: ByteSource[] = [];
  let first: GgufHeader | undefined;
  let headerBytes = 0;
  for (const [i, name] of names.entries()) {
    const source = await open(name);
    sources.push(source);
    const header = await parseGgufHeader(source, signal, MAX_BINARY_HEADER_BYTES - headerBytes);
    headerBytes += header.bytes;
    checkSplit(header.metadata, i, names.length, source);
    first ??= header;
    if (tensors.size + header.tensors.size > MAX_TENSORS)
      refuse(source, `with the files before it the set has more than ${MAX_TENSORS} tensors`);
    for (const [name, tensor] of header.tensors) {
      if (tensors.has(name)) refuse(source, `tensor ${shown(name)} is in an earlier file of the set too`);
      tensors.set(name, { ...tensor, source });
    }
  }
  const { version, metadata } = first!;
  const total = metadata.get("split.tensors.count");
  if (names.length > 1 && total !== tensors.size)
    refuse(
      sources[0]!,
      `split.tensors.count is ${total === undefined ? "absent" : shown(total)}; the files have ${tensors.size} tensors`,
    );
  return { version, metadata, sources, tensors };
}

/** The metadata has to say what the name says; one file alone needs to say nothing. */
function checkSplit(metadata: GgufMetadata, index: number, count: number, source: ByteSource): void {
  for (const [key, expected, alone] of [
    ["split.count", count, [0, 1]],
    ["split.no", index, [0]],
  ] as const) {
    const value = metadata.get(key);
    if (count === 1 ? value === undefined || (alone as readonly unknown[]).includes(value) : value === expected) continue;
    refuse(
      source,
      `${key} is ${value === undefined ? "absent" : shown(value)}; by its name the file is number ${index} of ${count}, from 0`,
    );
  }
}

function refuse(source: ByteSource, problem: string): never {
  throw new Qwen3Error("CHECKPOINT_HEADER", `${source.name}: ${problem}`);
}
