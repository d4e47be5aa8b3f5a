/**
 * A checkpoint as people have it: a folder with config.json, safetensors in one file or in shards, and side files; or GGUF, one file with
 * everything in it. Opening it reads and checks everything but the weights; those stream in slices of rows when they are asked for.
 */
import { Qwen3Error } from "../core/errors.ts";
import { type ModelConfig, parseModelConfig } from "./config.ts";
import { encodedTensors } from "./encoded-tensors.ts";
import type { Encoding } from "./encoding.ts";
import { type GenerationConfig, parseGenerationConfig } from "./generation-config.ts";
import { ggufIn, openGguf } from "./gguf-checkpoint.ts";
import type { GgufMetadata } from "./gguf-metadata.ts";
import { HEADER_VALUES, type Json, parseJson } from "./json.ts";
import { type CheckpointLocation, openLocation } from "./location.ts";
import { OpenFiles } from "./open-files.ts";
import { parseQuantizationConfig } from "./quantization-config.ts";
import { selectTensors, storedHeadDim } from "./qwen3-tensors.ts";
import { readTensorList } from "./shards.ts";
import { type EncodedTensor, storedRows } from "./stored-rows.ts";

export interface CheckpointTensor {
  /** The canonical name, with `model.` in front also where the file leaves it out. */
  readonly name: string;
  readonly encoding: Encoding;
  readonly shape: readonly number[];
  /** Of all rows as they are handed over. */
  readonly byteLength: number;
  /**
   * Whole rows (of the first dimension) in slices of at most `sliceBytes` (default 6 MiB, at least one row), in order: all of them, or
   * those from `first` to before `end`. The next slice is read while one is used.
   */
  rows(options?: RowOptions): AsyncIterable<TensorSlice>;
}

export interface RowOptions {
  readonly first?: number | undefined;
  readonly end?: number | undefined;
  readonly sliceBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Memory for slices to be read into. What slices lie in is put there when the next one is asked for, and then used again. */
  readonly spares?: ArrayBuffer[] | undefined;
}

export interface TensorSlice {
  readonly firstRow: number;
  /** Rows, each part of the encoding behind the one before (encoding.ts). */
  readonly bytes: Uint8Array;
}

export interface Checkpoint {
  readonly name: string;
  readonly config: ModelConfig;
  readonly generationConfig: GenerationConfig;
  /** What a GGUF file says of itself, its tokenizer included; undefined for other forms, which have side files. */
  readonly metadata?: GgufMetadata;
  /** Exactly `expectedTensors(config)`: names and shapes are checked. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** Bytes of all tensors, as they are handed over. */
  readonly tensorBytes: number;
  /** Bytes of a small side file (tokenizer.json ...), undefined where absent; a file above `limitBytes` (64 MiB) is refused. */
  file(name: string, options?: { limitBytes?: number; signal?: AbortSignal }): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

const CONFIG_BYTES = 1024 * 1024;
const SIDE_FILE_BYTES = 64 * 1024 * 1024;

/** What the forms of checkpoints have in common. */
type Opened = Pick<Checkpoint, "name" | "config" | "generationConfig" | "metadata"> & {
  readonly stored: readonly EncodedTensor[];
};

/**
 * @param location a folder's path, a `file:` or `http(s):` URL of one, or any object with the interface of `CheckpointSource`; or a GGUF
 *   file's path or URL, or the file as a Blob. A folder that has no safetensors may hold one GGUF file, or one set of them
 * @throws Qwen3Error of the CHECKPOINT_* codes or SOURCE_READ; the signal's reason once that is aborted
 */
export async function openCheckpoint(location: CheckpointLocation, options: { signal?: AbortSignal } = {}): Promise<Checkpoint> {
  const { signal } = options;
  const { folder, file } = await openLocation(location, signal);
  if (file !== undefined && /\.safetensors$/i.test(file))
    throw new Qwen3Error(
      "CHECKPOINT_FILE",
      `${folder.name}/${file}: safetensors have no configuration inside; give their folder`,
    );
  const files = new OpenFiles(folder);
  try {
    const gguf = file ?? (await ggufIn(folder, signal));
    const opened = gguf === undefined ? await openSafetensors(files, folder.name, signal) : await openGguf(files, gguf, signal);
    const { name, config, generationConfig, metadata, stored } = opened;
    const tensors = new Map<string, CheckpointTensor>();
    for (const [name, tensor] of selectTensors(config, stored)) tensors.set(name, storedRows(name, tensor, files));
    return {
      name,
      config,
      generationConfig,
      ...(metadata && { metadata }),
      tensors,
      tensorBytes: [...tensors.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0),
      file: async (name, { limitBytes = SIDE_FILE_BYTES, signal } = {}) =>
        metadata ? undefined : files.readWhole(name, limitBytes, signal),
      close: () => files.close(),
    };
  } catch (error) {
    await files.close().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

async function openSafetensors(files: OpenFiles, name: string, signal: AbortSignal | undefined): Promise<Opened> {
  const configJson = await readJson(files, "config.json", signal);
  if (configJson === undefined)
    throw new Qwen3Error("CHECKPOINT_FILE", `${name}: config.json is missing, and there is no GGUF file`);
  const stored = await readTensorList(files, signal);
  const config = parseModelConfig(configJson, "config.json", storedHeadDim(stored));
  const generationConfig = parseGenerationConfig(await readJson(files, "generation_config.json", signal), config);
  return { name, config, generationConfig, stored: encodedTensors(stored, parseQuantizationConfig(configJson)) };
}

async function readJson(files: OpenFiles, name: string, signal: AbortSignal | undefined): Promise<Json | undefined> {
  const bytes = await files.readWhole(name, CONFIG_BYTES, signal);
  return bytes && parseJson(bytes, name, "CHECKPOINT_FILE", HEADER_VALUES);
}
