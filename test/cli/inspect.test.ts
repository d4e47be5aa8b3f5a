/** `inspect` on every container: what the headers say, safely, whatever model it is of. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readContents } from "../../src/formats/contents.ts";
import { bytesSource, memoryFolder } from "../../src/formats/source.ts";
import { ggufFile, int32s, strings, TENSOR, tinyGguf, tinyGgufTensors } from "../formats/gguf-file.ts";
import { nanoGguf } from "../formats/nano-gguf.ts";
import { refused } from "../formats/refused.ts";
import { jsonFile, safetensorsFile, testTensor, tinyFiles, tinyShards } from "../formats/safetensors-file.ts";
import { goldenPath, nanoPath } from "../paths.ts";
import { qwen3 } from "./qwen3.ts";

const folder = mkdtempSync(join(tmpdir(), "qwen3-inspect-"));
test.after(() => rmSync(folder, { recursive: true }));

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function inspect(location: string): Promise<string> {
  const { code, stdout, stderr } = await qwen3(["inspect", location]);
  assert.equal([code, stderr], [0, ""]);
  return stdout;
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape
async function inspectJson(location: string): Promise<any> {
  const { code, stdout, stderr } = await qwen3(["inspect", "--json", location]);
  assert.equal([code, stderr], [0, ""]);
  assert.not(/[^\n\P{C}]/u.test(stdout), "no character that a terminal would act on");
  return JSON.parse(stdout);
}

const metadata = {
  "general.architecture": "other\u001b[31m",
  texts: strings(["one", "two\u0007"]),
  ids: int32s([1, 2, 3, 4, 5, 6, 7, 8, 9]),
  large: ["uint64", 2 ** 60],
} as const;

test("GGUF of any architecture, versions 2 and 3", async () => {
  for (const version of [2, 3]) {
    const tensors = [
      { name: "a\u009bb", shape: [2, 256], type: TENSOR.q4_k, data: 288 },
      { name: "c", shape: [3], type: TENSOR.f32, data: 12 },
    ];
    const path = write(`v${version}.gguf`, ggufFile({ version, metadata, tensors }));
    const text = await inspect(path);
    assert.match(text, `GGUF ${version}, `);
    assert.match(text, /general\.architecture {3}"other\\u001b\[31m"\n/);
    assert.match(text, /texts {18}2 string: "one", "two\\u0007"\n/);
    assert.match(text, /ids {20}9 int32: 1, 2, 3, 4, 5, 6, 7, 8, \.\.\.\n/);
    assert.match(text, /large {18}1152921504606846976\n/);
    assert.match(text, /Tensors: 2\n {2}q4_k {3}1 tensor, 512 values, 288 B, 4\.5 bits a value\n {2}f32 {4}1 tensor, 3 values/);
    assert.match(text, /a\\u\{9b\}b {3}q4_k {3}\[2, 256\] {3}288 B\n/);
    const json = await inspectJson(path);
    assert.equal(json.metadata.metadata.ids, { type: "int32", length: 9, first: [1, 2, 3, 4, 5, 6, 7, 8] });
    assert.equal(json.metadata.metadata.texts, { type: "string", length: 2, values: ["one", "two\u0007"] });
    assert.is(json.metadata.metadata.large, "1152921504606846976");
    assert.equal(json.tensors[0], { name: "a\u009bb", dtype: "q4_k", shape: [2, 256], bytes: 288, file: path });
  }
});

test("a split set, by any of its files, and a folder of it", async () => {
  const own = join(folder, "set");
  mkdirSync(own);
  const tensors = tinyGgufTensors();
  for (const i of [0, 1])
    writeFileSync(
      join(own, `s-0000${i + 1}-of-00002.gguf`),
      ggufFile({
        metadata: { "split.no": i, "split.count": 2, "split.tensors.count": tensors.length },
        tensors: tensors.filter((_, t) => t % 2 === i),
      }),
    );
  for (const location of [own, join(own, "s-00002-of-00002.gguf")]) {
    const json = await inspectJson(location);
    assert.equal([json.files.length, json.tensors.length], [2, 13]);
    assert.match(
      await inspect(location),
      /GGUF 3, 2 files, .*\n[\s\S]*token_embd\.weight +f32 +\[11, 6\] +264 B {3}s-00001-of-00002\.gguf\n/,
    );
  }
});

test("safetensors: one file, a folder, shards; with config.json, and what the file says of itself", async () => {
  const nano = await inspectJson(nanoPath);
  assert.is(nano.metadata["config.json"].hidden_size, 256);
  const file = await inspectJson(join(nanoPath, "model.safetensors"));
  assert.equal(file.tensors, nano.tensors);
  assert.is(file.metadata["config.json"], undefined);
  const text = await inspect(goldenPath("sharded-bf16"));
  assert.match(text, /safetensors, 3 files/);
  assert.match(text, /lm_head\.weight +bf16 .*model-0000\d-of-00003\.safetensors/);
  const shards = await readContents(memoryFolder("m", tinyShards()));
  assert.equal([shards.files.length, shards.tensors.length], [3, 13]);
});

test("quantized safetensors, as they are stored", async () => {
  const quantized = [
    testTensor("a.weight", [2, 8], "U32", 4),
    testTensor("a.scales", [2, 1], "BF16", 2),
    testTensor("b", [4], "F8_E4M3", 1),
  ];
  const files = {
    "config.json": jsonFile({ model_type: "llama", quantization: { group_size: 64, bits: 4 } }),
    "model.safetensors": safetensorsFile(quantized, { metadata: { format: "mlx\u001b" } }),
  };
  const own = join(folder, "mlx");
  mkdirSync(own);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(own, name), bytes);
  const text = await inspect(own);
  assert.match(text, /quantization {3}\{"group_size":64,"bits":4\}/);
  assert.match(text, /format {3}"mlx\\u001b"/);
  assert.match(text, /a\.weight {3}u32 {7}\[2, 8\] {3}64 B/);
  assert.match(text, /b {10}f8_e4m3 {3}\[4\] {6}4 B/);
});

test("a file is what it holds, whatever it is called", async () => {
  assert.match(await inspect(write("sha256-abc", tinyGguf())), "GGUF 3");
  assert.match(await inspect(write("some.bin", tinyFiles()["model.safetensors"]!)), "safetensors, ");
  assert.match(await inspect(write("none.safetensors", safetensorsFile([]))), /Tensors: 0\n$/);
});

test("a GGUF file talks, continues a text, and tells what it needs, as a folder does", async () => {
  const path = write("nano.gguf", await nanoGguf("q8_0"));
  const { code, stdout } = await qwen3(["chat", "--model", path, "--temperature", "0", "--quiet", "Who are you?"]);
  assert.equal([code, /nano/.test(stdout)], [0, true]);
  const run = await qwen3(["run", "--model", path, "--max-new-tokens", "3", "--temperature", "0", "The"]);
  assert.is(run.code, 0);
  const info = JSON.parse((await qwen3(["info", "--json", "--model", path])).stdout);
  const original = JSON.parse((await qwen3(["info", "--json", "--model", nanoPath])).stdout);
  assert.equal(
    [info.architecture, info.tokenizer],
    [{ ...original.architecture, bos_token_id: info.architecture.bos_token_id }, original.tokenizer],
  );
  assert.equal(info.stopTokens, original.stopTokens);
  const { stdout: broken } = await qwen3(["info", "--model", goldenPath("gguf-q8_0")]);
  assert.match(broken, /tokenizer +only token ids can be used: the tokenizer: the vocabulary lacks "ab"/);
});

test("only headers are read", async () => {
  const bytes = tinyFiles()["model.safetensors"]!;
  const read: number[] = [];
  const source = {
    ...bytesSource("m", bytes),
    read: async (offset: number, length: number) => {
      read.push(offset + length);
      return bytes.slice(offset, offset + length);
    },
  };
  await readContents({ name: "m", open: async (file) => (file === "model.safetensors" ? source : undefined) });
  assert.ok(Math.max(...read) < bytes.length - 500, `${read}`);
});

test("refused: nothing there, a broken file, too many words", async () => {
  const missing = await qwen3(["inspect", join(folder, "none.gguf")]);
  assert.equal([missing.code, missing.stderr.slice(0, 13)], [1, "SOURCE_READ: "]);
  const broken = await qwen3(["inspect", write("broken.gguf", new Uint8Array(3))]);
  assert.match(broken.stderr, /^CHECKPOINT_HEADER: .*truncated/);
  assert.is((await qwen3(["inspect"])).code, 2);
  assert.is((await qwen3(["inspect", "a", "b"])).code, 2);
  const list = { ...tinyFiles(), "config.json": jsonFile("text") };
  await refused("CHECKPOINT_FILE", ["config.json: an object is needed"], () => readContents(memoryFolder("m", list)));
  const { "config.json": _, ...without } = tinyFiles();
  assert.is((await readContents(memoryFolder("m", without))).metadata.size, 1);
  await refused("CHECKPOINT_FILE", ["model.safetensors is missing, and there is no GGUF file"], () =>
    readContents(memoryFolder("m", {})),
  );
});

test.run();
