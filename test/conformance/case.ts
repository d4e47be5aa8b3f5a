/** One line of the conformance table. */
import type { Backend, Tensor } from "../../src/backend/backend.ts";

export interface ConformanceCase {
  readonly name: string;
  /** Makes operands on `b`, operates on them, and returns what is to be compared. Runs in a scope; closes its stores. */
  readonly run: (b: Backend) => Tensor[];
}

/** The sizes that every extent which matters takes: all ways to fill up vectors, tiles and blocks of 32 and to leave a rest. */
export const SIZES: readonly number[] = Array.from({ length: 67 }, (_, i) => i + 1);
