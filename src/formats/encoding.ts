/**
 * How a checkpoint stores a tensor's values: plain data, so that a tensor's bytes can be decoded where they are used, in another thread too.
 *
 * Rows are handed over in slices of one array each. Where an encoding has several parts (codes, scales, ...), a slice of n rows has n rows
 * of the first part, then n rows of the second, and so on; a part that several rows share stands there once for each of them.
 */
import { bytesPerValue, type FloatType } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import { FP8_BLOCK } from "../core/quantized.ts";
import { GGUF_TYPES, type GgufType } from "./gguf-types.ts";
import { shown } from "./json.ts";

export interface FloatEncoding {
  readonly type: FloatType;
}

/** Blocks of 32 or 256 neighbours in a row, each with its own scales (gguf-types.ts). One part. */
export interface GgufEncoding {
  readonly type: GgufType;
}

/** MLX: w = code * scale + bias, codes packed into 32-bit words from the lowest bit on. Parts: weight, scales, biases. */
export interface AffineEncoding {
  readonly type: "affine";
  readonly bits: 2 | 3 | 4 | 5 | 6 | 8;
  readonly group: 32 | 64 | 128;
  /** Of scales and biases. */
  readonly scales: FloatType;
}

/** float8_e4m3fn with a scale for 128 x 128 weights. Parts: weight, scales of the row's blocks [ceil(cols / 128)]. */
export interface Fp8Encoding {
  readonly type: "fp8";
  readonly scales: FloatType;
}

export type Encoding = FloatEncoding | GgufEncoding | AffineEncoding | Fp8Encoding;

export function isFloat(encoding: Encoding): encoding is FloatEncoding {
  return encoding.type in bytesPerValue;
}

export function isGguf(encoding: Encoding): encoding is GgufEncoding {
  return Object.hasOwn(GGUF_TYPES, encoding.type);
}

/** For people, and to tell encodings apart: "bf16", "q4_k", "affine 4-bit, groups of 64". */
export function encodingName(encoding: Encoding): string {
  if (encoding.type === "affine") return `affine ${encoding.bits}-bit, groups of ${encoding.group}`;
  return encoding.type;
}

/** Bytes of one row, part by part. */
export function rowParts(encoding: Encoding, cols: number): readonly number[] {
  if (encoding.type === "affine") {
    const levels = Math.ceil(cols / encoding.group) * bytesPerValue[encoding.scales];
    return [(cols * encoding.bits) / 8, levels, levels];
  }
  if (encoding.type === "fp8") return [cols, Math.ceil(cols / FP8_BLOCK) * bytesPerValue[encoding.scales]];
  if (isFloat(encoding)) return [cols * bytesPerValue[encoding.type]];
  const { values, bytes } = GGUF_TYPES[encoding.type];
  return [(cols / values) * bytes];
}

export function rowBytes(encoding: Encoding, cols: number): number {
  return rowParts(encoding, cols).reduce((sum, bytes) => sum + bytes, 0);
}

/** Rows `from` to before `to` of a slice of `count` rows, part by part. */
export function cutParts(encoding: Encoding, cols: number, slice: Uint8Array, count: number, from = 0, to = count): Uint8Array[] {
  let begin = 0;
  return rowParts(encoding, cols).map((bytes) => {
    const part = slice.subarray(begin + from * bytes, begin + to * bytes);
    begin += count * bytes;
    return part;
  });
}

/** Rows `from` to before `to` of a slice of `count` rows, as a slice. */
export function cutRows(
  encoding: Encoding,
  cols: number,
  slice: Uint8Array,
  count: number,
  from: number,
  to: number,
): Uint8Array {
  if (from === 0 && to === count) return slice;
  const parts = cutParts(encoding, cols, slice, count, from, to);
  if (parts.length === 1) return parts[0]!;
  const rows = new Uint8Array((to - from) * rowBytes(encoding, cols));
  let at = 0;
  for (const part of parts) {
    rows.set(part, at);
    at += part.length;
  }
  return rows;
}

/**
 * Checks that a tensor of this shape can be stored so: vectors are floats, and a row of a matrix has whole blocks, or words.
 *
 * @throws Qwen3Error CHECKPOINT_TENSOR
 */
export function requireEncodable(name: string, encoding: Encoding, shape: readonly number[]): void {
  if (isFloat(encoding)) return;
  const refuse = (problem: string): never => {
    throw new Qwen3Error("CHECKPOINT_TENSOR", `${shown(name)} ${shown(shape)} of ${encodingName(encoding)}: ${problem}`);
  };
  const [, cols = 0] = shape;
  if (shape.length !== 2) refuse("only matrices can be quantized");
  if (encoding.type === "fp8") return;
  const block = encoding.type === "affine" ? Math.max(32, encoding.group) : GGUF_TYPES[encoding.type].values;
  if (cols % block !== 0) refuse(`rows of ${cols} values; a multiple of ${block} is needed`);
}
