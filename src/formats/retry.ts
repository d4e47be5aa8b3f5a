/**
 * When a request that failed is sent again, and when it is given up: longer and longer waits with chance in them, so that many
 * clients of a server that comes back do not come back together; or what the server itself asks for.
 */

export interface RetryPolicy {
  /** Requests without progress between them, the first one included. */
  readonly attempts: number;
  /** The wait after the first failure; each further one is twice as long, up to the longest. In milliseconds, like the following. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** A server that asks for a longer wait than this is not waited for. */
  readonly longestWaitMs: number;
  /** A server that sends less than `stallBytes` in this time counts as one that has gone away. */
  readonly stallMs: number;
  readonly stallBytes: number;
}

export const RETRY_POLICY: RetryPolicy = {
  attempts: 5,
  firstDelayMs: 300,
  longestDelayMs: 30_000,
  longestWaitMs: 300_000,
  stallMs: 30_000,
  stallBytes: 1024,
};

/** A try that brought as many bytes was no failure of the server's: the count begins anew. */
const PROGRESS_BYTES = 64 * 1024;

/** Something went wrong that may go right the next time. */
export class PassingFailure extends Error {
  /** How long to wait, where that is known: the server's word, or 0 where there is nothing to wait for. */
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

/** Counts the failures of one piece of work. */
export class Tries {
  readonly #policy: RetryPolicy;
  #failures = 0;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
  }

  /**
   * Waits until it is time for the next try; throws `error` where there is none.
   *
   * @param gainedBytes what the try brought before it failed
   */
  async next(error: unknown, gainedBytes: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!(error instanceof PassingFailure)) throw error;
    if (gainedBytes >= PROGRESS_BYTES) this.#failures = 0;
    this.#failures++;
    const { attempts, longestWaitMs } = this.#policy;
    if (this.#failures >= attempts) throw attempts === 1 ? error : new Error(`${error.message} (after ${attempts} tries)`);
    if (error.waitMs !== undefined && error.waitMs > longestWaitMs)
      throw new Error(`${error.message}; the server asks to wait ${Math.ceil(error.waitMs / 1000)} s`);
    await sleep(error.waitMs ?? backoffMs(this.#failures, this.#policy), signal);
  }
}

/** Between half of the wait and the whole of it. */
function backoffMs(failures: number, { firstDelayMs, longestDelayMs }: RetryPolicy): number {
  const most = Math.min(longestDelayMs, firstDelayMs * (1 << Math.min(failures - 1, 20)));
  const [chance = 0] = crypto.getRandomValues(new Uint8Array(1));
  return most * (0.5 + chance / 512);
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * What a server says about when to ask again: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), or the time until its
 * `RateLimit` is full again (`t=55`, draft-ietf-httpapi-ratelimit-headers, which the Hugging Face hub sends).
 */
export function retryAfterMs(headers: Headers, now: number = Date.now()): number | undefined {
  const after = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(after)) return 1000 * Number(after);
  const date = after === "" ? Number.NaN : Date.parse(after);
  if (!Number.isNaN(date)) return Math.max(0, date - now);
  const [, seconds] = /;\s*t=(\d{1,9})(?:\D|$)/.exec(headers.get("ratelimit") ?? "") ?? [];
  return seconds === undefined ? undefined : 1000 * Number(seconds);
}

/** Ends a request in which too little happens. */
export class StallWatch {
  readonly #stop = new AbortController();
  readonly #policy: RetryPolicy;
  readonly #outer: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #giveUp: (reason: unknown) => void = () => undefined;
  #deadline = 0;
  #leftMs = 0;
  #bytes = 0;

  constructor(policy: RetryPolicy, outer: AbortSignal | undefined) {
    this.#policy = policy;
    this.#outer = outer;
    outer?.addEventListener("abort", this.#end, { once: true });
    if (outer?.aborted) this.#end();
    this.#restart();
  }

  /** For the request: aborted by the watch, or with the signal that the watch was given. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Whether it was the watch that ended the request. */
  get stalled(): boolean {
    return this.signal.aborted && !this.#outer?.aborted;
  }

  /**
   * `work`, or the end of the request where that comes first: engines have been seen to go on reading a body after its request was
   * aborted. One at a time.
   */
  until<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      if (this.signal.aborted) reject(this.signal.reason);
      work.then(resolve, reject);
    });
  }

  /** Bytes have come. */
  progress(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= this.#policy.stallBytes) this.#restart();
  }

  /** While whoever reads is busy with what came. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#leftMs = Math.max(0, this.#deadline - performance.now());
  }

  resume(): void {
    this.#waitFor(this.#leftMs);
  }

  close(): void {
    this.pause();
    this.#outer?.removeEventListener("abort", this.#end);
  }

  readonly #end = (): void => {
    this.#stop.abort(this.#outer?.reason);
    this.#giveUp(this.signal.reason);
  };

  #restart(): void {
    this.#bytes = 0;
    this.#waitFor(this.#policy.stallMs);
  }

  #waitFor(ms: number): void {
    clearTimeout(this.#timer);
    this.#deadline = performance.now() + ms;
    this.#timer = setTimeout(this.#end, ms);
  }
}
