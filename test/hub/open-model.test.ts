/** What a location means: a path that is there, a model in the cache, one to be downloaded, one to be read from the hub. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CheckpointSource } from "../../src/formats/source.ts";
import { browserCache } from "../../src/hub/browser-cache.ts";
import { ifPresent, writing } from "../../src/hub/disk-cache-node.ts";
import { cachedModels, pullModel } from "../../src/hub/models.ts";
import { locateModel, openModel } from "../../src/hub/open-model.ts";
import type { PullProgress } from "../../src/hub/pull.ts";
import { type HubOptions, hubSettings } from "../../src/hub/settings.ts";
import { environment, hubHome } from "../../src/hub/settings-node.ts";
import { Qwen3 } from "../../src/index.ts";
import { refused } from "../formats/refused.ts";
import { root } from "../paths.ts";
import { HubServer } from "./hub-server.ts";
import { fakePage } from "./page-storage.ts";
import { COMMIT, ggufRepository, NANO_COMMIT, nanoRepository, shardedRepository } from "./repository.ts";

const test = suite("locations of models");
const nano = nanoRepository();
const hub = await HubServer.start();
let folder: string;
let options: HubOptions;

test.after(() => hub.stop());
test.before.each(() => {
  hub.reset({ "local/nano": nano, "local/gguf": ggufRepository(), "local/sharded": shardedRepository() });
  folder = mkdtempSync(join(tmpdir(), "qwen3-open-"));
  options = { endpoint: hub.endpoint, cache: folder, offline: false, retry: { attempts: 2, firstDelayMs: 1 } };
});
test.after.each(() => rmSync(folder, { recursive: true }));

const snapshot = (repo: string, commit = COMMIT) => join(folder, `models--${repo.replace("/", "--")}`, "snapshots", commit);

test("paths, URLs and sources stay what they are, and nothing is asked", async () => {
  const source = { name: "mine", open: async () => undefined };
  for (const location of [
    "weights/nano",
    join(root, "weights", "nano"),
    "/nowhere",
    "./local/nano",
    "x",
    new URL("file:///x"),
    "https://example.com/a/b",
    source,
    new Blob([]),
  ])
    assert.is(await locateModel(location, { hub: options }), location);
  mkdirSync(join(folder, "here", "nano"), { recursive: true });
  const before = process.cwd();
  process.chdir(folder);
  try {
    hub.repos.set("here/nano", nano);
    assert.is(await locateModel("here/nano", { hub: options }), "here/nano");
  } finally {
    process.chdir(before);
  }
  assert.equal(hub.seen, []);
});

test("an id is downloaded once, with progress, and then found without a word to the hub", async () => {
  const progress: PullProgress[] = [];
  const model = await Qwen3.fromPretrained("local/nano", {
    hub: { ...options, onProgress: (now) => progress.push(now) },
    maxModelLen: 64,
  });
  assert.is(model.config.num_hidden_layers, 5);
  await model.close();
  const last = progress.at(-1)!;
  assert.is(last.loadedBytes, last.totalBytes);
  assert.ok(progress.length > 5);
  hub.reset();
  const again = await openModel("hf.co/local/nano", { hub: options });
  assert.is(again.name, snapshot("local/nano", NANO_COMMIT));
  await again.close();
  assert.is(await locateModel("local/nano", { hub: { ...options, revision: NANO_COMMIT } }), snapshot("local/nano", NANO_COMMIT));
  assert.equal(hub.seen, []);
});

test("what is in the cache only in part is completed; offline it is used as it is", async () => {
  await pullModel("local/sharded", { ...options, include: ["*.json"] });
  await refused("HUB_OFFLINE", ["local/sharded is not in", "HF_HUB_OFFLINE"], () =>
    locateModel("local/sharded", { hub: { ...options, offline: true } }),
  );
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  assert.is(await locateModel("local/sharded", { hub: options }), snapshot("local/sharded"));
  for (const shard of shards) assert.ok(existsSync(join(snapshot("local/sharded"), shard)));
  rmSync(join(snapshot("local/sharded"), "tokenizer.json"));
  hub.reset();
  assert.is(await locateModel("local/sharded", { hub: { ...options, offline: true } }), snapshot("local/sharded"));
  assert.equal(hub.seen, []);
  await locateModel("local/sharded", { hub: options });
  assert.ok(existsSync(join(snapshot("local/sharded"), "tokenizer.json")));
  writeFileSync(join(snapshot("local/sharded"), "model.safetensors.index.json"), "{"); // through the link: the blob is broken
  await locateModel("local/sharded", { hub: options });
});

test("GGUF files of the cache, by quantization", async () => {
  const hubOptions = { hub: options };
  for (const [id, file] of [
    ["local/gguf:Q8_0", "Model-Q8_0.gguf"],
    ["local/gguf", "Model-Q4_K_M.gguf"],
    ["local/gguf:BF16", "BF16/Model-BF16-00001-of-00002.gguf"],
    ["local/gguf:BF16", "BF16/Model-BF16-00001-of-00002.gguf"],
    ["local/gguf:Q4_K_M", "Model-Q4_K_M.gguf"],
  ] as const)
    assert.is(await locateModel(id, hubOptions), join(snapshot("local/gguf"), file));
  hub.repos.set("local/gguf", { ...ggufRepository(), commit: NANO_COMMIT });
  await pullModel("local/gguf:Q8_0", options);
  const only = join(snapshot("local/gguf", NANO_COMMIT), "Model-Q8_0.gguf");
  assert.is(await locateModel("local/gguf", { hub: { ...options, offline: true } }), only, "offline: what there is");
  hub.apiFault = () => ({ type: "status", status: 500 });
  assert.is(await locateModel("local/gguf", hubOptions), only, "nor does a hub that is down stand in the way");
  hub.apiFault = () => ({ type: "status", status: 403 });
  await refused("HUB_ACCESS", [], () => locateModel("local/gguf", hubOptions));
  hub.reset();
  assert.match(String(await locateModel("local/gguf", hubOptions)), /Model-Q4_K_M.gguf$/);
});

test("read from the hub by ranges, and nothing kept", async () => {
  const model = await Qwen3.fromPretrained("local/nano", { hub: { ...options, stream: true }, maxModelLen: 64 });
  const ids = model.tokenizer.encode("The capital of France is");
  const streamed = (await model.forward(ids)).logits!;
  await model.close();
  assert.not.ok(existsSync(join(folder, "models--local--nano")));
  const local = await Qwen3.fromPretrained("weights/nano", { maxModelLen: 64 });
  assert.equal(streamed, (await local.forward(ids)).logits);
  await local.close();
  const gguf = (await locateModel("local/gguf:BF16", { hub: { ...options, stream: true } })) as CheckpointSource;
  assert.equal(await gguf.list?.(), ["Model-BF16-00001-of-00002.gguf", "Model-BF16-00002-of-00002.gguf"]);
  assert.is((await gguf.open("Model-BF16-00002-of-00002.gguf"))?.size, 3400);
  assert.is(await gguf.open("config.json"), undefined);
});

test("a GGUF file by its quantization computes the same from the cache, from a page's storage, and from the hub", async () => {
  const file = (type: string) => join(root, "test", "golden", `gguf-${type}`, "model.gguf");
  const files = { "tiny-Q8_0.gguf": readFileSync(file("q8_0")), "sub/tiny-Q4_0.gguf": readFileSync(file("q4_0")) };
  hub.repos.set("local/tiny", { commit: COMMIT, files });
  const logits = async (location: string, more: HubOptions = {}) => {
    const model = await Qwen3.fromPretrained(location, { hub: { ...options, ...more }, maxModelLen: 64 });
    const { logits } = await model.forward([1, 2, 3]);
    await model.close();
    return logits!;
  };
  for (const [id, type] of [
    ["local/tiny:Q8_0", "q8_0"],
    ["hf.co/local/tiny:Q4_0", "q4_0"],
  ] as const) {
    const expected = await logits(file(type));
    assert.equal(await logits(id, { stream: true }), expected);
    assert.equal(await logits(id), expected);
    assert.equal(await logits(id, { offline: true }), expected);
    const cache = (await browserCache(fakePage("opfs").globals))!;
    assert.equal(await logits(id, { cache }), expected);
    assert.equal(await logits(id, { cache, offline: true }), expected);
  }
});

test("ranges go on through cuts and expired addresses, with the same weights", async () => {
  let count = 0;
  hub.fault = ({ origin }) => {
    count++;
    if (count % 7 === 0) hub.expiredBelow = 1e6;
    else if (count % 7 === 1) hub.expiredBelow = 0;
    return origin === "storage" && count % 3 === 0 ? { type: "cut", afterBytes: 100_000 } : undefined;
  };
  const checkpoint = await openModel("local/nano", {
    hub: { ...options, stream: true, retry: { attempts: 20, firstDelayMs: 1, longestDelayMs: 2 } },
  });
  const local = await openModel("weights/nano");
  for (const [name, tensor] of checkpoint.tensors) {
    const [there, here]: Uint8Array[][] = [[], []];
    for await (const { bytes } of tensor.rows({ sliceBytes: 300_000 })) there!.push(bytes);
    for await (const { bytes } of local.tensors.get(name)!.rows()) here!.push(bytes);
    assert.ok(Buffer.concat(there!).equals(Buffer.concat(here!)), name);
  }
  assert.ok(count > 30);
  await checkpoint.close();
  await local.close();
});

test("a mistyped path says both what is not there", async () => {
  await refused("HUB_NOT_FOUND", ["weights/nanoo: no such path here, so a model of the hub; ", "no model weights/nanoo"], () =>
    openModel("weights/nanoo", { hub: options }),
  );
  await refused("HUB_NOT_FOUND", [/^http.*no model local\/none/], () =>
    openModel(`${hub.endpoint}/local/none`, { hub: options }),
  );
  await refused("ARGUMENT", ['"../x" is no branch, tag or commit'], () =>
    openModel("local/nano", { hub: { ...options, revision: "../x" } }),
  );
  await refused("ARGUMENT", ["is no model of the hub"], () => pullModel("./x", options));
  await refused("ARGUMENT", ["is no branch"], () => pullModel("local/nano", { ...options, revision: "" }));
  await refused("ARGUMENT", ["the hub's endpoint has to be"], () =>
    openModel("local/nano", { hub: { ...options, endpoint: "hub" } }),
  );
  await refused("ARGUMENT", ["the hub's endpoint has to be"], () =>
    openModel("local/nano", { hub: { ...options, endpoint: "ftp://hub" } }),
  );
  await refused("ARGUMENT", ["is no place in the cache"], async () => (await hubSettings(options)).cache!.paths("a/b", ".."));
});

test("a host without a cache reads from the hub, and cannot pull", async () => {
  const settings = { ...(await hubSettings(options)), cache: undefined };
  const { pull } = await import("../../src/hub/pull.ts");
  await refused("ARGUMENT", ["this host keeps no files"], () => pull({ repo: "local/nano" }, settings));
  const browser = { name: "browser", nodeModules: false } as never;
  assert.is((await hubSettings({}, browser)).cache, undefined);
  assert.is((await hubSettings({}, browser)).endpoint, "https://huggingface.co");
  await refused("ARGUMENT", ["needs a host with files"], () => hubSettings({ cache: "folder" }, browser));
});

test("what the environment says", async () => {
  const token = join(folder, "token");
  assert.equal(await environment({ HF_HOME: folder }), {
    endpoint: undefined,
    token: undefined,
    offline: false,
    cache: undefined,
  });
  writeFileSync(token, "hf_stored\n");
  assert.is((await environment({ HF_HOME: folder })).token, "hf_stored");
  assert.is((await environment({ HF_HOME: folder, HF_TOKEN: " hf_given " })).token, "hf_given");
  assert.is((await environment({ HF_HOME: folder, HUGGING_FACE_HUB_TOKEN: "hf_old" })).token, "hf_old");
  assert.is((await environment({ HF_HOME: "/none", HF_TOKEN_PATH: token })).token, "hf_stored");
  for (const [value, offline] of [
    ["1", true],
    ["true", true],
    ["YES", true],
    ["on", true],
    ["0", false],
    ["", false],
  ] as const)
    assert.is((await environment({ HF_HOME: folder, HF_HUB_OFFLINE: value })).offline, offline, value);
  assert.ok((await environment({ HF_HOME: folder, TRANSFORMERS_OFFLINE: "1" })).offline);
  assert.is((await environment({ HF_HOME: folder, HF_HUB_CACHE: "/c" })).cache, "/c");
  assert.is((await environment({ HF_HOME: folder, HUGGINGFACE_HUB_CACHE: "/d" })).cache, "/d");
  assert.is((await environment({ HF_HOME: folder, HF_ENDPOINT: hub.endpoint })).endpoint, hub.endpoint);
  assert.is(hubHome({ HF_HOME: "/h" }), "/h");
  assert.is(hubHome({ XDG_CACHE_HOME: "/x" }), join("/x", "huggingface"));
  assert.match(hubHome({})!, /\.cache.huggingface$/);
  assert.match(hubHome({ HF_HOME: "~/hf" })!, /^[^~].*\/hf$/);
});

test("what a process was making when it ended is no file, and what the file system says has a code", async () => {
  const { location } = await pullModel("local/nano", options);
  writeFileSync(join(String(location), "config.json.0123abcd.tmp"), "");
  writeFileSync(join(folder, "models--local--nano", "refs", "main.0123abcd.tmp"), NANO_COMMIT);
  mkdirSync(join(folder, "models--not an id"));
  const [model, ...others] = await cachedModels(options);
  assert.equal([model!.revisions[0]!.refs, model!.revisions[0]!.files.length, others], [["main"], 6, []]);
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error(`${code}: says the system`), { code }));
  for (const [code, ours] of [
    ["ENOSPC", "STORAGE_FULL"],
    ["EDQUOT", "STORAGE_FULL"],
    ["EACCES", "SOURCE_READ"],
  ] as const)
    await refused(ours, [`place: ${code}: says the system`], () => writing("place", failing(code)));
  const other = new Error("no code");
  assert.is(await writing("place", () => Promise.reject(other)).catch((error: unknown) => error), other);
  const denied = await ifPresent(failing("EACCES")()).catch((error: { code?: string }) => error.code);
  assert.is(denied, "EACCES");
  writeFileSync(join(folder, "file"), "");
  await refused("SOURCE_READ", [], () => pullModel("local/nano", { ...options, cache: join(folder, "file") }));
});

test("files lie there themselves where links cannot be made", async () => {
  await pullModel("local/nano", options);
  const linked = snapshot("local/nano", NANO_COMMIT);
  cpSync(linked, join(folder, "copy"), { recursive: true, dereference: true });
  rmSync(linked, { recursive: true });
  cpSync(join(folder, "copy"), linked, { recursive: true });
  hub.reset();
  assert.is((await pullModel("local/nano", options)).downloadedBytes, 0);
  const model = await openModel("local/nano", { hub: { ...options, offline: true } });
  await model.close();
});

test.run();
