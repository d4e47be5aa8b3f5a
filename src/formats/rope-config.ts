/**
 * Rotary position settings, in either spelling: `rope_theta` beside `rope_scaling` (transformers 4), or all in `rope_parameters`
 * (transformers 5). `type` is the old name of `rope_type`.
 *
 * Source: Hugging Face transformers 5, modeling_rope_utils.py; YaRN: arXiv:2309.00071.
 */
import type { Fields } from "./fields.ts";

export type RopeConfig =
  | { readonly rope_type: "default"; readonly rope_theta: number }
  | {
      readonly rope_type: "yarn";
      readonly rope_theta: number;
      /** By how much the context grew. */
      readonly factor: number;
      readonly original_max_position_embeddings: number;
      /** Rotations over the original context above which a frequency stays as it was ... */
      readonly beta_fast: number;
      /** ... and below which it is divided by `factor`. */
      readonly beta_slow: number;
      /** Whether the dimensions between the two are rounded outwards to whole ones. */
      readonly truncate: boolean;
      /** Factor on cos and sin; derived from `factor`, `mscale` and `mscale_all_dim` where absent. */
      readonly attention_factor?: number;
      readonly mscale?: number;
      readonly mscale_all_dim?: number;
    };

type RopeType = RopeConfig["rope_type"];
const TYPES: readonly RopeType[] = ["default", "yarn"];
const DEFAULT_KEYS = ["rope_type", "type", "rope_theta", "partial_rotary_factor"];
const YARN_KEYS = [
  ...DEFAULT_KEYS,
  "factor",
  "original_max_position_embeddings",
  "beta_fast",
  "beta_slow",
  "truncate",
  "attention_factor",
  "mscale",
  "mscale_all_dim",
];
const DEFAULT_THETA = 10_000;
const MIN_THETA = 2;
const MAX_THETA = 1e15;
const MAX_FACTOR = 65_536;

/** 2^24: up to here an f32 holds every position exactly. */
export const MAX_POSITIONS = 16_777_216;

/** The context that YaRN reaches, 0 without it; no longer than positions can be told apart. */
export function yarnContext(rope: RopeConfig): number {
  return rope.rope_type === "yarn" ? Math.min(Math.floor(rope.factor * rope.original_max_position_embeddings), MAX_POSITIONS) : 0;
}

/** @param config the whole of config.json; @param max_position_embeddings as stored there */
export function parseRopeConfig(config: Fields, max_position_embeddings: number): RopeConfig {
  const objects = ["rope_scaling", "rope_parameters"]
    .filter((key) => config.value(key) !== undefined)
    .map((key) => ({ key, fields: config.object(key) }));

  const thetas = objects.map(({ key, fields }) => [`${key}.rope_theta`, fields.number("rope_theta", MIN_THETA, MAX_THETA)]);
  thetas.push(["rope_theta", config.number("rope_theta", MIN_THETA, MAX_THETA)]);
  const rope_theta = config.agreed<number>(Object.fromEntries(thetas)) ?? DEFAULT_THETA;

  // Beside the object some configs repeat the original context; it has to be the same.
  const repeated = config.integer("original_max_position_embeddings", 1, MAX_POSITIONS);
  const readings = objects.map(({ key, fields }) => [
    key,
    parseRopeObject(fields, rope_theta, repeated ?? max_position_embeddings),
  ]);
  const rope = config.agreed<RopeConfig>(Object.fromEntries(readings)) ?? { rope_type: "default", rope_theta };
  if (rope.rope_type === "yarn" && repeated !== undefined) {
    const { original_max_position_embeddings } = rope;
    config.agreed({ original_max_position_embeddings: repeated, "the one for rope": original_max_position_embeddings });
  }
  return rope;
}

function parseRopeObject(fields: Fields, rope_theta: number, originalDefault: number): RopeConfig {
  const rope_type =
    fields.agreed<RopeType>({ rope_type: fields.oneOf("rope_type", TYPES), type: fields.oneOf("type", TYPES) }) ?? "default";
  const known = rope_type === "yarn" ? YARN_KEYS : DEFAULT_KEYS;
  for (const key of fields.keys())
    if (!known.includes(key) && fields.value(key) !== undefined)
      fields.refuse(key, `${known.join(", ")} for rope_type ${JSON.stringify(rope_type)}`);
  fields.oneOf("partial_rotary_factor", [1]);
  return rope_type === "yarn" ? parseYarn(fields, rope_theta, originalDefault) : { rope_type, rope_theta };
}

function parseYarn(fields: Fields, rope_theta: number, originalDefault: number): RopeConfig {
  const factor = fields.number("factor", 1, MAX_FACTOR);
  if (factor === undefined) fields.refuse("factor", `a number from 1 to ${MAX_FACTOR}`);
  // Transformers takes 0 as absent in these, and in both mscales below.
  const beta_fast = fields.number("beta_fast", 0, MAX_FACTOR) || 32;
  const beta_slow = fields.number("beta_slow", 0, MAX_FACTOR) || 1;
  if (beta_fast < beta_slow) fields.refuse("beta_fast", `at least beta_slow, ${beta_slow}`);
  const attention_factor = fields.number("attention_factor", 0.01, 100);
  const mscale = fields.number("mscale", 0, 100) || undefined;
  const mscale_all_dim = fields.number("mscale_all_dim", 0, 100) || undefined;
  return {
    rope_type: "yarn",
    rope_theta,
    factor,
    original_max_position_embeddings: fields.integer("original_max_position_embeddings", 1, MAX_POSITIONS) ?? originalDefault,
    beta_fast,
    beta_slow,
    truncate: fields.boolean("truncate") ?? true,
    ...(attention_factor !== undefined && { attention_factor }),
    ...(mscale !== undefined && { mscale }),
    ...(mscale_all_dim !== undefined && { mscale_all_dim }),
  };
}
