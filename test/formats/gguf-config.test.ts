/** GGUF metadata as our configuration: the same as config.json's, or refused by the key. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseModelConfig } from "../../src/formats/config.ts";
import { parseGgufHeader } from "../../src/formats/gguf.ts";
import { ggufGenerationConfig, ggufModelConfig } from "../../src/formats/gguf-config.ts";
import { canonicalName } from "../../src/formats/gguf-tensors.ts";
import { bytesSource } from "../../src/formats/memory.ts";
import {
  f32,
  f32Tensor,
  int32s,
  type Metadata,
  strings,
  type TestGguf,
  tinyGguf,
  tinyGgufShapes,
  tinyGgufTensors,
} from "./gguf-file.ts";
import { refused } from "./refused.ts";
import { tinyConfig, tinyShapes } from "./safetensors-file.ts";

async function configs(metadata: Metadata = {}, file: TestGguf = {}) {
  const header = await parseGgufHeader(bytesSource("model.gguf", tinyGguf({ ...file, metadata })));
  const config = ggufModelConfig(header.metadata, header.tensors, "model.gguf");
  return { config, generation: ggufGenerationConfig(header.metadata, config, "model.gguf") };
}

test("the same configuration as that of config.json", async () => {
  assert.equal((await configs()).config, parseModelConfig(tinyConfig));
});

test("names of tensors are the checkpoint's", () => {
  assert.equal(
    Object.fromEntries(Object.entries(tinyGgufShapes).map(([name, shape]) => [canonicalName(name), shape])),
    tinyShapes,
  );
  assert.is(canonicalName("output.weight"), "lm_head.weight");
  assert.is(canonicalName("blk.1023.ffn_up.weight"), "model.layers.1023.mlp.up_proj.weight");
  for (const name of [
    "blk.01.ffn_up.weight",
    "blk.0.ffn_up.bias",
    "blk.0.constructor.weight",
    "toString",
    "blk.0.ffn_gate_exps.weight",
  ])
    assert.is(canonicalName(name), name);
});

test("an output matrix unties, and a head's width may be left to the quotient", async () => {
  const tensors = [...tinyGgufTensors(), f32Tensor("output.weight", [11, 6])];
  assert.is((await configs({}, { tensors })).config.tie_word_embeddings, false);
  const { config } = await configs({ "qwen3.attention.head_count_kv": 2, "qwen3.rope.freq_base": f32(5e6) });
  assert.equal([config.num_key_value_heads, config.rope.rope_theta, config.head_dim], [2, 5e6, 4]);
});

const yarn = {
  "qwen3.rope.scaling.type": "yarn",
  "qwen3.rope.scaling.factor": f32(4),
  "qwen3.rope.scaling.original_context_length": 32,
} as const;

test("YaRN, with its defaults and with its own numbers", async () => {
  const expected = (more: object) =>
    parseModelConfig({
      ...tinyConfig,
      rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32, ...more },
    });
  assert.equal((await configs({ ...yarn, "qwen3.rope.scaling.finetuned": true })).config, expected({}));
  const betas = { "qwen3.rope.scaling.yarn_beta_fast": f32(20.5), "qwen3.rope.scaling.yarn_beta_slow": f32(2) };
  assert.equal((await configs({ ...yarn, ...betas })).config, expected({ beta_fast: 20.5, beta_slow: 2 }));
  const { "qwen3.rope.scaling.original_context_length": _, ...short } = yarn;
  assert.equal((await configs(short)).config, expected({ original_max_position_embeddings: 64 }));
});

test("keys that ask for nothing are read over", async () => {
  const idle: readonly Metadata[] = [
    { "qwen3.rope.scaling.type": "none", "qwen3.rope.scaling.factor": f32(4) },
    { "qwen3.rope.scaling.type": "linear", "qwen3.rope.scaling.factor": f32(1) },
    { "qwen3.rope.dimension_count": 4, "qwen3.vocab_size": 11, "qwen3.attention.causal": true, "qwen3.pooling_type": 3 },
    { "general.type": "model", "general.file_type": 7, "qwen3.expert_count": 0, "other.key": "x" },
  ];
  for (const metadata of idle) assert.equal((await configs(metadata)).config, parseModelConfig(tinyConfig));
});

test("sampling defaults and every token that ends an answer", async () => {
  assert.equal((await configs()).generation, { eos_token_id: [3] });
  const { config, generation } = await configs({
    "general.sampling.temp": f32(0.6),
    "general.sampling.top_k": ["int32", 20],
    "general.sampling.top_p": f32(0.95),
    "general.sampling.min_p": f32(0),
    "general.sampling.penalty_repeat": f32(1.05),
    "tokenizer.ggml.eot_token_id": 4,
    "tokenizer.ggml.bos_token_id": 5,
    "tokenizer.ggml.tokens": strings(["a", "<|im_end|>", "<|endoftext|>", "b"]),
    "tokenizer.ggml.token_type": int32s([1, 3, 1, 1]),
  });
  assert.equal(generation, {
    temperature: 0.6,
    top_k: 20,
    top_p: 0.95,
    min_p: 0,
    repetition_penalty: 1.05,
    eos_token_id: [3, 4, 1],
  });
  assert.equal([config.eos_token_id, config.bos_token_id], [[3], 5]);
});

const wrong: readonly (readonly [metadata: Metadata, says: RegExp])[] = [
  [{ "general.architecture": "qwen3moe" }, /general.architecture is "qwen3moe"; supported: "qwen3"/],
  [{ "general.architecture": 3 }, /general.architecture is 3/],
  [{ "general.type": "adapter" }, /general.type is "adapter"; supported: "model"/],
  [{ "qwen3.block_count": 0 }, /as config.json: num_hidden_layers is 0; supported: an integer from 1 to 1024/],
  [{ "qwen3.block_count": int32s([1]) }, /num_hidden_layers is "array of 1 int32"/],
  [{ "qwen3.block_count": ["uint64", 2 ** 60] }, /num_hidden_layers is 1152921504606846976/],
  [{ "qwen3.attention.head_count": 3, "qwen3.attention.head_count_kv": 2 }, /num_key_value_heads is 2; supported: a divisor/],
  [{ "qwen3.attention.layer_norm_rms_epsilon": f32(Number.NaN) }, /rms_norm_eps is null/],
  [{ "qwen3.attention.causal": false }, /qwen3.attention.causal is false; supported: true/],
  [{ "qwen3.attention.sliding_window": 4096 }, /sliding_window is 4096; supported: 0/],
  [{ "qwen3.attention.new_thing": 1 }, /qwen3.attention.new_thing is 1; supported: a file without it/],
  [{ "qwen3.attention.value_length": 8 }, /value_length is 8; supported: 4/],
  [{ "qwen3.rope.dimension_count": 2 }, /dimension_count is 2; supported: 4/],
  [{ "qwen3.rope.dimension_sections": int32s([1]) }, /dimension_sections is "array of 1 int32"; supported: a file without it/],
  [{ "qwen3.rope.scaling.type": "longrope" }, /scaling.type is "longrope"; supported: "none" or "yarn"/],
  [{ "qwen3.rope.scaling.type": "linear", "qwen3.rope.scaling.factor": f32(2) }, /scaling.type is "linear"/],
  [{ ...yarn, "qwen3.rope.scaling.factor": f32(0) }, /factor is 0; supported: a number from 1/],
  [{ ...yarn, "qwen3.rope.scaling.attn_factor": f32(2) }, /attn_factor is 2; supported: 1/],
  [{ "qwen3.expert_count": 8 }, /expert_count is 8; supported: 0/],
  [{ "qwen3.vocab_size": 12 }, /vocab_size is 12; supported: 11/],
  [
    { "tokenizer.ggml.tokens": strings(Array(12).fill("a")) },
    /tokens is "array of 12 string"; token_embd.weight has rows for 11/,
  ],
  [{ "tokenizer.ggml.eos_token_id": 11 }, /eos_token_id is 11; supported: an integer from 0 to 10/],
  [{ "general.sampling.temp": f32(-1) }, /as generation_config.json: temperature is -1/],
];
for (const [metadata, says] of wrong)
  test(`refused: ${says.source}`, () => refused("CHECKPOINT_CONFIG", [says, /^model.gguf/], () => configs(metadata)));

test("refused: what is missing", async () => {
  for (const key of ["block_count", "context_length", "attention.head_count", "attention.layer_norm_rms_epsilon"])
    await refused("CHECKPOINT_CONFIG", [`qwen3.${key} is absent; a number is needed`], async () => {
      const header = await parseGgufHeader(bytesSource("model.gguf", tinyGguf()));
      const metadata = new Map([...header.metadata].filter(([name]) => name !== `qwen3.${key}`));
      ggufModelConfig(metadata, header.tensors, "model.gguf");
    });
  await refused("CHECKPOINT_TENSOR", ["token_embd.weight, a matrix, is missing"], () => configs({}, { tensors: [] }));
});

test.run();
