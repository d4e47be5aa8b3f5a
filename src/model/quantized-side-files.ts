/** What an MLX checkpoint has beside its weights: the source's own small files, and its config.json with `quantization`. */
import { Qwen3Error } from "../core/errors.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import { parseJson } from "../formats/json.ts";
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

export async function sideFiles(checkpoint: Pick<Checkpoint, "file">): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (const name of SIDE_FILES) {
    const bytes = await checkpoint.file(name);
    if (bytes) files[name] = bytes;
  }
  return files;
}

/** config.json as it was, with what mlx-lm writes about the weights, twice. */
export async function quantizedConfig(
  checkpoint: Pick<Checkpoint, "name" | "file">,
  { bits, group }: AffineOptions,
): Promise<Uint8Array> {
  const bytes = await checkpoint.file("config.json");
  if (!bytes)
    throw new Qwen3Error(
      "CHECKPOINT_FILE",
      `${checkpoint.name} has no config.json and no tokenizer.json to copy: GGUF files are not quantized again`,
    );
  const config = parseJson(bytes, "config.json", "CHECKPOINT_FILE") as Record<string, unknown>;
  const quantization = { group_size: group, bits };
  const text = JSON.stringify({ ...config, quantization, quantization_config: quantization }, undefined, 2);
  return new TextEncoder().encode(`${text}\n`);
}
