/**
 * A hub on this machine that speaks the routes of the Hugging Face hub, with a second origin to which large files are redirected under
 * addresses that expire. Whatever can go wrong on the way goes wrong here when a test says so.
 *
 * Source: answers as huggingface_hub 2.4 reads them: routes, X-Repo-Commit, X-Linked-Etag, X-Linked-Size, X-Error-Code, Link.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Repository {
  readonly commit: string;
  /** Branches and tags beside main. */
  readonly refs?: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Of which commits the files are, where there are several. */
  readonly older?: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;
  readonly needsToken?: boolean;
  readonly gated?: boolean;
}

/** What a test makes of a request: undefined where it is answered as it should be. */
export type Fault =
  | { readonly type: "status"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly type: "cut"; readonly afterBytes: number } // the connection breaks
  | { readonly type: "short"; readonly byBytes: number } //  the body ends properly, too early
  | { readonly type: "long" } //                             one byte too many
  | { readonly type: "wrong-byte"; readonly at: number } //  of the body
  | { readonly type: "wrong-range" } //                      Content-Range of other bytes
  | { readonly type: "whole" } //                            ranges are ignored
  | { readonly type: "silent"; readonly afterBytes: number }
  | { readonly type: "trickle" };

export interface Seen {
  readonly origin: "hub" | "storage";
  readonly method: string;
  readonly url: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly userAgent: string | undefined;
}

export const TOKEN = "hf_TestTokenThatMustNotLeak";
const LFS_FROM = 1024; // bytes from which a file is large
const PAGE = 3; // entries in a page of a listing

export const isLarge = (path: string, bytes: Uint8Array): boolean => bytes.length >= LFS_FROM && !path.endsWith(".json");
export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
export const gitSha1 = (bytes: Uint8Array): string =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
export const etagOf = (path: string, bytes: Uint8Array): string => (isLarge(path, bytes) ? sha256(bytes) : gitSha1(bytes));

export class HubServer {
  readonly repos = new Map<string, Repository>();
  readonly seen: Seen[] = [];
  /** Asked for every request that sends a file's content. */
  fault: (seen: Seen) => Fault | undefined = () => undefined;
  /** Asked for every other request. */
  apiFault: (seen: Seen) => Fault | undefined = () => undefined;
  /** Keys of addresses below this number have expired. */
  expiredBelow = 0;
  #key = 0;
  #hub!: Server;
  #storage!: Server;
  #contents = new Map<string, Uint8Array>();
  readonly #hashes = new WeakMap<Uint8Array, string>(); // of large files once, not for every range

  static async start(port = 0): Promise<HubServer> {
    const server = new HubServer();
    server.#hub = await listening((request, response) => server.#answer("hub", request, response), port);
    server.#storage = await listening((request, response) => server.#answer("storage", request, response), 0);
    return server;
  }

