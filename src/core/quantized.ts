/** Weights as codes with scales: what checkpoints are decoded to, and what matrices are written from. */
import { e4m3ToF32 } from "./dtype.ts";

/** How scales and minimums are held; each of them must be a number of that type. */
export type ScaleType = "f32" | "f16" | "bf16" | "two-level";

/**
 * Weights as codes of 8 or 4 bits, with one scale (and minimum) per row and group of `group` columns:
 *
 *   int8                   w = code * scale, code -128..127            int8 with minimum   w = code * scale + minimum, code 0..255
 *   int4                   w = (code - 8) * scale, code 0..15          int4 with minimum   w = code * scale + minimum, code 0..15
 */
export interface QuantizedLayout {
  readonly type: "int8" | "int4";
  /** 16, 32, 64 or 128. */
  readonly group: number;
  /** Default false. */
  readonly minimum?: boolean | undefined;
  /** Default "f16". */
  readonly scales?: ScaleType | undefined;
}

/**
 * Weights in 8-bit floating point (e4m3fn: sign 1, exponent 4, mantissa 3) as codes u8, with an f32 scale for each row and 128 columns:
 * w = value * scale. Checkpoints have a scale for 128 x 128 weights; with one for each row, rows can be cut anywhere.
 */
export interface Fp8Layout {
  readonly type: "fp8";
}

export type CodeLayout = QuantizedLayout | Fp8Layout;

/** Rows and columns that share a scale in 8-bit floating point. */
export const FP8_BLOCK = 128;

/** Columns whose scales share an f16 under "two-level". */
export const SUPER_COLUMNS = 256;

/**
 * Whole rows of a quantized matrix as they are handed over: one code per value; scales and minimums [rows, ceil(cols / group)] f32 (fp8:
 * scales [rows, ceil(cols / 128)]). Under
 * "two-level" those are [rows, ceil(cols / 256)], and factors [rows, ceil(cols / group)] come beside: a scale is their product.
 */
export interface QuantizedRows {
  readonly codes: Int8Array | Uint8Array;
  readonly scales: Float32Array;
  readonly factors?: Int8Array | undefined;
  readonly minimums?: Float32Array | undefined;
  readonly minimumFactors?: Int8Array | undefined;
}

export function sameLayout(a: QuantizedLayout, b: QuantizedLayout): boolean {
  const scalesAlike = (a.scales ?? "f16") === (b.scales ?? "f16");
  return a.type === b.type && a.group === b.group && (a.minimum ?? false) === (b.minimum ?? false) && scalesAlike;
}

export function isCodes(layout: { readonly type: string } | CodeLayout): layout is CodeLayout {
  return "group" in layout || layout.type === "fp8";
}

/** The code that stands for 0 without a minimum. */
export function zeroOf({ type, minimum }: QuantizedLayout): number {
  return type === "int4" && !minimum ? 8 : 0;
}

/** Memory for so many rows. */
export function quantizedRows(layout: CodeLayout, rows: number, cols: number): QuantizedRows {
  if (layout.type === "fp8")
    return { codes: new Uint8Array(rows * cols), scales: new Float32Array(rows * Math.ceil(cols / FP8_BLOCK)) };
  const { type, group, minimum, scales } = layout;
  const groups = rows * Math.ceil(cols / group);
  const twoLevel = scales === "two-level";
  const levels = twoLevel ? rows * Math.ceil(cols / SUPER_COLUMNS) : groups;
  return {
    codes: new (type === "int8" && !minimum ? Int8Array : Uint8Array)(rows * cols),
    scales: new Float32Array(levels),
    ...(twoLevel && { factors: new Int8Array(groups) }),
    ...(minimum && { minimums: new Float32Array(levels) }),
    ...(minimum && twoLevel && { minimumFactors: new Int8Array(groups) }),
  };
}

/** Rows as f32: (code - zero) * scale, then + minimum where there is one, each rounded to f32. @param out [rows, cols] */
export function dequantize(rows: QuantizedRows, layout: QuantizedLayout, cols: number, out: Float32Array): void {
  const { group } = layout;
  const groups = Math.ceil(cols / group);
  const supers = Math.ceil(cols / SUPER_COLUMNS);
  const zero = zeroOf(layout);
  const { codes, scales, factors, minimums, minimumFactors } = rows;
  for (let row = 0, at = 0; at < out.length; row++)
    for (let g = 0; g < groups; g++) {
      const one = row * groups + g;
      const level = factors ? row * supers + Math.floor((g * group) / SUPER_COLUMNS) : one;
      const scale = factors ? factors[one]! * scales[level]! : scales[level]!; // exact: 8 bits times 11
      const minimum = minimums && (minimumFactors ? minimumFactors[one]! * minimums[level]! : minimums[level]!);
      const end = row * cols + Math.min(cols, (g + 1) * group);
      if (minimum === undefined) for (; at < end; at++) out[at] = (codes[at]! - zero) * scale;
      else for (; at < end; at++) out[at] = Math.fround(codes[at]! * scale) + minimum;
    }
}

/** Rows of 8-bit floating point as f32: value * scale, rounded once. @param out [rows, cols] */
export function dequantizeFp8({ codes, scales }: QuantizedRows, cols: number, out: Float32Array): void {
  const groups = Math.ceil(cols / FP8_BLOCK);
  for (let i = 0; i < out.length; i++)
    out[i] = e4m3ToF32(codes[i]!) * scales[Math.floor(i / cols) * groups + Math.floor((i % cols) / FP8_BLOCK)]!;
}
