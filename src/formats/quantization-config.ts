/**
 * What config.json says about how weights are quantized: MLX's `quantization` (mlx-lm writes the same once more as `quantization_config`),
 * or `quantization_config` with a `quant_method` of "fp8", as vLLM and SGLang read it.
 */
import type { AffineEncoding } from "./encoding.ts";
import { Fields } from "./fields.ts";

/** How one module's weights are packed. */
export type AffineSettings = Pick<AffineEncoding, "bits" | "group">;

export type QuantizationConfig =
  | {
      readonly method: "affine";
      /** @returns undefined for a module that config.json says is not quantized. Errors: CHECKPOINT_CONFIG */
      settingsOf(module: string): AffineSettings | undefined;
    }
  | { readonly method: "fp8" };

const BITS: readonly AffineSettings["bits"][] = [2, 3, 4, 5, 6, 8];
const GROUPS: readonly AffineSettings["group"][] = [32, 64, 128];
const BLOCK = "[128,128]";

/**
 * @param json the parsed file
 * @returns undefined for a checkpoint that is not quantized
 * @throws Qwen3Error CHECKPOINT_CONFIG for a method that is not read
 */
export function parseQuantizationConfig(json: unknown, file = "config.json"): QuantizationConfig | undefined {
  const fields = new Fields(json, file, "CHECKPOINT_CONFIG");
  const [mlx, other] = ["quantization", "quantization_config"].map((key) =>
    fields.value(key) === undefined ? undefined : fields.object(key),
  );
  if (mlx) {
    if (other) requireAgreement(fields, mlx, other);
    return affine(mlx);
  }
  if (!other) return undefined;
  const method = other.value("quant_method");
  if (method === undefined && other.has("bits")) return affine(other);
  if (method !== "fp8") other.refuse("quant_method", '"fp8", or the field quantization of MLX');
  requireFp8(other);
  return { method: "fp8" };
}

/** mlx-lm writes both, alike. */
function requireAgreement(fields: Fields, mlx: Fields, other: Fields): void {
  for (const key of ["bits", "group_size"])
    if (other.has(key) && other.value(key) !== mlx.value(key))
      fields.refuse("quantization_config", "the same as in quantization");
}

function affine(fields: Fields): QuantizationConfig {
  const settings = affineSettings(fields);
  const settingsOf = (module: string): AffineSettings | undefined => {
    const own = fields.value(module);
    if (own === undefined || own === true) return settings;
    if (own === false) return undefined;
    return affineSettings(fields.object(module), settings);
  };
  return { method: "affine", settingsOf };
}

/** @param defaults for what is left out */
function affineSettings(fields: Fields, defaults?: AffineSettings): AffineSettings {
  fields.oneOf("mode", ["affine"]);
  return {
    bits: fields.oneOf("bits", BITS) ?? defaults?.bits ?? fields.refuse("bits", BITS.join(", ")),
    group: fields.oneOf("group_size", GROUPS) ?? defaults?.group ?? fields.refuse("group_size", GROUPS.join(", ")),
  };
}

/** Which modules are converted is for the tensors to say; how activations are quantized elsewhere changes no weight. */
function requireFp8(fields: Fields): void {
  fields.oneOf("fmt", ["e4m3"]);
  fields.oneOf("activation_scheme", ["dynamic"]);
  if (JSON.stringify(fields.value("weight_block_size")) !== BLOCK) fields.refuse("weight_block_size", BLOCK);
  for (const key of ["modules_to_not_convert", "ignored_layers"]) {
    const names = fields.value(key);
    if (names !== undefined && !(Array.isArray(names) && names.every((name) => typeof name === "string")))
      fields.refuse(key, "a list of names");
  }
}
