/** Which hub is asked, as whom, and where its files are kept: by options, else by the variables that Hugging Face's tools know. */
import { Qwen3Error } from "../core/errors.ts";
import { detectHost, type Host } from "../core/host.ts";
import { type Fetch, fetchableUrl, HttpClient } from "../formats/http-client.ts";
import { shown } from "../formats/json.ts";
import type { RetryPolicy } from "../formats/retry.ts";
import type { HubCache } from "./cache.ts";
import { type HubId, isRevision, parseHubId } from "./hub-id.ts";
import type { PullProgress } from "./pull.ts";

export interface HubOptions {
  /** Default: `HF_ENDPOINT`, else https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** Sent to the endpoint's host only. Default: `HF_TOKEN`, else the file that `hf auth login` writes. */
  readonly token?: string | undefined;
  /** A branch, tag or commit. Default: that of a URL, else main. */
  readonly revision?: string | undefined;
  /** Only what is in the cache. Default: `HF_HUB_OFFLINE`. */
  readonly offline?: boolean | undefined;
  /**
   * The cache's folder, or an object that keeps files elsewhere. Default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else
   * ~/.cache/huggingface/hub, all shared with Hugging Face's tools; in pages their own storage.
   */
  readonly cache?: string | HubCache | undefined;
  /** Read tensors by HTTP ranges straight into memory, and keep nothing. Always so where there is no cache. */
  readonly stream?: boolean | undefined;
  /** Called while files are downloaded. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Instead of the global one. */
  readonly fetch?: Fetch | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
}

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly offline: boolean;
  readonly client: HttpClient;
  /** Undefined where the host keeps no files. */
  readonly cache: HubCache | undefined;
}

/** What the environment says; each undefined where it says nothing. */
export interface Environment {
  readonly endpoint?: string | undefined;
  readonly token?: string | undefined;
  readonly offline?: boolean | undefined;
  readonly cache?: string | undefined;
}

export const PUBLIC_ENDPOINT = "https://huggingface.co";

/** @throws Qwen3Error ARGUMENT for an endpoint that is no URL, or a token that no header can carry */
export async function hubSettings(options: HubOptions = {}, host = detectHost()): Promise<HubSettings> {
  const environment = await environmentOf(host);
  const endpoint = endpointOf(options.endpoint ?? environment.endpoint ?? PUBLIC_ENDPOINT);
  const token = options.token ?? environment.token;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw new Qwen3Error("ARGUMENT", "the hub's token has characters that no HTTP header can carry");
  return {
    endpoint,
    offline: options.offline ?? environment.offline ?? false,
    client: new HttpClient({
      fetch: options.fetch,
      retry: options.retry,
      ...(token !== undefined && { token: { value: token, origin: new URL(endpoint).origin } }),
    }),
    cache: await cacheOf(options.cache ?? environment.cache, host.nodeModules),
  };
}

async function environmentOf(host: Host): Promise<Environment> {
  return host.nodeModules ? (await import("./settings-node.ts")).environment() : {};
}

/** Whether a URL is one of the hub: told before anything is made ready for it. */
export async function isHubUrl(text: string, options: HubOptions, host: Host): Promise<boolean> {
  return parseHubId(text, options.endpoint ?? (await environmentOf(host)).endpoint) !== undefined;
}

/**
 * The id that a text is, at the revision that the options name; undefined for text that is none.
 *
 * @throws Qwen3Error ARGUMENT for a revision that cannot be one
 */
export function idWithRevision(text: string, { endpoint }: HubSettings, { revision }: HubOptions): HubId | undefined {
  const id = parseHubId(text, endpoint);
  if (!id || revision === undefined) return id;
  if (!isRevision(revision)) throw new Qwen3Error("ARGUMENT", `${shown(revision)} is no branch, tag or commit`);
  return { ...id, revision };
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? fetchableUrl(text) : undefined;
  if (url?.protocol !== "https:" && url?.protocol !== "http:")
    throw new Qwen3Error("ARGUMENT", "the hub's endpoint has to be a complete http: or https: URL");
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

async function cacheOf(cache: string | HubCache | undefined, nodeModules: boolean): Promise<HubCache | undefined> {
  if (typeof cache === "object") return cache;
  if (nodeModules) return (await import("./disk-cache-node.ts")).diskCache(cache);
  if (cache !== undefined)
    throw new Qwen3Error("ARGUMENT", "a cache's folder needs a host with files; give an object, or leave it out");
  return (await import("./browser-cache.ts")).browserCache();
}
