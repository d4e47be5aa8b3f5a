/** What is known of one request, for its line in the log and for the metrics. */
import type { ApiError } from "./errors.ts";

export class RequestRecord {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** Milliseconds of `performance.now()`. */
  readonly began = performance.now();
  status = 0;
  /** Whether the answer is a stream, whose end comes after the response. */
  streams = false;
  /** Whether the client went away before the end. */
  left = false;
  error: ApiError | undefined;
  firstTokenMs: number | undefined;
  promptTokens = 0;
  completionTokens = 0;
  cachedTokens = 0;
  readonly finishReasons: string[] = [];
  /** The body, where the log is to have it. */
  body: unknown;
  readonly #onEnd: (record: RequestRecord) => void;
  #ended = false;

  constructor(id: string, method: string, path: string, onEnd: (record: RequestRecord) => void) {
    this.id = id;
    this.method = method;
    this.path = path;
    this.#onEnd = onEnd;
  }

  /** Nothing is left to do; further calls change nothing. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd(this);
  }

  /** "ok", "client_error", "rejected" (no room), "error", or "cancelled" (the client went away). */
  get outcome(): string {
    if (this.left) return "cancelled";
    const status = this.error?.status ?? this.status;
    if (status === 429 || status === 503) return "rejected";
    return status >= 500 ? "error" : status >= 400 ? "client_error" : "ok";
  }
}

const KEPT_ID = /^[\w.:-]{1,128}$/;

/** The client's `X-Request-Id` where it is one that can stand in a header and a log, else a new one. */
export function requestId(headers: Headers): string {
  const given = headers.get("x-request-id") ?? "";
  return KEPT_ID.test(given) ? given : `req_${crypto.randomUUID().replaceAll("-", "")}`;
}
