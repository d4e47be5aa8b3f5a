/** A tensor's rows in slices, each read while the one before is used: converting need not wait for the disk, nor the disk for it. */
import { Qwen3Error } from "../core/errors.ts";
import type { RowOptions, TensorSlice } from "./checkpoint.ts";

const SLICE_BYTES = 8 * 1024 * 1024;

/**
 * @param read the bytes of rows `first` to before `end`
 * @throws Qwen3Error ARGUMENT for a range that the tensor does not have, or slices of no size; what `read` throws
 */
export async function* slices(
  rowCount: number,
  rowBytes: number,
  read: (first: number, end: number, signal?: AbortSignal) => Promise<Uint8Array>,
  { first = 0, end = rowCount, sliceBytes = SLICE_BYTES, signal }: RowOptions = {},
): AsyncGenerator<TensorSlice, void> {
  if (!Number.isSafeInteger(sliceBytes) || sliceBytes < 1)
    throw new Qwen3Error("ARGUMENT", `sliceBytes is ${sliceBytes}; a whole number of bytes from 1 up is needed`);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(end) || first < 0 || end < first || end > rowCount)
    throw new Qwen3Error("ARGUMENT", `rows ${first} to ${end} are asked for; the tensor has ${rowCount}`);
  const sliceRows = Math.max(1, Math.floor(sliceBytes / rowBytes));
  const readFrom = async (firstRow: number): Promise<TensorSlice> => ({
    firstRow,
    bytes: await read(firstRow, Math.min(firstRow + sliceRows, end), signal),
  });
  let next = first < end ? readFrom(first) : undefined;
  for (let row = first + sliceRows; next; row += sliceRows) {
    const slice = await next;
    next = row < end ? readFrom(row) : undefined;
    next?.catch(() => undefined); // told where it is awaited, if it still is
    yield slice;
  }
}
