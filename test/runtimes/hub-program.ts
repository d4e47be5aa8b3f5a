/** What test/runtimes/hub.test.ts runs on every engine: a download that is stopped and goes on, the model run from it and from the hub. */
import { cachedModels, pullModel, Qwen3, removeModel } from "../../src/index.ts";

const [endpoint = "", cache = ""] = (globalThis as { process?: { argv: string[] } }).process!.argv.slice(2);
const hub = { endpoint, cache, offline: false };
const stop = new AbortController();
const stopped = await pullModel("local/nano", {
  ...hub,
  rangeBytes: 500_000,
  signal: stop.signal,
  onProgress: ({ loadedBytes }) => {
    if (loadedBytes > 3e6) stop.abort(new Error("enough"));
  },
}).catch((error: Error) => error.message);
const { downloadedBytes, files } = await pullModel("local/nano", hub);
const logits: number[][] = [];
for (const stream of [false, true]) {
  const model = await Qwen3.fromPretrained("local/nano", { hub: { ...hub, stream }, maxModelLen: 64 });
  logits.push([...(await model.forward([1, 2, 3])).logits!].slice(0, 10));
  await model.close();
}
const models = (await cachedModels(hub)).map(({ repo }) => repo);
const freed = await removeModel("local/nano", hub);
console.log(JSON.stringify({ stopped, downloadedBytes, files: files.length, logits, models, freed }));
