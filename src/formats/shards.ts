/**
 * Which file holds which tensor. A checkpoint is either one `model.safetensors`, or shards with an index that maps every tensor's
 * name to its file; the index and the files have to say the same.
 */
import { Qwen3Error } from "../core/errors.ts";
import { Fields } from "./fields.ts";
import { HEADER_VALUES, parseJson, shown } from "./json.ts";
import type { OpenFiles } from "./open-files.ts";
import { isFileName, readRange } from "./range.ts";
import { MAX_HEADER_BYTES, parseSafetensorsHeader, type TensorInfo } from "./safetensors.ts";
import type { ByteSource } from "./source.ts";
import type { EncodedTensor } from "./stored-rows.ts";

export const SINGLE_FILE = "model.safetensors";
export const INDEX_FILE = "model.safetensors.index.json";
const MAX_SHARDS = 1024; // each stays open; the largest published checkpoints of any kind have a few hundred

/** The tensors of all files by their names in the files. */
export async function readTensorList(files: OpenFiles, signal?: AbortSignal): Promise<Map<string, EncodedTensor>> {
  const index = await files.open(INDEX_FILE, signal);
  if (index) return readShards(await readIndex(index, signal), files, signal);
  const source = await files.openRequired(SINGLE_FILE, `and so is ${INDEX_FILE}; only safetensors checkpoints are read`, signal);
  return tensorsOf(source, signal);
}

/** The names of the files, in order of the index where there is one. */
export async function shardFiles(files: OpenFiles, signal?: AbortSignal): Promise<string[]> {
  const index = await files.open(INDEX_FILE, signal);
  return index ? [...(await readIndex(index, signal)).keys()] : [SINGLE_FILE];
}

/** The index: tensor names by file. */
async function readIndex(source: ByteSource, signal: AbortSignal | undefined): Promise<Map<string, Set<string>>> {
  if (source.size > MAX_HEADER_BYTES)
    refuse(source, `the index has ${source.size} bytes; at most ${MAX_HEADER_BYTES} are allowed`);
  const json = parseJson(await readRange(source, 0, source.size, signal), source.name, "CHECKPOINT_HEADER", HEADER_VALUES);
  const weightMap = new Fields(json, source.name, "CHECKPOINT_HEADER").object("weight_map");
  const shards = new Map<string, Set<string>>();
  for (const name of weightMap.keys()) {
    const file = weightMap.value(name);
    if (typeof file !== "string" || !isFileName(file) || !file.endsWith(".safetensors"))
      return weightMap.refuse(name, "names of .safetensors files in the same folder");
    const names = shards.get(file) ?? new Set();
    shards.set(file, names.add(name));
  }
  if (shards.size > MAX_SHARDS) refuse(source, `the index names ${shards.size} files; at most ${MAX_SHARDS} are allowed`);
  return shards;
}

async function readShards(
  shards: ReadonlyMap<string, ReadonlySet<string>>,
  files: OpenFiles,
  signal: AbortSignal | undefined,
): Promise<Map<string, EncodedTensor>> {
  const all = new Map<string, EncodedTensor>();
  let headerBytes = 0;
  for (const [file, names] of shards) {
    const source = await files.openRequired(file, `though ${INDEX_FILE} names it`, signal);
    const { tensors, bytes } = await parseSafetensorsHeader(source, signal, MAX_HEADER_BYTES - headerBytes);
    headerBytes += bytes;
    for (const name of names)
      if (!tensors.has(name)) refuse(source, `${shown(name)} is missing, though ${INDEX_FILE} places it in this file`);
    for (const [name, info] of tensors) {
      if (!names.has(name)) refuse(source, `${shown(name)} is in this file, but ${INDEX_FILE} does not place it here`);
      all.set(name, encoded(info, source));
    }
  }
  return all;
}

async function tensorsOf(source: ByteSource, signal: AbortSignal | undefined): Promise<Map<string, EncodedTensor>> {
  const { tensors } = await parseSafetensorsHeader(source, signal);
  return new Map([...tensors].map(([name, info]) => [name, encoded(info, source)]));
}

function encoded({ name, shape, dtype, byteOffset }: TensorInfo, source: ByteSource): EncodedTensor {
  const encoding = dtype === "f32" || dtype === "f16" || dtype === "bf16" ? { type: dtype } : undefined;
  return { name, shape, dtype, encoding, parts: [{ source, byteOffset }] };
}

function refuse(source: ByteSource, problem: string): never {
  throw new Qwen3Error("CHECKPOINT_HEADER", `${source.name}: ${problem}`);
}
