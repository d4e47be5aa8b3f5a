/**
 * Byte-pair encoding: a piece of text starts as one token per byte, and the neighbouring pair with the lowest rank, the leftmost of
 * equals, is joined until no pair has a rank. Exactly the definition of Hugging Face tokenizers, in O(n log n) for a piece of n bytes
 * however long it is, over typed arrays instead of strings.
 * Source: Sennrich et al. 2016 (arXiv:1508.07909).
 */
import { Qwen3Error } from "../core/errors.ts";
import { shown } from "../formats/json.ts";
import { byteCharacters } from "./byte-level.ts";

/** Pieces up to here are merged by looking at all pairs, which beats a heap while everything stays in the nearest cache. */
const shortPiece = 48;
const none = -1;

export class BytePairEncoder {
  /** The token of every single byte. */
  private readonly byteIds: Int32Array;
  private readonly pairs: PairTable;
  // Scratch for short pieces; nothing in it outlives a call.
  private readonly ids = new Int32Array(shortPiece);
  private readonly ranks = new Int32Array(shortPiece);

  /**
   * @param vocab     ids of tokens in the byte-level alphabet
   * @param merges    pairs that join, lowest rank first
   * @param forbidden ids that encoding must never yield
   * @throws Qwen3Error TOKENIZER_FILE if a byte or part of a merge is not in the vocabulary, or a forbidden id could come out
   */
  constructor(
    vocab: ReadonlyMap<string, number>,
    merges: readonly (readonly [string, string])[],
    forbidden: ReadonlySet<number>,
  ) {
    const idOf = (token: string): number => {
      const id = vocab.get(token);
      if (id === undefined) refuse(`the vocabulary lacks ${shown(token)}, which bytes or merges need`);
      if (forbidden.has(id)) refuse(`${shown(token)} is an added token, but plain text could be encoded to it`);
      return id;
    };
    this.byteIds = Int32Array.from(byteCharacters(), idOf);
    this.pairs = new PairTable(merges.length);
    merges.forEach(([left, right], rank) => {
      this.pairs.set(idOf(left), idOf(right), rank, idOf(left + right));
    });
  }

  /** Appends the tokens of bytes start..end-1 to `out`. */
  encode(bytes: Uint8Array, start: number, end: number, out: number[]): void {
    if (end - start > shortPiece) this.encodeLong(bytes, start, end, out);
    else this.encodeShort(bytes, start, end, out);
  }

  private encodeShort(bytes: Uint8Array, start: number, end: number, out: number[]): void {
    const { ids, ranks, pairs } = this;
    let n = end - start;
    for (let i = 0; i < n; i++) ids[i] = this.byteIds[bytes[start + i]!]!;
    for (let i = 0; i + 1 < n; i++) ranks[i] = pairs.rank(ids[i]!, ids[i + 1]!);
    while (n > 1) {
      let best = none;
      for (let i = 0; i + 1 < n; i++) if (ranks[i] !== none && (best === none || ranks[i]! < ranks[best]!)) best = i;
      if (best === none) break;
      ids[best] = pairs.joined(ids[best]!, ids[best + 1]!);
      n--;
      ids.copyWithin(best + 1, best + 2, n + 1);
      ranks.copyWithin(best + 1, best + 2, n + 1);
      if (best + 1 < n) ranks[best] = pairs.rank(ids[best]!, ids[best + 1]!);
      if (best > 0) ranks[best - 1] = pairs.rank(ids[best - 1]!, ids[best]!);
    }
    for (let i = 0; i < n; i++) out.push(ids[i]!);
  }

