/**
 * A folder behind HTTP, read slice by slice with range requests (RFC 9110 section 14). A file whose server ignores ranges is read
 * whole if it is small; a large one is refused, since every slice would cost the whole file again.
 */
import { Qwen3Error } from "../core/errors.ts";
import { bytesSource } from "./memory.ts";
import { checkRange, isFileName, reading } from "./range.ts";
import type { ByteSource, CheckpointSource } from "./source.ts";

/** The part of `fetch` that is used here. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** The largest file that is read whole where the server does not serve ranges. */
export const WHOLE_FILE_BYTES = 64 * 1024 * 1024;

/**
 * The folder below `baseUrl`, with or without a slash at its end. A query (of a signed URL) goes along with every file.
 *
 * @throws Qwen3Error ARGUMENT for what is no URL, or one with a user name or password
 */
export function httpFolder(baseUrl: URL | string, fetch: Fetch = globalThis.fetch): CheckpointSource {
  const base = fetchableUrl(baseUrl);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return {
    name: shownUrl(base),
    async open(file, signal) {
      if (!isFileName(file)) throw new Qwen3Error("ARGUMENT", `${shownUrl(base)}: ${JSON.stringify(file)} is not a file's name`);
      const url = new URL(encodeURIComponent(file), base);
      url.search = base.search;
      return httpSource(url, fetch, signal);
    },
  };
}

/**
 * A file behind HTTP; undefined where the server says that there is none. One byte is fetched to learn the size.
 *
 * @throws Qwen3Error ARGUMENT as `httpFolder`, SOURCE_READ for every other answer
 */
export async function httpSource(
  url: URL | string,
  fetch: Fetch = globalThis.fetch,
  signal?: AbortSignal,
): Promise<ByteSource | undefined> {
  const target = fetchableUrl(url);
  const name = shownUrl(target);
  return reading(name, signal, async () => {
    const response = await requestRange(target, 0, 0, fetch, signal);
    if (response.status === 200) return bytesSource(name, await wholeBody(response));
    await response.body?.cancel();
    if (response.status === 404 || response.status === 410) return undefined;
    if (response.status === 416 && response.headers.get("content-range") === "bytes */0")
      return bytesSource(name, new Uint8Array(0));
    return rangeSource(target, name, contentRange(response, 0, 0), fetch);
  });
}

function rangeSource(url: URL, name: string, size: number, fetch: Fetch): ByteSource {
  const source: ByteSource = {
    name,
    size,
    read: (offset, length, signal) =>
      reading(name, signal, async () => {
        checkRange(source, offset, length);
        if (length === 0) return new Uint8Array(0);
        const last = offset + length - 1;
        const response = await requestRange(url, offset, last, fetch, signal);
        try {
          const sizeNow = contentRange(response, offset, last);
          if (sizeNow !== size) throw new Error(`the file changed while it was read: ${size} bytes, now ${sizeNow}`);
        } catch (error) {
          await response.body?.cancel(); // may be the whole file
          throw error;
        }
        const bytes = await limitedBody(response, length, length);
        if (bytes.length !== length) throw new Error(`the body of bytes ${offset}-${last} ended after ${bytes.length} bytes`);
        return bytes;
      }),
  };
  return source;
}

function requestRange(url: URL, first: number, last: number, fetch: Fetch, signal: AbortSignal | undefined): Promise<Response> {
  return fetch(url, { headers: { range: `bytes=${first}-${last}` }, ...(signal && { signal }) });
}

/** The file's size from the Content-Range of a 206 response, which must be for exactly the bytes that were asked for. */
function contentRange(response: Response, first: number, last: number): number {
  const asked = `bytes ${first}-${last}`;
  if (response.status !== 206) throw new Error(`HTTP status ${response.status} to a request for ${asked}; 206 is needed`);
  const header = response.headers.get("content-range");
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/i.exec(header ?? "");
  const size = Number(match?.[3]);
  if (Number(match?.[1]) !== first || Number(match?.[2]) !== last || !Number.isSafeInteger(size) || size <= last)
    throw new Error(
      `asked for ${asked}, got Content-Range ${header ?? "missing (across origins the server must expose this header)"}`,
    );
  return size;
}

async function wholeBody(response: Response): Promise<Uint8Array> {
  const announced = Number(response.headers.get("content-length") ?? 0);
  if (announced > WHOLE_FILE_BYTES) {
    await response.body?.cancel();
    throw new Error(
      `the server ignores range requests (HTTP status 200); only files up to ${WHOLE_FILE_BYTES} bytes are read whole, ` +
        `this one has ${announced}`,
    );
  }
  return limitedBody(response, announced, WHOLE_FILE_BYTES);
}

/** The body, `expected` bytes or more, which must not go past `limit`; the rest of a longer one is not downloaded. */
async function limitedBody(response: Response, expected: number, limit: number): Promise<Uint8Array> {
  let bytes = new Uint8Array(expected);
  let length = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const end = length + part.value.length;
    if (end > limit) {
      await reader?.cancel();
      throw new Error(`the response is longer than the ${limit} bytes that are allowed here`);
    }
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.min(limit, 2 * end));
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(part.value, length);
    length = end;
  }
  return length === bytes.length ? bytes : bytes.slice(0, length);
}

/** A copy of the URL. `fetch` refuses every one with credentials, and would print them. */
function fetchableUrl(url: URL | string): URL {
  if (!URL.canParse(url)) throw new Qwen3Error("ARGUMENT", "a complete http: or https: URL is needed; the text given is none");
  const parsed = new URL(url);
  if (parsed.username || parsed.password)
    throw new Qwen3Error("ARGUMENT", `${shownUrl(parsed)}: a URL with a user name or password cannot be fetched; leave them out`);
  return parsed;
}

/** Without query and credentials: those of signed URLs are secrets and do not belong in messages. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
