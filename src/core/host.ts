/**
 * What differs between the hosts that JavaScript runs on. Node, Deno and Bun all have Node's modules; those are imported only
 * when they are needed, so this file loads anywhere.
 */
import { Qwen3Error } from "./errors.ts";

export interface Host {
  readonly name: "node" | "deno" | "bun" | "browser" | "unknown";
  /** Whether `node:` modules (files, operating system) can be imported. */
  readonly nodeModules: boolean;
  /** The memory that this process may use at most; in browsers a lower bound in steps up to 8 GiB; undefined where unknown. */
  totalMemoryBytes(): Promise<number | undefined>;
  /** How many threads this process may have at work at once; 1 where that is unknown. */
  processors(): Promise<number>;
  /** The bytes behind a URL of a file of this package: `file:` by Node's modules where the host has them, else by fetch. */
  readFileUrl(url: URL): Promise<Uint8Array>;
}

/** The global names by which hosts are told apart. */
export interface HostGlobals {
  readonly Bun?: unknown;
  readonly Deno?: unknown;
  readonly process?: { readonly versions?: { readonly node?: string } };
  readonly navigator?: { readonly userAgent?: string; readonly deviceMemory?: number; readonly hardwareConcurrency?: number };
  readonly window?: unknown;
  readonly WorkerGlobalScope?: unknown;
}

export function detectHost(globals: HostGlobals = globalThis as HostGlobals): Host {
  const name = hostName(globals);
  if (name === "browser" || name === "unknown") {
    const gibibytes = globals.navigator?.deviceMemory;
    return {
      name,
      nodeModules: false,
      totalMemoryBytes: async () => gibibytes && gibibytes * 1024 * 1024 * 1024,
      processors: async () => globals.navigator?.hardwareConcurrency ?? 1,
      readFileUrl: fetchUrl,
    };
  }
  return {
    name,
    nodeModules: true,
    totalMemoryBytes: async () => (await import("./host-node.ts")).totalMemoryBytes(),
    processors: async () => (await import("./host-node.ts")).processors(),
    readFileUrl: async (url) => (url.protocol === "file:" ? (await import("./host-node.ts")).readFileUrl(url) : fetchUrl(url)),
  };
}

function hostName(globals: HostGlobals): Host["name"] {
  if (globals.Bun !== undefined) return "bun"; // Bun and Deno also say which Node they stand for: ask for them first
  if (globals.Deno !== undefined) return "deno";
  if (globals.navigator?.userAgent === "Cloudflare-Workers") return "unknown"; // may have `process`, has no files
  if (globals.process?.versions?.node !== undefined) return "node";
  return globals.window !== undefined || globals.WorkerGlobalScope !== undefined ? "browser" : "unknown";
}

async function fetchUrl(url: URL): Promise<Uint8Array> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new Qwen3Error("SOURCE_READ", `${url.href}: ${(cause as Error).message}`, { cause });
  }
}
