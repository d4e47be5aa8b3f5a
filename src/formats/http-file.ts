/**
 * One file behind HTTP, read by range requests (RFC 9110, section 14) that go on where they broke off. Where a redirect led is
 * remembered, so that each range costs one request; signed addresses expire, and are then asked for again.
 */
import { type Answer, FinalFailure, type HttpClient, shownUrl } from "./http-client.ts";
import { PassingFailure, StallWatch, Tries } from "./retry.ts";

/** What a server says to an address that has expired. */
const EXPIRED: readonly number[] = [400, 401, 403, 404, 410];

export interface StreamOptions {
  /** The file's size, where it is known: an answer for another one is refused. */
  readonly size?: number | undefined;
  /** Take the bytes out of the whole file where the server ignores ranges, instead of refusing it. */
  readonly fromWhole?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class HttpFile {
  readonly name: string;
  readonly #url: URL;
  readonly #client: HttpClient;
  readonly #explain: (answer: Answer) => void;
  #redirected: URL | undefined;

  /**
   * @param explain throws what an answer means that is neither the range nor the whole file, if it knows
   */
  constructor(url: URL, client: HttpClient, explain: (answer: Answer) => void = () => undefined) {
    this.#explain = explain;
    this.#url = url;
    this.#client = client;
    this.name = shownUrl(url);
  }

  /**
   * Bytes `first` to before `end` in order, as they come. Each array is the reader's.
   *
   * @throws Error without a code, which says what the server did; the signal's reason
   */
  async *stream(first: number, end: number, options: StreamOptions = {}): AsyncGenerator<Uint8Array, void> {
    const { signal } = options;
    const tries = new Tries(this.#client.retry);
    let at = first;
    while (at < end) {
      const begun = at;
      const watch = new StallWatch(this.#client.retry, signal);
      let body: Body | undefined;
      try {
        body = await this.#client.attempt(watch, () => this.#open(at, end, watch, options));
        for (;;) {
          const part = await this.#client.attempt(watch, () => nextPart(body!));
          if (part === undefined) break;
          if (part.length > end - at) throw tooLong(first, end);
          watch.progress(part.length);
          at += part.length;
          watch.pause(); // the reader's time is not the server's
          yield part;
          watch.resume();
        }
        if (at < end) throw new PassingFailure(`the body of bytes ${first}-${end - 1} ended after ${at - first} bytes`);
      } catch (error) {
        watch.close();
        await tries.next(error, at - begun, signal);
      } finally {
        watch.close();
        await body?.reader.cancel().catch(() => undefined); // it may have broken
      }
    }
  }

  /** One byte is fetched to learn the size; what `use` makes of the answer. */
  first<T>(signal: AbortSignal | undefined, use: (answer: Answer) => Promise<T>): Promise<T> {
    return this.#client.request(this.#url, rangeRequest(0, 0), signal, async (answer) => {
      this.#remember(answer.url);
      return use(answer);
    });
  }

  async #open(at: number, end: number, watch: StallWatch, { size, fromWhole }: StreamOptions): Promise<Body> {
    const remembered = this.#redirected;
    const answer = await this.#client.send(remembered ?? this.#url, rangeRequest(at, end - 1), watch);
    const { response, url } = answer;
    const { status } = response;
    try {
      if (remembered && EXPIRED.includes(status)) {
        this.#redirected = undefined;
        throw new PassingFailure(`HTTP status ${status} from where a redirect led before`, 0);
      }
      if (status !== 200 && status !== 206) this.#explain(answer);
      if (status === 200 && fromWhole) return bodyOf(response, at, end);
      const sizeNow = contentRange(response, at, end - 1);
      if (size !== undefined && sizeNow !== size)
        throw new FinalFailure(`the file changed while it was read: ${size} bytes, now ${sizeNow}`);
    } catch (error) {
      await response.body?.cancel(); // may be the whole file
      throw error;
    }
    if (!remembered) this.#remember(url);
    return bodyOf(response, 0, Number.POSITIVE_INFINITY);
  }

  #remember(url: URL): void {
    this.#redirected = url.href === this.#url.href ? undefined : url;
  }
}

interface Body {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Bytes in front of those that were asked for, and then those: of a whole file. */
  skip: number;
  left: number;
}

function bodyOf(response: Response, skip: number, end: number): Body {
  const reader = (response.body ?? new Blob([]).stream()).getReader();
  return { reader, skip, left: end - skip };
}

/** What was asked for of the next part; undefined at the end. */
async function nextPart(body: Body): Promise<Uint8Array | undefined> {
  while (body.left > 0) {
    const { value, done } = await body.reader.read();
    if (done) break;
    const kept = value.subarray(Math.min(body.skip, value.length)).subarray(0, body.left);
    body.skip -= Math.min(body.skip, value.length);
    body.left -= kept.length;
    if (kept.length > 0) return kept;
  }
  return undefined;
}

export const rangeRequest = (first: number, last: number) => ({ headers: { range: `bytes=${first}-${last}` } });

const tooLong = (first: number, end: number): FinalFailure =>
  new FinalFailure(`the response is longer than the ${end - first} bytes that are allowed here`);

/** The file's size from the Content-Range of a 206 response, which must be for exactly the bytes that were asked for. */
export function contentRange(response: Response, first: number, last: number): number {
  const asked = `bytes ${first}-${last}`;
  if (response.status !== 206) throw new FinalFailure(`HTTP status ${response.status} to a request for ${asked}; 206 is needed`);
  const header = response.headers.get("content-range");
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/i.exec(header ?? "");
  const size = Number(match?.[3]);
  if (Number(match?.[1]) !== first || Number(match?.[2]) !== last || !Number.isSafeInteger(size) || size <= last)
    throw new FinalFailure(
      `asked for ${asked}, got Content-Range ${header ?? "missing (across origins the server must expose this header)"}`,
    );
  return size;
}
