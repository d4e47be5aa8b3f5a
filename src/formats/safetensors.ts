/**
 * Safetensors: 8 bytes with the header's length (little-endian), the header in JSON, then the tensors' bytes without gaps.
 *
 *   { "__metadata__": { "format": "pt" },
 *     "model.norm.weight": { "dtype": "BF16", "shape": [2560], "data_offsets": [0, 5120] }, ... }
 *
 * Offsets count from the end of the header. The parser accepts a file only if every byte behind the header belongs to exactly one
 * tensor, in whatever order the header lists them. Source: github.com/huggingface/safetensors, README section "Format".
 */
import type { FloatType } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import { Fields } from "./fields.ts";
import { HEADER_VALUES, parseJson, shown } from "./json.ts";
import { readRange } from "./range.ts";
import type { ByteSource } from "./source.ts";

/** 1 MiB, in all shards together: what is read in 50 ms whatever it says. The longest header of a dense Qwen3, 32B of MLX in one file, has about 200 KB. */
export const MAX_HEADER_BYTES = 1024 * 1024;

/** Twice what any checkpoint has; a shape is looped over and printed. */
const MAX_DIMENSIONS = 8;

/** Every dtype of the format with its bits; only the float types can be computed with. */
const DTYPE_BITS = {
  ...{ f32: 32, f16: 16, bf16: 16 },
  ...{ bool: 8, u8: 8, i8: 8, u16: 16, i16: 16, u32: 32, i32: 32, u64: 64, i64: 64, f64: 64, c64: 64 },
  ...{ f8_e4m3: 8, f8_e5m2: 8, f8_e8m0: 8, f8_e4m3fnuz: 8, f8_e5m2fnuz: 8, f6_e2m3: 6, f6_e3m2: 6, f4: 4 },
} as const satisfies Readonly<Record<FloatType, number>> & Readonly<Record<string, number>>;

/** A dtype as in the file, in lower case. */
export type StoredType = keyof typeof DTYPE_BITS;

const DTYPES = Object.keys(DTYPE_BITS).map((type) => type.toUpperCase());
const TENSOR_KEYS = ["dtype", "shape", "data_offsets"];

export interface TensorInfo {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  /** Of the header. */
  readonly bytes: number;
  /** In the header's order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads and checks the header of a whole file; the tensors' bytes stay where they are.
 *
 * @param mostBytes how many the header may have; for one of several shards, what the others leave
 * @throws Qwen3Error CHECKPOINT_HEADER saying which rule is broken, SOURCE_READ where the bytes cannot be read
 */
export async function parseSafetensorsHeader(
  source: ByteSource,
  signal?: AbortSignal,
  mostBytes = MAX_HEADER_BYTES,
): Promise<SafetensorsHeader> {
  if (source.size < 8) refuse(source, `a file of ${source.size} bytes is too short for the header's length`);
  const prefix = await readRange(source, 0, 8, signal);
  const headerLength = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (headerLength > mostBytes) {
    const all = mostBytes < MAX_HEADER_BYTES ? ", for all files together" : "";
    refuse(source, `the header says it has ${headerLength} bytes; at most ${MAX_HEADER_BYTES} are allowed${all}`);
  }
  const dataStart = 8 + Number(headerLength);
  if (dataStart > source.size) refuse(source, `truncated: the header ends at byte ${dataStart}, the file at byte ${source.size}`);

  const header = parseJson(await readRange(source, 8, dataStart - 8, signal), source.name, "CHECKPOINT_HEADER", HEADER_VALUES);
  const fields = new Fields(header, source.name, "CHECKPOINT_HEADER");
  const tensors = new Map<string, TensorInfo>();
  for (const name of fields.keys())
    if (name !== "__metadata__") tensors.set(name, parseTensor(source, name, fields.object(name), dataStart));
  checkCoverage(source, [...tensors.values()], dataStart);
  return { bytes: Number(headerLength), tensors, metadata: parseMetadata(fields) };
}

function parseMetadata(header: Fields): Map<string, string> {
  if (header.value("__metadata__") === undefined) return new Map();
  const fields = header.object("__metadata__");
  return new Map(
    fields.keys().map((key) => {
      const value = fields.value(key);
      return [key, typeof value === "string" ? value : fields.refuse(key, "strings")];
    }),
  );
}

function parseTensor(source: ByteSource, name: string, fields: Fields, dataStart: number): TensorInfo {
  for (const key of fields.keys()) if (!TENSOR_KEYS.includes(key)) fields.refuse(key, `${TENSOR_KEYS.join(", ")} only`);
  const dtype = (fields.oneOf("dtype", DTYPES) ?? fields.refuse("dtype", DTYPES.join(", "))).toLowerCase() as StoredType;
  const shape = integerList(fields, "shape");
  if (shape.length > MAX_DIMENSIONS) fields.refuse("shape", `at most ${MAX_DIMENSIONS} dimensions, here ${shape.length}`);
  const [begin, end, ...more] = integerList(fields, "data_offsets");
  if (begin === undefined || end === undefined || more.length > 0 || begin > end)
    return fields.refuse("data_offsets", "[begin, end] with begin <= end");
  if (end > source.size - dataStart)
    refuse(source, `truncated: ${shown(name)} ends at data byte ${end}, the file has ${source.size - dataStart}`);

  const bits = shape.reduce((product, size) => {
    if (!Number.isSafeInteger(product * size))
      refuse(source, `${shown(name)}: shape ${shown(shape)} is too large to count its bits`);
    return product * size;
  }, DTYPE_BITS[dtype]);
  if (bits !== 8 * (end - begin))
    refuse(source, `${shown(name)}: ${shown(shape)} in ${dtype} needs ${bits / 8} bytes, data_offsets give ${end - begin}`);
  return { name, dtype, shape, byteOffset: dataStart + begin, byteLength: end - begin };
}

function integerList(fields: Fields, key: string): number[] {
  if (!Array.isArray(fields.value(key))) fields.refuse(key, "a list of integers");
  return fields.integers(key, 0, Number.MAX_SAFE_INTEGER) as number[];
}

/** Every byte of data belongs to one tensor: in order of their offsets, each begins where the one before ends. */
function checkCoverage(source: ByteSource, tensors: TensorInfo[], dataStart: number): void {
  tensors.sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  let end = dataStart;
  let before = "the header";
  for (const { name, byteOffset, byteLength } of tensors) {
    if (byteOffset < end) refuse(source, `${shown(name)} overlaps ${before} by ${end - byteOffset} bytes`);
    if (byteOffset > end) refuse(source, `a hole of ${byteOffset - end} bytes between ${before} and ${shown(name)}`);
    end = byteOffset + byteLength;
    before = shown(name);
  }
  if (end < source.size) refuse(source, `${source.size - end} bytes behind ${before} belong to no tensor`);
}

function refuse(source: ByteSource, problem: string): never {
  throw new Qwen3Error("CHECKPOINT_HEADER", `${source.name}: ${problem}`);
}
