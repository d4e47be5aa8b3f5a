/** Who may ask: keys, names under which the server answers, and pages of other origins. */
import { ApiError } from "./errors.ts";

export interface AccessOptions {
  /** Whoever asks must know one of these; nobody needs one where there are none. */
  readonly apiKeys: readonly string[];
  /** Host names (without port) under which the server answers; "*" is any, "<address>" any that is an IP address and no name. */
  readonly allowedHosts: readonly string[];
  /** Origins whose pages may ask and read answers; "*" is any. */
  readonly allowedOrigins: readonly string[];
}

export const LOOPBACK_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

export class Access {
  readonly #options: AccessOptions;
  /** SHA-256 of the keys: of one length, whatever the keys'. */
  readonly #keys: Promise<readonly Uint8Array[]>;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#keys = Promise.all(options.apiKeys.map(digest));
  }

  /**
   * A page whose name was made to point at this machine still sends that name as host.
   *
   * @throws ApiError 403
   */
  requireHost(request: Request): void {
    const { allowedHosts } = this.#options;
    if (allowedHosts.includes("*")) return;
    const name = hostName(request.headers.get("host") ?? new URL(request.url).host);
    if (
      name !== undefined &&
      allowedHosts.some((host) => host.toLowerCase() === name || (host === ANY_ADDRESS && isAddress(name)))
    )
      return;
    throw new ApiError(403, "the server does not answer under this host name; --allowed-hosts names those it does", {
      code: "host_not_allowed",
    });
  }

  /**
   * Pages of other origins cannot read what is not meant for them, but they can send. With a key there is nothing that a browser
   * would send along by itself; without one such requests are refused.
   *
   * @throws ApiError 403
   */
  requireOrigin(request: Request): void {
    const origin = request.headers.get("origin");
    if (origin === null || this.#options.apiKeys.length > 0 || this.#allows(origin)) return;
    const host = request.headers.get("host") ?? new URL(request.url).host;
    if (URL.canParse(origin) && new URL(origin).host === host) return;
    throw new ApiError(403, "pages of this origin may not ask; --allowed-origins names those that may", {
      code: "origin_not_allowed",
    });
  }

  /** @throws ApiError 401 */
  async requireKey(request: Request): Promise<void> {
    const keys = await this.#keys;
    if (keys.length === 0) return;
    const [, given] = /^Bearer +(\S.*)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    const own = await digest(given?.trim() ?? "");
    let found = 0;
    // All of them, whole: the time tells nothing of where a difference is.
    for (const key of keys) found |= equal(key, own);
    if (given === undefined || !found)
      throw new ApiError(401, "a valid API key is needed: Authorization: Bearer KEY", { code: "invalid_api_key" });
  }

  /** What lets a page of an allowed origin read the answer; never with credentials. */
  corsHeaders(request: Request): Record<string, string> {
    const origin = request.headers.get("origin");
    if (this.#options.allowedOrigins.length === 0) return {};
    if (origin === null || !this.#allows(origin)) return { vary: "Origin" };
    const any = this.#options.allowedOrigins.includes("*");
    return {
      "access-control-allow-origin": any ? "*" : origin,
      "access-control-expose-headers": "x-request-id, retry-after",
      ...(!any && { vary: "Origin" }),
    };
  }

  /** The answer to a browser that asks whether it may ask. */
  preflight(request: Request): Response {
    const wanted = request.headers.get("access-control-request-headers") ?? "";
    const headers = this.corsHeaders(request);
    if (!("access-control-allow-origin" in headers)) return new Response(null, { status: 403, headers });
    return new Response(null, {
      status: 204,
      headers: {
        ...headers,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": /^[\w\-, ]{1,1000}$/.test(wanted) ? wanted : "authorization, content-type",
        "access-control-max-age": "600",
      },
    });
  }

  #allows(origin: string): boolean {
    return this.#options.allowedOrigins.some((allowed) => allowed === "*" || allowed === origin);
  }
}

/** No page of somebody else's can be under an address of this machine: those go by names. */
export const ANY_ADDRESS = "<address>";
const isAddress = (host: string): boolean => /^(?:\d+\.\d+\.\d+\.\d+|\[.*\])$/.test(host);

/** A `Host` header without its port, in lower case; undefined for what is no host. */
function hostName(host: string): string | undefined {
  const [, name] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?$/i.exec(host) ?? [];
  return name?.toLowerCase();
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** 1 where all bytes are equal. */
function equal(a: Uint8Array, b: Uint8Array): number {
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0 ? 1 : 0;
}
