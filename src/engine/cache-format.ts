/**
 * A sequence's keys and values as bytes, which only the model that computed them takes back.
 *
 *   "qwen3-kv", then u32: version of this layout, bytes of the header
 *   header   JSON: what the entries depend on (`CacheOrigin`), start, length; filled up with spaces to a multiple of 4 bytes
 *   ids      i32 [length]
 *   pages    each as `KvStore.readPage` gives it, zeros in slots that hold no entry
 *
 * Numbers are little-endian. Everything that the bytes say is checked against the model and against their own count before memory is
 * taken by it.
 */
import { type KvShape, kvPageBytes } from "../backend/backend.ts";
import { pageCount } from "../backend/kv-pages.ts";
import { Qwen3Error } from "../core/errors.ts";
import { Fields } from "../formats/fields.ts";
import { parseJson, shown } from "../formats/json.ts";
import type { CacheOrigin } from "./cache-origin.ts";

const MAGIC = new TextEncoder().encode("qwen3-kv");
const VERSION = 1;
const HEADER_AT = 16;
/** Some hundred bytes are usual. */
const MAX_HEADER_BYTES = 65536;

export interface SavedEntries {
  /** Absolute position of the first entry. */
  readonly start: number;
  readonly ids: readonly number[];
  /** `pageCount` of them, each of `kvPageBytes`. */
  readonly pages: readonly Uint8Array[];
}

/** @throws MEMORY_FULL */
export function encodeCache(origin: CacheOrigin, { start, ids, pages }: SavedEntries): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify({ ...origin, start, length: ids.length }));
  const headerBytes = Math.ceil(json.length / 4) * 4;
  const idsAt = HEADER_AT + headerBytes;
  const size = pages.reduce((sum, { length }) => sum + length, idsAt + 4 * ids.length);
  const bytes = allocated(size);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, headerBytes, true);
  bytes.fill(0x20, HEADER_AT, idsAt);
  bytes.set(json, HEADER_AT);
  for (const [i, id] of ids.entries()) view.setInt32(idsAt + 4 * i, id, true);
  let at = idsAt + 4 * ids.length;
  for (const page of pages) {
    bytes.set(page, at);
    at += page.length;
  }
  return bytes;
}

function allocated(size: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new Qwen3Error("MEMORY_FULL", `no room for the ${size} bytes of a saved cache`, { cause });
  }
}

/**
 * @param origin of the model that is to go on with the entries
 * @returns views of `bytes`
 * @throws CACHE_FILE saying what is wrong with the bytes, or what they depend on that is different here
 */
export function decodeCache(bytes: Uint8Array, origin: CacheOrigin, shape: KvShape): SavedEntries {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_AT || MAGIC.some((byte, i) => bytes[i] !== byte)) refuse(`${bytes.length} bytes that are not one`);
  const version = view.getUint32(8, true);
  if (version !== VERSION) refuse(`its layout has version ${version}; version ${VERSION} is read`);
  const headerBytes = view.getUint32(12, true);
  const idsAt = HEADER_AT + headerBytes;
  if (headerBytes > MAX_HEADER_BYTES || idsAt > bytes.length)
    refuse(
      `it says that its header has ${headerBytes} bytes, of ${bytes.length} in all; at most ${MAX_HEADER_BYTES} are allowed`,
    );
  const json = parseJson(bytes.subarray(HEADER_AT, idsAt), WHAT, "CACHE_FILE");
  const fields = new Fields(json, WHAT, "CACHE_FILE");
  requireOrigin(json as Readonly<Record<string, unknown>>, origin);

  const { max_position_embeddings: longest, vocab_size } = origin.config;
  const start = required(fields, "start", longest);
  const length = required(fields, "length", longest - start);
  const count = pageCount(start, length);
  const pageBytes = kvPageBytes(shape);
  const pagesAt = idsAt + 4 * length;
  const size = pagesAt + count * pageBytes;
  if (bytes.length !== size) refuse(`it has ${bytes.length} bytes; ${length} entries from position ${start} take ${size}`);
  const ids = Array.from({ length }, (_, i) => view.getInt32(idsAt + 4 * i, true));
  const wrong = ids.findIndex((id) => id < 0 || id >= vocab_size);
  if (wrong >= 0) refuse(`token ${wrong} is ${ids[wrong]}; the vocabulary has 0..${vocab_size - 1}`);
  const pages = Array.from({ length: count }, (_, i) => bytes.subarray(pagesAt + i * pageBytes, pagesAt + (i + 1) * pageBytes));
  return { start, ids, pages };
}

const WHAT = "saved cache";

function required(fields: Fields, key: string, most: number): number {
  return fields.integer(key, 0, most) ?? fields.refuse(key, `an integer from 0 to ${most}`);
}

/** Names what differs; other weights are told by what they compute. */
function requireOrigin(saved: Readonly<Record<string, unknown>>, { config, probe, ...types }: CacheOrigin): void {
  const differences = [
    ...differing(typeof saved.config === "object" && saved.config !== null ? saved.config : {}, config),
    ...differing(saved, types),
  ];
  if (differences.length > 0) refuse(`it is of another model or version: ${differences.join("; ")}`);
  if (JSON.stringify(saved.probe) !== JSON.stringify(probe)) refuse("it is of other weights: they compute other numbers");
}

function differing(saved: object, here: object): string[] {
  const before = new Map(Object.entries(saved));
  return Object.entries(here)
    .filter(([key, value]) => JSON.stringify(before.get(key)) !== JSON.stringify(value))
    .map(([key, value]) => `${key} is ${shown(before.get(key))} there and ${shown(value)} here`);
}

function refuse(problem: string): never {
  throw new Qwen3Error("CACHE_FILE", `${WHAT}: ${problem}`);
}
