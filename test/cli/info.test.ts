import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Info } from "../../src/cli/checkpoint-info.ts";
import { parseModelConfig } from "../../src/formats/config.ts";
import { expectedTensors } from "../../src/formats/qwen3-tensors.ts";
import { goldenPath, nanoPath } from "../paths.ts";
import { qwen3 } from "./qwen3.ts";

const folder = mkdtempSync(join(tmpdir(), "qwen3-info-"));
test.after(() => rmSync(folder, { recursive: true }));

/** Qwen3-4B-Instruct-2507's own settings. */
const CONFIG_4B = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  attention_bias: false,
  head_dim: 128,
  hidden_act: "silu",
  hidden_size: 2560,
  intermediate_size: 9728,
  max_position_embeddings: 262_144,
  num_attention_heads: 32,
  num_hidden_layers: 36,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_theta: 5_000_000,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  vocab_size: 151_936,
};

/** A checkpoint with true headers and weights that are a hole in the file: 8 GB that take no room. */
function hollowCheckpoint(config: typeof CONFIG_4B): string {
  const header: Record<string, object> = {};
  let offset = 0;
  for (const [name, shape] of expectedTensors(parseModelConfig(config))) {
    const length = 2 * shape.reduce((product, extent) => product * extent, 1);
    header[name] = { dtype: "BF16", shape, data_offsets: [offset, offset + length] };
    offset += length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = openSync(join(folder, "model.safetensors"), "w");
  writeSync(file, Buffer.concat([length, json]));
  ftruncateSync(file, 8 + json.length + offset);
  closeSync(file);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  return folder;
}

async function info(...args: string[]): Promise<Info> {
  const { code, stdout, stderr } = await qwen3(["info", "--json", ...args]);
  assert.equal([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

test("nano, as data", async () => {
  const nano = await info("--memory-budget", "1GiB");
  assert.is(nano.model, nanoPath);
  assert.is(nano.parameters, 4_820_352);
  assert.equal(nano.dtypes, ["bf16"]);
  assert.is(nano.storedBytes, 2 * 4_820_352);
  const weights = 4_820_352 - 5 * (2 * 256 + 2 * 64) - 256;
  assert.equal(nano.encodings, [{ encoding: "bf16", matrices: 36, weights, storedBits: 16, heldBits: 16 }]);
  assert.equal(nano.tokenizer, { tokens: 4096 });
  assert.is(nano.architecture.num_hidden_layers, 5);
  assert.is(nano.architecture.max_position_embeddings, 4096);
  assert.equal(nano.sampling, {
    temperature: 0.7,
    topP: 0.8,
    topK: 20,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
  });
  assert.equal(nano.stopTokens, [
    { id: 4072, text: "<|im_end|>" },
    { id: 4070, text: "<|endoftext|>" },
  ]);
  const { memory } = nano;
  assert.ok(memory.fits && memory.machineBytes! > 0);
  assert.equal(memory.exceeds, []);
  assert.is(memory.plan.budgetBytes, 2 ** 30);
  assert.is(memory.plan.kvBytesPerToken, 5 * 2 * 2 * 64 * 2);
  assert.is(memory.plan.kvBytes, 4096 * memory.plan.kvBytesPerToken);
  assert.equal(
    memory.contexts.map(({ context, kvCache, fits }) => [context, kvCache, fits]),
    [
      [4096, "f16", true],
      [4096, "int8", true],
    ],
  );
});

test("nano, for people", async () => {
  const { code, stdout, stderr } = await qwen3(["info", "--max-model-len", "1000", "--kv-cache", "f16"]);
  assert.equal([code, stderr], [0, ""]);
  for (const line of [
    /^ {2}parameters +4,820,352$/m,
    /^ {2}tensors +\d+ of bf16, 9\.19 MiB$/m,
    /^ {2}bf16 +36 matrices: 16 bits a weight in the file, 16 in memory$/m,
    /^ {2}tokenizer +4,096 tokens$/m,
    /^ {2}attention +6 query heads of 64, 2 key-value heads \(q is 384 wide\)$/m,
    /^ {2}rope +rope_type "default", rope_theta 10,000$/m,
    /^ {2}stop tokens +4072 <\|im_end\|>, 4070 <\|endoftext\|>$/m,
    /^ {2}weights +9\.2\d MiB \(as stored\)$/m,
    /^ {2}KV cache per token +2\.50 KiB \(f16\)$/m,
    /^ {2}KV cache +2\.50 MiB for a context of 1,000 tokens$/m,
    /^ {2}total .*: fits$/m,
    /^ {2}4,096 +fits \(.*\) +fits \(.*\)$/m,
  ])
    assert.match(stdout, line);
  assert.not.match(stdout, "\x1b");
});

test("a quantized checkpoint: what each type takes, in the file and in memory", async () => {
  const model = goldenPath("gguf-q4_k_m", "model.gguf");
  const { encodings, dtypes, memory } = await info("--model", model);
  const costs = encodings.map(({ encoding, storedBits, heldBits }) => [encoding, storedBits, heldBits]);
  assert.equal(costs, [["q4_k", 4.5, 4.625], ["q6_k", 6.5625, 8.5625]]); // biome-ignore format: a table
  assert.equal([...dtypes].sort(), ["f32", "q4_k", "q6_k"]);
  assert.equal([memory.weights, memory.kvCache], ["auto", "int8"]);
  assert.equal(
    (await info("--model", model, "--weights", "int4")).encodings.map(({ heldBits }) => heldBits),
    [4.5, 4.5],
  );
  const { stdout } = await qwen3(["info", "--model", model]);
  assert.match(stdout, /^ {2}q4_k +\d+ matrices: 4\.5 bits a weight in the file, 4\.625 in memory$/m);
});

test("what weights become while they load is what the plan counts", async () => {
  const stored = (await info()).memory;
  const int4 = (await info("--weights", "int4")).memory;
  assert.equal([stored.weights, stored.kvCache, int4.weights, int4.kvCache], ["auto", "f16", "int4", "int8"]);
  assert.ok(int4.plan.weightBytes < 0.3 * stored.plan.weightBytes);
  assert.is(int4.plan.kvBytesPerToken, 5 * 2 * 2 * (64 + 4));
  const { stdout } = await qwen3(["info", "--weights", "int8", "--kv-cache", "f32"]);
  assert.match(stdout, /^ {2}weights +\d\.\d+ MiB \(int8\)$/m);
  assert.match(stdout, /^ {2}KV cache per token +5\.00 KiB \(f32\)$/m);
});

test("a checkpoint that does not fit: what it would need", async () => {
  const model = hollowCheckpoint(CONFIG_4B);
  const { parameters, memory, tokenizer, storedBytes } = await info(
    "--model",
    model,
    "--memory-budget",
    "20GiB",
    "--backend",
    "reference",
  );
  assert.is(parameters, 4_022_468_096);
  assert.is(storedBytes, 2 * 4_022_468_096);
  assert.is(tokenizer, null);
  // 16 GB of f32 weights, and 144 or 74.25 KiB of cache a token
  assert.equal(
    memory.contexts.map(({ context, kvCache, fits }) => [context, kvCache, fits]),
    [
      [4096, "f16", true],
      [4096, "int8", true],
      [32_768, "f16", true],
      [32_768, "int8", true],
      [262_144, "f16", false],
      [262_144, "int8", false],
    ],
  );
  const { stdout, code } = await qwen3(["info", "--model", model, "--memory-budget", "5GiB"]);
  assert.is(code, 0);
  assert.match(stdout, /tokenizer +none/);
  assert.match(stdout, /budget +5\.00 GiB$/m);
  assert.match(stdout, /total .* does not fit: .* needed, the budget is 5\.00 GiB/);
  assert.match(stdout, /longest context that fits +none: weights and activations leave no room/);
  const int4 = (await info("--model", model, "--memory-budget", "5GiB", "--weights", "int4", "--max-model-len", "4096")).memory;
  assert.ok(int4.fits, `${int4.plan.totalBytes} bytes`);
  assert.match(stdout, /^ {2}262,144 +needs 43\.\d GiB, budget 5\.00 GiB +needs 26\.\d GiB, budget 5\.00 GiB$/m);
});

test("a context past the model's own does not fit, however much memory there is, and is told apart from too little memory", async () => {
  const long = ["--max-model-len", "100000"];
  const { memory } = await info(...long, "--memory-budget", "1GiB");
  assert.equal([memory.fits, memory.exceeds], [false, ["max_position_embeddings"]]);
  assert.ok(memory.plan.totalBytes <= memory.plan.budgetBytes);
  const total = async (...args: string[]) => /^ {2}total +(.*)$/m.exec((await qwen3(["info", ...args])).stdout)![1]!;
  const tooLong = "100,000 tokens are more than the model's max_position_embeddings 4,096";
  assert.match(await total(...long, "--memory-budget", "1GiB"), new RegExp(`^\\d+ MiB: does not fit: ${tooLong}$`));
  assert.match(
    await total(...long, "--memory-budget", "64MiB"),
    new RegExp(`: does not fit: ${tooLong}; \\d+ MiB needed, the budget is 64\\.0 MiB$`),
  );
  assert.equal((await info(...long, "--memory-budget", "64MiB")).memory.exceeds, ["max_position_embeddings", "memory_budget"]);
  assert.equal((await info("--max-model-len", "4096", "--memory-budget", "64MiB")).memory.exceeds, []);
  const auto = (await info("--max-model-len", "auto", "--memory-budget", "16MiB")).memory;
  assert.ok(auto.fits && auto.plan.maxModelLen === auto.plan.largestContext && auto.plan.maxModelLen < 4096);
  const small = (await info("--memory-budget", "4MiB")).memory;
  assert.equal([small.fits, small.exceeds, small.plan.maxModelLen], [false, ["memory_budget"], 0]);
});

test("contexts are those below the model's own, and its own", async () => {
  const { memory, tokenizer, stopTokens } = await info("--model", goldenPath("yarn-bf16"), "--max-model-len", "100000");
  assert.is(tokenizer, null);
  assert.ok(stopTokens.every(({ text }) => text === undefined));
  const own = (await info("--model", goldenPath("yarn-bf16"))).architecture.max_position_embeddings;
  assert.is(memory.contexts.at(-1)!.context, own);
});

test("an unknown checkpoint is an error", async () => {
  const { code, stderr } = await qwen3(["info", "--model", folder, "--backend", "wasm", "extra"]);
  assert.is(code, 2, stderr);
  const missing = await qwen3(["info", "--model", join(folder, "missing")]);
  assert.is(missing.code, 1);
  assert.match(missing.stderr, /^SOURCE_READ: /);
});

test.run();
