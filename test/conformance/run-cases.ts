/**
 * Runs the conformance table on a backend and on the reference backend, compares every value, and watches the memory: an
 * operation may write its result, its scratch and (appendKv) its sequences' pages, and not one byte beside them.
 *
 * Free of any test framework and of any host's modules, so that it runs on every engine.
 */
import type { Backend, Segment, Tensor } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import type { WasmInstances } from "../../src/backend/wasm/instances.ts";
import type { WasmKvStore } from "../../src/backend/wasm/kv.ts";
import type { MemoryWatch, WasmMemory } from "../../src/backend/wasm/memory.ts";
import type { ConformanceCase } from "./case.ts";
import { conformanceCases } from "./cases.ts";

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
  const failures: string[] = [];
  const writes = new WriteCheck();
  let backend = writes.around(await make(writes.watch));
  let renewAt = backend.bytesInUse + RENEW_BYTES;
  let [count, values] = [0, 0];
  for (const { name, run } of cases) {
    count++;
    if (backend.bytesInUse > renewAt) {
      backend.close();
      backend = writes.around(await make(writes.watch));
      renewAt = backend.bytesInUse + RENEW_BYTES;
    }
    try {
      const expected = await results(new ReferenceBackend(), run);
      const actual = await results(backend, run);
      expected.forEach((result, i) => {
        values += result.length;
        const wrong = result.length === actual[i]!.length ? compare(result, actual[i]!) : `${actual[i]!.length} values`;
        if (wrong !== undefined) failures.push(`${name}: result ${i}: ${wrong}`);
      });
    } catch (error) {
      failures.push(`${name}: ${error}`);
    }
    for (const stray of writes.take()) failures.push(`${name}: ${stray}`);
  }
  backend.close();
  return { cases: count, values, watched: writes.watched, failures };
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

const OPERATIONS = ["embed", "matmul", "rmsNorm", "rope", "appendKv", "attention", "swiglu", "add", "rows"];

interface Region {
  readonly memory: WasmMemory;
  readonly address: number;
  readonly bytes: number;
}

/** Compares all memory before and after every operation of a backend that has memory to look at. */
class WriteCheck {
  watched = 0;
  readonly #strays: string[] = [];
  #regions: Region[] = [];

  readonly watch: MemoryWatch = {
    gapBytes: 64,
    allocated: (memory, address, bytes) => void this.#regions.push({ memory, address, bytes }),
  };

  /** The strays since the last call. */
  take(): string[] {
    return this.#strays.splice(0);
  }

  around(backend: Backend): Backend {
    const { instances } = backend as { instances?: WasmInstances };
    if (!instances) return backend;
    return new Proxy(backend, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        if (!OPERATIONS.includes(String(name))) return value.bind(target);
        return (...operands: unknown[]) => {
          const before = instances.all.map(({ memory }) => memory.u8.slice());
          this.#regions = name === "appendKv" ? pagesOf(operands[0] as readonly Segment[]) : [];
          const result = value.apply(target, operands);
          this.watched++;
          for (const [i, bytes] of before.entries()) this.#compare(String(name), bytes, instances.all[i]!.memory);
          return result;
        };
      },
    });
  }

  #compare(operation: string, before: Uint8Array, memory: WasmMemory): void {
    const regions = this.#regions.filter((region) => region.memory === memory);
    for (const { address, bytes } of regions) {
      // What may be written is taken as it is; the memory may have grown.
      before.set(memory.u8.subarray(address, Math.min(address + bytes, before.length)), Math.min(address, before.length));
    }
    const at = firstDifference(new Int32Array(before.buffer), new Int32Array(memory.u8.buffer));
    if (at === undefined) return;
    const allowed = regions.map(({ address, bytes }) => `${address}..${address + bytes - 1}`);
    this.#strays.push(`${operation} wrote at ${4 * at}, outside ${allowed.join(", ") || "nothing"}`);
  }
}

/** The first index where `b` differs from all of `a` (whole KiB); eight at a time, since this takes most of the run's time. */
function firstDifference(a: Int32Array, b: Int32Array): number | undefined {
  for (let i = 0; i < a.length; i += 8) {
    let difference = a[i]! ^ b[i]!;
    for (let j = 1; j < 8; j++) difference |= a[i + j]! ^ b[i + j]!;
    if (difference !== 0) return a.findIndex((value, j) => value !== b[j]);
  }
  return undefined;
}

function pagesOf(segments: readonly Segment[]): Region[] {
  return segments.flatMap(({ store, pages }) => pages.flatMap((page) => (store as WasmKvStore).pieces(page)));
}
