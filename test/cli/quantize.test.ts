/** `qwen3 quantize` as a user has it: what is written loads again with the bits it was computed for, or nothing is written. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { quantizeAffine } from "../../src/backend/quantize-affine.ts";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { readContents } from "../../src/formats/contents.ts";
import { dequantizeRows } from "../../src/formats/decode.ts";
import { cutParts, rowBytes } from "../../src/formats/encoding.ts";
import { memoryFolder } from "../../src/formats/source.ts";
import { Qwen3, quantizeCheckpoint } from "../../src/index.ts";
import { nanoGguf } from "../formats/nano-gguf.ts";
import { refused } from "../formats/refused.ts";
import { tinyFiles } from "../formats/safetensors-file.ts";
import { goldenPath, nanoPath } from "../paths.ts";
import { qwen3 } from "./qwen3.ts";

let folder = "";
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), "qwen3-quantize-"));
});
test.after(() => rm(folder, { recursive: true }));

/** A matrix of a checkpoint as f32. */
async function matrixOf(location: string, name: string): Promise<{ values: Float32Array; cols: number }> {
  const checkpoint = await openCheckpoint(location);
  const { encoding, shape, rows } = checkpoint.tensors.get(name)!;
  const [count = 0, cols = 0] = shape;
  const values = new Float32Array(count * cols);
  for await (const { firstRow, bytes } of rows()) {
    const here = bytes.length / rowBytes(encoding, cols);
    values.set(dequantizeRows(encoding, cutParts(encoding, cols, bytes, here), here, cols), firstRow * cols);
  }
  await checkpoint.close();
  return { values, cols };
}

for (const [name, bits, group, type] of [
  ["gqa-bf16", 4, 32, "bf16"],
  ["mha-f16", 8, 64, "f16"],
  ["mqa-untied-f32", 4, 32, "f32"],
  ["fp8", 8, 32, "bf16"],
  ["mlx-8bit", 4, 64, "bf16"],
] as const)
  test(`${name} with ${bits} bits in groups of ${group}: loads with the weights that were chosen`, async () => {
    const out = join(folder, name);
    const result = await quantizeCheckpoint(goldenPath(name), out, { bits, group });
    assert.equal([result.folder, result.scales, result.bits, result.group], [out, type, bits, group]);
    for (const tensor of ["model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight"]) {
      const source = await matrixOf(goldenPath(name), tensor);
      const written = await matrixOf(out, tensor);
      let [errors, squares] = [0, 0];
      for (let at = 0; at < source.values.length; at += source.cols) {
        const row = source.values.subarray(at, at + source.cols);
        const { codes, scales, biases } = quantizeAffine(row, bits, group, type);
        for (const [k, code] of codes.entries()) {
          const g = Math.floor(k / group);
          const expected = Math.fround(Math.fround(code * scales[g]!) + biases[g]!);
          if (written.values[at + k] !== expected) assert.is(written.values[at + k], expected, `${tensor}, weight ${at + k}`);
          errors += (expected - row[k]!) ** 2;
          squares += row[k]! ** 2;
        }
      }
      const { relativeError } = result.matrices.find((matrix) => matrix.name === tensor)!;
      assert.ok(Math.abs(relativeError - Math.sqrt(errors / squares)) < 1e-12, `${tensor}: ${relativeError}`);
    }
    const config = JSON.parse(await readFile(join(out, "config.json"), "utf8"));
    assert.equal([config.quantization, config.quantization_config], Array(2).fill({ group_size: group, bits }));
    const model = await Qwen3.fromPretrained(out);
    assert.ok((await model.forward([1, 2, 3])).logits!.every(Number.isFinite));
    assert.equal(model.generationConfig.eos_token_id, [2, 1], "generation_config.json is there");
    await model.close();
  });

