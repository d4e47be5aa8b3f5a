import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ModelConfig, parseGenerationConfig, parseModelConfig } from "../../src/formats/config.ts";
import { goldenJson, nanoPath } from "../paths.ts";
import { refused } from "./refused.ts";

/** config.json of Qwen3-4B-Instruct-2507 as published. */
const published = {
  architectures: ["Qwen3ForCausalLM"],
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: "silu",
  hidden_size: 2560,
  initializer_range: 0.02,
  intermediate_size: 9728,
  max_position_embeddings: 262144,
  max_window_layers: 36,
  model_type: "qwen3",
  num_attention_heads: 32,
  num_hidden_layers: 36,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 5000000,
  sliding_window: null,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  transformers_version: "4.51.0",
  use_cache: true,
  use_sliding_window: false,
  vocab_size: 151936,
};

type Change = Readonly<Record<string, unknown>>;
/** The published config with some fields changed; undefined takes one out. */
const changed = (change: Change): Change =>
  Object.fromEntries(Object.entries({ ...published, ...change }).filter(([, value]) => value !== undefined));
const parse = (change: Change): ModelConfig => parseModelConfig(changed(change));

/** As transformers 5 writes it. */
const newStyle = {
  rope_scaling: undefined,
  rope_theta: undefined,
  torch_dtype: undefined,
  rope_parameters: { rope_type: "default", rope_theta: 5000000 },
  dtype: "bfloat16",
  layer_types: Array(36).fill("full_attention"),
};
const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32768 };
const yarnParsed = { ...yarn, rope_theta: 5000000, beta_fast: 32, beta_slow: 1, truncate: true };

test("the published config", () => {
  assert.equal(parse({}), {
    vocab_size: 151936,
    hidden_size: 2560,
    intermediate_size: 9728,
    num_hidden_layers: 36,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 128,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 262144,
    tie_word_embeddings: true,
    rope: { rope_type: "default", rope_theta: 5000000 },
    eos_token_id: [151645],
    bos_token_id: 151643,
  });
});

test("both styles of keys say the same, alone and together", () => {
  assert.equal(parse(newStyle), parse({}));
  assert.equal(parse({ ...newStyle, rope_theta: 5000000, torch_dtype: "bfloat16", rope_scaling: null }), parse({}));
  assert.equal(parse({ ...newStyle, rope_parameters: { ...yarn, rope_theta: 5000000 } }), parse({ rope_scaling: yarn }));
  assert.equal(parse({ rope_parameters: { rope_type: "default" }, rope_scaling: { type: "default" } }), parse({}));
  assert.equal(parse({ rope_parameters: { ...yarn, partial_rotary_factor: 1 }, rope_scaling: yarn }).rope, yarnParsed);
});

test("every published or golden style of checkpoint", () => {
  assert.is(parseModelConfig(goldenJson("mqa-untied-f32", "config.json")).rope.rope_theta, 1000000);
  assert.equal(parseModelConfig(goldenJson("yarn-bf16", "config.json")).rope, {
    ...yarnParsed,
    rope_theta: 1000000,
    original_max_position_embeddings: 256,
  });
  assert.is(parseModelConfig(goldenJson("sharded-bf16", "config.json")).head_dim, 24);
  assert.equal(parseModelConfig(JSON.parse(readFileSync(`${nanoPath}/config.json`, "utf8"))).eos_token_id, [4072]);
});

test("what is absent has the default of Qwen3Config; head_dim follows from hidden_size", () => {
  assert.equal(parseModelConfig({ model_type: "qwen3" }), {
    vocab_size: 151936,
    hidden_size: 4096,
    intermediate_size: 22016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    head_dim: 128,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 32768,
    tie_word_embeddings: false,
    rope: { rope_type: "default", rope_theta: 10000 },
    eos_token_id: [],
  });
  assert.is(parse({ head_dim: undefined }).head_dim, 80);
  assert.is(parse({ head_dim: null }).head_dim, 80);
  assert.is(parse({ num_key_value_heads: null }).num_key_value_heads, 32, "null: as many as query heads");
  assert.equal(parse({ eos_token_id: [1, 2] }).eos_token_id, [1, 2]);
  assert.equal(parse({ architectures: ["Qwen3Model"] }), parse({}));
  assert.ok(Object.is(parse({ eos_token_id: -0 }).eos_token_id[0], 0));
  assert.is(Object.hasOwn(parse({ bos_token_id: null }), "bos_token_id"), false);
});