  /** The same with the tokens in a linked list, found through a heap of their pairs. */
  private encodeLong(bytes: Uint8Array, start: number, end: number, out: number[]): void {
    const { pairs } = this;
    const n = end - start;
    const ids = new Int32Array(n);
    const next = new Int32Array(n);
    const previous = new Int32Array(n);
    const ranks = new Int32Array(n).fill(none); // of the pair that starts here
    const queue = new PairQueue();
    const look = (at: number): void => {
      ranks[at] = next[at] === none ? none : pairs.rank(ids[at]!, ids[next[at]!]!);
      if (ranks[at] !== none) queue.push(ranks[at]!, at);
    };

    for (let i = 0; i < n; i++) {
      ids[i] = this.byteIds[bytes[start + i]!]!;
      next[i] = i + 1 < n ? i + 1 : none;
      previous[i] = i - 1;
    }
    for (let i = 0; i < n; i++) look(i);
    for (let at = queue.pop(ranks); at !== none; at = queue.pop(ranks)) {
      const right = next[at]!;
      ids[at] = pairs.joined(ids[at]!, ids[right]!);
      ranks[right] = none;
      next[at] = next[right]!;
      if (next[at] !== none) previous[next[at]!] = at;
      look(at);
      if (previous[at] !== none) look(previous[at]!);
    }
    for (let at = 0; at !== none; at = next[at]!) out.push(ids[at]!);
  }
}

/** Pairs of tokens to rank and joined token: open addressing in one typed array, four numbers an entry. */
class PairTable {
  private readonly entries: Int32Array;
  private readonly mask: number;

  constructor(count: number) {
    let slots = 16;
    while (slots < count * 2) slots *= 2; // at most half full, so that searches stay short
    this.entries = new Int32Array(slots * 4).fill(none);
    this.mask = slots - 1;
  }

  set(left: number, right: number, rank: number, joined: number): void {
    const at = this.find(left, right);
    this.entries[at] = left;
    this.entries[at + 1] = right;
    this.entries[at + 2] = rank;
    this.entries[at + 3] = joined;
  }

  /** The rank of a pair, or -1. */
  rank(left: number, right: number): number {
    return this.entries[this.find(left, right) + 2]!;
  }

  joined(left: number, right: number): number {
    return this.entries[this.find(left, right) + 3]!;
  }

  /** Where the pair's entry is, or would be. */
  private find(left: number, right: number): number {
    const { entries, mask } = this;
    const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    let at = ((hash ^ (hash >>> 15)) & mask) * 4;
    while (entries[at] !== none && (entries[at] !== left || entries[at + 1] !== right)) at = (at + 4) & (mask * 4);
    return at;
  }
}

/** A binary heap of (rank, position), lowest first. One number holds both: a rank has 20 bits and a position 31. */
class PairQueue {
  private heap = new Float64Array(1024);
  private size = 0;

  push(rank: number, at: number): void {
    if (this.size === this.heap.length) {
      const larger = new Float64Array(this.size * 2);
      larger.set(this.heap);
      this.heap = larger;
    }
    const { heap } = this;
    const key = rank * 0x80000000 + at;
    let slot = this.size++;
    for (let parent = (slot - 1) >> 1; slot > 0 && heap[parent]! > key; parent = (slot - 1) >> 1) {
      heap[slot] = heap[parent]!;
      slot = parent;
    }
    heap[slot] = key;
  }

  /** Takes the position of the lowest pair that is still what `ranks` says, or -1 when none is left. */
  pop(ranks: Int32Array): number {
    while (this.size > 0) {
      const key = this.heap[0]!;
      this.removeFirst();
      const rank = Math.floor(key / 0x80000000);
      const at = key - rank * 0x80000000;
      if (ranks[at] === rank) return at;
    }
    return none;
  }

  private removeFirst(): void {
    const { heap } = this;
    const key = heap[--this.size]!;
    let slot = 0;
    for (let child = 1; child < this.size; child = 2 * slot + 1) {
      if (child + 1 < this.size && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= key) break;
      heap[slot] = heap[child]!;
      slot = child;
    }
    heap[slot] = key;
  }
}

function refuse(problem: string): never {
  throw new Qwen3Error("TOKENIZER_FILE", `the tokenizer: ${problem}`);
}
