/**
 * The hub in a real browser: downloaded into the page's storage, stopped and resumed, listed, run, removed; in the file system and in the
 * Cache API; and a token that a redirect does not carry to another origin.
 *
 *   npm run build:test && cd test/browser && npm install && npm run hub
 *
 * CHROMIUM names the browser, by default /usr/bin/chromium.
 */
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { HubServer, TOKEN } from "../../build/test/hub/hub-server.js";
import { nanoRepository } from "../../build/test/hub/repository.js";
import { serve } from "./serve.mjs";

const hub = await HubServer.start();
hub.repos.set("local/nano", nanoRepository());
hub.repos.set("local/private", { ...nanoRepository(), needsToken: true });
const site = await serve();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext();

/** Runs `body` in a fresh page of the site: what is stored stays from one to the next. */
async function inPage(body, argument = {}) {
  const page = await context.newPage();
  page.on("console", (message) => console.log(`  page: ${message.text()}`));
  await page.goto(site.origin);
  try {
    return await page.evaluate(body, { endpoint: hub.endpoint, ...argument });
  } finally {
    await page.close();
  }
}

async function check(storage) {
  const kept = await inPage(
    async ({ endpoint, storage }) => {
      if (storage === "cache") Reflect.deleteProperty(FileSystemFileHandle.prototype, "createWritable");
      const { cachedModels, pullModel } = await import("qwen3.ts");
      const stop = new AbortController();
      const onProgress = ({ loadedBytes }) => loadedBytes > 4_000_000 && stop.abort(new Error("enough"));
      const options = { endpoint, onProgress, signal: stop.signal, rangeBytes: 1_000_000 };
      const error = await pullModel("local/nano", options).catch((thrown) => thrown.message);
      if (error !== "enough") throw new Error(`the download was not stopped: ${error}`);
      return (await cachedModels({ endpoint }))[0].bytes;
    },
    { storage },
  );
  assert.ok(kept > 4_000_000, `${kept} bytes were kept`);
  const { answer, name, bytes, quota, downloaded } = await inPage(
    async ({ endpoint, storage }) => {
      if (storage === "cache") Reflect.deleteProperty(FileSystemFileHandle.prototype, "createWritable");
      const { cachedModels, Qwen3 } = await import("qwen3.ts");
      let downloaded = 0;
      const onProgress = ({ downloadedBytes }) => {
        downloaded = downloadedBytes;
      };
      const model = await Qwen3.fromPretrained("local/nano", { hub: { endpoint, onProgress } });
      const stream = model.chat([{ role: "user", content: "Who are you?" }], { temperature: 0 });
      let answer = "";
      for await (const part of stream) if (part.type === "text") answer += part.text;
      await model.close();
      const { quota } = await navigator.storage.estimate();
      const { browserCache } = await import("qwen3.ts/hub/browser-cache.js");
      const cache = await browserCache();
      return {
        answer,
        name: cache.name,
        bytes: (await cachedModels({ endpoint }))[0].bytes,
        quota: [quota, await cache.freeBytes()],
        downloaded,
      };
    },
    { storage },
  );
  assert.match(answer, /^I am nano/);
  assert.equal(name, storage === "cache" ? "the page's cache" : "the page's file system");
  assert.ok(bytes - downloaded === kept, `${bytes} bytes, ${downloaded} of them in the second page, ${kept} before`);
  assert.ok(quota[1] > 0 && quota[1] < quota[0]);
  hub.reset();
  const freed = await inPage(
    async ({ endpoint, storage }) => {
      if (storage === "cache") Reflect.deleteProperty(FileSystemFileHandle.prototype, "createWritable");
      const { cachedModels, Qwen3, removeModel } = await import("qwen3.ts");
      const model = await Qwen3.fromPretrained("local/nano", { hub: { endpoint, offline: true } });
      await model.close();
      const freed = await removeModel("local/nano", { endpoint });
      if ((await cachedModels({ endpoint })).length > 0) throw new Error("something is left");
      return freed;
    },
    { storage },
  );
  assert.equal(freed, bytes);
  assert.deepEqual(hub.seen, []);
  console.log(`${name}: ${bytes} bytes in two parts (${kept}, ${downloaded}), run, removed`);
}

async function checkToken() {
  hub.reset();
  await inPage(
    async ({ endpoint, token }) => {
      const { pullModel, removeModel } = await import("qwen3.ts");
      await pullModel("local/private", { endpoint, token });
      await removeModel("local/private", { endpoint });
    },
    { token: TOKEN },
  );
  const atStorage = hub.seen.filter(({ origin, method }) => origin === "storage" && method === "GET");
  assert.ok(atStorage.length > 0 && atStorage.every(({ authorization }) => authorization === undefined));
  console.log(`the token did not follow ${atStorage.length} redirected requests`);
}

async function checkStreaming() {
  const answer = await inPage(async ({ endpoint }) => {
    const { cachedModels, Qwen3 } = await import("qwen3.ts");
    const model = await Qwen3.fromPretrained("local/nano", { hub: { endpoint, stream: true } });
    await model.close();
    return (await cachedModels({ endpoint })).length;
  });
  assert.equal(answer, 0);
  console.log("read by ranges, nothing kept");
}

try {
  console.log(browser.version());
  for (const storage of ["files", "cache"]) await check(storage);
  await checkToken();
  await checkStreaming();
} finally {
  await browser.close();
  site.stop();
  hub.stop();
}
