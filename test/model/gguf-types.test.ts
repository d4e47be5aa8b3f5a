/**
 * Models of every block type of GGUF, those without golden vectors too: the weights that gguf-blocks.test.ts knows to be right compute the same
 * on both backends, on any number of threads, and as f32.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseModelConfig } from "../../src/formats/config.ts";
import { GGUF_TYPES, type GgufType } from "../../src/formats/gguf-types.ts";
import { expectedTensors } from "../../src/formats/qwen3-tensors.ts";
import { type ModelOptions, Qwen3 } from "../../src/index.ts";
import { f32, ggufFile, type TestGgufTensor, tinyGgufShapes } from "../formats/gguf-file.ts";
import { F16_FIELDS, randomBytes, TYPES, validBlocks } from "../formats/gguf-plain.ts";
import { tinyShapes } from "../formats/safetensors-file.ts";

/** Numbers of the types in a file. Source: ggml's enumeration `ggml_type`. */
const IDS: Readonly<Record<GgufType, number>> = {
  ...{ q4_0: 2, q4_1: 3, q5_0: 6, q5_1: 7, q8_0: 8, iq4_nl: 20, iq4_xs: 23 },
  ...{ q2_k: 10, q3_k: 11, q4_k: 12, q5_k: 13, q6_k: 14 },
};

const CONFIG = {
  architectures: ["Qwen3ForCausalLM"],
  model_type: "qwen3",
  hidden_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 64,
  intermediate_size: 512,
  vocab_size: 270,
  max_position_embeddings: 256,
  hidden_act: "silu",
  rms_norm_eps: 1e-6,
  rope_theta: 1e6,
  tie_word_embeddings: true,
  eos_token_id: 1,
};

const METADATA = {
  "general.architecture": "qwen3",
  "qwen3.block_count": CONFIG.num_hidden_layers,
  "qwen3.context_length": CONFIG.max_position_embeddings,
  "qwen3.embedding_length": CONFIG.hidden_size,
  "qwen3.feed_forward_length": CONFIG.intermediate_size,
  "qwen3.attention.head_count": CONFIG.num_attention_heads,
  "qwen3.attention.head_count_kv": CONFIG.num_key_value_heads,
  "qwen3.attention.key_length": CONFIG.head_dim,
  "qwen3.attention.value_length": CONFIG.head_dim,
  "qwen3.attention.layer_norm_rms_epsilon": f32(CONFIG.rms_norm_eps),
  "qwen3.rope.freq_base": f32(CONFIG.rope_theta),
};

/** Random blocks whose scales are such that weights stay below 1. */
function blocksOf(type: GgufType, weights: number, seed: number): Uint8Array {
  const { values, bytes } = GGUF_TYPES[type];
  const blocks = validBlocks(type, randomBytes(seed, (weights / values) * bytes));
  for (let at = 0; at < blocks.length; at += bytes) for (const field of F16_FIELDS[type]) blocks[at + field + 1]! &= 0x87;
  return blocks;
}

const ggufNames = new Map(Object.keys(tinyShapes).map((name, i) => [name, Object.keys(tinyGgufShapes)[i]!]));

function modelOf(type: GgufType): Blob {
  const tensors = Array.from(expectedTensors(parseModelConfig(CONFIG)), ([name, shape], i): TestGgufTensor => {
    const [, layer] = /^model\.layers\.(\d+)\./.exec(name) ?? [];
    const ggufName = ggufNames.get(name.replace(/layers\.\d+/, "layers.0"))!.replace("blk.0", `blk.${layer}`);
    const weights = shape.reduce((product, extent) => product * extent, 1);
    if (shape.length === 2) return { name: ggufName, shape, type: IDS[type], data: blocksOf(type, weights, i) };
    const gains = Float32Array.from({ length: weights }, (_, k) => 1 + 0.1 * Math.sin(k + i));
    return { name: ggufName, shape, type: 0, data: new Uint8Array(gains.buffer) };
  });
  return new Blob([ggufFile({ metadata: METADATA, tensors }) as Uint8Array<ArrayBuffer>]);
}

const ids = Array.from({ length: 11 }, (_, i) => (i * 7919 + 13) % CONFIG.vocab_size);

async function bitsOf(file: Blob, options: ModelOptions): Promise<Buffer> {
  const model = await Qwen3.fromPretrained(file, { maxModelLen: 64, ...options });
  const { logits } = await model.forward(ids, { logits: "all" });
  await model.close();
  assert.ok(logits!.every(Number.isFinite) && new Set(logits).size > 1000, "logits are numbers, and not all alike");
  return Buffer.from(logits!.buffer);
}

assert.is(TYPES.length, 12);
for (const type of TYPES)
  test(`${type}: a model has the same bits on both backends, on 1 to 4 threads, in chunks, and as f32`, async () => {
    const file = modelOf(type);
    const expected = await bitsOf(file, { backend: "reference" });
    for (const threads of [1, 3, 4])
      assert.ok(expected.equals(await bitsOf(file, { threads, maxBatchedTokens: 5 * threads })), `${threads} threads`);
    const widened = await bitsOf(file, { activations: "f32", threads: 2 });
    assert.not.ok(widened.equals(expected));
    assert.ok(widened.equals(await bitsOf(file, { backend: "reference", activations: "f32" })), "reference, activations f32");
    assert.ok(widened.equals(await bitsOf(file, { weights: "f32", kvCache: "int8" })), "weights f32");
  });

test.run();
