/** The shapes of real Qwen3 checkpoints, and what one token costs on them. */

export interface Shape {
  readonly num_hidden_layers: number;
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly intermediate_size: number;
  readonly vocab_size: number;
  readonly rope_theta: number;
  readonly max_position_embeddings: number;
}

/** Of Qwen/Qwen3-0.6B and Qwen/Qwen3-4B-Instruct-2507; tiny is for trying out the benchmark itself. */
export const SHAPES = {
  tiny: {
    num_hidden_layers: 2,
    hidden_size: 256,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 64,
    intermediate_size: 512,
    vocab_size: 151_936,
    rope_theta: 1_000_000,
    max_position_embeddings: 40_960,
  },
  "0.6b": {
    num_hidden_layers: 28,
    hidden_size: 1024,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    head_dim: 128,
    intermediate_size: 3072,
    vocab_size: 151_936,
    rope_theta: 1_000_000,
    max_position_embeddings: 40_960,
  },
  "4b": {
    num_hidden_layers: 36,
    hidden_size: 2560,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 128,
    intermediate_size: 9728,
    vocab_size: 151_936,
    rope_theta: 5_000_000,
    max_position_embeddings: 262_144,
  },
} as const satisfies Readonly<Record<string, Shape>>;

export type Preset = keyof typeof SHAPES;

/** One tensor under its two names; `shape` as in safetensors, [out_features, in_features]. */
export interface TensorSpec {
  readonly name: string;
  readonly ggufName: string;
  readonly shape: readonly number[];
}

export const valuesIn = ({ shape }: TensorSpec): number => shape.reduce((product, extent) => product * extent, 1);

/** Every tensor in the order of the files. Embeddings are tied: there is no lm_head. */
export function tensorsOf(s: Shape): TensorSpec[] {
  const [D, F] = [s.hidden_size, s.intermediate_size];
  const Q = s.num_attention_heads * s.head_dim;
  const K = s.num_key_value_heads * s.head_dim;
  const layer: readonly (readonly [string, string, readonly number[]])[] = [
    ["input_layernorm", "attn_norm", [D]],
    ["self_attn.q_proj", "attn_q", [Q, D]],
    ["self_attn.k_proj", "attn_k", [K, D]],
    ["self_attn.v_proj", "attn_v", [K, D]],
    ["self_attn.q_norm", "attn_q_norm", [s.head_dim]],
    ["self_attn.k_norm", "attn_k_norm", [s.head_dim]],
    ["self_attn.o_proj", "attn_output", [D, Q]],
    ["post_attention_layernorm", "ffn_norm", [D]],
    ["mlp.gate_proj", "ffn_gate", [F, D]],
    ["mlp.up_proj", "ffn_up", [F, D]],
    ["mlp.down_proj", "ffn_down", [D, F]],
  ];
  return [
    { name: "model.embed_tokens.weight", ggufName: "token_embd.weight", shape: [s.vocab_size, D] },
    ...Array.from({ length: s.num_hidden_layers }, (_, i) =>
      layer.map(([name, ggufName, shape]) => ({
        name: `model.layers.${i}.${name}.weight`,
        ggufName: `blk.${i}.${ggufName}.weight`,
        shape,
      })),
    ).flat(),
    { name: "model.norm.weight", ggufName: "output_norm.weight", shape: [D] },
  ];
}

/** How many values stand in matrices: what a token reads once (the tied embedding as the output head), and multiplies by once. */
export const matrixValues = (shape: Shape): number =>
  tensorsOf(shape)
    .filter((tensor) => tensor.shape.length === 2)
    .reduce((sum, tensor) => sum + valuesIn(tensor), 0);

/**
 * Multiply-adds of a prompt token, on the average of a prompt of `tokens`: every layer's matrices, and the causal half of the scores and
 * of the weighted sum. The head is computed for the last token alone.
 */
export function prefillMacs(shape: Shape, tokens: number): number {
  const head = shape.vocab_size * shape.hidden_size;
  const attention = 2 * shape.num_hidden_layers * shape.num_attention_heads * shape.head_dim * ((tokens + 1) / 2);
  return matrixValues(shape) - head + head / tokens + attention;
}
