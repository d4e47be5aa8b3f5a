/**
 * The server: `fetch(request)`, which any host can call, with a port or without.
 *
 * It speaks OpenAI's API as vLLM and llama.cpp do, and knows nothing of what computes: it asks a `ChatModel`.
 */
import type { ChatModel } from "../chat/chat-model.ts";
import { Access, LOOPBACK_HOSTS } from "./access.ts";
import { Admission } from "./admission.ts";
import { ApiError, toApiError } from "./errors.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { Loading } from "./loading.ts";
import { logLine } from "./log.ts";
import { Metrics } from "./metrics.ts";
import type { ServerOptions } from "./options.ts";
import { RequestRecord, requestId } from "./request-record.ts";
import { routes } from "./routes.ts";
import { within } from "./within.ts";

export interface Server {
  /** Answers a request; never rejects. */
  fetch(request: Request): Promise<Response>;
  /**
   * Takes no more work (503) and lets the answers that are under way come to their end.
   *
   * @param timeoutMs after it they are ended with an error. Default: never
   */
  drain(timeoutMs?: number): Promise<void>;
}

/**
 * @param model what answers; while it is still a promise, everything that needs it is answered with 503
 *
 * @example
 * ```ts
 * import { Qwen3 } from "qwen3.ts";
 * import { createServer } from "qwen3.ts/server";
 * const model = await Qwen3.fromPretrained("weights/nano");
 * const server = createServer(model.chatModel(), { servedModelNames: ["nano"] });
 * const body = JSON.stringify({ messages: [{ role: "user", content: "Who are you?" }] });
 * const response = await server.fetch(new Request("http://localhost/v1/chat/completions", { method: "POST", body }));
 * console.log(await response.json());
 * await model.close();
 * ```
 */
export function createServer(model: ChatModel | Promise<ChatModel>, options: ServerOptions = {}): Server {
  const { apiKeys = [], allowedHosts = LOOPBACK_HOSTS, allowedOrigins = [], keepAliveMs = 10_000, log } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const access = new Access({ apiKeys, allowedHosts, allowedOrigins });
  const admission = new Admission(limits.answers);
  const metrics = new Metrics();
  const stop = new AbortController();
  const loading = new Loading(model);
  const { readerTimeoutMs } = limits;
  const onFailure = (error: unknown) => loading.failed(error);
  const answering = { admission, metrics, keepAliveMs, readerTimeoutMs, onFailure, stop: stop.signal };
  const app = routes({ ...answering, options, limits, loading, access });
  const known = new Set(app.routes.map(({ path }) => path));

  const onEnd = (record: RequestRecord) => {
    metrics.ended(record, known.has(record.path) ? record.path : "other");
    log?.(logLine(record));
  };
  const respond = (request: Request, record: RequestRecord): Response | Promise<Response> => {
    access.requireHost(request);
    if (request.method === "OPTIONS") return access.preflight(request);
    access.requireOrigin(request);
    return app.fetch(request, { record });
  };
  return {
    async fetch(request) {
      const record = new RequestRecord(requestId(request.headers), request.method, new URL(request.url).pathname, onEnd);
      let response: Response;
      try {
        response = await respond(request, record);
      } catch (error) {
        record.error = toApiError(error);
        response = record.error.toResponse();
      }
      const headers = { ...access.corsHeaders(request), ...COMMON_HEADERS, "x-request-id": record.id };
      for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
      record.status = response.status;
      if (!record.streams || record.error) record.end();
      return response;
    },
    async drain(timeoutMs) {
      const drained = admission.drain();
      if (timeoutMs === undefined) return drained;
      await within(timeoutMs, drained, () =>
        stop.abort(new ApiError(503, "the server has shut down", { code: "shutting_down" })),
      );
    },
  };
}

const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};
