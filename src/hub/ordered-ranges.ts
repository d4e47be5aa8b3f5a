/**
 * A file's bytes in order over several connections: the first range flows through, those behind it are collected meanwhile. In order,
 * because then the hash can be taken on the way and a file's length says how much of it is there.
 */
import type { HttpFile } from "../formats/http-file.ts";

export interface RangeOptions {
  /** Requests at once. */
  readonly connections: number;
  /** Bytes of each; as many are held for each connection but the first. */
  readonly rangeBytes: number;
  readonly size: number;
  readonly fromWhole: boolean;
  readonly signal?: AbortSignal | undefined;
}

export async function* orderedRanges(
  file: HttpFile,
  first: number,
  end: number,
  { connections, rangeBytes, size, fromWhole, signal }: RangeOptions,
): AsyncGenerator<Uint8Array, void> {
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  const running: Collected[] = [];
  let next = first;
  try {
    while (running.length > 0 || next < end) {
      while (running.length < connections && next < end) {
        const rangeEnd = Math.min(end, next + rangeBytes);
        running.push(new Collected(file.stream(next, rangeEnd, { size, fromWhole, signal: stop.signal })));
        next = rangeEnd;
      }
      yield* running.shift()!.parts();
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    stop.abort(new Error("left"));
  }
}

/** What a stream has brought until somebody takes it. */
class Collected {
  readonly #parts: Uint8Array[] = [];
  readonly #work: Promise<void>;
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#work = this.#collect(stream);
    this.#work.catch(() => undefined); // told to whoever takes the parts
  }

  async #collect(stream: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const part of stream) {
        this.#parts.push(part);
        this.#wake();
      }
    } finally {
      this.#ended = true;
      this.#wake();
    }
  }

  async *parts(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const part = this.#parts.shift();
      if (part) yield part;
      else if (this.#ended) break;
      else
        await new Promise<void>((wake) => {
          this.#wake = wake;
        });
    }
    await this.#work;
  }
}
