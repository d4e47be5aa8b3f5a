/**
 * The architecture in `config.json`. Every field that the forward pass depends on is read with its type and range; every field
 * that would ask for something else than the forward pass computes is refused with its value and what is supported.
 *
 * Source: Hugging Face transformers, Qwen3Config: keys, defaults, and the two ways (4 and 5) in which configs are written.
 */
import { Fields } from "./fields.ts";
import { MAX_POSITIONS, parseRopeConfig, type RopeConfig, yarnContext } from "./rope-config.ts";

export { type GenerationConfig, parseGenerationConfig } from "./generation-config.ts";
export type { RopeConfig } from "./rope-config.ts";

export interface ModelConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  /** Width of one head: not hidden_size / num_attention_heads in every checkpoint. See `parseModelConfig` where it is absent. */
  readonly head_dim: number;
  readonly rms_norm_eps: number;
  /**
   * The longest context. With YaRN at least factor * original_max_position_embeddings (up to 2^24): the published way to turn it on
   * adds `rope_scaling` to config.json and leaves the shorter context in this field as it was.
   */
  readonly max_position_embeddings: number;
  readonly tie_word_embeddings: boolean;
  readonly rope: RopeConfig;
  /** Tokens that end an answer; generation_config.json may name more. */
  readonly eos_token_id: readonly number[];
  readonly bos_token_id?: number;
}

// Upper limits: several times the largest dense Qwen3, and small enough that every product of two or three stays a safe integer.
const MAX_VOCAB = 2_097_152;
const MAX_WIDTH = 1_048_576;
const MAX_LAYERS = 1_024;
const MAX_HEADS = 1_024;
const MAX_HEAD_DIM = 1_024;

/** Fields that change what is computed, each with the only value that is computed here. */
const FIXED: Readonly<Record<string, string | number | boolean>> = {
  hidden_act: "silu",
  attention_bias: false,
  mlp_bias: false,
  is_causal: true,
  use_bidirectional_attention: false,
  partial_rotary_factor: 1,
};

const DTYPES = ["float32", "float16", "bfloat16"];

/**
 * @param json the parsed file
 * @param file its name, for messages
 * @param storedHeadDim the heads' width as the weights have it, for a config without `head_dim`. Qwen3Config then takes 128, others
 *   hidden_size / num_attention_heads; the weights tell which was meant. Without either, the quotient is taken.
 * @throws Qwen3Error CHECKPOINT_CONFIG naming the field, its value and what is supported
 */
export function parseModelConfig(json: unknown, file = "config.json", storedHeadDim?: number): ModelConfig {
  const fields = new Fields(json, file, "CHECKPOINT_CONFIG");
  checkArchitecture(fields);
  for (const [key, only] of Object.entries(FIXED)) fields.oneOf(key, [only]);
  fields.agreed({ torch_dtype: fields.oneOf("torch_dtype", DTYPES), dtype: fields.oneOf("dtype", DTYPES) });

  const vocab_size = fields.integer("vocab_size", 1, MAX_VOCAB) ?? 151_936;
  const hidden_size = fields.integer("hidden_size", 1, MAX_WIDTH) ?? 4_096;
  const num_hidden_layers = fields.integer("num_hidden_layers", 1, MAX_LAYERS) ?? 32;
  const max_position_embeddings = fields.integer("max_position_embeddings", 1, MAX_POSITIONS) ?? 32_768;
  const rope = parseRopeConfig(fields, max_position_embeddings);
  checkSlidingWindow(fields, num_hidden_layers);
  const bos_token_id = fields.integer("bos_token_id", 0, vocab_size - 1);
  return {
    vocab_size,
    hidden_size,
    intermediate_size: fields.integer("intermediate_size", 1, MAX_WIDTH) ?? 22_016,
    num_hidden_layers,
    ...headsOf(fields, hidden_size, storedHeadDim),
    rms_norm_eps: fields.number("rms_norm_eps", 1e-12, 1) ?? 1e-6,
    max_position_embeddings: Math.max(max_position_embeddings, yarnContext(rope)),
    tie_word_embeddings: fields.boolean("tie_word_embeddings") ?? false,
    rope,
    eos_token_id: fields.integers("eos_token_id", 0, vocab_size - 1) ?? [],
    ...(bos_token_id !== undefined && { bos_token_id }),
  };
}

function checkArchitecture(fields: Fields): void {
  if (fields.oneOf("model_type", ["qwen3"]) === undefined) fields.refuse("model_type", '"qwen3"');
  const architectures = fields.value("architectures");
  const known = (name: unknown) => name === "Qwen3ForCausalLM" || name === "Qwen3Model";
  if (architectures !== undefined && !(Array.isArray(architectures) && architectures.every(known)))
    fields.refuse("architectures", '["Qwen3ForCausalLM"] or ["Qwen3Model"]');
}

type Heads = Pick<ModelConfig, "num_attention_heads" | "num_key_value_heads" | "head_dim">;

function headsOf(fields: Fields, hidden_size: number, storedHeadDim: number | undefined): Heads {
  const num_attention_heads = fields.integer("num_attention_heads", 1, MAX_HEADS) ?? 32;
  // In Qwen3Config absent means 32, but null as many as query heads.
  const unspecified = fields.has("num_key_value_heads") ? num_attention_heads : 32;
  const num_key_value_heads = fields.integer("num_key_value_heads", 1, MAX_HEADS) ?? unspecified;
  if (num_attention_heads % num_key_value_heads !== 0)
    fields.refuse("num_key_value_heads", `a divisor of num_attention_heads, ${num_attention_heads}`);
  const quotient = hidden_size / num_attention_heads;
  const head_dim = fields.integer("head_dim", 2, MAX_HEAD_DIM) ?? storedHeadDim ?? quotient;
  if (head_dim < 2 || head_dim > MAX_HEAD_DIM || head_dim % 2 !== 0) {
    const instead = storedHeadDim === undefined ? "" : `, the weights' is ${storedHeadDim}`;
    fields.refuse(
      "head_dim",
      `an even number from 2 to ${MAX_HEAD_DIM}; hidden_size / num_attention_heads would be ${quotient}${instead}`,
    );
  }
  return { num_attention_heads, num_key_value_heads, head_dim };
}

/** A sliding window counts if some layer has one: as `layer_types` says, else the layers from `max_window_layers` on. */
function checkSlidingWindow(fields: Fields, layers: number): void {
  const types = fields.value("layer_types");
  if (types !== undefined) {
    if (!Array.isArray(types) || types.length !== layers || types.some((type) => type !== "full_attention"))
      fields.refuse("layer_types", `${layers} times "full_attention"`);
    return;
  }
  if (!fields.boolean("use_sliding_window")) return;
  const windowIsNull = fields.has("sliding_window") && fields.value("sliding_window") === undefined;
  const firstWindowLayer = fields.integer("max_window_layers", 0, Number.MAX_SAFE_INTEGER) ?? 28;
  if (!windowIsNull && firstWindowLayer < layers) fields.refuse("use_sliding_window", "false, full attention in every layer");
}
