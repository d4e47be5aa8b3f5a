/** A checkpoint quantized once and for all: a folder that mlx-lm, LM Studio and this package load. */
import { affineQuantizer } from "../backend/wasm/affine-quantizer.ts";
import type { FloatType } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import { detectHost } from "../core/host.ts";
import type { CheckpointLocation } from "../formats/location.ts";
import { bytesOf, filesFor, indexJson } from "../formats/safetensors-writer.ts";
import { INDEX_FILE } from "../formats/shards.ts";
import { openModel } from "../hub/open-model.ts";
import type { HubOptions } from "../hub/settings.ts";
import { type TensorError, writeTensor } from "./quantize-tensor.ts";
import { type AffineOptions, exactVectors, quantizedTensors, scaleTypeOf } from "./quantized-plan.ts";
import { json, quantizedConfig, sideFiles } from "./quantized-side-files.ts";
import type { LoadProgress } from "./weights.ts";

export interface QuantizeOptions {
  readonly bits: 4 | 8;
  /** Weights that share a scale and a bias. Default 64. */
  readonly group?: 32 | 64 | 128 | undefined;
  /** Replace a folder that is there, if it is empty or a checkpoint's. Default false: refuse it. */
  readonly force?: boolean | undefined;
  readonly hub?: HubOptions | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** A file of tensors is not made larger. Default 5 GB. */
  readonly fileBytes?: number | undefined;
}

export interface QuantizedMatrix {
  readonly name: string;
  readonly shape: readonly number[];
  /** In the file, scales and biases included. */
  readonly bytes: number;
  /** Root mean square of the weights' differences, over that of the weights. */
  readonly relativeError: number;
}

export interface Quantized {
  /** Absolute. */
  readonly folder: string;
  readonly bits: 4 | 8;
  readonly group: 32 | 64 | 128;
  /** Type of scales and biases. */
  readonly scales: FloatType;
  /** Bytes of the tensors as they were, and as they are now. */
  readonly sourceBytes: number;
  readonly tensorBytes: number;
  /** Over all matrices together. */
  readonly relativeError: number;
  readonly matrices: readonly QuantizedMatrix[];
}

const FILE_BYTES = 5e9;
/** config.json, the index and other small files: what is asked of the disk beside the tensors. */
const SPARE_BYTES = 64 * 1024 * 1024;

/**
 * Writes the checkpoint at `location` to `folder` in MLX's affine form: every matrix as codes of 4 or 8 bits with a scale and a bias for each
 * group, the embedding and lm_head too; vectors, the tokenizer, the chat template and generation_config.json as they are. Tensors pass one
 * slice at a time. The folder appears when it is whole.
 *
 * @param location as `Qwen3.fromPretrained` takes it
 * @throws Qwen3Error ARGUMENT, STORAGE_FULL before anything is written that will not fit, CHECKPOINT_*, HUB_*, SOURCE_READ,
 *   BACKEND_UNAVAILABLE where there are no files; the signal's reason
 *
 * @example
 * ```ts check
 * import { quantizeCheckpoint } from "qwen3.ts";
 * const { tensorBytes } = await quantizeCheckpoint("weights/nano", "/tmp/nano-4bit", { bits: 4, group: 32 });
 * console.log(tensorBytes);
 * ```
 */
export async function quantizeCheckpoint(
  location: CheckpointLocation,
  folder: string,
  options: QuantizeOptions,
): Promise<Quantized> {
  const { bits, group = 64, force = false, fileBytes = FILE_BYTES, signal, hub, onProgress } = options;
  requireOneOf("bits", bits, [4, 8]);
  requireOneOf("group", group, [32, 64, 128]);
  if (!(fileBytes >= 1)) throw new Qwen3Error("ARGUMENT", `fileBytes is ${fileBytes}; 1 and more are allowed`);
  if (typeof folder !== "string" || folder === "") throw new Qwen3Error("ARGUMENT", "a folder to write to is needed");
  if (!detectHost().nodeModules) throw new Qwen3Error("BACKEND_UNAVAILABLE", "this host has no files to write a checkpoint to");
  const { NewFolder } = await import("../formats/new-folder-node.ts");
  const affine: AffineOptions = { bits, group };
  const checkpoint = await openModel(location, { hub, signal });
  try {
    const exact = await exactVectors(checkpoint, signal);
    const files = filesFor(quantizedTensors(checkpoint, affine, exact), fileBytes, { format: "mlx" });
    const small: Record<string, Uint8Array> = {
      ...(await sideFiles(checkpoint)),
      "config.json": await quantizedConfig(checkpoint, affine),
      [INDEX_FILE]: json(indexJson(files)),
    };
    const tensorBytes = files.reduce((sum, { groups }) => sum + bytesOf(groups), 0);
    const target = await NewFolder.begin(folder, tensorBytes + SPARE_BYTES, force);
    try {
      const quantize = await affineQuantizer();
      const errors: TensorError[] = [];
      let loadedBytes = 0;
      for (const { name, groups, header } of files) {
        const file = await target.file(name);
        try {
          await file.write(header);
          for (const tensor of groups) {
            const onBytes = (bytes: number) => {
              loadedBytes += bytes;
              onProgress?.({ loadedBytes, totalBytes: checkpoint.tensorBytes, tensor: tensor.source.name });
            };
            const error = await writeTensor(tensor, affine, quantize, file.write, { signal, onBytes });
            if (error) errors.push(error);
          }
        } finally {
          await file.close();
        }
      }
      for (const [name, bytes] of Object.entries(small)) await target.writeFile(name, bytes);
      await target.finish();
      return {
        folder: target.path,
        ...affine,
        scales: scaleTypeOf(checkpoint),
        sourceBytes: checkpoint.tensorBytes,
        tensorBytes,
        relativeError: relative(errors),
        matrices: errors.map((error) => ({
          name: error.name,
          shape: error.shape,
          bytes: error.bytes,
          relativeError: relative([error]),
        })),
      };
    } catch (error) {
      await target.discard();
      throw error;
    }
  } finally {
    await checkpoint.close();
  }
}

function relative(errors: readonly TensorError[]): number {
  const [error, weights] = errors.reduce(
    ([error, weights], { squaredError, squaredWeights }) => [error + squaredError, weights + squaredWeights],
    [0, 0],
  );
  return weights === 0 ? 0 : Math.sqrt(error / weights);
}

function requireOneOf(name: string, value: unknown, allowed: readonly number[]): void {
  if (!allowed.includes(value as number)) throw new Qwen3Error("ARGUMENT", `${name} is ${value}; allowed: ${allowed.join(", ")}`);
}
