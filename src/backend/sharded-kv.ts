/** The KV cache of a team: every page is divided among the threads by KV heads. */
import { type KvShape, type KvStore, kvHeadBytes, kvPageBytes, type Segment } from "./backend.ts";
import { gather } from "./gather.ts";
import { scaled } from "./partition.ts";
import * as check from "./shapes.ts";
import type { TeamLink } from "./team-link.ts";

export class ShardedKvStore implements KvStore {
  readonly shape: KvShape;
  /** The KV heads of each thread. */
  readonly heads: readonly number[];
  /** This thread's heads; undefined where it has none. */
  readonly own: KvStore | undefined;
  readonly #link: TeamLink;

  constructor(link: TeamLink, shape: KvShape, heads: readonly number[], own: KvStore | undefined) {
    this.shape = shape;
    this.heads = heads;
    this.own = own;
    this.#link = link;
  }

  ensure(page: number): void {
    this.own?.ensure(page);
  }

  copyPage(from: number, to: number): void {
    this.own?.copyPage(from, to);
  }

  /** All threads take part; the first one gets the whole page, the others an empty array. */
  async readPage(page: number): Promise<Uint8Array> {
    const own = (await this.own?.readPage(page)) ?? new Uint8Array();
    const whole = new Uint8Array(this.#link.index === 0 ? kvPageBytes(this.shape) : 0);
    const { rows, words } = this.#layout;
    gather(this.#link, words4(own), words, rows, this.#link.index === 0 ? words4(whole) : undefined);
    return whole;
  }

  /** @param bytes the whole page */
  writePage(page: number, bytes: Uint8Array): void {
    const { rows, words } = this.#layout;
    const [first, end] = [words[this.#link.index]! * 4, words[this.#link.index + 1]! * 4];
    const rowBytes = bytes.length / rows;
    const own = new Uint8Array(rows * (end - first));
    for (let row = 0; row < rows; row++)
      own.set(bytes.subarray(row * rowBytes + first, row * rowBytes + end), row * (end - first));
    this.own?.writePage(page, own);
  }

  close(): void {
    this.own?.close();
  }

  /** A page as rows of one layer's K and V, of 32-bit words; each thread's heads are a range of every row. */
  get #layout(): { rows: number; words: readonly number[] } {
    return { rows: this.shape.layers, words: scaled(this.heads, (2 * kvHeadBytes(this.shape)) / 4) };
  }
}

/** The same segments with this thread's part of their stores. */
export function ownSegments(segments: readonly Segment[]): { heads: readonly number[]; own: Segment[] | undefined } {
  const stores = segments.map(({ store }) => {
    check.require(store instanceof ShardedKvStore, "a KV store is not of this backend");
    return store;
  });
  const own: Segment[] = [];
  for (const [i, segment] of segments.entries()) {
    const store = stores[i]!.own;
    if (store) own.push({ ...segment, store });
  }
  return { heads: stores[0]?.heads ?? [], own: own.length > 0 ? own : undefined };
}

/** Bytes as 32-bit words, whose bits are only copied. */
function words4(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}
