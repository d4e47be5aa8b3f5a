/** Pulling from a hub: what is taken, what goes wrong on the way, and what is there in the end. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3Error } from "../../src/core/errors.ts";
import { parseHubId } from "../../src/hub/hub-id.ts";
import { type Pulled, type PullOptions, type PullProgress, pull } from "../../src/hub/pull.ts";
import { type HubOptions, hubSettings } from "../../src/hub/settings.ts";
import { refused } from "../formats/refused.ts";
import { etagOf, HubServer, TOKEN } from "./hub-server.ts";
import { COMMIT, ggufRepository, OLDER, shardedRepository } from "./repository.ts";

const test = suite("pull");
const sharded = shardedRepository();
const gguf = ggufRepository();
const NEEDED = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "model.safetensors.index.json",
  "model-00001-of-00002.safetensors",
  "model-00002-of-00002.safetensors",
];
const hub = await HubServer.start();
let folder: string;

test.after(() => hub.stop());
test.before.each(() => {
  hub.reset({ "owner/sharded": sharded, "owner/gguf": gguf });
  folder = mkdtempSync(join(tmpdir(), "qwen3-hub-"));
});
test.after.each(() => rmSync(folder, { recursive: true }));

const quick = { firstDelayMs: 1, longestDelayMs: 2, stallMs: 300 };
async function pulled(text: string, options: PullOptions = {}, hubOptions: HubOptions = {}): Promise<Pulled> {
  const settings = await hubSettings({ endpoint: hub.endpoint, cache: folder, retry: quick, offline: false, ...hubOptions });
  return pull({ ...parseHubId(text, hub.endpoint)! }, settings, { rangeBytes: 16_384, ...options });
}
const repoFolder = (name = "sharded") => join(folder, `models--owner--${name}`);

test("what the model needs, and nothing else, in the layout of Hugging Face's tools", async () => {
  const { repo, commit, location, files, downloadedBytes } = await pulled("owner/sharded");
  assert.equal([repo, commit, location], ["owner/sharded", COMMIT, join(repoFolder(), "snapshots", COMMIT)]);
  assert.equal(
    files.map(({ path }) => path),
    NEEDED,
  );
  assert.equal(readdirSync(location as string).sort(), [...NEEDED].sort());
  for (const name of NEEDED) {
    const bytes = sharded.files[name]!;
    const path = join(location as string, name);
    assert.equal(new Uint8Array(readFileSync(path)), new Uint8Array(bytes), name);
    assert.ok(lstatSync(path).isSymbolicLink());
    assert.is(readlinkSync(path), join("..", "..", "blobs", etagOf(name, bytes)));
  }
  assert.is(readFileSync(join(repoFolder(), "refs", "main"), "utf8"), COMMIT);
  assert.is(
    downloadedBytes,
    NEEDED.reduce((sum, name) => sum + sharded.files[name]!.length, 0),
  );
  const left = readdirSync(join(repoFolder(), "blobs")).filter((name) => !/^[\da-f]+$/.test(name));
  assert.equal(left, []);
  assert.equal(readdirSync(join(folder, ".locks", "models--owner--sharded")), []);
});

test("the second time only questions are asked", async () => {
  await pulled("owner/sharded");
  hub.reset();
  const { downloadedBytes } = await pulled("owner/sharded");
  assert.is(downloadedBytes, 0);
  assert.equal(hub.contentRequests(), []);
});

test("a revision: branch, tag, request or commit", async () => {
  for (const [text, ref] of [
    [`${hub.endpoint}/owner/sharded/tree/v1`, "v1"],
    [`${hub.endpoint}/owner/sharded/tree/refs%2Fpr%2F1`, "refs/pr/1"],
    [`${hub.endpoint}/owner/sharded/tree/${OLDER}`, undefined],
  ] as const) {
    const { commit, files } = await pulled(text);
    assert.is(commit, OLDER);
    assert.equal(
      files.map(({ path }) => path),
      ["config.json", "tokenizer.json", "model.safetensors"],
    );
    if (ref) assert.is(readFileSync(join(repoFolder(), "refs", ref), "utf8"), OLDER);
    else assert.not.ok(existsSync(join(repoFolder(), "refs", OLDER)));
  }
  await refused("HUB_NOT_FOUND", ["no such revision of owner/sharded"], () => pulled(`${hub.endpoint}/owner/sharded/tree/none`));
});

test("one GGUF file, by its name, its quantization, a URL, or because it is what most take; a set with all its parts", async () => {
  const snapshot = join(repoFolder("gguf"), "snapshots", COMMIT);
  const parts = ["BF16/Model-BF16-00001-of-00002.gguf", "BF16/Model-BF16-00002-of-00002.gguf"];
  const cases: readonly (readonly [text: string, ...names: string[]])[] = [
    ["owner/gguf", "Model-Q4_K_M.gguf"],
    ["owner/gguf:Q8_0", "Model-Q8_0.gguf"],
    ["hf.co/owner/gguf:q8_0", "Model-Q8_0.gguf"],
    ["owner/gguf:Model-IQ4_XS.gguf", "Model-IQ4_XS.gguf"],
    ["huggingface.co/owner/gguf:BF16", ...parts],
    ["owner/gguf:BF16/Model-BF16-00002-of-00002.gguf", ...parts],
    ["owner/gguf:Model-BF16-00001-of-00002.gguf", ...parts],
    [`${hub.endpoint}/owner/gguf/resolve/main/Model-Q8_0.gguf?download=true`, "Model-Q8_0.gguf"],
    [`${hub.endpoint}/owner/gguf/blob/main/BF16/Model-BF16-00001-of-00002.gguf`, ...parts],
  ];
  for (const [text, ...names] of cases) {
    const { location, files } = await pulled(text);
    assert.equal(
      files.map(({ path }) => path),
      names,
      text,
    );
    assert.is(location, join(snapshot, names[0]!), text);
    assert.equal(new Uint8Array(readFileSync(location as string)), gguf.files[names[0]!], text);
  }
  const path = join(snapshot, parts[0]!);
  assert.is(readlinkSync(path), join("..", "..", "..", "blobs", etagOf(parts[0]!, gguf.files[parts[0]!]!)));
});

test("patterns", async () => {
  const { files } = await pulled("owner/sharded", { include: ["*.pt", "images/"] });
  assert.equal(
    files.map(({ path }) => path),
    ["images/loss.png", "optimizer.pt"],
  );
  assert.is((await pulled("owner/sharded", { include: ["empty.txt"] })).files.length, 1);
  await refused("HUB_NOT_FOUND", ["no file is named by *.bin, x"], () => pulled("owner/sharded", { include: ["*.bin", "x"] }));
});

test("several ranges at once, in order, each of large files from where the redirect led", async () => {
  await pulled("owner/sharded");
  const first = hub.contentRequests().filter(({ origin }) => origin === "storage");
  assert.is(first.length, Math.ceil(100_000 / 16_384) + Math.ceil(70_001 / 16_384));
  assert.equal(first[0]!.range, "bytes=0-16383");
  const redirects = hub.seen.filter(({ origin, url }) => origin === "hub" && url.includes("00001-of"));
  assert.ok(redirects.length <= 4, `${redirects.length} requests for an address`); // those that run at first know none
});

test("it goes on at the byte where it stopped, in another process too", async () => {
  const name = "model-00001-of-00002.safetensors";
  const bytes = sharded.files[name]!;
  hub.fault = ({ origin, range }) =>
    origin === "storage" && range?.startsWith("bytes=49152-") ? { type: "status", status: 418 } : undefined;
  await refused("SOURCE_READ", ["HTTP status 418"], () => pulled("owner/sharded"));
  const partial = join(repoFolder(), "blobs", `${etagOf(name, bytes)}.qwen3.incomplete`);
  assert.equal(new Uint8Array(readFileSync(partial)), bytes.subarray(0, 49_152));
  assert.equal(readdirSync(join(folder, ".locks", "models--owner--sharded")), []);
  hub.reset();
  const progress: PullProgress[] = [];
  await pulled("owner/sharded", { include: [name], onProgress: (now) => progress.push(now) });
  const [first] = hub.contentRequests().filter(({ origin }) => origin === "storage");
  assert.is(first?.range, "bytes=49152-65535");
  assert.equal(progress[0], { file: name, waiting: false, loadedBytes: 49_152, totalBytes: 100_000, downloadedBytes: 0 });
  assert.equal(progress.at(-1), {
    file: name,
    waiting: false,
    loadedBytes: 100_000,
    totalBytes: 100_000,
    downloadedBytes: 50_848,
  });
});

test("an interrupted download keeps its bytes and gives its reason", async () => {
  const stop = new AbortController();
  const reason = new Error("enough");
  const onProgress = ({ file, loadedBytes }: PullProgress) => {
    if (file.startsWith("model-0") && loadedBytes > 20_000) stop.abort(reason);
  };
  const error = await pulled("owner/sharded", { signal: stop.signal, onProgress }).catch((thrown: unknown) => thrown);
  assert.is(error, reason);
  const partials = readdirSync(join(repoFolder(), "blobs")).filter((name) => name.endsWith(".incomplete"));
  assert.is(partials.length, 1);
  assert.ok(lstatSync(join(repoFolder(), "blobs", partials[0]!)).size >= 16_384);
  assert.equal(readdirSync(join(folder, ".locks", "models--owner--sharded")), []);
});

test("a beginning that is not the file's is found out and fetched anew", async () => {
  const name = "model-00001-of-00002.safetensors";
  const bytes = sharded.files[name]!;
  await pulled("owner/sharded", { include: ["config.json"] });
  const partial = join(repoFolder(), "blobs", `${etagOf(name, bytes)}.qwen3.incomplete`);
  for (const before of [new Uint8Array(50_000), new Uint8Array(100_001), new Uint8Array(100_000)]) {
    writeFileSync(partial, before);
    const { location } = await pulled("owner/sharded", { include: [name] });
    assert.equal(new Uint8Array(readFileSync(join(location as string, name))), bytes);
    rmSync(join(repoFolder(), "snapshots"), { recursive: true });
    rmSync(join(repoFolder(), "blobs", etagOf(name, bytes)));
  }
});

test("wrong bytes never get the name: refused after a second try", async () => {
  hub.fault = ({ origin }) => (origin === "storage" ? { type: "wrong-byte", at: 1000 } : undefined);
  await refused(
    "HUB_FILE",
    [/00001-of-00002.safetensors: the hash of what was sent is [\da-f]{64}; the hub announced [\da-f]{64}/],
    () => pulled("owner/sharded"),
  );
  const blobs = readdirSync(join(repoFolder(), "blobs"));
  assert.not.ok(
    blobs.some((name) => name.startsWith(etagOf("x.safetensors", sharded.files["model-00001-of-00002.safetensors"]!))),
  );
  hub.reset();
  hub.fault = ({ url }) => (url.includes("README.md") ? { type: "wrong-byte", at: 3 } : undefined);
  await refused("HUB_FILE", ["README.md: the hash of what was sent is"], () =>
    pulled("owner/sharded", { include: ["README.md"] }),
  );
  let once = true;
  hub.fault = ({ origin }) => {
    if (origin === "hub" || !once) return undefined;
    once = false;
    return { type: "wrong-byte", at: 0 };
  };
  await pulled("owner/sharded");
});

test("wrong lengths and ranges", async () => {
  const name = "model-00002-of-00002.safetensors";
  for (const [fault, says] of [
    [{ type: "long" }, "longer than the 16384 bytes"],
    [{ type: "wrong-range" }, "asked for bytes 0-16383, got Content-Range bytes 1-16384/70001"],
    [{ type: "short", byBytes: 16_384 }, "ended after 0 bytes (after 5 tries)"],
    [{ type: "status", status: 416 }, "HTTP status 416"],
  ] as const) {
    hub.fault = ({ origin }) => (origin === "storage" ? fault : undefined);
    await refused("SOURCE_READ", [says], () => pulled("owner/sharded", { include: [name] }));
  }
  hub.fault = () => ({ type: "whole" }); // small files may come whole
  const { location } = await pulled("owner/sharded", { include: [name] });
  assert.equal(new Uint8Array(readFileSync(join(location as string, name))), sharded.files[name]);
});

test("servers that fail for a while: overload, cut and silent connections, expired addresses", async () => {
  let count = 0;
  hub.fault = ({ origin }) => {
    count++;
    if (count === 6) hub.expiredBelow = 1_000; // all that were given out so far
    if (count === 8) hub.expiredBelow = 0;
    if (origin === "hub") return undefined;
    if (count % 5 === 0) return { type: "status", status: 429, headers: { "retry-after": "0" } };
    if (count % 5 === 1) return { type: "cut", afterBytes: 5000 };
    if (count % 13 === 2) return { type: "silent", afterBytes: 3000 };
    return undefined;
  };
  hub.apiFault = () => (count++ % 2 === 0 ? { type: "status", status: 503 } : undefined);
  const { location } = await pulled("owner/sharded");
  for (const name of NEEDED)
    assert.equal(new Uint8Array(readFileSync(join(location as string, name))), new Uint8Array(sharded.files[name]!), name);
});

test("what the hub refuses has a code and says what to do", async () => {
  await refused("HUB_NOT_FOUND", [`${hub.endpoint}: no model owner/none`, "HF_TOKEN"], () => pulled("owner/none"));
  await refused("HUB_NOT_FOUND", ["no model owner/none"], () => pulled("owner/none", {}, { token: TOKEN }));
  await refused("HUB_NOT_FOUND", ["owner/gguf: no file of Q2_K; its GGUF files are", "Model-Q8_0.gguf"], () =>
    pulled("owner/gguf:Q2_K"),
  );
  await refused("HUB_NOT_FOUND", ['owner/gguf: no file "x.gguf"'], () => pulled("owner/gguf:x.gguf"));
  hub.repos.set("owner/gated", { ...sharded, gated: true });
  await refused("HUB_ACCESS", ["owner/gated, ", "accept its terms"], () => pulled("owner/gated"));
  for (const [status, code] of [
    [401, "HUB_ACCESS"],
    [403, "HUB_ACCESS"],
    [404, "HUB_NOT_FOUND"],
    [418, "SOURCE_READ"],
  ] as const) {
    hub.apiFault = () => ({ type: "status", status });
    await refused(code, ["owner/sharded"], () => pulled("owner/sharded"));
  }
  hub.reset();
  await refused("HUB_OFFLINE", ["HF_HUB_OFFLINE is set"], () => pulled("owner/sharded", {}, { offline: true }));
  assert.equal(hub.seen, []);
});

test("a private model with the token, which goes to the hub alone and into no message", async () => {
  hub.repos.set("owner/private", { ...sharded, needsToken: true });
  await refused("HUB_NOT_FOUND", ["no model owner/private"], () => pulled("owner/private"));
  const error = await pulled("owner/private", {}, { token: "hf_wrong" }).catch((thrown: unknown) => thrown);
  assert.instance(error, Qwen3Error);
  assert.not.match(String((error as Error).stack), "hf_wrong");
  hub.reset();
  await pulled("owner/private", {}, { token: TOKEN });
  const tokens = (origin: string) => new Set(hub.seen.filter((seen) => seen.origin === origin).map((seen) => seen.authorization));
  assert.equal([...tokens("hub")], [`Bearer ${TOKEN}`]);
  assert.equal([...tokens("storage")], [undefined]);
  for (const token of ["hf secret", "hf\nsecret", "hfé"])
    await refused("ARGUMENT", [/^((?!secret|é).)*$/s], () => pulled("owner/private", {}, { token }));
});

test("the disk is asked for room first", async () => {
  const settings = await hubSettings({ endpoint: hub.endpoint, cache: folder, offline: false });
  Object.assign(settings.cache!, { freeBytes: async () => 16 * 1024 * 1024 + 100_000 });
  await refused("STORAGE_FULL", [folder, "bytes of owner/sharded are to come"], () => pull({ repo: "owner/sharded" }, settings));
  assert.not.ok(hub.seen.some(({ url }) => url.includes("/lfs/")));
  Object.assign(settings.cache!, { freeBytes: async () => undefined });
  await pull({ repo: "owner/sharded" }, settings);
});

test("hostile names are left out, and hashes have to be hashes", async () => {
  const hostile = [
    "../evil.json",
    "/etc/passwd",
    "a/../../b.json",
    "C:/x.json",
    "C:x",
    "a\\b.json",
    "nul.json",
    "a\u0000b",
    "x/",
    "",
    "a\nb",
    "dot.",
  ];
  const files = Object.fromEntries([
    ...hostile.map((name) => [name, new Uint8Array(1)] as const),
    ...Object.entries(sharded.files),
  ]);
  hub.repos.set("owner/hostile", { commit: COMMIT, files });
  const { files: taken } = await pulled("owner/hostile", { include: ["*"] });
  assert.equal(taken.map(({ path }) => path).sort(), Object.keys(sharded.files).sort());
  const answers: readonly (readonly [unknown, string])[] = [
    [[{ type: "file", path: "config.json", oid: "../../x", size: 1 }], 'has the hash "../../x"'],
    [[{ type: "file", path: "config.json", oid: "A".repeat(40), size: 1 }], "40 digits and a size are needed"],
    [[{ type: "file", path: "config.json", oid: "a".repeat(40), size: -1 }], "size"],
    [[{ type: "file", path: "config.json", oid: "a".repeat(40), size: 1, lfs: { oid: "a".repeat(40), size: 1 } }], "64 digits"],
    [{}, "an array is needed"],
    [[7], "an object is needed"],
    [undefined, "is not JSON"],
  ];
  for (const [answer, says] of answers) {
    const fetch = async (url: URL) =>
      new Response(url.pathname.includes("/tree/") ? (JSON.stringify(answer) ?? "<html>") : JSON.stringify({ sha: COMMIT }));
    await refused("HUB_FILE", [says], () => pulled("owner/x", {}, { fetch }));
  }
  for (const sha of [undefined, 7, "main", "../x", "A".repeat(40)])
    await refused("HUB_FILE", ["the hub's commit is"], () =>
      pulled("owner/x", {}, { fetch: async () => new Response(JSON.stringify({ sha })) }),
    );
  const endless = async (url: URL) =>
    url.pathname.includes("/tree/")
      ? new Response("[]", { headers: { link: '</more>; rel="next"' } })
      : new Response(JSON.stringify({ sha: COMMIT }));
  await refused("HUB_FILE", [/more than 200 pages|an array is needed/], () => pulled("owner/x", {}, { fetch: endless }));
});

test("an index that lies", async () => {
  const index = (weight_map: unknown) => new TextEncoder().encode(JSON.stringify({ weight_map }));
  for (const [content, says] of [
    [index({ a: "../x.safetensors" }), "names of .safetensors files"],
    [index({ a: 7 }), "names of .safetensors files"],
    [index({ a: "model-00009.safetensors" }), "is missing, though"],
    [new TextEncoder().encode("["), "model.safetensors.index.json"],
  ] as const) {
    hub.repos.set("owner/lies", { commit: COMMIT, files: { ...sharded.files, "model.safetensors.index.json": content } });
    await refused("HUB_FILE", [says], () => pulled("owner/lies"));
  }
});

test("two processes at once: one downloads, the other waits", async () => {
  const waits: string[] = [];
  hub.fault = ({ origin }) =>
    origin === "storage" && hub.contentRequests().length < 6 ? { type: "silent", afterBytes: 100 } : undefined;
  const onProgress = ({ waiting, file }: PullProgress) => {
    if (waiting) waits.push(file);
  };
  const both = await Promise.all([1, 2].map(() => pulled("owner/sharded", { onProgress })));
  assert.ok(waits.length >= 1);
  const all = NEEDED.reduce((sum, name) => sum + sharded.files[name]!.length, 0);
  assert.is(both[0]!.downloadedBytes + both[1]!.downloadedBytes, all);
});

test.run();
