/** Server-sent events (WHATWG HTML, 9.2), made as fast as the client takes them and no faster. */
import { within } from "./within.ts";

const encoder = new TextEncoder();

export interface EventStreamOptions {
  /** A comment is sent where nothing else was for this long, so that nobody between takes the connection for dead. */
  readonly keepAliveMs: number;
  /** A reader that takes nothing for this long has left. */
  readonly readerTimeoutMs: number;
  /** What stands for an error: the events that tell it. */
  readonly onError: (error: unknown) => unknown;
  /** Called once, when the last event was handed over or the client went away. */
  readonly onEnd: (left: boolean) => void;
}

/**
 * `data:` lines of the events' JSON, closed by `[DONE]`.
 *
 * @param first what `events.next()` gave already, if it was called
 */
export function eventStream(
  events: AsyncIterator<unknown, void>,
  { keepAliveMs, readerTimeoutMs, onError, onEnd }: EventStreamOptions,
  first?: Promise<IteratorResult<unknown, void>>,
): ReadableStream<Uint8Array> {
  let pending = first;
  let ended = false;
  /** Runs while it is the reader's turn. */
  let asleep: ReturnType<typeof setTimeout> | undefined;
  const end = (left: boolean) => {
    clearTimeout(asleep);
    if (ended) return;
    ended = true;
    onEnd(left);
  };
  const data = (value: unknown) => encoder.encode(`data: ${JSON.stringify(value)}\n\n`);
  const close = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    controller.enqueue(encoder.encode("data: [DONE]\n\n"));
    controller.close();
    end(false);
  };
  const leave = async () => {
    end(true);
    await events.return?.();
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      clearTimeout(asleep);
      pending ??= events.next();
      try {
        const result = await within(keepAliveMs, pending);
        if (ended) return;
        if (result === undefined) {
          controller.enqueue(encoder.encode(": keep-alive\n\n"));
          return;
        }
        pending = undefined;
        if (result.done) close(controller);
        else controller.enqueue(data(result.value));
      } catch (error) {
        if (ended) return;
        controller.enqueue(data(onError(error)));
        close(controller);
      } finally {
        if (!ended)
          asleep = setTimeout(() => {
            controller.error(new Error("the reader is gone"));
            void leave();
          }, readerTimeoutMs);
      }
    },
    cancel: leave,
  });
}

export const EVENT_STREAM_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no", // nginx would gather them
};
