/** A port for a server, by whatever the host has for it: Node's http, `Deno.serve` or `Bun.serve`. */
import { Qwen3Error } from "../core/errors.ts";
import { detectHost } from "../core/host.ts";
import type { Server } from "./server.ts";
import { within } from "./within.ts";

export interface ListenOptions {
  /** Default "127.0.0.1". */
  readonly host?: string | undefined;
  /** 0 takes a free one. Default 8000. */
  readonly port?: number | undefined;
}

export interface Listener {
  /** `http://127.0.0.1:8000` */
  readonly url: string;
  readonly port: number;
  /** Takes no more connections, lets what was answered be sent, and ends those there are. */
  close(): Promise<void>;
}

interface DenoServer {
  readonly addr: { readonly port: number };
  shutdown(): Promise<void>;
}
interface BunServer {
  readonly port: number;
  stop(closeConnections?: boolean): Promise<void> | void;
}
interface ServingGlobals {
  readonly Deno?: {
    serve(options: object, handler: (request: Request) => Promise<Response>): DenoServer;
  };
  readonly Bun?: {
    serve(options: {
      fetch: (request: Request) => Promise<Response>;
      hostname: string;
      port: number;
      idleTimeout: number;
    }): BunServer;
  };
}

/** How long answers that are made may take to be sent, when the port is given up. */
const SENDING_MS = 2000;

/** Errors: BACKEND_UNAVAILABLE where the host has no ports; the host's own where the port cannot be taken. */
export async function listen(
  { fetch }: Server,
  { host = "127.0.0.1", port = 8000 }: ListenOptions = {},
  globals: ServingGlobals = globalThis as ServingGlobals,
): Promise<Listener> {
  const listener = (taken: number, close: () => Promise<void>): Listener => {
    return { url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}`, port: taken, close };
  };
  if (globals.Bun) {
    // Answers may be silent for longer than any timeout of Bun's; the server has its own.
    const bun = globals.Bun.serve({ fetch, hostname: host, port, idleTimeout: 0 });
    return listener(bun.port, () => within(SENDING_MS, Promise.resolve(bun.stop()), () => void bun.stop(true)));
  }
  if (globals.Deno) {
    const abort = new AbortController();
    const deno = globals.Deno.serve({ hostname: host, port, signal: abort.signal, onListen: () => undefined }, fetch);
    return listener(deno.addr.port, () => within(SENDING_MS, deno.shutdown(), () => abort.abort()));
  }
  if (!detectHost().nodeModules) throw new Qwen3Error("BACKEND_UNAVAILABLE", "this host has no ports; call the server's fetch");
  const { listenOnNode } = await import("./listen-node.ts");
  const { port: taken, close } = await listenOnNode(fetch, host, port);
  return listener(taken, close);
}
