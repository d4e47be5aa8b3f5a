/**
 * The tensors of safetensors files as one tensor for each weight: where weights are quantized, their codes, scales and biases are tensors
 * of their own, side by side in a file or not.
 *
 *   MLX   x.weight [rows, cols * bits / 32] U32      x.scales, x.biases [rows, cols / group], of one float type
 *   FP8   x.weight [rows, cols] F8_E4M3              x.weight_scale_inv [ceil(rows / 128), ceil(cols / 128)], of a float type
 */
import type { FloatType } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import { FP8_BLOCK } from "../core/quantized.ts";
import { isFloat } from "./encoding.ts";
import { shown } from "./json.ts";
import type { AffineSettings, QuantizationConfig } from "./quantization-config.ts";
import type { EncodedTensor, StoredPart } from "./stored-rows.ts";

type Stored = ReadonlyMap<string, EncodedTensor>;

/** MLX has words of 32 bits, and so many codes in a number of whole words. */
const WORD_BITS = 32;

/**
 * @param stored tensors by their names in the files
 * @throws Qwen3Error CHECKPOINT_TENSOR for parts that are missing or do not fit each other
 */
export function encodedTensors(stored: Stored, quantization: QuantizationConfig | undefined): EncodedTensor[] {
  if (!quantization) return [...stored.values()];
  const used = new Set<string>();
  const take = (name: string): EncodedTensor | undefined => {
    const tensor = stored.get(name);
    if (tensor) used.add(name);
    return tensor;
  };
  const weights = Array.from(stored.values(), (tensor) =>
    quantization.method === "fp8" ? fp8Tensor(tensor, take) : affineTensor(tensor, quantization.settingsOf, take),
  );
  return weights.filter(({ name }) => !used.has(name));
}

function affineTensor(
  weight: EncodedTensor,
  settingsOf: (module: string) => AffineSettings | undefined,
  take: (name: string) => EncodedTensor | undefined,
): EncodedTensor {
  if (weight.dtype !== "u32" || !weight.name.endsWith(".weight")) return weight;
  const module = weight.name.slice(0, -".weight".length);
  const settings = settingsOf(module);
  if (!settings) return weight;
  const { bits, group } = settings;
  const scales = required(take(`${module}.scales`), weight, "scales");
  const biases = required(take(`${module}.biases`), weight, "biases");
  const [rows = 0, words = 0] = weight.shape;
  const cols = (words * WORD_BITS) / bits;
  const groups = Math.ceil(cols / group);
  const what = `${bits} bits in groups of ${group}`;
  if (weight.shape.length !== 2 || !Number.isSafeInteger(cols) || cols % group !== 0)
    refuse(weight, `the shape is ${shown(weight.shape)}; rows of whole groups are needed, of ${what}`);
  requireShape(scales, [rows, groups], weight);
  requireShape(biases, [rows, groups], weight);
  const type = floatTypeOf(scales);
  if (floatTypeOf(biases) !== type) refuse(biases, `has dtype ${biases.dtype}, its scales ${type}`);
  return {
    ...weight,
    shape: [rows, cols],
    encoding: { type: "affine", bits, group, scales: type },
    parts: [...weight.parts, ...scales.parts, ...biases.parts],
  };
}

function fp8Tensor(weight: EncodedTensor, take: (name: string) => EncodedTensor | undefined): EncodedTensor {
  if (weight.dtype !== "f8_e4m3") return weight;
  const scales = required(take(`${weight.name}_scale_inv`), weight, "weight_scale_inv");
  const [rows = 0, cols = 0] = weight.shape;
  if (weight.shape.length !== 2) refuse(weight, `the shape is ${shown(weight.shape)}; only matrices can be quantized`);
  requireShape(scales, [Math.ceil(rows / FP8_BLOCK), Math.ceil(cols / FP8_BLOCK)], weight);
  const shared = scales.parts.map((part): StoredPart => ({ ...part, sharedBy: FP8_BLOCK }));
  return { ...weight, encoding: { type: "fp8", scales: floatTypeOf(scales) }, parts: [...weight.parts, ...shared] };
}

function required(tensor: EncodedTensor | undefined, weight: EncodedTensor, what: string): EncodedTensor {
  return tensor ?? refuse(weight, `is ${weight.dtype}, but ${what} of it are missing`);
}

function requireShape({ name, shape }: EncodedTensor, expected: readonly number[], weight: EncodedTensor): void {
  if (shape.length !== expected.length || shape.some((size, i) => size !== expected[i]))
    refuse({ name }, `the shape is ${shown(shape)}; ${shown(weight.name)} ${shown(weight.shape)} needs ${shown(expected)}`);
}

function floatTypeOf({ name, encoding, dtype }: EncodedTensor): FloatType {
  return encoding && isFloat(encoding) ? encoding.type : refuse({ name }, `has dtype ${dtype}; supported: f32, f16, bf16`);
}

function refuse({ name }: Pick<EncodedTensor, "name">, problem: string): never {
  throw new Qwen3Error("CHECKPOINT_TENSOR", `${shown(name)}: ${problem}`);
}
