/** A tensor's rows in slices, each read while the one before is used: converting need not wait for the disk, nor the disk for it. */
import { Qwen3Error } from "../core/errors.ts";
import type { RowOptions, TensorSlice } from "./checkpoint.ts";

const SLICE_BYTES = 6 * 1024 * 1024;

/** Bytes, and the memory that they lie in where it can be used again. */
export interface ReadRows {
  readonly bytes: Uint8Array;
  readonly spare: ArrayBuffer | undefined;
}

/**
 * @param into at least as large as what is read, which may be put there
 */
export type ReadRowRange = (first: number, end: number, signal?: AbortSignal, into?: ArrayBuffer) => Promise<ReadRows>;

/**
 * @param read reads rows `first` to before `end`
 * @throws Qwen3Error ARGUMENT for a range that the tensor does not have, or slices of no size; what `read` throws
 */
export async function* slices(
  rowCount: number,
  rowBytes: number,
  read: ReadRowRange,
  { first = 0, end = rowCount, sliceBytes = SLICE_BYTES, signal, spares }: RowOptions = {},
): AsyncGenerator<TensorSlice, void> {
  if (!Number.isSafeInteger(sliceBytes) || sliceBytes < 1)
    throw new Qwen3Error("ARGUMENT", `sliceBytes is ${sliceBytes}; a whole number of bytes from 1 up is needed`);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(end) || first < 0 || end < first || end > rowCount)
    throw new Qwen3Error("ARGUMENT", `rows ${first} to ${end} are asked for; the tensor has ${rowCount}`);
  const sliceRows = Math.max(1, Math.floor(sliceBytes / rowBytes));
  const readFrom = async (firstRow: number): Promise<TensorSlice & ReadRows> => {
    const endRow = Math.min(firstRow + sliceRows, end);
    const into = spares && takeSpare(spares, (endRow - firstRow) * rowBytes);
    return { firstRow, ...(await read(firstRow, endRow, signal, into)) };
  };
  let next = first < end ? readFrom(first) : undefined;
  for (let row = first + sliceRows; next; row += sliceRows) {
    const { firstRow, bytes, spare } = await next;
    next = row < end ? readFrom(row) : undefined;
    next?.catch(() => undefined); // told where it is awaited, if it still is
    yield { firstRow, bytes };
    if (spare) spares?.push(spare);
  }
}

/** One that is large enough. Where none is, one that is not goes, so that there are never more than are in use at once. */
function takeSpare(spares: ArrayBuffer[], bytes: number): ArrayBuffer | undefined {
  const index = spares.findIndex((spare) => spare.byteLength >= bytes);
  if (index >= 0) return spares.splice(index, 1)[0];
  spares.pop();
  return undefined;
}
