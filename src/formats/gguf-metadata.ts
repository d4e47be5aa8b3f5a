/**
 * The metadata of a GGUF file: keys with values of a type each. Scalars are read at once; arrays stay in the header's bytes, since a
 * vocabulary and its merges are most of it, until somebody asks for what is in them.
 */
import { VALUE_TYPES, type ValueType } from "./gguf-format.ts";
import type { HeaderReader } from "./header-reader.ts";
import { shown } from "./json.ts";

/** Integers past 2^53 are bigints. A float32 reads as the shortest decimal that stands for it: 0.6, not 0.6000000238418579. */
export type GgufScalar = number | bigint | boolean | string;
export type GgufMetadata = ReadonlyMap<string, GgufScalar | GgufArray>;

/** Real files have about 40. */
const MAX_KEYS = 4096;
const MAX_KEY_BYTES = 65_535;
/** Of all keys and texts, save those in arrays; the longest, a chat template, has some 10 KB. */
const MAX_TEXT_BYTES = 2 * 1024 * 1024;
/** Six times the vocabulary of Qwen3. */
const MAX_TEXTS = 1024 * 1024;

export class GgufArray {
  readonly elementType: Exclude<ValueType, "array">;
  readonly length: number;
  readonly #header: HeaderReader;
  readonly #what: string;
  readonly #start: number;
  readonly #end: number;

  /** The elements are the bytes start..end-1 of the header, and were checked to be. */
  constructor(header: HeaderReader, what: string, type: GgufArray["elementType"], length: number, start: number, end: number) {
    this.elementType = type;
    this.length = length;
    this.#header = header;
    this.#what = what;
    this.#start = start;
    this.#end = end;
  }

  /** The elements, one after the other. @throws Qwen3Error CHECKPOINT_HEADER for a text that is not UTF-8, a bool that is not 0 or 1 */
  *values(): Generator<GgufScalar, void> {
    const view = this.#header.view(this.#start, this.#end);
    if (this.elementType === "string") {
      for (const [start, end] of this.#texts(view)) yield this.#header.decode(start, end, this.#what);
      return;
    }
    const bytes = (this.#end - this.#start) / this.length;
    for (let at = 0; at < view.byteLength; at += bytes) yield scalar(view, at, this.elementType, this.#header, this.#what);
  }

  /** The positions of `wanted` texts, without decoding the others; none in an array of anything else. */
  find(wanted: readonly string[]): number[] {
    if (this.elementType !== "string") return [];
    const patterns = wanted.map((text) => new TextEncoder().encode(text));
    const view = this.#header.view(this.#start, this.#end);
    const found: number[] = [];
    let index = 0;
    for (let at = 0; at < view.byteLength; index++) {
      const length = view.getUint32(at, true);
      const start = at + 8;
      at = start + length;
      if (patterns.some((text) => text.length === length && text.every((byte, i) => byte === view.getUint8(start + i))))
        found.push(index);
    }
    return found;
  }

  /** What messages show. */
  toJSON(): string {
    return `array of ${this.length} ${this.elementType}`;
  }

  *#texts(view: DataView): Generator<[start: number, end: number], void> {
    for (let at = 0; at < view.byteLength; ) {
      const start = at + 8;
      at = start + view.getUint32(at, true); // no length has more than 32 bits here: the header is shorter
      yield [this.#start + start, this.#start + at];
    }
  }
}

/** @param count how many there are, as the file says */
export async function readMetadata(header: HeaderReader, count: number): Promise<GgufMetadata> {
  if (count > MAX_KEYS) header.refuse(`${count} metadata keys; at most ${MAX_KEYS} are allowed`);
  const metadata = new Map<string, GgufScalar | GgufArray>();
  let textBytes = 0;
  for (let i = 0; i < count; i++) {
    const start = header.at;
    const key = await header.text(`metadata key ${i}`, MAX_KEY_BYTES);
    if (metadata.has(key)) header.refuse(`the metadata key ${shown(key)} stands twice`);
    const value = await readValue(header, shown(key), MAX_TEXT_BYTES - textBytes);
    if (!(value instanceof GgufArray)) textBytes += header.at - start;
    if (textBytes > MAX_TEXT_BYTES) header.refuse(`metadata of more than ${MAX_TEXT_BYTES} bytes, without its arrays`);
    metadata.set(key, value);
  }
  return metadata;
}

async function readValue(header: HeaderReader, key: string, mostTextBytes: number): Promise<GgufScalar | GgufArray> {
  const type = await readType(header, key);
  if (type === "array") return readArray(header, key);
  if (type === "string") return header.text(key, mostTextBytes);
  const bytes = bytesOf(type);
  await header.fetch(bytes, key);
  header.at += bytes;
  return scalar(header.view(header.at - bytes, header.at), 0, type, header, key);
}

async function readType(header: HeaderReader, key: string): Promise<ValueType> {
  const number = await header.uint32(`the type of ${key}`);
  const type =
    VALUE_TYPES[number] ?? header.refuse(`${key} has the type ${number}; the format has 0 to ${VALUE_TYPES.length - 1}`);
  return type.name;
}

async function readArray(header: HeaderReader, key: string): Promise<GgufArray> {
  const type = await readType(header, key);
  if (type === "array") return header.refuse(`${key} is an array of arrays, which no reader takes`);
  const leastBytes = type === "string" ? 8 : bytesOf(type);
  const most = Math.floor(Math.max(0, header.remaining - 8) / leastBytes);
  const length = await header.count(`the length of ${key}`, most, `for the file ends after ${header.source.size} bytes`);
  if (type === "string" && length > MAX_TEXTS) header.refuse(`${key} has ${length} texts; at most ${MAX_TEXTS} are allowed`);
  const start = header.at;
  if (type === "string") await skipTexts(header, length, key);
  else {
    await header.fetch(length * leastBytes, key);
    header.at += length * leastBytes;
  }
  return new GgufArray(header, key, type, length, start, header.at);
}

async function skipTexts(header: HeaderReader, length: number, key: string): Promise<void> {
  for (let i = 0; i < length; i++) {
    if (!header.has(8)) await header.fetch(8, key);
    const bytes = header.nextLength();
    if (!header.has(bytes)) await header.fetch(bytes, `text ${i} of ${key}`);
    header.at += bytes;
  }
}

function bytesOf(type: ValueType): number {
  return VALUE_TYPES.find(({ name }) => name === type)!.bytes!;
}

function scalar(view: DataView, at: number, type: ValueType, header: HeaderReader, what: string): GgufScalar {
  switch (type) {
    case "uint8":
      return view.getUint8(at);
    case "int8":
      return view.getInt8(at);
    case "uint16":
      return view.getUint16(at, true);
    case "int16":
      return view.getInt16(at, true);
    case "uint32":
      return view.getUint32(at, true);
    case "int32":
      return view.getInt32(at, true);
    case "float32":
      return shortest(view.getFloat32(at, true));
    case "uint64":
      return safe(view.getBigUint64(at, true));
    case "int64":
      return safe(view.getBigInt64(at, true));
    case "float64":
      return view.getFloat64(at, true);
    default: {
      const byte = view.getUint8(at); // bool
      return byte < 2 ? byte === 1 : header.refuse(`${what} is a bool of the value ${byte}; it must be 0 or 1`);
    }
  }
}

const safe = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

/** The number of fewest digits that rounds to this f32. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}
