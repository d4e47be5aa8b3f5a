/** Ports: Node's own, and those of Deno and Bun by stand-ins (test/clients has the real ones). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createServer, listen } from "../../src/server.ts";
import { chatModel, model } from "./serving.ts";

const server = createServer(chatModel);

test("a free port, one that is named, one that is taken", async () => {
  const listener = await listen(server, { port: 0 });
  assert.is(listener.url, `http://127.0.0.1:${listener.port}`);
  assert.is((await fetch(`${listener.url}/health`)).status, 200);
  const error = await listen(server, { port: listener.port }).catch((thrown: NodeJS.ErrnoException) => thrown);
  assert.is((error as NodeJS.ErrnoException).code, "EADDRINUSE");
  await listener.close();
  const again = await listen(server, { port: listener.port, host: "127.0.0.1" });
  await again.close();
  assert.ok(await fetch(`${listener.url}/health`).catch(() => true));
});

test("by Bun", async () => {
  const calls: unknown[] = [];
  const Bun = {
    serve: (options: object) => {
      calls.push(options);
      return { port: 7, stop: (force?: boolean) => void calls.push(["stop", force]) };
    },
  };
  const listener = await listen(server, { host: "::1", port: 7 }, { Bun });
  assert.equal([listener.url, listener.port], ["http://[::1]:7", 7]);
  assert.equal(calls[0], { fetch: server.fetch, hostname: "::1", port: 7, idleTimeout: 0 });
  await listener.close();
  assert.equal(calls[1], ["stop", undefined]);
});

test("by Deno", async () => {
  const calls: unknown[] = [];
  const Deno = {
    serve: ({ hostname, port }: { hostname?: string; port?: number }, handler: unknown) => {
      calls.push([hostname, port, handler === server.fetch]);
      return { addr: { port: 9 }, shutdown: async () => void calls.push("shutdown") };
    },
  };
  const listener = await listen(server, { port: 0 }, { Deno });
  assert.is(listener.url, "http://127.0.0.1:9");
  await listener.close();
  assert.equal(calls, [["127.0.0.1", 0, true], "shutdown"]);
});

test("the end", () => model.close());

test.run();
