/** A file that is being downloaded into a page's storage: whole pieces behind one another, the last of them still in memory. */
import type { HubBlob, PartialBlob } from "./cache.ts";
import type { PieceStore } from "./piece-store.ts";

/** What a page that is closed loses of a download at most; a file of 2.5 GB has 300 pieces. */
const PIECE_BYTES = 8 * 1024 * 1024;

export class PagePartial implements PartialBlob {
  readonly #store: PieceStore;
  readonly #blob: HubBlob;
  readonly #release: () => void;
  readonly #sizes: number[] = [];
  #buffer = new Uint8Array(0);
  #filled = 0;

  private constructor(store: PieceStore, blob: HubBlob, release: () => void) {
    this.#store = store;
    this.#blob = blob;
    this.#release = release;
  }

  static async open(store: PieceStore, blob: HubBlob, release: () => void): Promise<PagePartial> {
    const partial = new PagePartial(store, blob, release);
    for (;;) {
      const piece = await store.read(partial.#key(partial.#sizes.length));
      if (!piece) return partial;
      partial.#sizes.push(piece.size);
    }
  }

  get length(): number {
    return this.#sizes.reduce((sum, size) => sum + size, 0) + this.#filled;
  }

  async *read(): AsyncGenerator<Uint8Array, void> {
    for (let i = 0; i < this.#sizes.length; i++)
      yield new Uint8Array(await (await this.#store.read(this.#key(i)))!.arrayBuffer());
  }

  async append(bytes: Uint8Array): Promise<void> {
    if (this.#buffer.length === 0)
      this.#buffer = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, this.#blob.size - this.length)));
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.#buffer.length - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#buffer.length) await this.#flush();
    }
  }

  async discard(): Promise<void> {
    this.#filled = 0;
    while (this.#sizes.length > 0) await this.#store.remove(this.#key(this.#sizes.length - 1)).then(() => this.#sizes.pop());
  }

  async commit(): Promise<void> {
    if (this.#sizes.length === 0 || this.#filled > 0) await this.#flush(); // an empty file has one empty piece
    await this.#store.write(`whole/${this.#blob.etag}`, new TextEncoder().encode(String(this.length)));
  }

  async close(): Promise<void> {
    try {
      if (this.#filled > 0) await this.#flush();
    } finally {
      this.#release();
    }
  }

  async #flush(): Promise<void> {
    await this.#store.write(this.#key(this.#sizes.length), this.#buffer.subarray(0, this.#filled));
    this.#sizes.push(this.#filled);
    this.#filled = 0;
  }

  #key(index: number): string {
    return `blob/${this.#blob.etag}/${index}`;
  }
}
