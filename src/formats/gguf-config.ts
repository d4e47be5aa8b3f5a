/**
 * What a GGUF file says of the model, as config.json and generation_config.json of a Hugging Face checkpoint would say it; those have
 * one reader, which checks types and ranges, and its messages name the fields as they are called there.
 * Source: the specification of GGUF, "Standardized key-value pairs"; the keys that llama.cpp's converter writes for Qwen3.
 */
import { Qwen3Error } from "../core/errors.ts";
import { type ModelConfig, parseModelConfig } from "./config.ts";
import { shownKey } from "./fields.ts";
import { type GenerationConfig, parseGenerationConfig } from "./generation-config.ts";
import type { GgufTensor } from "./gguf.ts";
import { GgufArray, type GgufMetadata } from "./gguf-metadata.ts";
import { shown } from "./json.ts";

const ARCHITECTURE = "qwen3";

/** Fields of config.json and their keys behind `qwen3.`. Those of the first list have to be there. */
const REQUIRED = {
  num_hidden_layers: "block_count",
  max_position_embeddings: "context_length",
  hidden_size: "embedding_length",
  intermediate_size: "feed_forward_length",
  num_attention_heads: "attention.head_count",
  rms_norm_eps: "attention.layer_norm_rms_epsilon",
};
const OPTIONAL = {
  num_key_value_heads: "attention.head_count_kv",
  head_dim: "attention.key_length",
  rope_theta: "rope.freq_base",
};

/** Keys that change what is computed, each with the values under which it does not. */
const FIXED: Readonly<Record<string, readonly unknown[]>> = {
  "attention.causal": [true],
  "attention.sliding_window": [0],
  "rope.scale_linear": [1],
  "rope.scaling.attn_factor": [1],
  "rope.scaling.yarn_attn_factor": [1],
  "rope.scaling.yarn_ext_factor": [1],
  "rope.scaling.yarn_log_multiplier": [0],
  expert_count: [0],
  logit_scale: [1],
  residual_scale: [1],
  embedding_scale: [1],
  attn_logit_softcapping: [0],
  final_logit_softcapping: [0],
};
/** Groups of keys of which none may be unknown: what they ask for is not computed. */
const CLOSED = ["attention.", "rope."];
const KNOWN = [
  ...Object.values(REQUIRED),
  ...Object.values(OPTIONAL),
  ...Object.keys(FIXED),
  ...["attention.value_length", "rope.dimension_count"],
  ...["type", "factor", "original_context_length", "finetuned", "yarn_beta_fast", "yarn_beta_slow"].map(
    (key) => `rope.scaling.${key}`,
  ),
];

/** Control tokens that end an answer of every Qwen checkpoint, also where the metadata names only one of them. */
const END_OF_TURN = ["<|im_end|>", "<|endoftext|>"];
const CONTROL = 3;

/**
 * @param file    its name, for messages
 * @param tensors under the file's names
 * @throws Qwen3Error CHECKPOINT_CONFIG naming the key, its value and what is supported
 */
