/**
 * Weights in MLX's affine form, w = code * scale + bias: how codes, scales and biases are chosen when a checkpoint is written. Both numbers
 * are of the float type that the file has for them, and codes are chosen for them as they are stored. All arithmetic is f32, each step
 * rounded.
 *
 *   4 bits   int4 with a minimum, as quantize-weights.ts has it
 *   8 bits   the greatest bias that is no greater than any weight, and the least scale with which 255 steps reach the greatest weight: no
 *            weight is cut off, and none is further from its value than half a step (or 2^-100)
 */
import { bf16ToF32, type FloatType, f16ToF32, f32ToBf16, f32ToF16 } from "../core/dtype.ts";
import { rangeOf, rangeSteps, type Steps, storeCodes } from "./quantize-weights.ts";

const { fround } = Math;

/** 2^-100: the inverse of a step is finite above it, and no weight means anything below. */
const SMALLEST_RANGE = 7.888609052210118e-31;

export interface AffineRow {
  readonly codes: Uint8Array;
  /** [groups] */
  readonly scales: Float32Array;
  readonly biases: Float32Array;
}

/** The numbers of a type: to the nearest, ties to even, and from there on to one side. */
interface Held {
  readonly nearest: (value: number) => number;
  /** The greatest that is no greater than `value`. */
  readonly below: (value: number) => number;
  /** The least that is no less. */
  readonly above: (value: number) => number;
}

/** @param row finite, within ±65,504; whole groups */
export function quantizeAffine(row: Float32Array, bits: 4 | 8, group: number, type: FloatType): AffineRow {
  const held = HELD[type];
  const groups = row.length / group;
  const out = { codes: new Uint8Array(row.length), scales: new Float32Array(groups), biases: new Float32Array(groups) };
  for (let g = 0; g < groups; g++) {
    const weights = row.subarray(g * group, (g + 1) * group);
    const steps = bits === 4 ? rangeSteps(weights, held.nearest) : byteSteps(weights, held);
    out.scales[g] = steps.scale;
    out.biases[g] = steps.minimum;
    storeCodes(weights, steps, bits === 4 ? [0, 15, 0] : [0, 255, 0], out.codes, g * group);
  }
  return out;
}

function byteSteps(weights: Float32Array, { below, above }: Held): Steps {
  const { low, high } = rangeOf(weights);
  const minimum = below(low + 0); // -0 becomes 0
  const range = fround(high - minimum);
  return { scale: range < SMALLEST_RANGE ? 0 : above(fround(range / 255)), minimum };
}

/** Types of 16 bits, whose magnitudes are in the order of their lower 15. */
function held16(narrow: (value: number) => number, widen: (half: number) => number): Held {
  const nearest = (value: number) => widen(narrow(value));
  const above = (value: number) => {
    const half = narrow(value);
    if (widen(half) >= value) return widen(half);
    return half & 0x8000 ? widen(half - 1) : widen(half + 1);
  };
  return { nearest, above, below: (value) => -above(-value) + 0 };
}

const HELD: Readonly<Record<FloatType, Held>> = {
  f32: { nearest: fround, below: fround, above: fround },
  f16: held16(f32ToF16, f16ToF32),
  bf16: held16(f32ToBf16, bf16ToF32),
};
