/**
 * GGUF, versions 2 and 3, little-endian:
 *
 *   "GGUF", version u32, number of tensors u64, number of metadata keys u64
 *   per key: name, type u32, value            per tensor: name, dimensions u32, each u64, type u32, offset u64
 *   padding, then the tensors' bytes, each from a multiple of `general.alignment` (32) on
 *
 * Offsets count from the first byte behind the padding. The parser accepts a file only if the tensors lie one behind the other, with
 * nothing but the padding between. Dimensions are stored fastest first; here they are turned round, so that a matrix is [rows, columns].
 * Source: github.com/ggml-org/ggml, docs/gguf.md.
 */

import { TENSOR_TYPES } from "./gguf-format.ts";
import { type GgufMetadata, readMetadata } from "./gguf-metadata.ts";
import { HeaderReader } from "./header-reader.ts";
import { shown } from "./json.ts";
import type { ByteSource } from "./source.ts";

export interface GgufTensor {
  readonly name: string;
  /** The type's name in lower case: `f16`, `q4_k` ... */
  readonly dtype: string;
  /** Slowest first; rows are whole blocks. */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface GgufHeader {
  readonly version: number;
  /** Of the header. */
  readonly bytes: number;
  readonly metadata: GgufMetadata;
  /** In the file's order. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const MAGIC = 0x46554747; // "GGUF"
const VERSIONS = [2, 3];
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1024 * 1024;
/** The largest published models have some 2,000. */
export const MAX_TENSORS = 4096;
const MAX_NAME_BYTES = 64;
const MAX_DIMENSIONS = 4;
/** Length of a name of no bytes, one dimension, type, offset. */
const LEAST_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8;
/** Length of a key of no bytes, type, a value of one byte. */
const LEAST_KEY_BYTES = 8 + 4 + 1;

/** Whether these are the first bytes of a GGUF file. */
export function beginsAsGguf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === MAGIC;
}

/**
 * Reads and checks everything in front of the tensors' bytes, which stay where they are.
 *
 * @param mostBytes how many the header may have; default 16 MiB
 * @throws Qwen3Error CHECKPOINT_HEADER saying which rule is broken, SOURCE_READ where the bytes cannot be read
 */
export async function parseGgufHeader(source: ByteSource, signal?: AbortSignal, mostBytes?: number): Promise<GgufHeader> {
  const header = new HeaderReader(source, signal, mostBytes);
  const version = await readVersion(header);
  const size = `for the file ends after ${source.size} bytes`;
  const tensorCount = await header.count("the number of tensors", Math.floor(source.size / LEAST_TENSOR_BYTES), size);
  const keyCount = await header.count("the number of metadata keys", Math.floor(source.size / LEAST_KEY_BYTES), size);
  if (tensorCount > MAX_TENSORS) header.refuse(`${tensorCount} tensors; at most ${MAX_TENSORS} are allowed`);
  const metadata = await readMetadata(header, keyCount);
  const alignment = alignmentOf(metadata, header);
  const stated: StatedTensor[] = [];
  for (let i = 0; i < tensorCount; i++) stated.push(await readTensor(header, i));
  const bytes = header.at;
  const dataStart = padded(bytes, alignment);
  header.finish();
  return { version, bytes, metadata, tensors: placeTensors(stated, header, dataStart, alignment) };
}

async function readVersion(header: HeaderReader): Promise<number> {
  const magic = await header.uint32("the magic number");
  if (magic !== MAGIC) header.refuse("not a GGUF file: it does not begin with GGUF");
  const version = await header.uint32("the version");
  if (VERSIONS.includes(version)) return version;
  const what = version !== 0 && version % 65_536 === 0 ? "big-endian, which is not read" : `of version ${version}`;
  return header.refuse(`the file is ${what}; supported: ${VERSIONS.join(" and ")}, little-endian`);
}

function alignmentOf(metadata: GgufMetadata, header: HeaderReader): number {
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (
    typeof alignment === "number" &&
    alignment >= 1 &&
    alignment <= MAX_ALIGNMENT &&
    Number.isInteger(alignment) &&
    (alignment & (alignment - 1)) === 0
  )
    return alignment;
  return header.refuse(`general.alignment is ${shown(alignment)}; a power of two up to ${MAX_ALIGNMENT} is needed`);
}

const padded = (bytes: number, alignment: number): number => Math.ceil(bytes / alignment) * alignment;

interface StatedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** From the start of the data. */
  readonly offset: number;
}

async function readTensor(header: HeaderReader, index: number): Promise<StatedTensor> {
  const name = await header.text(`the name of tensor ${index}`, MAX_NAME_BYTES);
  const what = `tensor ${shown(name)}`;
  const dimensions = await header.uint32(`the dimensions of ${what}`);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS)
    header.refuse(`${what} has ${dimensions} dimensions; 1 to ${MAX_DIMENSIONS} are allowed`);
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++)
    shape.unshift(await header.count(`dimension ${i} of ${what}`, Number.MAX_SAFE_INTEGER, "to be counted"));
  const type = await header.uint32(`the type of ${what}`);
  const block = TENSOR_TYPES.get(type) ?? header.refuse(`${what} is of type ${type}, which is not known`);
  const columns = shape.at(-1)!;
  if (shape.includes(0)) header.refuse(`${what} has shape ${shown(shape)}; no dimension may be 0`);
  if (columns % block.values !== 0)
    header.refuse(`${what} has rows of ${columns} values; ${block.name} has blocks of ${block.values}`);
  const byteLength = shape.slice(0, -1).reduce((bytes, extent) => bytes * extent, (columns / block.values) * block.bytes);
  if (!Number.isSafeInteger(byteLength)) header.refuse(`${what}: shape ${shown(shape)} is too large to count its bytes`);
  const offset = await header.count(`the offset of ${what}`, header.source.size, "for the file ends there");
  return { name, dtype: block.name, shape, byteLength, offset };
}

/** In order of their offsets, each tensor begins where the padding behind the one before ends. */
function placeTensors(stated: readonly StatedTensor[], header: HeaderReader, dataStart: number, alignment: number) {
  let end = 0;
  let before = "the header";
  for (const { name, offset, byteLength } of [...stated].sort((a, b) => a.offset - b.offset)) {
    const what = `tensor ${shown(name)}`;
    if (offset % alignment !== 0) header.refuse(`${what} begins at data byte ${offset}, which is no multiple of ${alignment}`);
    if (offset < end) header.refuse(`${what} overlaps ${before} by ${end - offset} bytes`);
    if (offset > padded(end, alignment)) header.refuse(`a hole of ${offset - end} bytes between ${before} and ${what}`);
    end = offset + byteLength;
    if (dataStart + end > header.source.size)
      header.refuse(`truncated: ${what} ends at byte ${dataStart + end}, the file has ${header.source.size}`);
    before = what;
  }
  const tensors = new Map<string, GgufTensor>();
  for (const { offset, ...tensor } of stated) {
    if (tensors.has(tensor.name)) header.refuse(`tensor ${shown(tensor.name)} stands twice`);
    tensors.set(tensor.name, { ...tensor, byteOffset: dataStart + offset });
  }
  return tensors;
}
