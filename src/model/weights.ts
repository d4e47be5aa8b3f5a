/**
 * The model's weights under their checkpoint names: `layer.self_attn.q_proj` here is `model.layers.i.self_attn.q_proj.weight` there.
 *
 * Tensors stream in slices of rows to the place where the backend uses them; nothing is held twice. A tied lm_head is the embedding.
 */
import type { Backend, Matrix, MatrixWriter, Vector } from "../backend/backend.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { Checkpoint, CheckpointTensor } from "../formats/checkpoint.ts";
import { dequantizeRows } from "../formats/decode.ts";
import { type WeightOptions, weightFormat } from "./weight-format.ts";

/** y = x W^T, plus the low-rank update x A^T B^T of an adapter where one is attached (alpha / rank already folded into B). */
export interface Linear {
  readonly name: string;
  readonly weight: Matrix; // [out_features, in_features]
  readonly lora?: { readonly A: Matrix; readonly B: Matrix }; // [rank, in_features], [out_features, rank]
}

export interface Norm {
  readonly name: string;
  readonly weight: Vector;
}

export interface Attention {
  readonly name: string;
  readonly q_proj: Linear; // [num_attention_heads * head_dim, hidden_size]
  readonly k_proj: Linear; // [num_key_value_heads * head_dim, hidden_size]
  readonly v_proj: Linear; // [num_key_value_heads * head_dim, hidden_size]
  readonly o_proj: Linear; // [hidden_size, num_attention_heads * head_dim]
  readonly q_norm: Norm; //   [head_dim]
  readonly k_norm: Norm; //   [head_dim]
}

export interface Mlp {
  readonly name: string;
  readonly gate_proj: Linear; // [intermediate_size, hidden_size]
  readonly up_proj: Linear; //   [intermediate_size, hidden_size]
  readonly down_proj: Linear; // [hidden_size, intermediate_size]
}

export interface DecoderLayer {
  readonly name: string;
  readonly input_layernorm: Norm; // [hidden_size]
  readonly self_attn: Attention;
  readonly post_attention_layernorm: Norm; // [hidden_size]
  readonly mlp: Mlp;
}

export interface Qwen3Weights {
  readonly embed_tokens: Linear; // [vocab_size, hidden_size]
  readonly layers: readonly DecoderLayer[];
  readonly norm: Norm; //           [hidden_size]
  readonly lm_head: Linear; //      [vocab_size, hidden_size]; the same matrix as embed_tokens where the checkpoint ties them
}

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
  readonly tensor: string;
}

export interface LoadOptions extends WeightOptions {
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Streams every tensor of the checkpoint into the backend, quantized on the way if `weights` says so. Errors: those of reading,
 * CHECKPOINT_TENSOR for weights that their new type cannot hold, MEMORY_FULL, the signal's reason.
 */
export async function loadWeights(
  backend: Backend,
  checkpoint: Pick<Checkpoint, "name" | "config" | "tensors" | "tensorBytes">,
  options: LoadOptions = {},
): Promise<Qwen3Weights> {
  let loadedBytes = 0;
  const spares: ArrayBuffer[] = [];
  const slices = async function* (tensor: CheckpointTensor, range?: MatrixWriter["range"]) {
    for await (const slice of tensor.rows({ ...range, signal: options.signal, spares })) {
      options.signal?.throwIfAborted();
      yield slice;
      loadedBytes += slice.bytes.length;
      options.onProgress?.({ loadedBytes, totalBytes: checkpoint.tensorBytes, tensor: tensor.name });
    }
  };
  const stored = (name: string): CheckpointTensor => {
    const tensor = checkpoint.tensors.get(`${name}.weight`);
    if (!tensor) throw new Qwen3Error("CHECKPOINT_TENSOR", `${checkpoint.name}: tensor ${name}.weight is missing`);
    return tensor;
  };

  const { num_hidden_layers, num_key_value_heads, tie_word_embeddings } = checkpoint.config;
  const linear = async (name: string, parts?: number): Promise<Linear> => {
    const tensor = stored(name);
    const [rows = 0, cols = 0] = tensor.shape;
    const writer = backend.createMatrix(rows, cols, weightFormat(tensor.encoding, options), tensor.encoding, parts);
    for await (const { firstRow, bytes } of slices(tensor, writer.range)) named(tensor.name, () => writer.write(firstRow, bytes));
    return { name, weight: writer.finish() };
  };
  const norm = async (name: string): Promise<Norm> => {
    const tensor = stored(name);
    const gains = new Float32Array(tensor.shape[0] ?? 0);
    for await (const { firstRow, bytes } of slices(tensor))
      gains.set(dequantizeRows(tensor.encoding, [bytes], bytes.length / (tensor.byteLength / gains.length), 1), firstRow);
    return { name, weight: backend.createVector(gains) };
  };
  const decoderLayer = async (name: string): Promise<DecoderLayer> => ({
    name,
    input_layernorm: await norm(`${name}.input_layernorm`),
    self_attn: {
      name: `${name}.self_attn`,
      q_proj: await linear(`${name}.self_attn.q_proj`, num_key_value_heads),
      k_proj: await linear(`${name}.self_attn.k_proj`, num_key_value_heads),
      v_proj: await linear(`${name}.self_attn.v_proj`, num_key_value_heads),
      o_proj: await linear(`${name}.self_attn.o_proj`),
      q_norm: await norm(`${name}.self_attn.q_norm`),
      k_norm: await norm(`${name}.self_attn.k_norm`),
    },
    post_attention_layernorm: await norm(`${name}.post_attention_layernorm`),
    mlp: {
      name: `${name}.mlp`,
      gate_proj: await linear(`${name}.mlp.gate_proj`),
      up_proj: await linear(`${name}.mlp.up_proj`),
      down_proj: await linear(`${name}.mlp.down_proj`),
    },
  });

  const embed_tokens = await linear("model.embed_tokens");
  const layers: DecoderLayer[] = [];
  for (let i = 0; i < num_hidden_layers; i++) layers.push(await decoderLayer(`model.layers.${i}`));
  return {
    embed_tokens,
    layers,
    norm: await norm("model.norm"),
    lm_head: tie_word_embeddings ? { name: "lm_head", weight: embed_tokens.weight } : await linear("lm_head"),
  };
}

/** Errors about a tensor's rows get its name. */
function named(tensor: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    if (!(cause instanceof Qwen3Error) || cause.code !== "CHECKPOINT_TENSOR") throw cause;
    throw new Qwen3Error(cause.code, `${tensor}: ${cause.message}`, { cause });
  }
}
