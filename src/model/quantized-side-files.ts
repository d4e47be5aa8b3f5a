/** What an MLX checkpoint has beside its weights: the source's own small files, and its config.json with `quantization`. */
import type { Checkpoint } from "../formats/checkpoint.ts";
import type { ModelConfig } from "../formats/config.ts";
import { parseJson } from "../formats/json.ts";
import { hasGgufTokenizer, readGgufTokenizer } from "../text/gguf-tokenizer.ts";
import { tokenizerFiles } from "../text/tokenizer-json.ts";
import type { AffineOptions } from "./quantized-plan.ts";

/** Copied where they are there. */
const SIDE_FILES = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "chat_template.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "LICENSE",
];

type Source = Pick<Checkpoint, "config" | "generationConfig" | "metadata" | "file">;

/** Of a GGUF file, what it says of its tokenizer and of sampling, as those files. */
export async function sideFiles({ metadata, generationConfig, file }: Source): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  if (metadata) {
    files["generation_config.json"] = json(generationConfig);
    if (hasGgufTokenizer(metadata))
      for (const [name, contents] of Object.entries(tokenizerFiles(readGgufTokenizer(metadata)))) files[name] = json(contents);
    return files;
  }
  for (const name of SIDE_FILES) {
    const bytes = await file(name);
    if (bytes) files[name] = bytes;
  }
  return files;
}

/** config.json as it was, with what mlx-lm writes about the weights, twice. */
export async function quantizedConfig({ config, file }: Source, { bits, group }: AffineOptions): Promise<Uint8Array> {
  const bytes = await file("config.json");
  const original = bytes ? (parseJson(bytes, "config.json", "CHECKPOINT_FILE") as Record<string, unknown>) : configJson(config);
  const quantization = { group_size: group, bits };
  return json({ ...original, quantization, quantization_config: quantization });
}

/** The keys of the published Qwen3 checkpoints. */
function configJson({ rope, ...config }: ModelConfig): Record<string, unknown> {
  const { rope_theta, ...scaling } = rope;
  return {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    ...config,
    attention_bias: false,
    hidden_act: "silu",
    rope_theta,
    rope_scaling: rope.rope_type === "default" ? null : scaling,
    torch_dtype: "bfloat16",
    use_sliding_window: false,
  };
}

export function json(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`);
}
