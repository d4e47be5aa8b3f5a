/**
 * Watches the memory of a backend that lies in WebAssembly: an operation may write its result, its scratch and (appendKv) its sequences'
 * pages, and not one byte beside them.
 */
import type { Backend, Segment } from "../../src/backend/backend.ts";
import type { WasmInstances } from "../../src/backend/wasm/instances.ts";
import type { WasmKvStore } from "../../src/backend/wasm/kv.ts";
import type { MemoryWatch, WasmMemory } from "../../src/backend/wasm/memory.ts";

const OPERATIONS = ["embed", "matmul", "rmsNorm", "rope", "appendKv", "attention", "swiglu", "add", "rows", "blockMaxima"];

interface Region {
  readonly memory: WasmMemory;
  readonly address: number;
  readonly bytes: number;
}

/** Compares all memory before and after every operation of a backend that has memory to look at. */
export class WriteCheck {
  watched = 0;
  readonly #strays: string[] = [];
  #regions: Region[] = [];
  /** Room for what the memories held, used again and again: making it anew would take longer than to copy and to compare. */
  readonly #copies: Uint8Array<ArrayBuffer>[] = [];

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
          const before = instances.all.map(({ memory }, i) => this.#copy(i, memory.u8));
          this.#regions = name === "appendKv" ? pagesOf(operands[0] as readonly Segment[]) : [];
          const result = value.apply(target, operands);
          this.watched++;
          for (const [i, bytes] of before.entries()) this.#compare(String(name), bytes, instances.all[i]!.memory);
          return result;
        };
      },
    });
  }

  #copy(index: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    let copy = this.#copies[index];
    if (!copy || copy.length < bytes.length) {
      copy = new Uint8Array(bytes.length * 2);
      this.#copies[index] = copy;
    }
    copy.set(bytes);
    return copy.subarray(0, bytes.length);
  }

  #compare(operation: string, before: Uint8Array, memory: WasmMemory): void {
    const regions = this.#regions.filter((region) => region.memory === memory);
    for (const { address, bytes } of regions) {
      // What may be written is taken as it is; the memory may have grown.
      before.set(memory.u8.subarray(address, Math.min(address + bytes, before.length)), Math.min(address, before.length));
    }
    const at = firstDifference(new Int32Array(before.buffer, 0, before.length / 4), new Int32Array(memory.u8.buffer));
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
