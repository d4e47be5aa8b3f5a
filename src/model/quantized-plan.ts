/** What tensors an MLX checkpoint of some weights has: matrices as codes, scales and biases, vectors as they are. */
import { bytesPerValue, type FloatType, narrow, widen } from "../core/dtype.ts";
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

/**
 * @param exact the f32 vectors whose values the scales' type holds all (`exactVectors`)
 * @throws Qwen3Error ARGUMENT for a matrix whose rows are not whole groups
 */
export function quantizedTensors(
  checkpoint: Pick<Checkpoint, "tensors">,
  { bits, group }: AffineOptions,
  exact: ReadonlySet<string> = new Set(),
): QuantizedTensor[] {
  const type = scaleTypeOf(checkpoint);
  return Array.from(checkpoint.tensors.values(), (source) => {
    const { name, shape, encoding } = source;
    const [rows = 0, cols] = shape;
    if (cols === undefined) {
      const own = isFloat(encoding) && !exact.has(name) ? encoding.type : type;
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

/**
 * Vectors of f32 that lose nothing in the scales' type. Files of GGUF keep norms in f32 that were published in bf16, and mlx computes all
 * that follows a norm of f32 in f32.
 */
export async function exactVectors(checkpoint: Pick<Checkpoint, "tensors">, signal?: AbortSignal): Promise<Set<string>> {
  const type = scaleTypeOf(checkpoint);
  const exact = new Set<string>();
  for (const { name, shape, encoding, rows } of checkpoint.tensors.values()) {
    if (shape.length > 1 || encoding.type !== "f32" || type === "f32") continue;
    let isExact = true;
    for await (const { bytes } of rows({ signal })) {
      const values = widen(bytes, "f32", 0, bytes.length / 4);
      const back = widen(narrow(values, type), type, 0, values.length);
      isExact &&= values.every((value, i) => value === back[i]);
    }
    if (isExact) exact.add(name);
  }
  return exact;
}

function floats(name: string, shape: readonly number[], type: FloatType): TensorToWrite {
  const byteLength = shape.reduce((product, size) => product * size, bytesPerValue[type]);
  return { name, dtype: type.toUpperCase(), shape, byteLength };
}
