/**
 * Runs the conformance table on a backend and on the reference backend, compares every value, and watches what operations write.
 *
 * Free of any test framework and of any host's modules, so that it runs on every engine.
 */
import type { Backend, Tensor } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import type { MemoryWatch } from "../../src/backend/wasm/memory.ts";
import type { ConformanceCase } from "./case.ts";
import { conformanceCases } from "./cases.ts";
import { WriteCheck } from "./write-check.ts";

export interface ConformanceResult {
  readonly cases: number;
  readonly values: number;
  /** Operations whose writes were watched. */
  readonly watched: number;
  /** A sentence for each case that failed. */
  readonly failures: string[];
}

/** Makes a backend; one that lies in WebAssembly memory tells `watch` where its operations may write. */
export type MakeBackend = (watch: MemoryWatch) => Promise<Backend>;
/** @returns what is wrong, or undefined */
export type Compare = (expected: Float32Array, actual: Float32Array) => string | undefined;

/** Matrices are freed with their backend: once they take as much as this, the next case begins with a new one. */
const RENEW_BYTES = 384 * 1024;

export async function runConformance(
  make: MakeBackend,
  cases: Iterable<ConformanceCase> = conformanceCases(),
  compare: Compare = compareBits,
): Promise<ConformanceResult> {
  return (await compareAll({ only: make }, cases, compare)).only!;
}

/** Several backends beside one reference: each case is computed once by each of them. */
export async function compareAll(
  makes: Readonly<Record<string, MakeBackend>>,
  cases: Iterable<ConformanceCase> = conformanceCases(),
  compare: Compare = compareBits,
): Promise<Record<string, ConformanceResult>> {
  const candidates = Object.entries(makes).map(([name, make]) => [name, new Candidate(make, compare)] as const);
  for (const { name, run } of cases) {
    const expected = await results(new ReferenceBackend(), run);
    for (const [, candidate] of candidates) await candidate.take(name, run, expected);
  }
  return Object.fromEntries(candidates.map(([name, candidate]) => [name, candidate.end()]));
}

class Candidate {
  readonly #make: MakeBackend;
  readonly #compare: Compare;
  readonly #writes = new WriteCheck();
  readonly #failures: string[] = [];
  #backend: Backend | undefined;
  #renewAt = 0;
  #cases = 0;
  #values = 0;

  constructor(make: MakeBackend, compare: Compare) {
    this.#make = make;
    this.#compare = compare;
  }

  async take(name: string, run: ConformanceCase["run"], expected: readonly Float32Array[]): Promise<void> {
    this.#cases++;
    try {
      const actual = await results(await this.#current(), run);
      for (const [i, result] of expected.entries()) {
        this.#values += result.length;
        const other = actual[i]!;
        const wrong = result.length === other.length ? this.#compare(result, other) : `${other.length} values`;
        if (wrong !== undefined) this.#failures.push(`${name}: result ${i}: ${wrong}`);
      }
    } catch (error) {
      this.#failures.push(`${name}: ${error}`);
    }
    for (const stray of this.#writes.take()) this.#failures.push(`${name}: ${stray}`);
  }

  end(): ConformanceResult {
    this.#backend?.close();
    return { cases: this.#cases, values: this.#values, watched: this.#writes.watched, failures: this.#failures };
  }

  async #current(): Promise<Backend> {
    if (this.#backend && this.#backend.bytesInUse <= this.#renewAt) return this.#backend;
    this.#backend?.close();
    this.#backend = this.#writes.around(await this.#make(this.#writes.watch));
    this.#renewAt = this.#backend.bytesInUse + RENEW_BYTES;
    return this.#backend;
  }
}

function results(b: Backend, run: (b: Backend) => Tensor[]): Promise<Float32Array[]> {
  let reads: Promise<Float32Array>[] = [];
  b.scope(() => {
    reads = run(b).map((tensor) => b.read(tensor));
    return undefined;
  });
  return Promise.all(reads);
}

/** Equal bits, but any NaN for any NaN: which one comes out is not defined, and -0 is not 0. */
export const compareBits: Compare = (expected, actual) => {
  const wrong = expected.findIndex((value, i) => !Object.is(value, actual[i]));
  return wrong < 0 ? undefined : `value ${wrong} of ${expected.length} is ${actual[wrong]}, not ${expected[wrong]}`;
};
