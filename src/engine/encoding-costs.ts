/** What the matrices of each encoding take, in the file and in memory: bits for a weight, scales and padding included. */
import type { Checkpoint } from "../formats/checkpoint.ts";
import { encodingName } from "../formats/encoding.ts";
import { heldBytes, type PlanOptions } from "./plan.ts";

export interface EncodingCost {
  readonly encoding: string;
  readonly matrices: number;
  readonly weights: number;
  /** Bits of a weight in the file. */
  readonly storedBits: number;
  /** Bits of a weight in memory, as the plan's `weights` says. */
  readonly heldBits: number;
}

/** The encodings that take the most room first. */
export function encodingCosts(
  { tensors }: Pick<Checkpoint, "tensors">,
  options: Pick<PlanOptions, "backend" | "weights">,
): EncodingCost[] {
  const sums = new Map<string, { matrices: number; weights: number; stored: number; held: number }>();
  for (const { shape, encoding, byteLength } of tensors.values()) {
    const [rows = 0, cols] = shape;
    if (cols === undefined) continue;
    const name = encodingName(encoding);
    const sum = sums.get(name) ?? { matrices: 0, weights: 0, stored: 0, held: 0 };
    sum.matrices++;
    sum.weights += rows * cols;
    sum.stored += byteLength;
    sum.held += heldBytes(rows, cols, encoding, options);
    sums.set(name, sum);
  }
  return Array.from(sums, ([encoding, { matrices, weights, stored, held }]) => ({
    encoding,
    matrices,
    weights,
    storedBits: (8 * stored) / weights,
    heldBits: (8 * held) / weights,
  })).sort((a, b) => b.weights * b.heldBits - a.weights * a.heldBits);
}
