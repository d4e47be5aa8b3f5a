/**
 * Requests that end well if they can: redirects are followed here, hop by hop, so that a token goes to the origin it is for and to no
 * other; what fails in passing is tried again.
 */
import { Qwen3Error } from "../core/errors.ts";
import { problemOf } from "./range.ts";
import { PassingFailure, RETRY_POLICY, type RetryPolicy, retryAfterMs, StallWatch, Tries } from "./retry.ts";

/** The part of `fetch` that is used here. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

export interface HttpOptions {
  readonly fetch?: Fetch | undefined;
  /** Sent as `Authorization: Bearer` to this origin only. */
  readonly token?: { readonly value: string; readonly origin: string } | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
}

export interface HttpRequest {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer, and the URL that gave it in the end. */
export interface Answer {
  readonly response: Response;
  readonly url: URL;
  /** Hears of every part of the body that is read. */
  readonly watch: StallWatch;
}

const MOST_REDIRECTS = 10;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
/** Too early, too many, or the server's own trouble. */
const PASSING: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

export class HttpClient {
  readonly retry: RetryPolicy;
  readonly #fetch: Fetch;
  readonly #token: HttpOptions["token"];
  /** Pages are not shown where a redirect leads: browsers follow by themselves, and leave the token out across origins (Fetch, 4.4). */
  #followsItself = false;

  constructor({ fetch, token, retry }: HttpOptions = {}) {
    this.#fetch = fetch ?? ((url, init) => globalThis.fetch(url, init));
    this.#token = token;
    this.retry = { ...RETRY_POLICY, ...retry };
  }

  /**
   * The whole answer to a request, read by `use`; tried again from the beginning where it breaks. `use` gets every status that is not
   * passing: also 404.
   */
  async request<T>(
    url: URL,
    request: HttpRequest,
    signal: AbortSignal | undefined,
    use: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    const tries = new Tries(this.retry);
    for (;;) {
      const watch = new StallWatch(this.retry, signal);
      try {
        return await this.attempt(watch, async () => use(await this.send(url, request, watch)));
      } catch (error) {
        watch.close();
        await tries.next(error, 0, signal);
      } finally {
        watch.close();
      }
    }
  }

  /** Runs `body`, one attempt; what breaks of itself comes out as a `PassingFailure`. */
  async attempt<T>(watch: StallWatch, body: () => Promise<T>): Promise<T> {
    try {
      return await watch.until(body());
    } catch (error) {
      throw passing(error, watch);
    }
  }

  /** One request with its redirects. Throws a `PassingFailure` for a status that may pass. */
  async send(url: URL, request: HttpRequest, watch: StallWatch): Promise<Answer> {
    let target = fetchableUrl(url);
    for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
      const response = await this.#sendOnce(target, request, watch.signal);
      if (PASSING.includes(response.status)) {
        await response.body?.cancel();
        throw new PassingFailure(`HTTP status ${response.status}${rangeOf(request)}`, retryAfterMs(response.headers));
      }
      if (!REDIRECTS.includes(response.status))
        return { response, url: response.redirected ? new URL(response.url) : target, watch };
      await response.body?.cancel();
      target = redirectTarget(target, response.headers.get("location"));
    }
    throw new Qwen3Error("SOURCE_READ", `${shownUrl(url)}: more than ${MOST_REDIRECTS} redirects`);
  }

  async #sendOnce(url: URL, { method = "GET", headers = {} }: HttpRequest, signal: AbortSignal): Promise<Response> {
    const sent = new Headers(headers);
    if (this.#token && url.origin === this.#token.origin) sent.set("authorization", `Bearer ${this.#token.value}`);
    const send = () => this.#fetch(url, { method, headers: sent, redirect: this.#followsItself ? "follow" : "manual", signal });
    const response = await send();
    if (response.type !== "opaqueredirect") return response;
    this.#followsItself = true;
    return send();
  }
}

function passing(error: unknown, watch: StallWatch): unknown {
  if (watch.stalled) return new PassingFailure("the server went silent");
  if (error instanceof Qwen3Error || error instanceof PassingFailure || error instanceof FinalFailure || watch.signal.aborted)
    return error;
  return new PassingFailure(problemOf(error)); // with what its cause says, so without the cause
}

/** An answer that another try would not better. */
export class FinalFailure extends Error {}

const rangeOf = ({ headers }: HttpRequest): string =>
  headers?.range === undefined ? "" : ` to a request for ${headers.range.replace("=", " ")}`;

function redirectTarget(from: URL, location: string | null): URL {
  if (location === null || !URL.canParse(location, from))
    throw new Qwen3Error("SOURCE_READ", `${shownUrl(from)}: a redirect that leads nowhere`);
  const target = fetchableUrl(new URL(location, from));
  const leaves = target.protocol !== "https:" && !(target.protocol === "http:" && from.protocol === "http:");
  if (leaves) throw new Qwen3Error("SOURCE_READ", `${shownUrl(from)}: a redirect to ${target.protocol} is not followed`);
  return target;
}

/** A copy of the URL. `fetch` refuses every one with credentials, and would print them. */
export function fetchableUrl(url: URL | string): URL {
  if (!URL.canParse(url)) throw new Qwen3Error("ARGUMENT", "a complete http: or https: URL is needed; the text given is none");
  const parsed = new URL(url);
  if (parsed.username || parsed.password)
    throw new Qwen3Error("ARGUMENT", `${shownUrl(parsed)}: a URL with a user name or password cannot be fetched; leave them out`);
  return parsed;
}

/** Without query and credentials: those of signed URLs are secrets and do not belong in messages. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
