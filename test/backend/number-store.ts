/** A KV store without keys and values: a page holds a number for each slot. */
import type { KvShape, KvStore } from "../../src/backend/backend.ts";
import { Qwen3Error } from "../../src/core/errors.ts";

export class NumberStore implements KvStore {
  readonly shape: KvShape;
  readonly pages: number[][] = [];
  readonly #limit: number;

  /** @param limit how many pages there is memory for */
  constructor(shape: KvShape, limit = Number.POSITIVE_INFINITY) {
    this.shape = shape;
    this.#limit = limit;
  }

  ensure(page: number): void {
    if (page >= this.#limit) throw new Qwen3Error("MEMORY_FULL", "no page left");
    this.pages[page] ??= [];
  }
  copyPage(from: number, to: number): void {
    this.pages[to] = [...this.pages[from]!];
  }
  async readPage(): Promise<Uint8Array> {
    return new Uint8Array();
  }
  writePage(): void {}
  close(): void {}
}
