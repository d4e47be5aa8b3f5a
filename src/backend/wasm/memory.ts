/**
 * Room in one WebAssembly memory: an allocator for weights, cache pages and blocks of activations.
 *
 * Spans are multiples of 16 bytes at multiples of 16, kept in a list of free spans by address that touching neighbours are merged
 * into; the smallest span that is large enough is taken. The memory grows when none is: in place, for it is made with its limit as
 * `maximum`, so that engines set addresses apart and need not move it. What has not been written takes no memory of the machine.
 */
import { Qwen3Error } from "../../core/errors.ts";

export const PAGE_BYTES = 65536;
/** The last page of 4 GiB stays unused, so that the end of a region is always a 32-bit number too. */
export const MOST_BYTES = 65535 * PAGE_BYTES;
/** The kernels' compiler takes it that no data lies below this address. */
export const FIRST_ADDRESS = 1024;
/** Growth beyond what is asked for; more would count as memory in use without being used. */
const MOST_AHEAD_BYTES = 16 * 1024 * 1024;

/** For tests: how far apart regions are to lie, and who is told of each that operations may write. */
export interface MemoryWatch {
  readonly gapBytes: number;
  readonly allocated: (memory: WasmMemory, address: number, bytes: number) => void;
}

interface Span {
  readonly address: number;
  readonly bytes: number;
}

export class WasmMemory {
  readonly watch: MemoryWatch | undefined;
  /** The memory grows no larger. */
  readonly limitBytes: number;
  #memory: WebAssembly.Memory | undefined;
  #free: Span[]; // by address, no two touching
  readonly #taken = new Map<number, number>(); // address to bytes
  #bytesInUse = 0;
  #u8: Uint8Array<ArrayBuffer>;
  #u32: Uint32Array<ArrayBuffer>;
  #f32: Float32Array<ArrayBuffer>;

