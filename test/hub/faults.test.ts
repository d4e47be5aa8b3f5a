/** Whatever happens at whatever byte, the file that has the name is the right one; and processes that end by force, or meet. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3Error } from "../../src/core/errors.ts";
import { sleep } from "../../src/formats/retry.ts";
import { browserCache } from "../../src/hub/browser-cache.ts";
import type { HubCache } from "../../src/hub/cache.ts";
import { newDigest } from "../../src/hub/digest.ts";
import { diskCache } from "../../src/hub/disk-cache-node.ts";
import { takeLock } from "../../src/hub/disk-lock-node.ts";
import { pullModel } from "../../src/hub/models.ts";
import { refused } from "../formats/refused.ts";
import { etagOf, type Fault, gitSha1, HubServer, sha256 } from "./hub-server.ts";
import { fakePage } from "./page-storage.ts";
import { COMMIT, noise } from "./repository.ts";

const test = suite("downloads under faults");
const hub = await HubServer.start();
let folder: string;

test.after(() => hub.stop());
test.before.each(() => {
  hub.reset();
  folder = mkdtempSync(join(tmpdir(), "qwen3-faults-"));
});
test.after.each(() => rmSync(folder, { recursive: true }));

const bytes = fc.nat(40_000);
const fault: fc.Arbitrary<Fault | undefined> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: bytes.map((afterBytes): Fault => ({ type: "cut", afterBytes })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 9000 }).map((byBytes): Fault => ({ type: "short", byBytes })) },
  { weight: 1, arbitrary: bytes.map((at): Fault => ({ type: "wrong-byte", at })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(403, 416, 429, 500, 503)
      .map((status): Fault => ({ type: "status", status, headers: { "retry-after": "0" } })),
  },
  { weight: 1, arbitrary: fc.constantFrom<Fault>({ type: "long" }, { type: "wrong-range" }, { type: "whole" }) },
);

test("random faults at random bytes, pulled again until it ends well: what has a name is right, always", async () => {
  const names = ["large.bin", "small.txt"];
  const content = (size: number, seed: number) => ({ "large.bin": noise(size, seed), "small.txt": noise(size % 900, seed + 1) });
  let failed = 0;
  let ended = 0;
  const kinds = ["disk", "opfs", "caches"] as const;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...kinds),
      fc.integer({ min: 1024, max: 60_000 }),
      fc.nat(1000),
      fc.array(fault, { maxLength: 24 }),
      fc.constantFrom(1, 3),
      fc.constantFrom(5_000, 16_384, 100_000),
      async (kind, size, seed, faults, connections, rangeBytes) => {
        const files: Record<string, Uint8Array> = content(size, seed);
        hub.reset();
        hub.repos.set("owner/files", { commit: COMMIT, files });
        const queue = [...faults];
        hub.fault = () => queue.shift();
        const cache: HubCache =
          kind === "disk" ? diskCache(mkdtempSync(join(folder, "c-"))) : (await browserCache(fakePage(kind).globals))!;
        const options = {
          endpoint: hub.endpoint,
          cache,
          offline: false,
          include: ["*"],
          connections,
          rangeBytes,
          retry: { attempts: 2, firstDelayMs: 0, longestDelayMs: 1, stallMs: 5_000 },
        };
        for (let isDone = false; !isDone; ) {
          try {
            await pullModel("owner/files", options);
            isDone = true;
            ended++;
          } catch (error) {
            assert.instance(error, Qwen3Error);
            assert.ok(["SOURCE_READ", "HUB_FILE", "HUB_ACCESS"].includes((error as Qwen3Error).code), String(error));
            failed++;
          }
          for (const name of await cache.paths("owner/files", COMMIT)) {
            const source = (await cache.open("owner/files", COMMIT, name))!;
            assert.is(sha256(await source.read(0, source.size)), sha256(files[name]!), name);
            await source.close?.();
          }
        }
        assert.equal(await cache.paths("owner/files", COMMIT), names);
      },
    ),
    { numRuns: process.env.LONG ? 1000 : 120 },
  );
  assert.ok(failed > 5 && ended > 100, `${failed} pulls failed, ${ended} ended well`);
});

const program = (cache: string): string => `
  import { pullModel } from ${JSON.stringify(new URL("../../src/hub/models.js", import.meta.url).href)};
  const { downloadedBytes } = await pullModel("owner/killed", {
    endpoint: ${JSON.stringify(hub.endpoint)}, cache: ${JSON.stringify(cache)}, include: ["*"], rangeBytes: 100_000, connections: 2,
  });
  process.stdout.write(String(downloadedBytes));`;
function startPull(): ReturnType<typeof spawn> {
  return spawn(process.execPath, ["--input-type=module", "-e", program(folder)], { stdio: ["ignore", "pipe", "inherit"] });
}

test("a process that is killed leaves its bytes to the next one, which takes its lock", async () => {
  const file = noise(1_000_000, 5);
  hub.repos.set("owner/killed", { commit: COMMIT, files: { "file.bin": file } });
  hub.fault = ({ range, origin }) =>
    origin === "storage" && /=[5-9]\d{5}-/.test(range ?? "") ? { type: "silent", afterBytes: 7 } : undefined;
  const first = startPull();
  const etag = etagOf("file.bin", file);
  const partial = join(folder, "models--owner--killed", "blobs", `${etag}.qwen3.incomplete`);
  const sizeOf = () => statSync(partial, { throwIfNoEntry: false })?.size ?? 0;
  while (sizeOf() < 500_007) await sleep(20);
  const locks = join(folder, ".locks", "models--owner--killed");
  assert.equal(readdirSync(locks), [`${etag}.qwen3.lock`]);
  first.kill("SIGKILL");
  await once(first, "close");
  assert.equal(readdirSync(locks).length, 1);
  hub.reset();
  const second = startPull();
  let downloaded = "";
  second.stdout!.setEncoding("utf8").on("data", (text: string) => {
    downloaded += text;
  });
  await once(second, "close");
  assert.is(downloaded, String(1_000_000 - 500_007));
  assert.is(hub.contentRequests().filter(({ origin }) => origin === "storage")[0]!.range, "bytes=500007-600006");
  assert.equal(new Uint8Array(readFileSync(join(folder, "models--owner--killed", "snapshots", COMMIT, "file.bin"))), file);
  assert.equal(readdirSync(locks), []);
});

test("locks: for one at a time, given up, taken from those that are gone, noticed when lost", async () => {
  const path = join(folder, "locks", "x.lock");
  const first = await takeLock(path, {});
  let waits = 0;
  const order: string[] = [];
  const second = takeLock(path, { onWait: () => waits++ }).then((lock) => {
    order.push("second");
    return lock;
  });
  await sleep(300);
  order.push("first");
  await first.release();
  const lock = await second;
  assert.equal([order, waits], [["first", "second"], 1]);

  const reason = new Error("enough");
  const stop = new AbortController();
  const waiting = takeLock(path, { signal: stop.signal }).catch((thrown: unknown) => thrown);
  await sleep(20);
  stop.abort(reason);
  assert.is(await waiting, reason);

  utimesSync(path, new Date(0), new Date(0)); // as if the holder had slept
  const thief = await takeLock(path, { staleMs: 1000 });
  await sleep(1200);
  await refused("SOURCE_READ", ["another process has taken over this download"], () => lock.check());
  await lock.release();
  thief.check();
  assert.equal(readdirSync(join(folder, "locks")), ["x.lock"]);
  await thief.release();

  const dead = spawn(process.execPath, ["-e", ""]);
  await once(dead, "close");
  const { hostname } = await import("node:os");
  writeFileSync(path, JSON.stringify({ pid: dead.pid, host: hostname() }));
  await (await takeLock(path, {})).release();
  writeFileSync(path, JSON.stringify({ pid: dead.pid, host: "another machine" }));
  const busy = new AbortController();
  setTimeout(() => busy.abort(reason), 300);
  assert.is(await takeLock(path, { signal: busy.signal }).catch((thrown: unknown) => thrown), reason);
  await mkdir(join(folder, "plain"));
  await takeLock(join(folder, "plain"), { signal: AbortSignal.timeout(300) }).then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.name, "TimeoutError"),
  );
});

test("hashes are the same with and without Node's", async () => {
  const portable = { name: "browser", nodeModules: false } as never;
  for (const size of [0, 1, 55, 64, 65, 100_000]) {
    const content = noise(size, size);
    for (const etag of [sha256(content), gitSha1(content)])
      for (const host of [undefined, portable]) {
        const digest = await newDigest({ etag, size }, host);
        for (let at = 0; at < size; at += 777) digest.update(content.subarray(at, at + 777));
        assert.is(digest.hex(), etag);
      }
  }
});

test.run();
