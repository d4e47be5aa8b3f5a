/**
 * The WebAssembly instances of one backend: the same kernels, each instance with a memory of its own.
 *
 * One memory ends at 4 GiB. The first instance, `home`, holds the activations, and weights and cache pages beside them; what finds no
 * room there goes to a further instance. An operation runs where its weights lie: `runIn` carries the activations, which are kilobytes,
 * there and back. A matrix, and what one layer keeps of a page, must fit into one memory.
 */
import { Qwen3Error } from "../../core/errors.ts";
import { WasmInstance } from "./instance.ts";
import type { Kernels } from "./kernels.ts";
import { FIRST_ADDRESS, type MemoryWatch, MOST_BYTES, PAGE_BYTES, WasmMemory } from "./memory.ts";

/** The share of a memory that weights leave free where nobody says what a step takes. */
const SPARE_SHARE = 1 / 16;

/** A host that refuses a memory that may grow to as much is asked for no less. */
const LEAST_BYTES = 16 * 1024 * 1024;

/** Makes the kernels that work in `memory`. */
export type Instantiate = (memory: WasmMemory) => Kernels;

export interface InstanceOptions {
  /** What all memories together may grow to. Default: no limit. */
  readonly maximumBytes?: number | undefined;
  /** What one memory may grow to. Default, and most: a page less than 4 GiB. */
  readonly instanceBytes?: number | undefined;
  /** What will be put into all memories together, where it is known: the first one is made no larger than that. */
  readonly plannedBytes?: number | undefined;
  /** What activations and scratch of a step take at most: so much is left free by weights and cache. Default: 1/16 of a memory. */
  readonly stepBytes?: number | undefined;
  /** For tests. */
  readonly watch?: MemoryWatch | undefined;
}

/** Where something lies. */
export interface Place {
  readonly instance: WasmInstance;
  readonly address: number;
}

export class WasmInstances {
  /** Where the activations are. */
  readonly home: WasmInstance;
  readonly all: WasmInstance[] = [];
  readonly #instantiate: Instantiate;
  readonly #options: InstanceOptions;
  readonly #instanceBytes: number;

  constructor(instantiate: Instantiate, options: InstanceOptions = {}) {
    const { maximumBytes, instanceBytes, plannedBytes = MOST_BYTES, stepBytes = 0 } = options;
    for (const [name, bytes] of Object.entries({ maximumBytes, instanceBytes }))
      if (bytes !== undefined && !(bytes >= PAGE_BYTES))
        throw new Qwen3Error("ARGUMENT", `wasm.${name} is ${bytes}; allowed: ${PAGE_BYTES} (one page) and more`);
    this.#instantiate = instantiate;
    this.#options = options;
    this.#instanceBytes = Math.min(instanceBytes ?? MOST_BYTES, MOST_BYTES);
    this.home = this.#open(Math.min(this.#nextBytes, Math.max(plannedBytes + stepBytes, PAGE_BYTES)));
  }

  get bytesInUse(): number {
    return this.all.reduce((sum, { memory }) => sum + memory.bytesInUse, 0);
  }

  /** Room for weights in the first memory that has it, or in a new one. @throws MEMORY_FULL */
  place(bytes: number): Place {
    for (const instance of this.all) {
      const address = instance.place(bytes);
      if (address !== undefined) return { instance, address };
    }
    const instance = bytes <= this.#roomIn(this.#nextBytes) ? this.#next() : undefined;
    const address = instance?.place(bytes);
    if (!instance || address === undefined) throw this.full(bytes);
    return { instance, address };
  }

  /**
   * Shares out `count` pieces, in order, that are to grow to `bytes` each. Where all memories together have no room for that, the last
   * one takes what is left over, and will be full before its time.
   */
  spread(count: number, bytes: number): { readonly instance: WasmInstance; readonly count: number }[] {
    const parts: { instance: WasmInstance; count: number }[] = [];
    let left = count;
    for (let i = 0; left > 0; i++) {
      const instance = this.all[i] ?? this.#next();
      if (!instance) break;
      const share = Math.min(left, Math.floor(instance.roomBytes / Math.min(bytes, this.#roomIn(this.#instanceBytes))));
      if (share > 0) parts.push({ instance, count: share });
      left -= share;
    }
    const last = parts[parts.length - 1];
    if (last) last.count += left;
    else parts.push({ instance: this.home, count: left });
    return parts;
  }

  full(bytes: number): Qwen3Error {
    const { maximumBytes = Number.POSITIVE_INFINITY } = this.#options;
    const together = maximumBytes === Number.POSITIVE_INFINITY ? "" : `, all together at most ${maximumBytes}`;
    return new Qwen3Error(
      "MEMORY_FULL",
      `no room for ${bytes} bytes in WebAssembly memory: ${this.bytesInUse} bytes are in use in ${this.all.length} memories of ` +
        `at most ${this.#instanceBytes} each, ${this.home.spareBytes} of which are kept for activations${together}`,
    );
  }

  close(): void {
    for (const instance of this.all) instance.close();
  }

  /** What the next memory may grow to. */
  get #nextBytes(): number {
    const taken = this.all.reduce((sum, { memory }) => sum + memory.limitBytes, 0);
    return Math.min(this.#instanceBytes, (this.#options.maximumBytes ?? Number.POSITIVE_INFINITY) - taken);
  }

  /** Another instance, if the limit and the host allow one. */
  #next(): WasmInstance | undefined {
    const bytes = this.#nextBytes;
    if (bytes < PAGE_BYTES) return undefined;
    try {
      return this.#open(bytes);
    } catch (error) {
      if (error instanceof Qwen3Error && error.code === "MEMORY_FULL") return undefined;
      throw error;
    }
  }

  #open(bytes: number): WasmInstance {
    const memory = largestMemory(bytes, this.#options.watch);
    const instance = new WasmInstance(this.#instantiate(memory), memory, this.#spareIn(memory.limitBytes));
    this.all.push(instance);
    return instance;
  }

  /** The first memory may be all activations; of any other at least half is for what it was opened for. */
  #spareIn(limitBytes: number): number {
    const { stepBytes = limitBytes * SPARE_SHARE } = this.#options;
    return Math.floor(Math.min(stepBytes, this.all.length === 0 ? limitBytes : limitBytes / 2));
  }

  /** What weights can take of a further memory. */
  #roomIn(limitBytes: number): number {
    return limitBytes - this.#spareIn(limitBytes) - FIRST_ADDRESS;
  }
}

/** A memory of that limit, or of a half or a quarter of it and so on where the host refuses to set so many addresses apart. */
function largestMemory(bytes: number, watch: MemoryWatch | undefined): WasmMemory {
  for (let limit = bytes; ; limit /= 2) {
    try {
      return new WasmMemory(limit, watch);
    } catch (error) {
      if (limit / 2 < LEAST_BYTES) throw error;
    }
  }
}
