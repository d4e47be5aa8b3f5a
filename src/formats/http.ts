/**
 * A folder behind HTTP, read slice by slice with range requests (RFC 9110 section 14). A file whose server ignores ranges is read
 * whole if it is small; a large one is refused, since every slice would cost the whole file again.
 */
import { Qwen3Error } from "../core/errors.ts";
import { type Answer, FinalFailure, fetchableUrl, HttpClient, type HttpOptions, shownUrl } from "./http-client.ts";
import { contentRange, HttpFile } from "./http-file.ts";
import { bytesSource } from "./memory.ts";
import { checkRange, isFileName, reading } from "./range.ts";
import type { ByteSource, CheckpointSource } from "./source.ts";

export { type Fetch, shownUrl } from "./http-client.ts";

/** The largest file that is read whole where the server does not serve ranges. */
export const WHOLE_FILE_BYTES = 64 * 1024 * 1024;

/**
 * The folder below `baseUrl`, with or without a slash at its end. A query (of a signed URL) goes along with every file.
 *
 * @throws Qwen3Error ARGUMENT for what is no URL, or one with a user name or password
 */
export function httpFolder(baseUrl: URL | string, options: HttpOptions | HttpClient = {}): CheckpointSource {
  const base = fetchableUrl(baseUrl);
  const client = clientOf(options);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return {
    name: shownUrl(base),
    async open(file, signal) {
      if (!isFileName(file)) throw new Qwen3Error("ARGUMENT", `${shownUrl(base)}: ${JSON.stringify(file)} is not a file's name`);
      const url = new URL(encodeURIComponent(file), base);
      url.search = base.search;
      return httpSource(url, client, signal);
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
  options: HttpOptions | HttpClient = {},
  signal?: AbortSignal,
): Promise<ByteSource | undefined> {
  const file = new HttpFile(fetchableUrl(url), clientOf(options));
  return reading(file.name, signal, () =>
    file.first(signal, async (answer) => {
      const { response } = answer;
      if (response.status === 200) return bytesSource(file.name, await wholeBody(answer));
      await response.body?.cancel();
      if (response.status === 404 || response.status === 410) return undefined;
      if (response.status === 416 && response.headers.get("content-range") === "bytes */0")
        return bytesSource(file.name, new Uint8Array(0));
      return rangeSource(file, contentRange(response, 0, 0));
    }),
  );
}

const clientOf = (options: HttpOptions | HttpClient): HttpClient =>
  options instanceof HttpClient ? options : new HttpClient(options);

function rangeSource(file: HttpFile, size: number): ByteSource {
  const source: ByteSource = {
    name: file.name,
    size,
    read: (offset, length, signal, into) =>
      reading(file.name, signal, async () => {
        checkRange(source, offset, length);
        const bytes = into ? new Uint8Array(into, 0, length) : new Uint8Array(length);
        let filled = 0;
        for await (const part of file.stream(offset, offset + length, { size, signal })) {
          bytes.set(part, filled);
          filled += part.length;
        }
        return bytes;
      }),
  };
  return source;
}

async function wholeBody(answer: Answer): Promise<Uint8Array> {
  const { response } = answer;
  const announced = Number(response.headers.get("content-length") ?? 0);
  if (announced > WHOLE_FILE_BYTES) {
    await response.body?.cancel();
    throw new FinalFailure(
      `the server ignores range requests (HTTP status 200); only files up to ${WHOLE_FILE_BYTES} bytes are read whole, ` +
        `this one has ${announced}`,
    );
  }
  return limitedBody(answer, announced, WHOLE_FILE_BYTES);
}

/** The body, `expected` bytes or more, which must not go past `limit`; the rest of a longer one is not downloaded. */
export async function limitedBody({ response, watch }: Answer, expected: number, limit: number): Promise<Uint8Array> {
  let bytes = new Uint8Array(expected);
  let length = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const end = length + part.value.length;
    if (end > limit) {
      await reader?.cancel();
      throw new FinalFailure(`the response is longer than the ${limit} bytes that are allowed here`);
    }
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.min(limit, 2 * end));
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(part.value, length);
    length = end;
    watch.progress(part.value.length);
  }
  return length === bytes.length ? bytes : bytes.slice(0, length);
}
