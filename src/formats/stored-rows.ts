/** A tensor whose rows lie in one place of a file, or part by part in several (codes here, their scales there). */
import type { CheckpointTensor } from "./checkpoint.ts";
import { type Encoding, rowBytes, rowParts } from "./encoding.ts";
import type { OpenFiles } from "./open-files.ts";
import { readRange } from "./range.ts";
import { type ReadRowRange, slices } from "./slices.ts";
import type { ByteSource } from "./source.ts";

/** A part of an encoding: its rows one behind the other. */
export interface StoredPart {
  readonly source: ByteSource;
  /** Of its first row, from the start of the source. */
  readonly byteOffset: number;
  /** Rows of the tensor that share one of its rows. Default 1. */
  readonly sharedBy?: number | undefined;
}

/** A tensor as a file has it. */
export interface EncodedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Undefined where nothing can be computed with it. */
  readonly encoding: Encoding | undefined;
  /** Its type in the file's own words. */
  readonly dtype: string;
  /** One for each of the encoding's. */
  readonly parts: readonly StoredPart[];
}

/** @param tensor of one or two dimensions, none of them 0, all of whose bytes are known to lie in its sources */
export function storedRows(
  name: string,
  tensor: EncodedTensor & { readonly encoding: Encoding },
  files: Pick<OpenFiles, "checkOpen">,
): CheckpointTensor {
  const { encoding, shape, parts } = tensor;
  const [rowCount = 0, cols = 1] = shape;
  const bytesOfParts = rowParts(encoding, cols);
  const bytesOfRow = rowBytes(encoding, cols);
  const read: ReadRowRange = async (first, end, signal, into) => {
    files.checkOpen();
    const bytes = await readParts(parts, bytesOfParts, first, end, signal, into);
    const { buffer } = bytes;
    const isWhole = buffer === into || bytes.byteLength === buffer.byteLength; // else others may have something beside it
    return { bytes, spare: isWhole && buffer instanceof ArrayBuffer ? buffer : undefined };
  };
  return {
    name,
    encoding,
    shape,
    byteLength: rowCount * bytesOfRow,
    rows: (options) => slices(rowCount, bytesOfRow, read, options),
  };
}

async function readParts(
  parts: readonly StoredPart[],
  bytesOfParts: readonly number[],
  first: number,
  end: number,
  signal: AbortSignal | undefined,
  into: ArrayBuffer | undefined,
): Promise<Uint8Array> {
  const count = end - first;
  const readPart = (i: number, into?: ArrayBuffer) => readRows(parts[i]!, bytesOfParts[i]!, first, end, signal, into);
  if (parts.length === 1) return readPart(0, into);
  const total = bytesOfParts.reduce((sum, bytes) => sum + count * bytes, 0);
  const slice = new Uint8Array(into ?? new ArrayBuffer(total), 0, total);
  const read = await Promise.all(parts.map((_, i) => readPart(i, i === 0 ? slice.buffer : undefined)));
  let at = 0;
  for (const part of read) {
    if (part.buffer !== slice.buffer) slice.set(part, at); // the first part, the large one, may be in its place already
    at += part.length;
  }
  return slice;
}

/** Rows `first` to before `end` of the tensor; one that several of them share comes once for each. */
async function readRows(
  { source, byteOffset, sharedBy = 1 }: StoredPart,
  bytes: number,
  first: number,
  end: number,
  signal: AbortSignal | undefined,
  into: ArrayBuffer | undefined,
): Promise<Uint8Array> {
  const from = Math.floor(first / sharedBy);
  const stored = await readRange(source, byteOffset + from * bytes, (Math.ceil(end / sharedBy) - from) * bytes, signal, into);
  if (sharedBy === 1) return stored;
  const rows = new Uint8Array((end - first) * bytes);
  for (let row = first; row < end; row++) {
    const at = (Math.floor(row / sharedBy) - from) * bytes;
    rows.set(stored.subarray(at, at + bytes), (row - first) * bytes);
  }
  return rows;
}