export function ggufModelConfig(metadata: GgufMetadata, tensors: ReadonlyMap<string, GgufTensor>, file: string): ModelConfig {
  const refuse = (key: string, needed: string): never => {
    const value = metadata.get(key);
    throw new Qwen3Error(
      "CHECKPOINT_CONFIG",
      `${file}: ${shownKey(key)} is ${value === undefined ? "absent" : shown(value)}; ${needed}`,
    );
  };
  const value = (key: string) => metadata.get(`${ARCHITECTURE}.${key}`);
  const requireOneOf = (key: string, allowed: readonly unknown[]): void => {
    if (!allowed.includes(metadata.get(key))) refuse(key, `supported: ${allowed.map(shown).join(" or ")}`);
  };
  requireOneOf("general.architecture", [ARCHITECTURE]);
  if (metadata.has("general.type")) requireOneOf("general.type", ["model"]);
  for (const [key, allowed] of Object.entries(FIXED))
    if (value(key) !== undefined) requireOneOf(`${ARCHITECTURE}.${key}`, allowed);
  for (const key of metadata.keys()) {
    const own = key.startsWith(`${ARCHITECTURE}.`) ? key.slice(ARCHITECTURE.length + 1) : "";
    if (CLOSED.some((group) => own.startsWith(group)) && !KNOWN.includes(own)) refuse(key, "supported: a file without it");
  }
  for (const key of Object.values(REQUIRED)) if (value(key) === undefined) refuse(`${ARCHITECTURE}.${key}`, "a number is needed");

  const embedding = tensors.get("token_embd.weight");
  if (embedding?.shape.length !== 2)
    throw new Qwen3Error("CHECKPOINT_TENSOR", `${file}: token_embd.weight, a matrix, is missing`);
  const vocab_size = embedding.shape[0]!;
  if (value("vocab_size") !== undefined) requireOneOf(`${ARCHITECTURE}.vocab_size`, [vocab_size]);
  const tokens = metadata.get("tokenizer.ggml.tokens");
  if (tokens instanceof GgufArray && tokens.length > vocab_size)
    refuse("tokenizer.ggml.tokens", `token_embd.weight has rows for ${vocab_size} tokens`);

  const json: Record<string, unknown> = {
    model_type: ARCHITECTURE,
    vocab_size,
    tie_word_embeddings: !tensors.has("output.weight"),
  };
  for (const [field, key] of Object.entries({ ...REQUIRED, ...OPTIONAL })) json[field] = value(key);
  json.rope_scaling = ropeScaling(value, refuse);
  json.eos_token_id = metadata.get("tokenizer.ggml.eos_token_id");
  json.bos_token_id = metadata.get("tokenizer.ggml.bos_token_id");
  const config = parseModelConfig(json, `${file}, as config.json`);
  for (const key of ["attention.value_length", "rope.dimension_count"])
    if (value(key) !== undefined) requireOneOf(`${ARCHITECTURE}.${key}`, [config.head_dim]);
  return config;
}

function ropeScaling(value: (key: string) => unknown, refuse: (key: string, needed: string) => never): object | undefined {
  const type = value("rope.scaling.type") ?? "none";
  if (type === "none") return undefined;
  if (type === "linear" && value("rope.scaling.factor") === 1) return undefined;
  if (type !== "yarn") return refuse(`${ARCHITECTURE}.rope.scaling.type`, 'supported: "none" or "yarn"');
  return {
    rope_type: "yarn",
    factor: value("rope.scaling.factor"),
    original_max_position_embeddings: value("rope.scaling.original_context_length"),
    beta_fast: value("rope.scaling.yarn_beta_fast"),
    beta_slow: value("rope.scaling.yarn_beta_slow"),
  };
}

/**
 * Sampling defaults, where the file has some, and every token that ends an answer.
 *
 * @throws Qwen3Error CHECKPOINT_CONFIG naming the field, its value and its range
 */
export function ggufGenerationConfig(metadata: GgufMetadata, config: ModelConfig, file: string): GenerationConfig {
  const sampling = (key: string) => metadata.get(`general.sampling.${key}`);
  const ids = ["eos", "eot", "eom"]
    .map((name) => metadata.get(`tokenizer.ggml.${name}_token_id`))
    .filter((id) => id !== undefined);
  const json = {
    temperature: sampling("temp"),
    top_k: sampling("top_k"),
    top_p: sampling("top_p"),
    min_p: sampling("min_p"),
    repetition_penalty: sampling("penalty_repeat"),
    eos_token_id: [...ids, ...endOfTurn(metadata)],
  };
  return parseGenerationConfig(json, config, `${file}, as generation_config.json`);
}

/** The ids of the control tokens that are written like those of Qwen. */
function endOfTurn(metadata: GgufMetadata): number[] {
  const [tokens, types] = [metadata.get("tokenizer.ggml.tokens"), metadata.get("tokenizer.ggml.token_type")];
  if (!(tokens instanceof GgufArray) || !(types instanceof GgufArray)) return [];
  const found = new Map(tokens.find(END_OF_TURN).map((id) => [id, false]));
  let id = 0;
  for (const type of types.values()) if (found.has(id++)) found.set(id - 1, type === CONTROL);
  return [...found].filter(([, isControl]) => isControl).map(([id]) => id);
}
