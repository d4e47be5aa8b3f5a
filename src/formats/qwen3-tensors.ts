/** The tensors of a dense Qwen3 checkpoint: names, shapes, and which of a file's tensors they are. */
import { bytesPerValue } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { ModelConfig } from "./config.ts";
import { type Encoding, requireEncodable } from "./encoding.ts";
import { shown } from "./json.ts";
import type { EncodedTensor } from "./stored-rows.ts";

type TensorInfo = Pick<EncodedTensor, "name" | "shape" | "encoding" | "dtype">;

const INV_FREQ = /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/;
const WITHOUT_PREFIX = /^(embed_tokens|layers|norm|rotary_emb)\./;

/** Name and shape of every tensor that the forward pass needs; matrices are [out_features, in_features]. */
export function expectedTensors(config: ModelConfig): Map<string, readonly number[]> {
  const { hidden_size, intermediate_size, head_dim } = config;
  const q = config.num_attention_heads * head_dim;
  const kv = config.num_key_value_heads * head_dim;
  const tensors = new Map<string, readonly number[]>([["model.embed_tokens.weight", [config.vocab_size, hidden_size]]]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const add = (name: string, ...shape: number[]) => tensors.set(`model.layers.${layer}.${name}.weight`, shape);
    add("input_layernorm", hidden_size);
    add("self_attn.q_proj", q, hidden_size);
    add("self_attn.k_proj", kv, hidden_size);
    add("self_attn.v_proj", kv, hidden_size);
    add("self_attn.q_norm", head_dim);
    add("self_attn.k_norm", head_dim);
    add("self_attn.o_proj", hidden_size, q);
    add("post_attention_layernorm", hidden_size);
    add("mlp.gate_proj", intermediate_size, hidden_size);
    add("mlp.up_proj", intermediate_size, hidden_size);
    add("mlp.down_proj", hidden_size, intermediate_size);
  }
  tensors.set("model.norm.weight", [hidden_size]);
  if (!config.tie_word_embeddings) tensors.set("lm_head.weight", [config.vocab_size, hidden_size]);
  return tensors;
}

/** `head_dim` as layer 0's query norm has it, for a config that leaves it out; undefined where there is no such vector. */
export function storedHeadDim(stored: ReadonlyMap<string, Pick<EncodedTensor, "shape">>): number | undefined {
  const name = "layers.0.self_attn.q_norm.weight";
  const shape = (stored.get(`model.${name}`) ?? stored.get(name))?.shape;
  return shape?.length === 1 ? shape[0] : undefined;
}

/**
 * A file's tensors under canonical names, checked against the config: nothing missing, nothing left over, shapes and types right.
 * What older exports carry without need is dropped: `lm_head.weight` of a tied model, and RoPE's inverse frequencies.
 *
 * @throws Qwen3Error CHECKPOINT_TENSOR naming the tensor
 */
export function selectTensors<T extends TensorInfo>(
  config: ModelConfig,
  stored: Iterable<T>,
): Map<string, T & { readonly encoding: Encoding }> {
  const found = canonicalTensors(stored);
  const expected = expectedTensors(config);
  const selected = new Map<string, T & { readonly encoding: Encoding }>();
  for (const [name, shape] of expected) {
    const tensor = found.get(name);
    if (!tensor) return refuse(`${name} ${shown(shape)} is missing`);
    checkShape(tensor, shape);
    const { encoding, dtype } = tensor;
    if (!encoding) return refuse(`${shown(tensor.name)} has dtype ${dtype}; supported: ${Object.keys(bytesPerValue).join(", ")}`);
    requireEncodable(tensor.name, encoding, shape);
    selected.set(name, { ...tensor, encoding });
  }
  for (const [name, tensor] of found) {
    if (expected.has(name) || INV_FREQ.test(name)) continue;
    if (name !== "lm_head.weight")
      refuse(`${shown(tensor.name)} is not a tensor of this architecture, with the settings of its configuration`);
    checkShape(tensor, [config.vocab_size, config.hidden_size]);
  }
  return selected;
}

/** Checkpoints of the bare model (Qwen3-Embedding, Qwen3-Reranker) leave out `model.`: it is added. */
function canonicalTensors<T extends TensorInfo>(stored: Iterable<T>): Map<string, T> {
  const tensors = new Map<string, T>();
  for (const tensor of stored) {
    const name = WITHOUT_PREFIX.test(tensor.name) ? `model.${tensor.name}` : tensor.name;
    if (tensors.has(name)) refuse(`${name} is there twice, with and without "model." in front`);
    tensors.set(name, tensor);
  }
  return tensors;
}

function checkShape(tensor: TensorInfo, shape: readonly number[]): void {
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i]))
    refuse(`${shown(tensor.name)} has shape ${shown(tensor.shape)}; the configuration asks for ${shown(shape)}`);
}

function refuse(problem: string): never {
  throw new Qwen3Error("CHECKPOINT_TENSOR", problem);
}
