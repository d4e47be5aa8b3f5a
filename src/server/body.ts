/** A request's body as a JSON object: bytes are counted while they come, depth before it is parsed. */
import { ApiError, invalid } from "./errors.ts";
import type { ServerLimits } from "./limits.ts";

export class BodyReader {
  readonly #limits: ServerLimits;
  #reading = 0;
  /** Bytes that all bodies under way take. */
  #held = 0;

  constructor(limits: ServerLimits) {
    this.#limits = limits;
  }

  /** @throws ApiError 400 for what is no JSON object, 408 for one that takes too long, 413 for too many bytes, 429 for too many at once */
  async read(request: Request): Promise<Record<string, unknown>> {
    if (this.#reading >= this.#limits.bodies)
      throw new ApiError(429, "too many requests are being read", { code: "rate_limit_exceeded", retryAfter: 1 });
    this.#reading++;
    try {
      return parse(await this.#bytes(request), this.#limits.bodyDepth);
    } finally {
      this.#reading--;
    }
  }

  async #bytes(request: Request): Promise<Uint8Array> {
    const { bodyBytes, bodyTimeoutMs } = this.#limits;
    const tooLarge = () =>
      new ApiError(413, `the body has more than ${bodyBytes} bytes, which is what is allowed`, { code: "request_too_large" });
    if (Number(request.headers.get("content-length") ?? 0) > bodyBytes) throw tooLarge();
    if (!request.body) return new Uint8Array();
    const reader = request.body.getReader();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new ApiError(408, `the body took longer than ${bodyTimeoutMs} ms`, { code: "request_timeout" });
      timer = setTimeout(() => reject(error), bodyTimeoutMs);
    });
    late.catch(() => undefined); // it may come when nobody waits any more
    const bytes = new Growing((more) => this.#hold(more));
    try {
      for (;;) {
        const { done, value } = await Promise.race([reader.read(), late]);
        if (done) return bytes.all;
        if (bytes.size + value.length > bodyBytes) throw tooLarge();
        bytes.add(value);
      }
    } catch (error) {
      reader.cancel().catch(() => undefined);
      if (error instanceof ApiError) throw error;
      throw new ApiError(400, "the body broke off", { code: "invalid_body", cause: error });
    } finally {
      clearTimeout(timer);
      this.#held -= bytes.capacity;
    }
  }

  #hold(bytes: number): void {
    if (this.#held + bytes > this.#limits.heldBytes)
      throw new ApiError(429, "too many bytes of requests are being read", { code: "rate_limit_exceeded", retryAfter: 1 });
    this.#held += bytes;
  }
}

/** Bytes as they come, in one piece: a client may send each byte by itself, and pieces cost far more than they hold. */
class Growing {
  size = 0;
  readonly #hold: (bytes: number) => void;
  #bytes = new Uint8Array();

  /** @param hold is asked for room, and throws where there is none */
  constructor(hold: (bytes: number) => void) {
    this.#hold = hold;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  get all(): Uint8Array {
    return this.#bytes.subarray(0, this.size);
  }

  add(chunk: Uint8Array): void {
    const size = this.size + chunk.length;
    if (size > this.capacity) {
      const capacity = Math.max(size, 2 * this.capacity, 256);
      this.#hold(capacity - this.capacity);
      const grown = new Uint8Array(capacity);
      grown.set(this.all);
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.size);
    this.size = size;
  }
}

function parse(bytes: Uint8Array, maxDepth: number): Record<string, unknown> {
  const depth = depthOf(bytes);
  if (depth > maxDepth)
    throw new ApiError(400, `the body is nested ${depth} levels deep; allowed: ${maxDepth}`, { code: "nesting_too_deep" });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ApiError(400, "the body is not JSON in UTF-8", { code: "invalid_json", cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ApiError(400, "the body must be a JSON object", { code: "invalid_json" });
  return value as Record<string, unknown>;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Levels of brackets outside of strings. JSON's own characters are single bytes in UTF-8. */
export function depthOf(json: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (inString) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return deepest;
}

/** Levels of a parsed value, up to `most` and one more. */
export function levelsOf(value: unknown, most: number): number {
  if (typeof value !== "object" || value === null) return 0;
  if (most < 0) return 1;
  return 1 + Object.values(value).reduce((deepest: number, item) => Math.max(deepest, levelsOf(item, most - 1)), 0);
}

/** A schema or the like, within the limits. */
export function requireSmall(value: unknown, param: string, { schemaDepth, schemaLength }: ServerLimits): void {
  if (levelsOf(value, schemaDepth) > schemaDepth)
    throw invalid(param, `${param} is nested deeper than ${schemaDepth} levels`, "schema_too_large");
  if ((typeof value === "string" ? value : JSON.stringify(value)).length > schemaLength)
    throw invalid(param, `${param} has more than ${schemaLength} characters`, "schema_too_large");
}