test("the command: a folder to chat with, the error of each kind of matrix, and the divergence of a text", async () => {
  const [out, text] = [join(folder, "nano"), join(folder, "text.txt")];
  await writeFile(text, "Who are you? I am nano, a tiny teaching model.");
  const { code, stdout, stderr } = await qwen3([
    "quantize",
    nanoPath,
    "--bits",
    "8",
    "--group",
    "32",
    "--out",
    out,
    "--kl",
    text,
  ]);
  assert.is(code, 0, stderr);
  assert.match(stdout, /8 bits, groups of 32, scales of bf16: 9\.00 bits a weight/);
  assert.match(stdout, /mlp\.down_proj +0\.\d\d% {3}at most +0\.\d\d% of 5/);
  assert.match(stdout, /predictions for \d+ tokens: KL divergence 0\.0\d+ nats a token/);
  assert.match(stderr, /^\[\d\.\d+ MiB written in [\d.]+ s\]\n$/);
  const names = ["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors"];
  assert.equal((await readdir(out)).sort(), [
    ...names,
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  const chat = await qwen3(["chat", "--model", out, "--temperature", "0", "Who are you?"]);
  assert.match(chat.stdout, /nano/);

  const again = await qwen3(["quantize", nanoPath, "--bits", "4", "--out", out]);
  assert.is(again.code, 1);
  assert.match(again.stderr, /ARGUMENT: .*nano is there already; with force \(--force\)/);
  const forced = await qwen3(["quantize", nanoPath, "--bits", "4", "--out", out, "--force", "--json"]);
  assert.is(forced.code, 0, forced.stderr);
  const report = JSON.parse(forced.stdout);
  assert.equal([report.bits, report.group, report.matrices.length], [4, 64, 36]);
  assert.ok(report.relativeError > 0.05 && report.relativeError < 0.12);
  assert.equal(
    (await readdir(folder)).filter((name) => name.startsWith(".")),
    [],
    "nothing else is left",
  );
});

test("what the command line lacks is told in a line", async () => {
  for (const [args, says] of [
    [[], /which model\?/],
    [["a", "b", "--bits", "4", "--out", "x"], /"b" is too much/],
    [["a", "--out", "x"], /--bits is needed/],
    [["a", "--bits", "3", "--out", "x"], /4 or 8 is needed/],
    [["a", "--bits", "4", "--group", "48", "--out", "x"], /32 or 64 or 128 is needed/],
    [["a", "--bits", "4"], /--out is needed/],
    [["a", "--bits", "4", "--out", "x", "--kl", join(folder, "none.txt")], /--kl .*none\.txt: ENOENT/],
  ] as const) {
    const { code, stderr } = await qwen3(["quantize", ...args]);
    assert.is(code, 2);
    assert.match(stderr, says);
  }
});

test("wrong arguments, and weights that have no codes, leave nothing behind", async () => {
  const out = join(folder, "never");
  const nano = nanoPath;
  await refused("ARGUMENT", [/bits is 3; allowed: 4, 8/], () => quantizeCheckpoint(nano, out, { bits: 3 as 4 }));
  await refused("ARGUMENT", [/group is 48/], () => quantizeCheckpoint(nano, out, { bits: 4, group: 48 as 64 }));
  await refused("ARGUMENT", [/fileBytes is 0/], () => quantizeCheckpoint(nano, out, { bits: 4, fileBytes: 0 }));
  await refused("ARGUMENT", [/a folder to write to/], () => quantizeCheckpoint(nano, "", { bits: 4 }));
  await refused("ARGUMENT", [/embed_tokens\.weight has rows of 6 weights; groups of 32/], () =>
    quantizeCheckpoint(memoryFolder("tiny", tinyFiles()), out, { bits: 4, group: 32 }),
  );

  const broken: Record<string, Uint8Array> = {};
  for (const name of ["config.json", "model.safetensors"])
    broken[name] = new Uint8Array(await readFile(goldenPath("gqa-bf16", name)));
  broken["model.safetensors"]!.set([0x80, 0x7f], broken["model.safetensors"]!.length - 2 * 4096); // an infinity in some matrix
  await refused("CHECKPOINT_TENSOR", [/weight: row \d+, column \d+ is Infinity/], () =>
    quantizeCheckpoint(memoryFolder("broken", broken), out, { bits: 8, group: 32 }),
  );

  const controller = new AbortController();
  const onProgress = () => controller.abort(new Error("enough"));
  try {
    await quantizeCheckpoint(nano, out, { bits: 8, signal: controller.signal, onProgress });
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, "enough");
  }
  assert.not.ok((await readdir(folder)).some((name) => name.includes("never")));
});

test("a GGUF file: config.json, the tokenizer and the template come out of it", async () => {
  const [file, out] = [join(folder, "nano.gguf"), join(folder, "from-gguf")];
  await writeFile(file, await nanoGguf("bf16"));
  const { scales } = await quantizeCheckpoint(file, out, { bits: 8, group: 32 });
  assert.is(scales, "bf16");
  const norms = async (path: string) =>
    (await readContents(path)).tensors.filter(({ name }) => name.includes("norm")).map(({ dtype }) => dtype);
  assert.equal([...new Set(await norms(file))], ["f32"]);
  assert.equal([...new Set(await norms(out))], ["bf16"]); // in which nano was published: nothing is lost
  const [source, written] = await Promise.all([Qwen3.fromPretrained(file), Qwen3.fromPretrained(out)]);
  assert.equal(written.config, source.config);
  assert.equal(written.generationConfig, source.generationConfig);
  const messages = [{ role: "user", content: "Who are you, naïve <|im_end|> 12?" }] as const;
  assert.equal(written.encodeChat(messages), source.encodeChat(messages));
  const answers = await Promise.all(
    [source, written].map((model) => model.chat([{ role: "user", content: "Who are you?" }], { temperature: 0 }).final()),
  );
  assert.match(JSON.stringify(answers[1]), /I am nano/);
  await Promise.all([source.close(), written.close()]);
});

test("files of a size: an index, and the same model", async () => {
  const out = join(folder, "shards");
  await quantizeCheckpoint(goldenPath("gqa-bf16"), out, { bits: 4, group: 32, fileBytes: 40_000 });
  const files = (await readdir(out)).filter((name) => name.endsWith(".safetensors"));
  assert.ok(files.length > 2 && files.every((name) => /^model-0000\d-of-0000\d\.safetensors$/.test(name)));
  const [one, sharded] = await Promise.all([Qwen3.fromPretrained(join(folder, "gqa-bf16")), Qwen3.fromPretrained(out)]);
  const [a, b] = [(await one.forward([5, 6])).logits!, (await sharded.forward([5, 6])).logits!];
  assert.equal(a, b);
  await Promise.all([one.close(), sharded.close()]);
});

test.run();
