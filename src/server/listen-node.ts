/** Node's http server around a `fetch`. */
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";

/** Connections that keep coming and say nothing are a way to use up a machine. */
const MOST_CONNECTIONS = 8192;
const HEADERS_TIMEOUT_MS = 30_000;
/** How long answers that are made may take to be sent, when the port is given up. */
const SENDING_MS = 2000;
const IDLE_CHECK_MS = 20;

export async function listenOnNode(
  fetch: (request: Request) => Promise<Response>,
  host: string,
  port: number,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createAdaptorServer({ fetch, overrideGlobalObjects: false }) as Server;
  server.maxConnections = MOST_CONNECTIONS;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.listen(port, host);
  await once(server, "listening"); // rejects with the error where the port cannot be taken
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
      const late = setTimeout(() => server.closeAllConnections(), SENDING_MS);
      await closed;
      clearInterval(idle);
      clearTimeout(late);
    },
  };
}
