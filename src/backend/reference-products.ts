/** The reference backend's products: float rows, and int8 activations with quantized weights. */
import { type Matrix, type QuantizedFormat, type QuantizedRows, SUPER_COLUMNS } from "./backend.ts";
import { quantizeActivations } from "./quantize.ts";
import { groupsOf } from "./shapes.ts";

const { fround } = Math;

/** Float formats, of 8 bits too, are widened to f32 in `values`; quantized ones hold their codes there, with scales (and minimums) beside. */
export interface ReferenceMatrix extends Matrix {
  readonly values: Float32Array; //   [rows, cols]
  readonly scales: Float32Array; //   [rows, groups]
  readonly minimums: Float32Array; // [rows, groups], empty without minimums
}

/** Sum of products: partial sums by k modulo 4, then (s0 + s1) + (s2 + s3). The order that four SIMD lanes make natural. */
export function dot(x: Float32Array, xAt: number, w: Float32Array, wAt: number, n: number): number {
  const sums = [0, 0, 0, 0];
  for (let k = 0; k < n; k++) sums[k % 4] = fround(sums[k % 4]! + fround(x[xAt + k]! * w[wAt + k]!));
  return fround(fround(sums[0]! + sums[1]!) + fround(sums[2]! + sums[3]!));
}

/** The scales and minimums of whole rows, [rows, groups]: under "two-level" each is the product of its two levels. */
export function scalesOf(
  { scales, factors, minimums, minimumFactors }: QuantizedRows,
  format: QuantizedFormat,
  cols: number,
): { scales: Float32Array; minimums: Float32Array | undefined } {
  if (format.scales !== "two-level") return { scales, minimums };
  const groups = groupsOf(format, cols);
  const supers = Math.ceil(cols / SUPER_COLUMNS);
  const product = (levels: Float32Array, factors: Int8Array) =>
    Float32Array.from(factors, (factor, i) => {
      const column = (i % groups) * format.group;
      return factor * levels[Math.floor(i / groups) * supers + Math.floor(column / SUPER_COLUMNS)]!;
    });
  return { scales: product(scales, factors!), minimums: minimums && product(minimums, minimumFactors!) };
}

/** One row of a matrix as f32. */
export function dequantizedRow(m: ReferenceMatrix, row: number): Float32Array {
  const values = m.values.slice(row * m.cols, (row + 1) * m.cols);
  if (!("group" in m.format)) return values;
  const { group, minimum } = m.format;
  const groups = groupsOf(m.format, m.cols);
  const zero = zeroOf(m.format);
  for (let k = 0; k < m.cols; k++) {
    const g = row * groups + Math.floor(k / group);
    values[k] = fround((values[k]! - zero) * m.scales[g]!) + (minimum ? m.minimums[g]! : 0); // -0 + 0 is 0
  }
  return values;
}

/** The code that stands for 0 without a minimum. */
function zeroOf({ type, minimum }: QuantizedFormat): number {
  return type === "int4" && !minimum ? 8 : 0;
}

/**
 * y = W x for int8 activations and quantized weights. Dots and sums of a group are exact integers; y grows group by group:
 * y += f32(dot) * (x scale * w scale), and with a minimum then y += f32(sum of x codes) * (x scale * w minimum).
 */
export function quantizedProduct(row: Float32Array, w: ReferenceMatrix, format: QuantizedFormat, y: Float32Array): void {
  const { group } = format;
  const x = quantizeActivations(row, group);
  const groups = x.scales.length;
  const zero = zeroOf(format);
  for (let r = 0; r < w.rows; r++) {
    let sum = 0;
    for (let g = 0; g < groups; g++) {
      let integer = -zero * x.sums[g]!;
      const end = Math.min(w.cols, (g + 1) * group);
      for (let k = g * group; k < end; k++) integer += x.codes[k]! * w.values[r * w.cols + k]!;
      sum = fround(sum + fround(integer * fround(x.scales[g]! * w.scales[r * groups + g]!)));
      if (w.minimums.length > 0) sum = fround(sum + fround(x.sums[g]! * fround(x.scales[g]! * w.minimums[r * groups + g]!)));
    }
    y[r] = sum;
  }
}

/**
 * y = W x for several tokens, W's rows widened to f32 first.
 *
 * @param x [tokens, cols]
 * @param y [tokens, rows]
 */
export function dequantizedProduct(x: Float32Array, w: ReferenceMatrix, y: Float32Array): void {
  const tokens = x.length / w.cols;
  for (let r = 0; r < w.rows; r++) {
    const row = dequantizedRow(w, r);
    for (let t = 0; t < tokens; t++) y[t * w.rows + r] = dot(x, t * w.cols, row, 0, w.cols);
  }
}
