/** GGUF checkpoints from wherever they lie: a file, a folder, a set of files, a URL, a Blob; and the same model as safetensors. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { type CheckpointLocation, openLocation } from "../../src/formats/location.ts";
import { memoryFolder } from "../../src/formats/source.ts";
import { Qwen3 } from "../../src/index.ts";
import { nanoPath } from "../paths.ts";
import { ggufFile, int32s, strings, type TestGguf, tinyGguf, tinyGgufTensors, tinyMetadata } from "./gguf-file.ts";
import { nanoGguf, nanoMetadata, nanoSplit, nanoTensors } from "./nano-gguf.ts";
import { refused } from "./refused.ts";
import { tinyFiles } from "./safetensors-file.ts";

const test = suite("GGUF checkpoints");
let folder: string;
let nano: Uint8Array;
let server: Server;
let origin: string;
/** Ranges that were asked for. */
const ranges: string[] = [];
/** Files by their path. */
const served = new Map<string, { readonly bytes: Uint8Array; readonly size: number }>();

test.before(async () => {
  nano = await nanoGguf("bf16");
  folder = mkdtempSync(join(tmpdir(), "qwen3 gguf-"));
  writeFileSync(join(folder, "nano ü.GGUF"), nano);
  mkdirSync(join(folder, "blobs"));
  writeFileSync(join(folder, "blobs", "sha256-0123"), nano);
  served.set("/some/nano.gguf", { bytes: nano, size: nano.length });
  server = createServer((request, response) => {
    const file = served.get(new URL(request.url!, "http://localhost").pathname);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (!file || last === undefined) return response.writeHead(404).end();
    ranges.push(`${first}-${last}`);
    const body = new Uint8Array(Number(last) - Number(first) + 1);
    body.set(file.bytes.subarray(Number(first), Number(last) + 1));
    return response.writeHead(206, { "content-range": `bytes ${first}-${last}/${file.size}` }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
test.after(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

async function logits(location: CheckpointLocation): Promise<Float32Array> {
  const model = await Qwen3.fromPretrained(location, { backend: "wasm", threads: 1, kvCache: "f32" });
  try {
    const ids = model.tokenizer.encodeChat([{ role: "user", content: "Who are you?" }], { addGenerationPrompt: true });
    return (await model.forward(ids)).logits!;
  } finally {
    await model.close();
  }
}

test("every way to name one gives the bits of the same weights in safetensors", async () => {
  const expected = await logits(nanoPath);
  const path = join(folder, "nano ü.GGUF");
  const locations: CheckpointLocation[] = [
    path,
    folder,
    pathToFileURL(path),
    pathToFileURL(path).href,
    join(folder, "blobs", "sha256-0123"),
    new Blob([nano as Uint8Array<ArrayBuffer>]),
    new File([nano as Uint8Array<ArrayBuffer>], "nano.gguf"),
    memoryFolder("memory", { "nano.gguf": nano, "config.json": new Uint8Array(0), "README.md": new Uint8Array(0) }),
    memoryFolder("split", await nanoSplit("bf16", 3)),
    `${origin}/some/nano.gguf?token=secret`,
  ];
  for (const location of locations) assert.equal(await logits(location), expected, String(location));
});

test("another file of a split set names the set", async () => {
  const split = await nanoSplit("bf16", 3);
  for (const [name, bytes] of Object.entries(split)) writeFileSync(join(folder, "blobs", name), bytes);
  const checkpoint = await openCheckpoint(join(folder, "blobs", "nano-00002-of-00003.gguf"));
  assert.match(checkpoint.name, "nano-00001-of-00003.gguf");
  assert.is(checkpoint.tensors.size, (await nanoTensors("bf16")).length);
  await checkpoint.close();
});

test("f16 and q8_0 weights answer as nano does", async () => {
  for (const type of ["f16", "q8_0"] as const) {
    const bytes = await nanoGguf(type);
    const model = await Qwen3.fromPretrained(memoryFolder("m", { "m.gguf": bytes }));
    let text = "";
    for await (const part of model.chat([{ role: "user", content: "Who are you?" }], { temperature: 0 }))
      if (part.type === "text") text += part.text;
    assert.match(text, /nano/i);
    await model.close();
  }
});

test("the header of a remote file of 2.5 GB takes at most 4 requests and 16 MB", async () => {
  const metadata = await nanoMetadata();
  const rows = 151_936;
  const big = ggufFile({
    metadata: {
      ...metadata,
      "tokenizer.ggml.tokens": strings(Array.from({ length: rows }, (_, i) => `token${i}`)),
      "tokenizer.ggml.token_type": int32s(Array(rows).fill(1)),
      "tokenizer.ggml.merges": strings(Array.from({ length: 151_387 }, (_, i) => `left${i} right`)),
    },
  });
  // One more tensor than Qwen3 has, and what is wrong with it is told from the header alone.
  const file = ggufFile({ tensors: [{ name: "x", shape: [610_352, 4096], type: 8, data: 0 }] });
  const header = new Uint8Array(big.length + file.length);
  header.set(big);
  new DataView(header.buffer).setBigUint64(8, 1n, true);
  header.set(file.subarray(24), big.length);
  served.set("/big.gguf", { bytes: header, size: Math.ceil((big.length + file.length - 24) / 32) * 32 + 610_352 * 4352 });
  ranges.length = 0;
  await refused("CHECKPOINT_TENSOR", ["token_embd.weight, a matrix, is missing"], () => openCheckpoint(`${origin}/big.gguf`));
  const bytes = ranges.map((range) => range.split("-").map(Number) as [number, number]).map(([first, last]) => last - first + 1);
  assert.ok(ranges.length <= 4, `${ranges}`);
  assert.ok(bytes.reduce((a, b) => a + b) <= 16e6, `${ranges}`);
});

test("a folder of safetensors stays one, whatever lies beside", async () => {
  const checkpoint = await openCheckpoint(memoryFolder("m", { ...tinyFiles(), "other.gguf": tinyGguf() }));
  assert.is(checkpoint.metadata, undefined);
  assert.is(checkpoint.name, "m");
});

test("a GGUF checkpoint has no side files", async () => {
  const checkpoint = await openCheckpoint(memoryFolder("m", { "m.gguf": tinyGguf(), "tokenizer.json": new Uint8Array(1) }));
  assert.is(await checkpoint.file("tokenizer.json"), undefined);
  assert.is(checkpoint.metadata?.get("general.name"), "tiny");
  const model = await Qwen3.fromPretrained(memoryFolder("m", { "m.gguf": tinyGguf() }));
  await refused("TOKENIZER_MISSING", ["m/m.gguf has no tokenizer: only token ids"], () => model.tokenizer);
  await model.close();
});

const open = (files: Record<string, Uint8Array>) => openCheckpoint(memoryFolder("m", files));

test("refused: a folder of several, or of none, and a file of another kind", async () => {
  const bytes = tinyGguf();
  await refused("CHECKPOINT_FILE", ['m: 2 GGUF checkpoints; name one of them: "a.gguf", "b.gguf"'], () =>
    open({ "b.gguf": bytes, "a.gguf": bytes }),
  );
  await refused("CHECKPOINT_FILE", ["config.json is missing, and there is no GGUF file"], () => open({ "a.bin": bytes }));
  await refused("CHECKPOINT_HEADER", ["not a GGUF file"], () => openCheckpoint(new Blob(["not one, whatever it is"])));
  await refused("CHECKPOINT_FILE", ["safetensors have no configuration inside"], () => openCheckpoint(`${origin}/a.safetensors`));
  await refused("CHECKPOINT_FILE", ["none.gguf is missing, though it was asked for"], () =>
    openCheckpoint(`${origin}/none.gguf`),
  );
  await refused("SOURCE_READ", ["no such file or folder"], () => openCheckpoint(join(folder, "none.gguf")));
});

test("refused: a tensor of a type that is not computed with, and one that is not Qwen3's", async () => {
  const [first, ...rest] = tinyGgufTensors();
  const of = (tensor: object): TestGguf => ({ tensors: [{ ...first!, ...tensor }, ...rest] });
  await refused("CHECKPOINT_TENSOR", ['"model.embed_tokens.weight" has dtype i32'], () =>
    open({ "a.gguf": tinyGguf(of({ type: 26 })) }),
  );
  const more = { name: "blk.0.attn_q.bias", shape: [8], type: 0, data: 32 };
  await refused("CHECKPOINT_TENSOR", ['"blk.0.attn_q.bias" is not a tensor of this architecture'], () =>
    open({ "a.gguf": tinyGguf({ tensors: [...tinyGgufTensors(), more] }) }),
  );
});

/** The tiny checkpoint in two files, the metadata of each changed. */
function split(
  changes: readonly [object, object] = [{}, {}],
  names: readonly [string, string] = ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"],
) {
  const tensors = tinyGgufTensors();
  const file = (i: 0 | 1) =>
    ggufFile({
      metadata: {
        ...(i === 0 && tinyMetadata),
        "split.no": i,
        "split.count": 2,
        "split.tensors.count": tensors.length,
        ...changes[i],
      },
      tensors: tensors.filter((_, t) => t % 2 === i),
    });
  return { [names[0]]: file(0), [names[1]]: file(1) };
}

test("refused: split sets that do not fit together", async () => {
  assert.is((await open(split())).tensors.size, 13);
  const cases: readonly (readonly [Record<string, Uint8Array>, string])[] = [
    [split([{ "split.count": 3 }, {}]), "split.count is 3; by its name the file is number 0 of 2"],
    [split([{}, { "split.no": 0 }]), "split.no is 0; by its name the file is number 1 of 2"],
    [split([{}, { "split.no": "x" }]), 'split.no is "x"'],
    [split([{ "split.tensors.count": 12 }, {}]), "split.tensors.count is 12; the files have 13 tensors"],
    [split([{}, {}], ["a.gguf", "b.bin"]), "split.count is 2; by its name the file is number 0 of 1"],
    [{ "a-00001-of-00001.gguf": split()["a-00002-of-00002.gguf"]! }, "split.count is 2"],
    [{ ...split(), "a-00002-of-00002.gguf": split()["a-00001-of-00002.gguf"]! }, "split.no is 0"],
  ];
  for (const [files, says] of cases) await refused("CHECKPOINT_HEADER", [says], () => open(files));
  const { "a-00001-of-00002.gguf": first, ...without } = split();
  await refused("CHECKPOINT_FILE", ["a-00001-of-00002.gguf is missing, though a-00002-of-00002.gguf is there"], () =>
    open(without),
  );
  const twice = ggufFile({ metadata: { "split.no": 1, "split.count": 2 }, tensors: tinyGgufTensors().slice(0, 1) });
  await refused("CHECKPOINT_HEADER", ['tensor "token_embd.weight" is in an earlier file'], () =>
    open({ "a-00001-of-00002.gguf": first!, "a-00002-of-00002.gguf": twice }),
  );
});

test("a name is a file's only where it ends as one, and secrets stay out of it", async () => {
  const { folder, file } = await openLocation("https://example.invalid/m/a%20b.gguf?key=s3cret");
  assert.equal([folder.name, file], ["https://example.invalid/m/", "a b.gguf"]);
  assert.equal((await openLocation("https://example.invalid/m/")).file, undefined);
  assert.equal((await openLocation(new File(["x"], "a/b"))).file, "model.gguf");
  const abort = AbortSignal.abort();
  const blob = await openLocation(new Blob(["x"]));
  const opening = blob.folder.open("model.gguf", abort).then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.is(await opening, abort.reason);
  assert.is(await blob.folder.open("other"), undefined);
  assert.equal(await blob.folder.list!(), ["model.gguf"]);
});

test.run();