test("limits are inclusive", () => {
  assert.is(parse({ max_position_embeddings: 16_777_216 }).max_position_embeddings, 16_777_216);
  assert.is(parse({ head_dim: 1024 }).head_dim, 1024);
  assert.is(parse({ head_dim: 2 }).head_dim, 2);
  assert.is(parse({ rms_norm_eps: 1 }).rms_norm_eps, 1);
  assert.equal(parse({ rope_scaling: { ...yarn, factor: 1, beta_fast: 2, beta_slow: 2 } }).rope, {
    ...yarnParsed,
    factor: 1,
    beta_fast: 2,
    beta_slow: 2,
  });
});

test("yarn: every setting, the old name of the type, defaults", () => {
  const all = { beta_fast: 16, beta_slow: 2.5, truncate: false, attention_factor: 1.25, mscale: 0.5, mscale_all_dim: 0.75 };
  assert.equal(parse({ rope_scaling: { ...yarn, ...all } }).rope, { ...yarnParsed, ...all });
  assert.equal(parse({ rope_scaling: { ...yarn, type: "yarn", rope_type: undefined } }).rope, yarnParsed);
  assert.equal(parse({ rope_scaling: { ...yarn, type: "yarn" } }).rope, yarnParsed);
  assert.equal(
    parse({ rope_scaling: { ...yarn, beta_fast: 0, beta_slow: null, mscale: 0, mscale_all_dim: 0 } }).rope,
    yarnParsed,
  );
  const { original_max_position_embeddings: _, ...withoutOriginal } = yarn;
  assert.equal(parse({ rope_scaling: withoutOriginal }).rope, { ...yarnParsed, original_max_position_embeddings: 262144 });
  assert.equal(parse({ rope_scaling: withoutOriginal, original_max_position_embeddings: 32768 }).rope, yarnParsed);
  assert.equal(parse({ original_max_position_embeddings: 32768 }).rope, parse({}).rope, "of no effect without yarn");
  assert.equal(parse({ rope_scaling: {} }).rope, parse({}).rope);
});

test("yarn reaches factor times the original context, whatever shorter one the config still names", () => {
  const context = (change: Change) => parse(change).max_position_embeddings;
  assert.is(context({ max_position_embeddings: 40960, rope_scaling: yarn }), 131072);
  assert.is(context({ max_position_embeddings: 40960, rope_scaling: { ...yarn, factor: 2.00001 } }), 65536);
  assert.is(context({ max_position_embeddings: 40960, rope_scaling: { ...yarn, factor: 1 } }), 40960);
  assert.is(context({ max_position_embeddings: 262144, rope_scaling: yarn }), 262144);
  assert.is(context({ rope_scaling: { ...yarn, factor: 65536 } }), 16_777_216, "positions stay exact in f32");
  assert.is(context({ max_position_embeddings: 40960 }), 40960);
  assert.is(parseModelConfig(goldenJson("yarn-bf16", "config.json")).max_position_embeddings, 1024);
});

test("a sliding window that no layer uses is no obstacle", () => {
  assert.equal(parse({ use_sliding_window: false, sliding_window: 4096, max_window_layers: 0 }), parse({}));
  assert.equal(parse({ use_sliding_window: true, sliding_window: null, max_window_layers: 0 }), parse({}));
  assert.equal(parse({ use_sliding_window: true, sliding_window: 4096, max_window_layers: 36 }), parse({}));
  assert.equal(
    parse({ use_sliding_window: true, sliding_window: 4096, max_window_layers: 0, layer_types: newStyle.layer_types }),
    parse({}),
  );
});

