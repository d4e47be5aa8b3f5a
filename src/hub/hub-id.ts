/**
 * How people name a model of the Hugging Face hub: `owner/name`, with a file or a quantization of it behind a colon
 * (`owner/name:file.gguf`, `hf.co/owner/name:Q4_K_M` as for Ollama), or a URL copied from a page.
 */
import { isRepoPath } from "./repo-path.ts";

export interface HubId {
  /** `owner/name`. */
  readonly repo: string;
  readonly revision?: string;
  /** A file of the repository, with its folders. */
  readonly file?: string;
  /** What the names of GGUF files end in: `Q4_K_M`. */
  readonly quantization?: string;
}

const PUBLIC_HOSTS: readonly string[] = ["huggingface.co", "www.huggingface.co", "hf.co"];

/** Letters, digits, `-`, `_` and `.`, which begins and ends nothing; as the hub has it. */
const REPO = /^(?=[^/]{1,96}\/[^/]{1,96}$)[A-Za-z\d](?:[\w.-]*[A-Za-z\d_])?\/[\w](?:[\w.-]*[\w])?$/;

/**
 * @param endpoint the hub that is asked, whose URLs are ids too
 * @returns undefined for text that is no id, and may be a path
 */
export function parseHubId(text: string, endpoint?: string): HubId | undefined {
  const hosts = [...PUBLIC_HOSTS, ...(endpoint !== undefined && URL.canParse(endpoint) ? [new URL(endpoint).host] : [])];
  if (/^https?:\/\//i.test(text)) return fromUrl(text, hosts);
  const [host = "", ...rest] = text.split("/");
  return fromName(hosts.includes(host) ? rest.join("/") : text);
}

function fromName(text: string): HubId | undefined {
  const colon = text.indexOf(":");
  const repo = colon < 0 ? text : text.slice(0, colon);
  if (!isRepo(repo)) return undefined;
  if (colon < 0) return { repo };
  return selected(repo, text.slice(colon + 1));
}

function selected(repo: string, selector: string): HubId | undefined {
  if (/\.gguf$/i.test(selector)) return isRepoPath(selector) ? { repo, file: selector } : undefined;
  return /^[\w.-]{1,64}$/.test(selector) ? { repo, quantization: selector } : undefined;
}

/** `/owner/name`, `/owner/name/tree/REVISION`, `/owner/name/resolve/REVISION/FILE` or the same with `blob`. */
function fromUrl(text: string, hosts: readonly string[]): HubId | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!hosts.includes(url.host) || url.username || url.password) return undefined;
  const parts = decoded(url.pathname.split("/").slice(1));
  if (parts === undefined) return undefined;
  while (parts.at(-1) === "") parts.pop();
  const [owner, name = "", kind, revision, ...path] = parts;
  if (kind === undefined) return fromName(`${owner}/${name}`);
  const repo = `${owner}/${name}`;
  if (!isRepo(repo) || !["tree", "resolve", "blob"].includes(kind) || revision === undefined || !isRevision(revision))
    return undefined;
  if (path.length === 0) return { repo, revision };
  const file = path.join("/");
  return isRepoPath(file) && kind !== "tree" ? { repo, revision, file } : undefined;
}

/** Each part of a URL's path; undefined where one is not well encoded. */
function decoded(parts: readonly string[]): string[] | undefined {
  try {
    return parts.map((part) => decodeURIComponent(part));
  } catch {
    return undefined;
  }
}

export const isRepo = (text: string): boolean => REPO.test(text) && !text.includes("--") && !text.includes("..");

/** A branch, tag or commit, also `refs/pr/1`: it becomes a path below `refs/` of the cache. */
export const isRevision = (text: string): boolean => text.length <= 200 && isRepoPath(text);

export const isCommit = (text: string): boolean => /^[\da-f]{40}$/.test(text);
