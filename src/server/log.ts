/** One line of JSON for each request, in which nothing can steer a terminal or start a line of its own. */
import type { RequestRecord } from "./request-record.ts";

export function logLine(record: RequestRecord, now = new Date()): string {
  const { id, method, path, status, outcome, streams, error, firstTokenMs, finishReasons, body } = record;
  const { promptTokens, completionTokens, cachedTokens } = record;
  const ms = (value: number) => Math.round(value * 10) / 10;
  const cause = error?.details.cause;
  const line = {
    time: now.toISOString(),
    level: error && error.status >= 500 && error.status !== 503 ? "error" : "info",
    request_id: id,
    method,
    path: path.slice(0, 200),
    status,
    outcome,
    ms: ms(performance.now() - record.began),
    ...(firstTokenMs !== undefined && { first_token_ms: ms(firstTokenMs) }),
    ...(finishReasons.length > 0 && {
      stream: streams,
      prompt_tokens: promptTokens,
      cached_tokens: cachedTokens,
      completion_tokens: completionTokens,
      finish_reasons: finishReasons,
    }),
    ...(error && { code: error.details.code, param: error.details.param }),
    // Messages of errors that concern a request may quote it; those of others are what an operator needs.
    ...(error && error.status >= 500 && cause instanceof Error && { error: cause.stack ?? cause.message }),
    ...(body !== undefined && { body }),
  };
  return escaped(JSON.stringify(line));
}

/** JSON escapes C0 alone. */
function escaped(json: string): string {
  return json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (char) =>
    Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`).join(""),
  );
}