const sliding = [...Array(35).fill("full_attention"), "sliding_attention"];
const broken: readonly (readonly [change: Change, ...says: string[]])[] = [
  [{ model_type: undefined }, 'model_type is absent; supported: "qwen3"'],
  [{ model_type: null }, 'model_type is null; supported: "qwen3"'],
  [{ model_type: "qwen3_moe" }, 'model_type is "qwen3_moe"; supported: "qwen3"'],
  [{ model_type: ["qwen3"] }, 'model_type is ["qwen3"]'],
  [{ architectures: ["LlamaForCausalLM"] }, 'architectures is ["LlamaForCausalLM"]', "Qwen3ForCausalLM"],
  [{ architectures: "Qwen3ForCausalLM" }, 'architectures is "Qwen3ForCausalLM"'],
  [{ hidden_act: "gelu" }, 'hidden_act is "gelu"; supported: "silu"'],
  [{ attention_bias: true }, "attention_bias is true; supported: false"],
  [{ mlp_bias: true }, "mlp_bias is true; supported: false"],
  [{ is_causal: false }, "is_causal is false; supported: true"],
  [{ use_bidirectional_attention: true }, "use_bidirectional_attention is true; supported: false"],
  [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor is 0.5; supported: 1"],
  [{ torch_dtype: "float8_e4m3fn" }, 'torch_dtype is "float8_e4m3fn"', '"float32" or "float16" or "bfloat16"'],
  [{ dtype: "float16" }, 'torch_dtype "bfloat16" and dtype "float16" contradict each other'],
  [{ use_sliding_window: true, sliding_window: 4096, max_window_layers: 35 }, "use_sliding_window is true", "full attention"],
  [{ use_sliding_window: true, sliding_window: undefined, max_window_layers: undefined }, "use_sliding_window is true"],
  [{ use_sliding_window: "yes" }, 'use_sliding_window is "yes"; supported: true or false'],
  [{ use_sliding_window: true, max_window_layers: -1 }, "max_window_layers is -1"],
  [{ layer_types: sliding }, "layer_types is", '36 times "full_attention"'],
  [{ layer_types: ["full_attention"] }, 'layer_types is ["full_attention"]', "36 times"],
  [{ layer_types: { length: 36 } }, 'layer_types is {"length":36}'],
  [{ layer_types: "full_attention" }, 'layer_types is "full_attention"'],
  [{ vocab_size: 0 }, "vocab_size is 0; supported: an integer from 1 to"],
  [{ vocab_size: 1e15 }, "vocab_size is 1000000000000000"],
  [{ vocab_size: "151936" }, 'vocab_size is "151936"'],
  [{ hidden_size: 2560.5 }, "hidden_size is 2560.5"],
  [{ hidden_size: -2560 }, "hidden_size is -2560"],
  [{ hidden_size: [2560] }, "hidden_size is [2560]"],
  [{ intermediate_size: 1e9 }, "intermediate_size is 1000000000"],
  [{ num_hidden_layers: 100_000 }, "num_hidden_layers is 100000", "1024"],
  [{ num_attention_heads: 0 }, "num_attention_heads is 0"],
  [{ num_key_value_heads: 0 }, "num_key_value_heads is 0"],
  [{ num_key_value_heads: 5 }, "num_key_value_heads is 5; supported: a divisor of num_attention_heads, 32"],
  [{ num_attention_heads: 16, num_key_value_heads: undefined }, "num_key_value_heads is absent; supported: a divisor"],
  [{ head_dim: 127 }, "head_dim is 127; supported: an even number"],
  [{ head_dim: 1026 }, "head_dim is 1026"],
  [{ head_dim: undefined, num_attention_heads: 24 }, "head_dim is absent; supported: an even number", "would be 106.6"],
  [{ head_dim: undefined, num_attention_heads: 8, hidden_size: 1_000_000 }, "head_dim is absent", "would be 125000"],
  [{ rms_norm_eps: 0 }, "rms_norm_eps is 0; supported: a number from 1e-12 to 1"],
  [{ rms_norm_eps: "1e-6" }, 'rms_norm_eps is "1e-6"'],
  [{ max_position_embeddings: 16_777_217 }, "max_position_embeddings is 16777217; supported: an integer from 1 to 16777216"],
  [{ tie_word_embeddings: 1 }, "tie_word_embeddings is 1; supported: true or false"],
  [{ eos_token_id: -1 }, "eos_token_id is -1"],
  [{ eos_token_id: [1, 151936] }, "eos_token_id is [1,151936]; supported: an integer from 0 to 151935"],
  [{ eos_token_id: "<|im_end|>" }, 'eos_token_id is "<|im_end|>"'],
  [{ bos_token_id: 151936 }, "bos_token_id is 151936"],
  [{ rope_theta: 0 }, "rope_theta is 0; supported: a number from 2 to"],
  [{ rope_theta: 1 }, "rope_theta is 1;"],
  [{ rope_scaling: [] }, "rope_scaling: an object is needed, got []"],
  [{ rope_scaling: { type: "linear", factor: 2 } }, 'rope_scaling: type is "linear"; supported: "default" or "yarn"'],
  [{ rope_scaling: { rope_type: "llama3" } }, 'rope_scaling: rope_type is "llama3"'],
  [{ rope_scaling: { ...yarn, type: "default" } }, 'rope_type "yarn" and type "default" contradict each other'],
  [{ rope_scaling: { rope_type: "default", factor: 4 } }, "rope_scaling: factor is 4", 'for rope_type "default"'],
  [{ rope_scaling: { ...yarn, mrope_section: [1] } }, "rope_scaling: mrope_section is [1]", 'for rope_type "yarn"'],
  [{ rope_scaling: { rope_type: "yarn" } }, "rope_scaling: factor is absent; supported: a number from 1 to 65536"],
  [{ rope_scaling: { ...yarn, factor: 0.5 } }, "factor is 0.5"],
  [{ rope_scaling: { ...yarn, original_max_position_embeddings: 0 } }, "original_max_position_embeddings is 0"],
  [{ rope_scaling: { ...yarn, beta_fast: 1, beta_slow: 2 } }, "beta_fast is 1; supported: at least beta_slow, 2"],
  [{ rope_scaling: { ...yarn, beta_slow: -1 } }, "beta_slow is -1"],
  [{ rope_scaling: { ...yarn, attention_factor: 0 } }, "attention_factor is 0"],
  [{ rope_scaling: { ...yarn, mscale: "1" } }, 'mscale is "1"'],
  [{ rope_scaling: { ...yarn, truncate: 1 } }, "truncate is 1"],
  [{ rope_scaling: { ...yarn, partial_rotary_factor: 0.25 } }, "rope_scaling: partial_rotary_factor is 0.25; supported: 1"],
  [
    { rope_scaling: { ...yarn, rope_theta: 10000 } },
    "rope_scaling.rope_theta 10000 and rope_theta 5000000 contradict each other",
  ],
  [
    { rope_parameters: { rope_type: "default", rope_theta: 7 } },
    "rope_parameters.rope_theta 7 and rope_theta 5000000 contradict",
  ],
  [
    { rope_scaling: yarn, rope_parameters: { rope_type: "default" } },
    "rope_scaling {",
    "and rope_parameters {",
    "contradict each other",
  ],
  [
    { rope_scaling: yarn, original_max_position_embeddings: 4096 },
    "original_max_position_embeddings 4096 and",
    "32768 contradict",
  ],
];
for (const [change, ...says] of broken)
  test(`refused: ${JSON.stringify(change)}`, () => refused("CHECKPOINT_CONFIG", ["config.json: ", ...says], () => parse(change)));

test("refused: what is no object at all, under the file's name", async () => {
  for (const json of [null, undefined, [], "qwen3", 7])
    await refused("CHECKPOINT_CONFIG", ["a/config.json: an object is needed"], () => parseModelConfig(json, "a/config.json"));
});

test("inherited keys do not count", () => {
  const json = Object.create({ attention_bias: true, vocab_size: 5 });
  json.model_type = "qwen3";
  assert.is(parseModelConfig(json).vocab_size, 151936);
});

const generation = (json: unknown) => parseGenerationConfig(json, parse({}));

test("generation_config.json: as published, absent, and with every field", () => {
  assert.equal(
    generation({
      bos_token_id: 151643,
      do_sample: true,
      eos_token_id: [151645, 151643],
      pad_token_id: 151643,
      temperature: 0.7,
      top_k: 20,
      top_p: 0.8,
      transformers_version: "4.51.0",
    }),
    { do_sample: true, temperature: 0.7, top_k: 20, top_p: 0.8, eos_token_id: [151645, 151643] },
  );
  assert.equal(generation(undefined), { eos_token_id: [151645] });
  assert.equal(generation({ temperature: null, top_k: null }), { eos_token_id: [151645] });
  const all = {
    do_sample: false,
    temperature: 0,
    top_k: 0,
    top_p: 1,
    min_p: 0.05,
    repetition_penalty: 1.05,
    presence_penalty: 1.5,
    frequency_penalty: -2,
    max_new_tokens: 16384,
    eos_token_id: [7],
  };
  assert.equal(generation({ ...all, eos_token_id: 7 }), all);
  assert.equal(generation({ eos_token_id: [7, 8, 7] }).eos_token_id, [7, 8]);
});

const brokenGeneration: readonly (readonly [json: Change, says: string])[] = [
  [{ temperature: -0.1 }, "temperature is -0.1; supported: a number from 0 to 100"],
  [{ temperature: "0.7" }, 'temperature is "0.7"'],
  [{ top_k: -1 }, "top_k is -1"],
  [{ top_k: 1.5 }, "top_k is 1.5"],
  [{ top_p: 1.01 }, "top_p is 1.01; supported: a number from 0 to 1"],
  [{ min_p: -1 }, "min_p is -1"],
  [{ repetition_penalty: 0 }, "repetition_penalty is 0"],
  [{ presence_penalty: 2.5 }, "presence_penalty is 2.5; supported: a number from -2 to 2"],
  [{ frequency_penalty: -3 }, "frequency_penalty is -3"],
  [{ max_new_tokens: 0 }, "max_new_tokens is 0"],
  [{ do_sample: "yes" }, 'do_sample is "yes"'],
  [{ eos_token_id: 151936 }, "eos_token_id is 151936; supported: an integer from 0 to 151935"],
];
for (const [json, says] of brokenGeneration)
  test(`refused: ${JSON.stringify(json)}`, () =>
    refused("CHECKPOINT_CONFIG", ["generation_config.json: ", says], () => generation(json)));

test.run();
