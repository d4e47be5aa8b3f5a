/**
 * What is asked of the hub: which commit a revision is, which files that has, and where they lie.
 *
 * Source: huggingface.co/docs/hub/api; the headers X-Error-Code and Link as huggingface_hub reads them.
 */
import { Qwen3Error } from "../core/errors.ts";
import { Fields } from "../formats/fields.ts";
import { limitedBody } from "../formats/http.ts";
import type { Answer } from "../formats/http-client.ts";
import { HttpFile } from "../formats/http-file.ts";
import { shown } from "../formats/json.ts";
import { reading } from "../formats/range.ts";
import type { HubBlob } from "./cache.ts";
import { isCommit } from "./hub-id.ts";
import { isRepoPath } from "./repo-path.ts";
import type { HubSettings } from "./settings.ts";

export interface HubFile extends HubBlob {
  readonly path: string;
}

const ANSWER_BYTES = 32 * 1024 * 1024;
const MOST_PAGES = 200; // of 1,000 files each
const MOST_BYTES = Number.MAX_SAFE_INTEGER;

export class HubApi {
  readonly #settings: HubSettings;

  constructor(settings: HubSettings) {
    this.#settings = settings;
  }

  /** @throws Qwen3Error HUB_NOT_FOUND, HUB_ACCESS, SOURCE_READ */
  async commitOf(repo: string, revision: string, signal?: AbortSignal): Promise<string> {
    const url = this.#url(`/api/models/${repo}/revision/${encodeURIComponent(revision)}`);
    const { json } = await this.#json(url, `${repo}, revision ${shown(revision)}`, signal);
    const sha = fieldsOf(json, repo).value("sha");
    if (typeof sha !== "string" || !isCommit(sha)) throw hubFile(repo, `the hub's commit is ${shown(sha)}; 40 digits are needed`);
    return sha;
  }

  /** Every file, also in folders. Names that would not be safe as paths are left out. */
  async files(repo: string, commit: string, signal?: AbortSignal): Promise<HubFile[]> {
    const files: HubFile[] = [];
    let next: URL | undefined = this.#url(`/api/models/${repo}/tree/${commit}?recursive=true`);
    for (let page = 0; next; page++) {
      if (page === MOST_PAGES) throw hubFile(repo, `the list of files has more than ${MOST_PAGES} pages`);
      const { json, answer }: { json: unknown; answer: Answer } = await this.#json(next, repo, signal);
      if (!Array.isArray(json)) throw hubFile(repo, `the list of files is ${shown(json)}; an array is needed`);
      for (const entry of json) {
        const file = fileOf(entry, repo);
        if (file) files.push(file);
      }
      next = nextPage(answer);
    }
    return files;
  }

  file(repo: string, commit: string, path: string): HttpFile {
    const { endpoint, client } = this.#settings;
    return new HttpFile(this.fileUrl(repo, commit, path), client, ({ response, url }) => {
      if (url.origin === new URL(endpoint).origin) requireOk(response, `${repo}, ${path}`, endpoint);
    });
  }

  fileUrl(repo: string, commit: string, path: string): URL {
    return this.#url(`/${repo}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`);
  }

  #url(path: string): URL {
    return new URL(this.#settings.endpoint + path);
  }

  async #json(url: URL, what: string, signal: AbortSignal | undefined): Promise<{ json: unknown; answer: Answer }> {
    const { endpoint, client } = this.#settings;
    return reading(`${endpoint}, ${what}`, signal, () =>
      client.request(url, { headers: { accept: "application/json" } }, signal, async (answer) => {
        requireOk(answer.response, what, endpoint);
        const bytes = await limitedBody(answer, 0, ANSWER_BYTES);
        try {
          return { json: JSON.parse(new TextDecoder().decode(bytes)), answer };
        } catch {
          throw hubFile(what, "the hub's answer is not JSON");
        }
      }),
    );
  }
}

/** Throws what the status means for `what`; the body, somebody's page, is not read. */
function requireOk({ status, headers }: Response, what: string, endpoint: string): void {
  if (status === 200) return;
  const code = headers.get("x-error-code") ?? "";
  const hub = `${endpoint}: `;
  if (code === "GatedRepo" || status === 403)
    throw new Qwen3Error(
      "HUB_ACCESS",
      `${hub}${what} is not open to everyone: accept its terms on the hub, and give a token (HF_TOKEN)`,
    );
  if (code === "RevisionNotFound") throw new Qwen3Error("HUB_NOT_FOUND", `${hub}no such revision of ${what}`);
  if (code === "EntryNotFound") throw new Qwen3Error("HUB_NOT_FOUND", `${hub}no such file in ${what}`);
  if (status === 401 && code !== "RepoNotFound")
    throw new Qwen3Error("HUB_ACCESS", `${hub}the hub wants a token for ${what}, or does not know the one it got (HF_TOKEN)`);
  if (code === "RepoNotFound" || status === 404 || status === 401)
    throw new Qwen3Error("HUB_NOT_FOUND", `${hub}no model ${what}; a private one needs a token (HF_TOKEN)`);
  throw new Qwen3Error("SOURCE_READ", `${hub}HTTP status ${status} to a question about ${what}`);
}

const hubFile = (what: string, problem: string): Qwen3Error => new Qwen3Error("HUB_FILE", `${what}: ${problem}`);

const fieldsOf = (json: unknown, repo: string): Fields => new Fields(json, `${repo} on the hub`, "HUB_FILE");

function fileOf(entry: unknown, repo: string): HubFile | undefined {
  const fields = fieldsOf(entry, repo);
  if (fields.value("type") !== "file") return undefined;
  const path = fields.value("path");
  if (typeof path !== "string" || !isRepoPath(path)) return undefined;
  const lfs = fields.has("lfs") && fields.value("lfs") !== undefined ? fields.object("lfs") : undefined;
  const etag = (lfs ?? fields).value("oid");
  const size = (lfs ?? fields).integer("size", 0, MOST_BYTES);
  const digits = lfs ? 64 : 40;
  if (typeof etag !== "string" || !/^[\da-f]+$/.test(etag) || etag.length !== digits || size === undefined)
    throw hubFile(
      repo,
      `${shown(path)} has the hash ${shown(etag)} and the size ${shown(size)}; ${digits} digits and a size are needed`,
    );
  return { path, etag, size };
}

/** RFC 8288: `<url>; rel="next"`. */
function nextPage({ response, url }: Answer): URL | undefined {
  const [, next] = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(response.headers.get("link") ?? "") ?? [];
  return next !== undefined && URL.canParse(next, url) ? new URL(next, url) : undefined;
}
