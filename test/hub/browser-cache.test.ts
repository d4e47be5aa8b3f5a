/** The cache of a page on storage that has the standard interfaces; test/browser does the same in a real browser. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { browserCache } from "../../src/hub/browser-cache.ts";
import type { HubCache } from "../../src/hub/cache.ts";
import { cachedModels, pullModel, removeModel } from "../../src/hub/models.ts";
import { openModel } from "../../src/hub/open-model.ts";
import { refused } from "../formats/refused.ts";
import { HubServer } from "./hub-server.ts";
import { type FakePage, fakePage } from "./page-storage.ts";
import { COMMIT, ggufRepository, nanoRepository, noise, OLDER, shardedRepository } from "./repository.ts";

const test = suite("cache of a page");
const sharded = shardedRepository();
const KINDS = ["opfs", "caches"] as const;
const hub = await HubServer.start();

test.after(() => hub.stop());
test.before.each(() => hub.reset({ "owner/sharded": sharded, "owner/gguf": ggufRepository() }));

const options = (cache: HubCache) => ({
  endpoint: hub.endpoint,
  cache,
  offline: false,
  retry: { attempts: 2, firstDelayMs: 1 },
  rangeBytes: 16_384,
});
async function contentOf(cache: HubCache, repo: string, path: string, commit = COMMIT): Promise<Uint8Array> {
  const source = (await cache.open(repo, commit, path))!;
  return source.read(0, source.size);
}
const cacheOf = async (page: FakePage): Promise<HubCache> => (await browserCache(page.globals))!;

for (const kind of KINDS) {
  test(`${kind}: pulled, listed, read and removed`, async () => {
    const page = fakePage(kind);
    const cache = await cacheOf(page);
    const { files, downloadedBytes } = await pullModel("owner/sharded", options(cache));
    assert.ok(downloadedBytes > 170_000);
    for (const { path } of files)
      assert.equal(await contentOf(cache, "owner/sharded", path), new Uint8Array(sharded.files[path]!));
    assert.is(await cache.open("owner/sharded", COMMIT, "none"), undefined);
    assert.is(await cache.open("owner/sharded", OLDER, "config.json"), undefined);
    assert.is(await cache.open("owner/none", COMMIT, "config.json"), undefined);
    assert.is((await pullModel("owner/sharded", options(cache))).downloadedBytes, 0);
    await pullModel("owner/gguf:Q8_0", options(cache));
    await pullModel("owner/gguf:Q4_K_M", options(cache));
    await pullModel("owner/sharded", { ...options(cache), revision: "v1" });

    const models = await cachedModels({ cache });
    assert.equal(
      models.map(({ repo }) => repo),
      ["owner/gguf", "owner/sharded"],
    );
    assert.is(models[0]!.bytes, 6100);
    assert.equal(models[0]!.revisions, [
      {
        commit: COMMIT,
        refs: ["main"],
        files: [
          { path: "Model-Q8_0.gguf", bytes: 3100 },
          { path: "Model-Q4_K_M.gguf", bytes: 3000 },
        ],
      },
    ]);
    assert.equal(
      models[1]!.revisions.map(({ refs }) => refs),
      [["main"], ["v1"]],
    );

    assert.is(await removeModel("owner/gguf:Q8_0", { cache }), 3100);
    assert.equal(await cache.paths("owner/gguf", COMMIT), ["Model-Q4_K_M.gguf"]);
    await refused("HUB_NOT_FOUND", [], () => removeModel("owner/gguf:Q8_0", { cache }));
    assert.is(await removeModel("owner/gguf", { cache }), 3000);
    await refused("HUB_NOT_FOUND", ["owner/gguf is not in the page's"], () => removeModel("owner/gguf", { cache }));
    assert.ok((await removeModel("owner/sharded", { cache })) > 170_000);
    assert.equal([...page.files.keys()], []);
  });

  test(`${kind}: a model runs from it, offline`, async () => {
    hub.repos.set("owner/nano", nanoRepository());
    const cache = await cacheOf(fakePage(kind));
    const online = await openModel("owner/nano", { hub: options(cache) });
    await online.close();
    hub.reset();
    const checkpoint = await openModel("owner/nano", { hub: { ...options(cache), offline: true } });
    assert.is(checkpoint.name, "owner/nano");
    assert.is(checkpoint.config.hidden_size, 256);
    for await (const { bytes } of checkpoint.tensors.get("model.norm.weight")!.rows()) assert.ok(bytes.length > 0);
    await checkpoint.close();
    assert.equal(hub.seen, []);
  });

  test(`${kind}: an interrupted download goes on, also one that failed many times`, async () => {
    const page = fakePage(kind);
    let cache = await cacheOf(page);
    let loaded = 0;
    for (const limit of [30_000, 60_000, 90_000]) {
      const stop = new AbortController();
      const error = await pullModel("owner/sharded", {
        ...options(cache),
        include: ["model-00001*"],
        signal: stop.signal,
        onProgress: ({ loadedBytes }) => {
          loaded = loadedBytes;
          if (loadedBytes > limit) stop.abort(new Error("enough"));
        },
      }).catch((thrown: Error) => thrown.message);
      assert.is(error, "enough");
      cache = await cacheOf(page); // the page was opened anew
      const [model] = await cachedModels({ cache });
      assert.is(model!.bytes, loaded);
      assert.equal(model!.revisions, []);
    }
    hub.reset();
    await pullModel("owner/sharded", { ...options(cache), include: ["model-00001*"] });
    assert.is(
      hub
        .contentRequests()
        .filter(({ origin }) => origin === "storage")[0]!
        .range?.split("-")[0],
      `bytes=${loaded}`,
    );
    const name = "model-00001-of-00002.safetensors";
    assert.equal(await contentOf(cache, "owner/sharded", name), sharded.files[name]);
  });

  test(`${kind}: wrong bytes are not kept, room is asked for first, and running out of it is told`, async () => {
    const page = fakePage(kind, { quota: 17_000_000 });
    const cache = await cacheOf(page);
    hub.fault = ({ origin }) => (origin === "storage" ? { type: "wrong-byte", at: 5 } : undefined);
    await refused("HUB_FILE", ["the hub announced"], () => pullModel("owner/gguf", options(cache)));
    hub.reset();
    assert.not.ok([...page.files.keys()].some((key) => key.includes("whole")));
    page.quota = 16_800_000;
    await refused("STORAGE_FULL", ["the page's", "bytes of owner/sharded are to come"], () =>
      pullModel("owner/sharded", options(cache)),
    );
    Object.assign(page.globals.navigator!.storage!, { estimate: async () => ({}) });
    page.quota = 100_000;
    await refused("STORAGE_FULL", ["the page's storage is full: no room"], () => pullModel("owner/sharded", options(cache)));
  });

  test(`${kind}: two pages at once`, async () => {
    const page = fakePage(kind);
    const waits: string[] = [];
    const caches = [await cacheOf(page), await cacheOf(page)];
    const bothAsked = () => hub.seen.filter(({ url }) => url.includes("/tree/")).length === 6; // pages of two listings
    hub.fault = ({ origin }) => (origin === "storage" && !bothAsked() ? { type: "silent", afterBytes: 10 } : undefined);
    const retry = { attempts: 50, firstDelayMs: 1, longestDelayMs: 2, stallMs: 300 };
    const both = await Promise.all(
      caches.map((cache) =>
        pullModel("owner/gguf", { ...options(cache), retry, onProgress: ({ waiting, file }) => waiting && waits.push(file) }),
      ),
    );
    assert.is(both[0]!.downloadedBytes + both[1]!.downloadedBytes, 3000);
    assert.equal(waits, ["Model-Q4_K_M.gguf"]);
  });
}

test("files of many pieces, empty files, and hosts without locks", async () => {
  const large = noise(20_000_000, 7);
  hub.repos.set("owner/large", { commit: COMMIT, files: { "large.bin": large, "empty.bin": new Uint8Array(0) } });
  const page = fakePage("opfs", { locks: false });
  const cache = await cacheOf(page);
  await pullModel("owner/large", { ...options(cache), include: ["*"], rangeBytes: 3_000_000 });
  assert.equal(await contentOf(cache, "owner/large", "large.bin"), large);
  assert.is((await contentOf(cache, "owner/large", "empty.bin")).length, 0);
  assert.is([...page.files.keys()].filter((key) => key.startsWith("blob")).length, 4);
});

test("storage that is forbidden, or not there", async () => {
  assert.is(await browserCache({}), undefined);
  const forbidden = async () => Promise.reject(new Error("private window"));
  const { FileSystemFileHandle } = fakePage("opfs").globals;
  assert.is(
    await browserCache({
      navigator: { storage: { getDirectory: forbidden } },
      caches: { open: forbidden },
      FileSystemFileHandle: FileSystemFileHandle!,
    }),
    undefined,
  );
  const failing = fakePage("caches");
  const cache = await cacheOf(failing);
  Object.assign(failing.globals.navigator!, { locks: undefined });
  failing.files.set("https://qwen3-hub.invalid/model%2Fowner%2Fbroken", new TextEncoder().encode("{"));
  assert.is(await cache.commitOf("owner/broken", "main"), undefined);
});

test.run();
