/** What a measuring process prints, as one line of JSON; the drivers in bench/peers print the same without the optional parts. */
import type { MemoryPlan } from "../../src/index.ts";

/** A prompt, and what comes after its first token. */
export interface Run {
  readonly promptSeconds: number;
  readonly decodeSeconds: number;
  /** The median of the times between two tokens: what others do to single ones does not show. */
  readonly tokenSeconds?: number;
}

export interface Measured {
  /** With its version. */
  readonly engine: string;
  readonly runtime: string;
  readonly details: unknown;
  readonly threads: number;
  readonly promptTokens: number;
  /** After the first one, which comes with the prompt. */
  readonly decodeTokens: number;
  readonly loadSeconds: number;
  /** Resident memory at its highest. */
  readonly peakBytes: number;
  /** Of all its threads, from start to end. */
  readonly cpuSeconds: number;
  /** Share of the cores that others used meanwhile; much more than 0 spoils the figures. Known where /proc tells. */
  readonly othersShare?: number;
  readonly runs: readonly Run[];
  /** From the start of the process to the first token of a short prompt. */
  readonly firstTokenSeconds?: number;
  readonly plan?: MemoryPlan;
  /** Several sequences decoded together; prompts and tokens are each one's. */
  readonly batch?: {
    readonly sequences: number;
    readonly promptTokens: number;
    readonly decodeTokens: number;
    readonly runs: readonly Run[];
  };
  /** A long prompt, and decoding behind it. */
  readonly context?: { readonly promptTokens: number; readonly decodeTokens: number; readonly run: Run };
}

export interface Failed {
  readonly error: string;
}

export interface NativeCeiling {
  readonly threads: number;
  /** By the number of streams in which each thread reads. */
  readonly readGBps: Readonly<Record<string, number>>;
  /** Billions of int8 multiply-adds a second, of one thread, with vectors of 128 bits; vpdpbusd is 0 where the machine has none. */
  readonly dotPeak: DotPeaks;
  /** The same of vectors of 256 bits; 0 where the machine has none. */
  readonly dotPeakWide: DotPeaks;
}

export interface DotPeaks {
  readonly pmaddwd: number;
  readonly pmaddubsw: number;
  readonly vpdpbusd: number;
}

export interface WasmCeiling {
  readonly threads: number;
  readonly readGBps: Readonly<Record<string, number>>;
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};
