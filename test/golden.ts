/** Reads golden vectors: what Hugging Face transformers computed for a small checkpoint (test/golden/make.py wrote them). */
import { readFileSync } from "node:fs";
import { goldenJson, goldenPath } from "./paths.ts";

/** The golden checkpoints in the formats that load today. */
export const GOLDEN_CASES = [
  "gqa-bf16",
  "mqa-untied-f32",
  "mha-f16",
  "sharded-bf16",
  "yarn-bf16",
  "fp8",
  "mlx-4bit",
  "mlx-8bit",
] as const;

/** Ours may be this many times further from float64 arithmetic than PyTorch's own float32 is. */
export const ERROR_RATIO = 3;

export interface Golden {
  /** Values by name; f64 tensors stay f64. */
  readonly values: ReadonlyMap<string, Float32Array | Float64Array | Int32Array>;
  readonly positionOffset: number | null;
  /** Largest difference of PyTorch's float32 logits from float64 ones, over the standard deviation of the latter. */
  readonly floatError: number;
}

export function readGolden(name: string): Golden {
  const expected = goldenJson<{ position_offset: number | null; hf_float32_error_over_std: number }>(name, "expected.json");
  return {
    values: readTensors(goldenPath(name, "expected.safetensors")),
    positionOffset: expected.position_offset,
    floatError: expected.hf_float32_error_over_std,
  };
}

export function floats(golden: Golden, name: string): Float32Array | Float64Array {
  const values = golden.values.get(name);
  if (!values || values instanceof Int32Array) throw new Error(`no golden floats ${name}`);
  return values;
}

export function ids(golden: Golden, name: string): number[] {
  const values = golden.values.get(name);
  if (!(values instanceof Int32Array)) throw new Error(`no golden ids ${name}`);
  return [...values];
}

/** max |a - b| over the standard deviation of b. */
export function errorOverStd(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length || a.length === 0) throw new Error(`lengths ${a.length} and ${b.length}`);
  let [worst, sum, squares] = [0, 0, 0];
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= worst)) worst = difference; // a NaN becomes the worst and stays
    sum += b[i]!;
    squares += b[i]! * b[i]!;
  }
  const mean = sum / b.length;
  return worst / Math.sqrt(squares / b.length - mean * mean);
}

/** A safetensors file of F32, F64 and I32 tensors, as written by Python. */
export function readTensors(path: string): Map<string, Float32Array | Float64Array | Int32Array> {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerLength)) as Record<
    string,
    { dtype: string; data_offsets: [number, number] }
  >;
  const arrays = { F32: Float32Array, F64: Float64Array, I32: Int32Array } as const;
  const out = new Map<string, Float32Array | Float64Array | Int32Array>();
  for (const [name, { dtype, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = data_offsets.map((offset) => 8 + headerLength + offset) as [number, number];
    out.set(name, new arrays[dtype as keyof typeof arrays](Uint8Array.from(file.subarray(begin, end)).buffer));
  }
  return out;
}
