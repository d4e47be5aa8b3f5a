/** What tensors an MLX checkpoint of some weights has: matrices as codes, scales and biases, vectors as they are. */
import { bytesPerValue, type FloatType } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { Checkpoint, CheckpointTensor } from "../formats/checkpoint.ts";
import { isFloat } from "../formats/encoding.ts";
import type { TensorGroup, TensorToWrite } from "../formats/safetensors-writer.ts";

export interface AffineOptions {
  readonly bits: 4 | 8;
  readonly group: 32 | 64 | 128;
}

/** What one tensor of the checkpoint becomes. */
export interface QuantizedTensor extends TensorGroup {
  readonly source: CheckpointTensor;
  /** Of scales and biases; of a vector, its own. */
  readonly type: FloatType;
}

/** The type in which the embedding is stored, as mlx-lm has it; bf16, in which Qwen3 is published, where that is a type of GGUF or FP8. */
export function scaleTypeOf({ tensors }: Pick<Checkpoint, "tensors">): FloatType {
  const { encoding } = tensors.get("model.embed_tokens.weight")!;
  if (isFloat(encoding)) return encoding.type;
  return encoding.type === "affine" ? encoding.scales : "bf16";
}

/** @throws Qwen3Error ARGUMENT for a matrix whose rows are not whole groups */
export function quantizedTensors(checkpoint: Pick<Checkpoint, "tensors">, { bits, group }: AffineOptions): QuantizedTensor[] {
  const type = scaleTypeOf(checkpoint);
  return Array.from(checkpoint.tensors.values(), (source) => {
    const { name, shape, encoding } = source;
    const [rows = 0, cols] = shape;
    if (cols === undefined) {
      const own = isFloat(encoding) ? encoding.type : type;
      return { source, type: own, tensors: [floats(name, shape, own)] };
    }
    if (cols % group !== 0)
      throw new Qwen3Error("ARGUMENT", `${name} has rows of ${cols} weights; groups of ${group} do not divide them`);
    const module = name.slice(0, -".weight".length);
    const words = (cols * bits) / 32;
    const weight = { name, dtype: "U32", shape: [rows, words], byteLength: rows * words * 4 };
    const levels = [rows, cols / group];
    return {
      source,
      type,
      tensors: [weight, floats(`${module}.scales`, levels, type), floats(`${module}.biases`, levels, type)],
    };
  });
}

function floats(name: string, shape: readonly number[], type: FloatType): TensorToWrite {
  const byteLength = shape.reduce((product, size) => product * size, bytesPerValue[type]);
  return { name, dtype: type.toUpperCase(), shape, byteLength };
}
