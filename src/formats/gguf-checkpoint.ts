/** A checkpoint in the form of GGUF: configuration, tokenizer and tensors in one file, or in the files of one split set. */
import { bytesPerValue, type FloatType } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { ModelConfig } from "./config.ts";
import type { Encoding } from "./encoding.ts";
import type { GenerationConfig } from "./generation-config.ts";
import { ggufGenerationConfig, ggufModelConfig } from "./gguf-config.ts";
import { readGgufFiles, type StoredGgufTensor, splitNames } from "./gguf-files.ts";
import type { GgufMetadata } from "./gguf-metadata.ts";
import { canonicalName } from "./gguf-tensors.ts";
import { GGUF_TYPES, type GgufType } from "./gguf-types.ts";
import { shown } from "./json.ts";
import type { OpenFiles } from "./open-files.ts";
import type { CheckpointSource } from "./source.ts";
import type { EncodedTensor } from "./stored-rows.ts";

export interface GgufCheckpoint {
  readonly name: string;
  readonly config: ModelConfig;
  readonly generationConfig: GenerationConfig;
  readonly metadata: GgufMetadata;
  /** Under canonical names. */
  readonly stored: readonly EncodedTensor[];
}

/**
 * The GGUF file that a folder stands for: one without safetensors has to hold exactly one, or one split set.
 *
 * @throws Qwen3Error CHECKPOINT_FILE where there are several
 */
export async function ggufIn(folder: CheckpointSource, signal?: AbortSignal): Promise<string | undefined> {
  const names = (await folder.list?.(signal)) ?? [];
  if (names.includes("config.json") && names.some((name) => name.endsWith(".safetensors"))) return undefined;
  const found = names.filter((name) => /\.gguf$/i.test(name)).sort();
  const sets = [...new Set(found.map((name) => splitNames(name)[0]!))];
  if (sets.length > 1)
    throw new Qwen3Error(
      "CHECKPOINT_FILE",
      `${folder.name}: ${sets.length} GGUF checkpoints; name one of them: ${sets.slice(0, 20).map(shown).join(", ")}`,
    );
  return found[0];
}

/** @throws Qwen3Error CHECKPOINT_HEADER, CHECKPOINT_CONFIG, CHECKPOINT_FILE for a file of a set that is missing */
export async function openGguf(files: OpenFiles, file: string, signal?: AbortSignal): Promise<GgufCheckpoint> {
  const open = (name: string) =>
    files.openRequired(name, name === file ? "though it was asked for" : `though ${file} is there`, signal);
  const { metadata, sources, tensors } = await readGgufFiles(file, open, signal);
  const { name } = sources[0]!;
  const config = ggufModelConfig(metadata, tensors, name);
  const generationConfig = ggufGenerationConfig(metadata, config, name);
  return { name, config, generationConfig, metadata, stored: Array.from(tensors.values(), encoded) };
}

function encoded({ name, shape, dtype, byteOffset, source }: StoredGgufTensor): EncodedTensor {
  return { name: canonicalName(name), shape, dtype, encoding: encodingOf(dtype), parts: [{ source, byteOffset }] };
}

function encodingOf(dtype: string): Encoding | undefined {
  if (dtype in bytesPerValue) return { type: dtype as FloatType };
  return Object.hasOwn(GGUF_TYPES, dtype) ? { type: dtype as GgufType } : undefined;
}
