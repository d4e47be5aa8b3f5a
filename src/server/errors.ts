/** What a request gets that cannot be answered: OpenAI's error object with a status, and never a word about the inside of the server. */
import { Qwen3Error } from "../core/errors.ts";

export type ApiErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "not_found_error"
  | "rate_limit_error"
  | "server_error";

export interface ApiErrorDetails {
  /** The field that is wrong: `messages[0].role`. */
  readonly param?: string | undefined;
  /** Stable, to branch on. */
  readonly code?: string | undefined;
  /** Whole seconds after which another try may succeed. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

const TYPE_OF_STATUS: Readonly<Record<number, ApiErrorType>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly details: ApiErrorDetails;

  constructor(status: number, message: string, details: ApiErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.status = status;
    this.details = details;
  }

  get type(): ApiErrorType {
    return TYPE_OF_STATUS[this.status] ?? (this.status < 500 ? "invalid_request_error" : "server_error");
  }

  /** OpenAI's shape. */
  toJSON() {
    const { param = null, code = null } = this.details;
    return { error: { message: this.message, type: this.type, param, code } };
  }

  toResponse(): Response {
    const { retryAfter } = this.details;
    const headers = { ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }) };
    return Response.json(this, { status: this.status, headers });
  }
}

/** A field of the request that is not as it must be. */
export function invalid(param: string, message: string, code = "invalid_value"): ApiError {
  return new ApiError(400, message, { param, code });
}

/**
 * Whatever was thrown, as an answer. Errors that concern the request keep their message; all others are told as "internal error", since
 * their messages may name files of the machine.
 *
 * @param prompt     the field that the prompt came in
 * @param constraint the field that says what the answer has to look like
 */
export function toApiError(error: unknown, prompt = "messages", constraint?: string): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof Qwen3Error) {
    const { code, message, cause } = error;
    // Messages of the package begin with what is wrong.
    const [named] = /^(?:messages|tools)(?:\[\d+\]|\.\w+)*/.exec(message) ?? [];
    // GRAMMAR_UNSUPPORTED, GRAMMAR_SYNTAX, GRAMMAR_EMPTY, GRAMMAR_LIMIT: by keyword and place
    if (code.startsWith("GRAMMAR_")) return new ApiError(400, message, { param: constraint, code: code.toLowerCase(), cause });
    if (code === "ARGUMENT") {
      const param = message.startsWith("kwargs")
        ? "chat_template_kwargs"
        : message.startsWith("#")
          ? constraint
          : (named ?? prompt);
      return new ApiError(400, message, { param, code: "invalid_value", cause });
    }
    if (code === "CHAT_TEMPLATE") return new ApiError(400, message, { param: prompt, code: "chat_template", cause });
    if (code === "CONTEXT_FULL") return new ApiError(400, message, { param: prompt, code: "context_length_exceeded", cause });
    if (code === "MEMORY_FULL")
      return new ApiError(503, "there is no memory left for this request at the moment", {
        code: "overloaded",
        retryAfter: 1,
        cause,
      });
    if (code === "QUEUE_FULL")
      return new ApiError(429, "the engine has as much to do as it takes; try again", {
        code: "rate_limit_exceeded",
        retryAfter: 1,
        cause,
      });
    if (code === "CLOSED") return new ApiError(503, "the model was closed", { code: "closed", cause });
  }
  return new ApiError(500, "internal error; the server's log tells more under this request's id", {
    code: "internal",
    cause: error,
  });
}
