/** What every byte source has to get right: ranges, aborts, file names, and errors that say where they come from. */
import { Qwen3Error } from "../core/errors.ts";
import type { ByteSource } from "./source.ts";

/** @throws Qwen3Error ARGUMENT unless offset .. offset + length lies inside the source */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > source.size)
    throw new Qwen3Error("ARGUMENT", `${source.name}: ${length} bytes at ${offset} are not inside its ${source.size} bytes`);
}

/** Runs `body`; what it throws comes out as SOURCE_READ with the place in front, or as the reason of an aborted signal. */
export async function reading<T>(place: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await body();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Qwen3Error) throw error;
    throw new Qwen3Error("SOURCE_READ", `${place}: ${problemOf(error)}`, { cause: error });
  }
}

/** The message with that of its cause: `fetch` itself says no more than "fetch failed". */
export function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error.cause instanceof Error)) return error.message;
  const { message, code } = error.cause as Error & { code?: unknown };
  return `${error.message}: ${message || code || error.cause.name}`; // several failed addresses have a code and no message
}

/** Reads from any source, also a caller's own: exactly `length` bytes or a typed error. */
export async function readRange(
  source: ByteSource,
  offset: number,
  length: number,
  signal?: AbortSignal,
  into?: ArrayBuffer,
): Promise<Uint8Array> {
  checkRange(source, offset, length);
  const bytes = await reading(source.name, signal, () => source.read(offset, length, signal, into));
  signal?.throwIfAborted();
  if (!(bytes instanceof Uint8Array) || bytes.length !== length)
    throw new Qwen3Error("SOURCE_READ", `${source.name}: asked for ${length} bytes at ${offset}, got ${bytes?.length}`);
  return bytes;
}

/** True for a plain file name: nothing that could lead out of the folder, whatever the platform's separator is. */
export function isFileName(name: string): boolean {
  return /^[^/\\:\p{C}]{1,255}$/u.test(name) && name !== "." && name !== "..";
}
