import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { availableParallelism, totalmem } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3Error } from "../../src/core/errors.ts";
import { detectHost, type HostGlobals } from "../../src/core/host.ts";
import { processors, totalMemoryBytes } from "../../src/core/host-node.ts";

test("this is Node, with its files and its memory", async () => {
  const host = detectHost();
  assert.is(host.name, "node");
  assert.is(host.nodeModules, true);
  const memory = (await host.totalMemoryBytes())!;
  assert.ok(memory > 100_000_000 && memory <= totalmem());
  const self = new URL(import.meta.url);
  assert.ok(Buffer.from(await host.readFileUrl(self)).equals(readFileSync(fileURLToPath(self))));
});

test("hosts are told apart by their globals", async () => {
  const node = { process: { versions: { node: "20.0.0" } } };
  const cases: readonly (readonly [globals: HostGlobals, name: string, nodeModules: boolean])[] = [
    [node, "node", true],
    [{ ...node, Bun: {} }, "bun", true],
    [{ ...node, Deno: {} }, "deno", true],
    [{ ...node, window: {} }, "node", true],
    [{ ...node, navigator: { userAgent: "Cloudflare-Workers" } }, "unknown", false],
    [{ window: {}, navigator: { userAgent: "Mozilla/5.0" } }, "browser", false],
    [{ WorkerGlobalScope: {}, process: {} }, "browser", false],
    [{ process: { versions: {} } }, "unknown", false],
    [{}, "unknown", false],
  ];
  for (const [globals, name, nodeModules] of cases) {
    const host = detectHost(globals);
    assert.is(host.name, name, JSON.stringify(globals));
    assert.is(host.nodeModules, nodeModules);
  }
});

test("browsers say how much memory there is at least, or nothing", async () => {
  const memory = (navigator: HostGlobals["navigator"]) =>
    detectHost({ window: {}, ...(navigator && { navigator }) }).totalMemoryBytes();
  assert.is(await memory({ deviceMemory: 8 }), 8_589_934_592);
  assert.is(await memory({ deviceMemory: 0.25 }), 268_435_456);
  assert.is(await memory({}), undefined);
  assert.is(await memory(undefined), undefined);
});

test("threads are as many as the host says; one where it does not", async () => {
  assert.is(await detectHost().processors(), availableParallelism());
  const browser = (navigator: HostGlobals["navigator"]) =>
    detectHost({ window: {}, ...(navigator && { navigator }) }).processors();
  assert.is(await browser({ hardwareConcurrency: 6 }), 6);
  assert.is(await browser(undefined), 1);
  const refused = () => {
    throw new Error("not allowed");
  };
  assert.is(processors(refused), 1);
});

test("a container's limit counts where it is below the machine's memory; a host that forbids asking knows nothing", () => {
  assert.is(
    totalMemoryBytes(
      () => 16e9,
      () => 2e9,
    ),
    2e9,
  );
  assert.is(
    totalMemoryBytes(
      () => 16e9,
      () => 0,
    ),
    16e9,
  );
  assert.is(
    totalMemoryBytes(
      () => 16e9,
      () => 2 ** 63,
    ),
    16e9,
  );
  const forbidden = () => {
    throw new Error("requires sys access");
  };
  assert.is(totalMemoryBytes(forbidden), undefined);
});

test("URLs are fetched on every host; errors name them", async () => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === "/a" ? 200 : 404;
    response.end("abc");
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const failed = async (host: ReturnType<typeof detectHost>, url: URL) => {
    const error = await host.readFileUrl(url).catch((thrown: unknown) => thrown);
    assert.instance(error, Qwen3Error);
    assert.is((error as Qwen3Error).code, "SOURCE_READ");
    assert.match((error as Qwen3Error).message, url.href);
    return (error as Qwen3Error).message;
  };
  try {
    for (const host of [detectHost(), detectHost({})]) {
      assert.equal(await host.readFileUrl(new URL(`${base}/a`)), new TextEncoder().encode("abc"));
      assert.match(await failed(host, new URL(`${base}/b`)), "HTTP status 404");
      await failed(host, pathToFileURL("/does/not/exist"));
    }
  } finally {
    server.close();
  }
});

test.run();
