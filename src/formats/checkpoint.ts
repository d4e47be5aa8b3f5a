/**
 * A checkpoint as people have it: a folder with config.json, safetensors in one file or in shards, and side files. Opening it
 * reads and checks everything but the weights; those stream in slices of rows when they are asked for.
 */
import { Qwen3Error } from "../core/errors.ts";
import { type ModelConfig, parseModelConfig } from "./config.ts";
import type { Encoding } from "./encoding.ts";
import { type GenerationConfig, parseGenerationConfig } from "./generation-config.ts";
import { type Json, parseJson } from "./json.ts";
import { OpenFiles } from "./open-files.ts";
import { selectTensors, storedHeadDim } from "./qwen3-tensors.ts";
import { readTensorList } from "./shards.ts";
import { type CheckpointSource, openFolder } from "./source.ts";
import { storedRows } from "./stored-rows.ts";

export interface CheckpointTensor {
  /** The canonical name, with `model.` in front also where the file leaves it out. */
  readonly name: string;
  readonly encoding: Encoding;
  readonly shape: readonly number[];
  /** Of all rows as they are handed over. */
  readonly byteLength: number;
  /**
   * Whole rows (of the first dimension) in slices of at most `sliceBytes` (default 8 MiB, at least one row), in order: all of them, or
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

/**
 * @param location a folder's path, a `file:` or `http(s):` URL, or any object with the interface of `CheckpointSource`
 * @throws Qwen3Error of the CHECKPOINT_* codes or SOURCE_READ; the signal's reason once that is aborted
 */
export async function openCheckpoint(
  location: string | URL | CheckpointSource,
  options: { signal?: AbortSignal } = {},
): Promise<Checkpoint> {
  const { signal } = options;
  const folder = await openFolder(location, signal);
  const files = new OpenFiles(folder);
  try {
    const configJson = await readJson(files, "config.json", signal);
    if (configJson === undefined) throw new Qwen3Error("CHECKPOINT_FILE", `${folder.name}: config.json is missing`);
    const stored = await readTensorList(files, signal);
    const config = parseModelConfig(configJson, "config.json", storedHeadDim(stored));
    const generationConfig = parseGenerationConfig(await readJson(files, "generation_config.json", signal), config);
    const tensors = new Map<string, CheckpointTensor>();
    for (const [name, tensor] of selectTensors(config, stored.values())) tensors.set(name, storedRows(name, tensor, files));
    return {
      name: folder.name,
      config,
      generationConfig,
      tensors,
      tensorBytes: [...tensors.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0),
      file: (name, { limitBytes = SIDE_FILE_BYTES, signal } = {}) => files.readWhole(name, limitBytes, signal),
      close: () => files.close(),
    };
  } catch (error) {
    await files.close().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

async function readJson(files: OpenFiles, name: string, signal: AbortSignal | undefined): Promise<Json | undefined> {
  const bytes = await files.readWhole(name, CONFIG_BYTES, signal);
  return bytes && parseJson(bytes, name, "CHECKPOINT_FILE");
}
