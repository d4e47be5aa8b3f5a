/** Kernels with the memory that they work in, and how values of another memory come to them and back. */
import { Qwen3Error } from "../../core/errors.ts";
import type { Kernels } from "./kernels.ts";
import { aligned, FIRST_ADDRESS, type WasmMemory } from "./memory.ts";

export class WasmInstance {
  readonly memory: WasmMemory;
  /** Bytes of the memory that weights and cache pages leave to activations and scratch. */
  readonly spareBytes: number;
  #placedBytes = 0;
  #kernels: Kernels | undefined;
  readonly #scratch = { address: 0, bytes: 0 };
  readonly #carried = { address: 0, bytes: 0 };

  constructor(kernels: Kernels, memory: WasmMemory, spareBytes: number) {
    this.#kernels = kernels;
    this.memory = memory;
    this.spareBytes = spareBytes;
  }

  /** @throws CLOSED */
  get kernels(): Kernels {
    if (!this.#kernels) throw new Qwen3Error("CLOSED", "the wasm backend was closed");
    return this.#kernels;
  }

  /** Bytes that weights and cache pages may still take. */
  get roomBytes(): number {
    return Math.max(0, this.memory.limitBytes - FIRST_ADDRESS - this.spareBytes - this.#placedBytes);
  }

  /** The address of room for weights or cache pages, if there is. */
  place(bytes: number): number | undefined {
    if (!(bytes <= this.roomBytes)) return undefined;
    const before = this.memory.bytesInUse;
    const address = this.memory.allocateIfRoom(bytes);
    this.#placedBytes += this.memory.bytesInUse - before;
    return address;
  }

  /** Gives back what `place` returned. */
  release(address: number): void {
    const before = this.memory.bytesInUse;
    this.memory.free(address);
    this.#placedBytes -= before - this.memory.bytesInUse;
  }

  /** What a kernel needs beside its operands: the address of at least so many bytes, until the next call. */
  readonly scratch = (bytes: number): number => this.#reuse(this.#scratch, bytes);

  /** Where activations of another memory are carried to, likewise. */
  carried(bytes: number): number {
    return this.#reuse(this.#carried, bytes);
  }

  /** Lets go of the memory, whoever still holds on to this object. */
  close(): void {
    this.#kernels = undefined;
    this.memory.close();
  }

  #reuse(span: { address: number; bytes: number }, bytes: number): number {
    if (bytes > span.bytes) {
      if (span.bytes > 0) this.memory.free(span.address);
      span.bytes = 0;
      span.address = this.memory.allocate(bytes);
      span.bytes = bytes;
    }
    this.memory.watch?.allocated(this.memory, span.address, bytes);
    return span.address;
  }
}

/** Values in the memory of activations. */
export interface Span {
  readonly address: number;
  readonly bytes: number;
}

/**
 * Runs a kernel in `instance` on values that lie in `home`. @param run gets the addresses of the operands and of the result, in the
 * memory of `instance`
 */
export function runIn(
  home: WasmInstance,
  instance: WasmInstance,
  operands: readonly Span[],
  result: Span,
  run: (operands: readonly number[], result: number) => void,
): void {
  if (instance === home) {
    const addresses = operands.map(({ address }) => address);
    run(addresses, result.address);
    return;
  }
  const spans = [...operands, result];
  let end = instance.carried(spans.reduce((sum, { bytes }) => sum + aligned(bytes), 0));
  const addresses = spans.map(({ bytes }) => {
    const address = end;
    end += aligned(bytes);
    return address;
  });
  const to = addresses.pop()!;
  for (const [i, { address, bytes }] of operands.entries())
    instance.memory.u8.set(home.memory.u8.subarray(address, address + bytes), addresses[i]!);
  run(addresses, to);
  home.memory.u8.set(instance.memory.u8.subarray(to, to + result.bytes), result.address);
}
