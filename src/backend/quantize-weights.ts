/**
 * Weights as int8 or int4: how codes, scales and minimums are chosen when a float checkpoint is quantized while it loads.
 *
 * Scales and minimums are f16 numbers, and codes are chosen for the scale as it is stored. All arithmetic is f32, each step rounded.
 *
 *   int8           the least scale with 127 * scale >= max |w|: no weight is further from its value than half a step
 *   int4           w = (code - 8) * scale: of 12 scales, under which the weight furthest from zero would be 7 or -7 .. -9.5 steps, the
 *                  one with the least squared error (past -8 that weight is cut off, and all others are nearer)
 *   int4, minimum  w = code * scale + minimum: of 16 ranges, which leave out up to 9/128 of the group's own at either end, likewise
 *
 * A group without extent (all zeros; with a minimum, all alike; or less than a step that f16 can express) gets the scale 0.
 */
import { f16ToF32, f32ToF16 } from "../core/dtype.ts";
import type { MatrixFormat, QuantizedRows } from "./backend.ts";

const { abs, fround, max, min } = Math;

export type QuantizedFormat = Extract<MatrixFormat, { readonly group: number }>;

/** int4: what the weight furthest from zero is divided by, in the order in which equal errors are decided. */
export const INT4_STEPS: readonly number[] = [7, -7, -7.25, -7.5, -7.75, -8, -8.25, -8.5, -8.75, -9, -9.25, -9.5];
/** int4 with minimum: what is left out at the lower and at the upper end, as a share of the group's range. */
export const INT4_CUTS: readonly number[] = [0, 3 / 128, 6 / 128, 9 / 128];
/** Extents from which every scale that is tried is at least 2^-24, the smallest f16: of max |w|, and of the range with a minimum. */
const SMALLEST_EXTENT = 4.76837158203125e-7; // 2^-21
const SMALLEST_RANGE = 9.5367431640625e-7; //   2^-20

const ROUND = 12582912; // 1.5 * 2^23: adding and subtracting it rounds an f32 below 2^22 to an integer, ties to even

const toF16 = (value: number): number => f16ToF32(f32ToF16(value));
const toInteger = (value: number): number => fround(value + ROUND) - ROUND;

/**
 * Codes, scales [groups] and minimums of one row; the last group may be short.
 *
 * @param row finite, within ±65,504 (convert-rows.ts refuses others)
 */
export function quantizeWeights(row: Float32Array, format: QuantizedFormat): QuantizedRows {
  const { group, type } = format;
  const groups = Math.ceil(row.length / group);
  const codes = new (type === "int8" ? Int8Array : Uint8Array)(row.length);
  const scales = new Float32Array(groups);
  const minimums = new Float32Array(type === "int4" && format.minimum ? groups : 0);
  for (let g = 0; g < groups; g++) {
    const weights = row.subarray(g * group, (g + 1) * group);
    const { scale, minimum } = type === "int8" ? int8Steps(weights) : format.minimum ? rangeSteps(weights) : int4Steps(weights);
    scales[g] = scale;
    if (minimums.length > 0) minimums[g] = minimum;
    const range = type === "int8" ? ([-127, 127, 0] as const) : format.minimum ? ([0, 15, 0] as const) : ([-8, 7, 8] as const);
    storeCodes(weights, { scale, minimum }, range, codes, g * group);
  }
  return minimums.length > 0 ? { codes, scales, minimums } : { codes, scales };
}

/** w = (code - zero) * scale + minimum. */
export interface Steps {
  readonly scale: number;
  readonly minimum: number;
}
const NO_STEPS: Steps = { scale: 0, minimum: 0 };

function int8Steps(weights: Float32Array): Steps {
  const largest = weights.reduce((most, weight) => max(most, abs(weight)), 0);
  const half = f32ToF16(fround(largest / 127));
  const scale = f16ToF32(half);
  return { scale: scale * 127 < largest ? f16ToF32(half + 1) : scale, minimum: 0 }; // the product is exact
}

function int4Steps(weights: Float32Array): Steps {
  const low = weights.reduce((least, weight) => min(least, weight), 0);
  const high = weights.reduce((most, weight) => max(most, weight), 0);
  const extreme = high >= -low ? high : low;
  if (abs(extreme) < SMALLEST_EXTENT) return NO_STEPS;
  const tried = INT4_STEPS.map((steps) => ({ scale: toF16(fround(extreme / steps)), minimum: 0 }));
  return leastError(weights, tried, -8, 7);
}

/** @param round to the type of scales and minimums */
export function rangeSteps(weights: Float32Array, round: (value: number) => number = toF16): Steps {
  const { low, high } = rangeOf(weights);
  const range = fround(high - low);
  if (range < SMALLEST_RANGE) return { scale: 0, minimum: round(low + 0) }; // -0 becomes 0
  const tried = INT4_CUTS.flatMap((below) =>
    INT4_CUTS.map((above) => ({
      scale: round(fround(fround(range * (1 - below - above)) / 15)),
      minimum: round(fround(low + fround(range * below))),
    })),
  );
  return leastError(weights, tried, 0, 15);
}

export function rangeOf(weights: Float32Array): { readonly low: number; readonly high: number } {
  let [low, high] = [weights[0]!, weights[0]!];
  for (let i = 1; i < weights.length; i++) {
    const weight = weights[i]!;
    if (weight < low) low = weight;
    if (weight > high) high = weight;
  }
  return { low, high };
}

/** The codes of a group, into `codes` from `at` on. */
export function storeCodes(
  weights: Float32Array,
  { scale, minimum }: Steps,
  [low, high, zero]: readonly [low: number, high: number, zero: number],
  codes: Int8Array | Uint8Array,
  at: number,
): void {
  const inverse = scale === 0 ? 0 : fround(1 / scale);
  for (let k = 0; k < weights.length; k++)
    codes[at + k] = zero + max(low, min(toInteger(fround(fround(weights[k]! - minimum) * inverse)), high));
}

/** The steps with the least sum of squared errors, the first of equals. */
function leastError(weights: Float32Array, tried: readonly Steps[], low: number, high: number): Steps {
  let best = NO_STEPS;
  let least = Number.POSITIVE_INFINITY;
  for (const steps of tried) {
    const { scale, minimum } = steps;
    const inverse = fround(1 / scale);
    let sum = 0; // in squares of the scale
    for (let k = 0; k < weights.length; k++) {
      const exact = fround(fround(weights[k]! - minimum) * inverse);
      const error = fround(exact - max(low, min(toInteger(exact), high)));
      sum = fround(sum + fround(error * error));
    }
    const squared = fround(sum * fround(scale * scale));
    if (squared < least) [best, least] = [steps, squared];
  }
  return best;
}