  get endpoint(): string {
    return originOf(this.#hub);
  }

  get storageOrigin(): string {
    return originOf(this.#storage);
  }

  /** Forgets what it was asked and how to fail. @param repositories all that it has from now on; left out: those that it had */
  reset(repositories?: Readonly<Record<string, Repository>>): void {
    if (repositories) {
      this.repos.clear();
      for (const [id, repository] of Object.entries(repositories)) this.repos.set(id, repository);
    }
    this.seen.length = 0;
    this.fault = () => undefined;
    this.apiFault = () => undefined;
    this.expiredBelow = 0;
  }

  /** Bodies that were asked for, as `GET RANGE`. */
  contentRequests(): Seen[] {
    return this.seen.filter(({ url, method }) => method === "GET" && (url.startsWith("/lfs/") || url.includes("/resolve/")));
  }

  stop(): void {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      server.close();
    }
  }

  #answer(origin: Seen["origin"], request: IncomingMessage, response: ServerResponse): void {
    const { method = "", url = "", headers } = request;
    const seen: Seen = {
      origin,
      method,
      url,
      range: headers.range,
      authorization: headers.authorization,
      userAgent: headers["user-agent"],
    };
    this.seen.push(seen);
    // Pages are of another origin.
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "*, authorization, range");
    response.setHeader("access-control-expose-headers", EXPOSED);
    response.on("error", () => undefined);
    if (method === "OPTIONS") response.writeHead(204).end();
    else if (origin === "storage") this.#fromStorage(seen, response);
    else this.#fromHub(seen, response);
  }

  #fromHub(seen: Seen, response: ServerResponse): unknown {
    const { pathname } = new URL(seen.url, this.endpoint);
    const api = /^\/api\/models\/([^/]+\/[^/]+)(?:\/(revision|tree)\/([^/]+))?$/.exec(pathname);
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname);
    const name = api?.[1] ?? resolve?.[1] ?? "";
    const repo = this.repos.get(name);
    const denied = repo?.needsToken && seen.authorization !== `Bearer ${TOKEN}`;
    if (!resolve) {
      const fault = this.apiFault(seen);
      if (fault?.type === "status") return response.writeHead(fault.status, fault.headers ?? {}).end();
    }
    if (!repo || denied) return error(response, repo || !seen.authorization ? 401 : 404, "RepoNotFound");
    if (repo.gated && resolve) return error(response, 403, "GatedRepo");
    const revision = decodeURIComponent(api?.[3] ?? resolve?.[2] ?? "main");
    const commit = revision === "main" ? repo.commit : (repo.refs?.[revision] ?? revision);
    const files = commit === repo.commit ? repo.files : repo.older?.[commit];
    if (!files) return error(response, 404, "RevisionNotFound");
    if (api?.[2] === "tree") return this.#tree(seen, response, name, commit, files);
    if (api)
      return json(response, {
        id: name,
        modelId: name,
        sha: commit,
        siblings: Object.keys(files).map((rfilename) => ({ rfilename })),
      });
    const path = decodeURIComponent(resolve![3]!);
    const bytes = Object.hasOwn(files, path) ? files[path] : undefined;
    response.setHeader("x-repo-commit", commit);
    if (!bytes) return error(response, 404, "EntryNotFound");
    this.#resolve(seen, response, path, bytes);
  }

  #tree(seen: Seen, response: ServerResponse, name: string, commit: string, files: Repository["files"]): void {
    const url = new URL(seen.url, this.endpoint);
    const at = Number(url.searchParams.get("cursor") ?? 0);
    const entries = Object.entries(files).map(([path, bytes]) => ({
      type: "file",
      path,
      oid: gitSha1(bytes),
      size: bytes.length,
      ...(isLarge(path, bytes) && { lfs: { oid: this.#sha256(bytes), size: bytes.length, pointerSize: 134 } }),
    }));
    const all = [{ type: "directory", path: "images", oid: "0".repeat(40), size: 0 }, ...entries];
    if (at + PAGE < all.length) {
      const next = `${this.endpoint}/api/models/${name}/tree/${commit}?recursive=true&cursor=${at + PAGE}`;
      response.setHeader("link", `<${next}>; rel="next"`);
    }
    json(response, all.slice(at, at + PAGE));
  }

  #resolve(seen: Seen, response: ServerResponse, path: string, bytes: Uint8Array): unknown {
    if (!isLarge(path, bytes)) {
      response.setHeader("etag", `"${gitSha1(bytes)}"`);
      return this.#content(seen, response, bytes);
    }
    const hash = this.#sha256(bytes);
    this.#contents.set(hash, bytes);
    const fault = this.fault(seen);
    if (fault?.type === "status") return response.writeHead(fault.status, fault.headers ?? {}).end();
    const location = `${this.storageOrigin}/lfs/${hash}?key=${this.#key++}&signature=secret`;
    response.writeHead(302, { location, etag: `"${hash}"`, "x-linked-etag": `"${hash}"`, "x-linked-size": bytes.length }).end();
  }

  #fromStorage(seen: Seen, response: ServerResponse): unknown {
    const url = new URL(seen.url, this.storageOrigin);
    const bytes = this.#contents.get(url.pathname.slice("/lfs/".length));
    if (!bytes) return error(response, 404, "EntryNotFound");
    if (Number(url.searchParams.get("key")) < this.expiredBelow) return response.writeHead(403).end("expired");
    response.setHeader("etag", `"${this.#sha256(bytes)}"`);
    this.#content(seen, response, bytes);
  }

  #sha256(bytes: Uint8Array): string {
    const known = this.#hashes.get(bytes) ?? sha256(bytes);
    this.#hashes.set(bytes, known);
    return known;
  }

  #content(seen: Seen, response: ServerResponse, bytes: Uint8Array): unknown {
    const fault = this.fault(seen);
    if (fault?.type === "status") return response.writeHead(fault.status, fault.headers ?? {}).end();
    response.setHeader("accept-ranges", "bytes");
    const range = fault?.type === "whole" ? undefined : /^bytes=(\d+)-(\d*)$/.exec(seen.range ?? "");
    const first = Number(range?.[1] ?? 0);
    const end = range?.[2] ? Math.min(bytes.length, Number(range[2]) + 1) : bytes.length;
    if (range && first >= bytes.length) return response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
    const shift = fault?.type === "wrong-range" ? 1 : 0;
    const headers: Record<string, string | number> = {
      "content-length": end - first,
      "content-type": "application/octet-stream",
    };
    if (range) headers["content-range"] = `bytes ${first + shift}-${end - 1 + shift}/${bytes.length}`;
    if (seen.method === "HEAD") return response.writeHead(200, { ...headers, "content-length": bytes.length }).end();
    send(response, range ? 206 : 200, headers, bytes.slice(first, end), fault);
  }
}

function send(
  response: ServerResponse,
  status: number,
  headers: Record<string, string | number>,
  body: Uint8Array,
  fault: Fault | undefined,
): unknown {
  switch (fault?.type) {
    case "cut":
      response.writeHead(status, headers);
      response.write(body.subarray(0, fault.afterBytes), () => response.destroy());
      return undefined;
    case "short":
    case "long":
      delete headers["content-length"];
      response.writeHead(status, headers);
      response.end(
        fault.type === "long"
          ? Buffer.concat([body, Buffer.from("x")])
          : body.subarray(0, Math.max(0, body.length - fault.byBytes)),
      );
      return undefined;
    case "wrong-byte":
      if (body.length > 0) body[fault.at % body.length]! ^= 0x55;
      break;
    case "silent":
      response.writeHead(status, headers).write(body.subarray(0, fault.afterBytes));
      return undefined;
    case "trickle": {
      response.writeHead(status, headers);
      let at = 0;
      const timer = setInterval(() => (at < body.length ? response.write(body.subarray(at, ++at)) : response.end()), 5);
      response.on("close", () => clearInterval(timer));
      return undefined;
    }
  }
  return response.writeHead(status, headers).end(body);
}

const EXPOSED = "X-Repo-Commit, X-Error-Code, ETag, Link, Accept-Ranges, Content-Range, X-Linked-Size, X-Linked-ETag";

async function listening(listener: (request: IncomingMessage, response: ServerResponse) => void, port: number): Promise<Server> {
  const server = createServer(listener);
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
  return server;
}

const originOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function error(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "x-error-code": code, "x-error-message": `${code} says the hub` }).end();
}