  /**
   * @param maximumBytes the memory grows no larger; at most (and by default) a page less than 4 GiB
   * @throws ARGUMENT; MEMORY_FULL where the host has no addresses left for it
   */
  constructor(maximumBytes: number = MOST_BYTES, watch?: MemoryWatch) {
    if (!(maximumBytes >= PAGE_BYTES))
      throw new Qwen3Error("ARGUMENT", `maximumBytes is ${maximumBytes}; allowed: ${PAGE_BYTES} (one page) and more`);
    const pages = Math.floor(Math.min(maximumBytes, MOST_BYTES) / PAGE_BYTES);
    this.limitBytes = pages * PAGE_BYTES;
    try {
      this.#memory = new WebAssembly.Memory({ initial: 1, maximum: pages });
    } catch (cause) {
      throw new Qwen3Error("MEMORY_FULL", `the host refuses a WebAssembly memory of up to ${this.limitBytes} bytes`, { cause });
    }
    this.watch = watch;
    this.#free = [{ address: FIRST_ADDRESS, bytes: PAGE_BYTES - FIRST_ADDRESS }];
    [this.#u8, this.#u32, this.#f32] = views(this.#memory.buffer);
  }

  /** What the kernels import. @throws CLOSED */
  get memory(): WebAssembly.Memory {
    if (!this.#memory) throw new Qwen3Error("CLOSED", "the WebAssembly memory was given back");
    return this.#memory;
  }

  /** The whole memory. Views go stale when the memory grows: take a new one after every `allocate`. */
  get u8(): Uint8Array<ArrayBuffer> {
    return this.#u8;
  }
  get u32(): Uint32Array<ArrayBuffer> {
    return this.#u32;
  }
  get f32(): Float32Array<ArrayBuffer> {
    return this.#f32;
  }

  /** Bytes handed out and not given back. */
  get bytesInUse(): number {
    return this.#bytesInUse;
  }

  /** The f32 values from `address` on. */
  floats(address: number, count: number): Float32Array<ArrayBuffer> {
    return this.#f32.subarray(address / 4, address / 4 + count);
  }

  /** @returns the address of at least `bytes` bytes, of no particular contents; a multiple of 16. @throws MEMORY_FULL */
  allocate(bytes: number): number {
    const address = this.allocateIfRoom(bytes);
    if (address !== undefined) return address;
    throw new Qwen3Error(
      "MEMORY_FULL",
      `no room for ${bytes} bytes in WebAssembly memory: ${this.#bytesInUse} bytes are in use, ` +
        `of ${this.memory.buffer.byteLength} now and at most ${this.limitBytes}`,
    );
  }

  /** As `allocate`, but undefined where the host or the limit leaves no room. @throws CLOSED */
  allocateIfRoom(bytes: number): number | undefined {
    const size = aligned(Math.max(bytes, 1) + (this.watch?.gapBytes ?? 0));
    if (!(size <= this.limitBytes)) return undefined;
    let index = this.#smallestFit(size);
    if (index === undefined) {
      if (!this.#grow(size)) return undefined;
      index = this.#free.length - 1; // the memory's end
    }
    const span = this.#free[index]!;
    const rest = { address: span.address + size, bytes: span.bytes - size };
    this.#free.splice(index, 1, ...(rest.bytes > 0 ? [rest] : []));
    this.#taken.set(span.address, size);
    this.#bytesInUse += size;
    return span.address;
  }

  /** Gives back what `allocate` returned. */
  free(address: number): void {
    if (!this.#memory) return;
    const bytes = this.#taken.get(address);
    if (bytes === undefined) throw new Qwen3Error("ARGUMENT", `free: address ${address} was not allocated`);
    this.#taken.delete(address);
    this.#bytesInUse -= bytes;
    this.#insert({ address, bytes });
  }

  /** Lets go of the memory as a whole, whoever still holds on to this object. */
  close(): void {
    this.#memory = undefined;
    this.#free = [];
    this.#taken.clear();
    this.#bytesInUse = 0;
    [this.#u8, this.#u32, this.#f32] = views(new ArrayBuffer(0));
  }

  #smallestFit(size: number): number | undefined {
    let best: number | undefined;
    for (const [index, { bytes }] of this.#free.entries())
      if (bytes >= size && (best === undefined || bytes < this.#free[best]!.bytes)) best = index;
    return best;
  }

  /** Puts a span among the free ones, merged with the neighbours it touches. */
  #insert(span: Span): void {
    let index = 0;
    for (let high = this.#free.length; index < high; ) {
      const middle = (index + high) >> 1;
      if (this.#free[middle]!.address < span.address) index = middle + 1;
      else high = middle;
    }
    let { address, bytes } = span;
    const before = this.#free[index - 1];
    const after = this.#free[index];
    const joinsBefore = before !== undefined && before.address + before.bytes === address;
    const joinsAfter = after !== undefined && address + bytes === after.address;
    if (joinsBefore) {
      address = before.address;
      bytes += before.bytes;
    }
    if (joinsAfter) bytes += after.bytes;
    this.#free.splice(joinsBefore ? index - 1 : index, Number(joinsBefore) + Number(joinsAfter), { address, bytes });
  }

  /** Grows by half, but no further ahead than `MOST_AHEAD_BYTES`, so that a free span of `size` ends the memory, or not at all. */
  #grow(size: number): boolean {
    const { memory } = this;
    const capacity = memory.buffer.byteLength;
    const last = this.#free[this.#free.length - 1];
    const free = last !== undefined && last.address + last.bytes === capacity ? last.bytes : 0;
    const needed = size - free;
    const ahead = Math.min(capacity / 2, MOST_AHEAD_BYTES, this.limitBytes - capacity);
    const pages = Math.ceil(Math.max(needed, ahead) / PAGE_BYTES);
    if (capacity + needed > this.limitBytes || !grow(memory, pages, Math.ceil(needed / PAGE_BYTES))) return false;
    this.#insert({ address: capacity, bytes: memory.buffer.byteLength - capacity });
    [this.#u8, this.#u32, this.#f32] = views(memory.buffer);
    return true;
  }
}

/** Asks the host for `pages` more, and if it refuses for `least`. */
function grow(memory: WebAssembly.Memory, pages: number, least: number): boolean {
  for (const count of new Set([pages, least]))
    try {
      memory.grow(count);
      return true;
    } catch {
      // RangeError: the host has no more
    }
  return false;
}

type Views = [u8: Uint8Array<ArrayBuffer>, u32: Uint32Array<ArrayBuffer>, f32: Float32Array<ArrayBuffer>];

function views(buffer: ArrayBuffer): Views {
  return [new Uint8Array(buffer), new Uint32Array(buffer), new Float32Array(buffer)];
}

/** `bytes` rounded up to a multiple of 16. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}
