/**
 * A vocabulary's tokens as a tree of their bytes, laid out in depth-first order, so that whoever looks for the tokens that may come next
 * reads it from front to back and skips what is under a byte that does not fit. Made once for a tokenizer.
 */
import { Qwen3Error } from "../core/errors.ts";

/** What is needed of a tokenizer. */
export interface Vocabulary {
  readonly vocabSize: number;
  tokenBytes(id: number): Uint8Array;
  tokenToId(token: string): number | undefined;
  /** Whether `id` is an added token: it is allowed by its id alone, never by its bytes. */
  isAdded(id: number): boolean;
}

export class TokenTrie {
  readonly vocabSize: number;
  /** Nodes, without the root. */
  readonly size: number;
  /** [size]: a node's byte, its depth from 1, the first node that is not under it, and the token that ends there, or -1. */
  readonly byte: Uint8Array;
  readonly depth: Uint16Array;
  readonly end: Uint32Array;
  readonly token: Int32Array;
  /** Further tokens of the same bytes. */
  readonly twins = new Map<number, number[]>();
  /** Bytes of the longest token. */
  readonly maxDepth: number;
  /** A bit for each token that is in the tree. */
  readonly all: Uint32Array;

  /** @throws Qwen3Error TOKENIZER_FILE for a vocabulary that lacks a single byte, and so could not go on everywhere */
  constructor(vocabulary: Vocabulary) {
    const tokens = readTokens(vocabulary);
    this.vocabSize = vocabulary.vocabSize;
    this.all = new Uint32Array(Math.ceil(this.vocabSize / 32));
    const shared = tokens.map(({ bytes }, i) => (i === 0 ? 0 : sharedLength(tokens[i - 1]!.bytes, bytes)));
    this.size = tokens.reduce((sum, { bytes }, i) => sum + bytes.length - shared[i]!, 0);
    this.maxDepth = tokens.reduce((depth, { bytes }) => Math.max(depth, bytes.length), 0);
    this.byte = new Uint8Array(this.size);
    this.depth = new Uint16Array(this.size);
    this.end = new Uint32Array(this.size);
    this.token = new Int32Array(this.size).fill(-1);
    const open: number[] = [];
    let node = 0;
    tokens.forEach(({ bytes, id }, i) => {
      for (; open.length > shared[i]!; open.pop()) this.end[open.at(-1)!] = node;
      for (let at = shared[i]!; at < bytes.length; at++) {
        this.byte[node] = bytes.charCodeAt(at);
        this.depth[node] = at + 1;
        open.push(node++);
      }
      const last = open.at(-1)!;
      if (this.token[last] === -1) this.token[last] = id;
      else this.twins.set(this.token[last]!, [...(this.twins.get(this.token[last]!) ?? []), id]);
      setBit(this.all, id);
    });
    for (const left of open) this.end[left] = node;
    this.#requireBytes();
  }

  /** Sets the bits of the tokens that end at a node. */
  allow(allowed: Uint32Array, node: number): void {
    const id = this.token[node]!;
    if (id < 0) return;
    setBit(allowed, id);
    if (this.twins.size > 0) for (const twin of this.twins.get(id) ?? []) setBit(allowed, twin);
  }

  /** Clears the bits of the tokens at and under a node. */
  forbidUnder(allowed: Uint32Array, top: number): void {
    for (let node = top; node < this.end[top]!; node++) {
      const id = this.token[node]!;
      if (id < 0) continue;
      clearBit(allowed, id);
      if (this.twins.size > 0) for (const twin of this.twins.get(id) ?? []) clearBit(allowed, twin);
    }
  }

  #requireBytes(): void {
    const single = new Set<number>();
    for (let node = 0; node < this.size; node = this.end[node]!) if (this.token[node]! >= 0) single.add(this.byte[node]!);
    const missing = Array.from({ length: 256 }, (_, byte) => byte).find((byte) => !single.has(byte));
    if (missing !== undefined)
      throw new Qwen3Error(
        "TOKENIZER_FILE",
        `no token is the byte ${missing} alone; answers cannot be held to a grammar without one`,
      );
  }
}

/** Tokens with a byte a character, sorted. */
function readTokens(vocabulary: Vocabulary): { bytes: string; id: number }[] {
  const tokens: { bytes: string; id: number }[] = [];
  for (let id = 0; id < vocabulary.vocabSize; id++) {
    if (vocabulary.isAdded(id)) continue;
    const bytes = vocabulary.tokenBytes(id);
    if (bytes.length > 0) tokens.push({ bytes: String.fromCharCode(...bytes), id });
  }
  return tokens.sort((a, b) => (a.bytes < b.bytes ? -1 : a.bytes > b.bytes ? 1 : a.id - b.id));
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

export function setBit(bits: Uint32Array, id: number): void {
  bits[id >>> 5]! |= 1 << (id & 31);
}

export function clearBit(bits: Uint32Array, id: number): void {
  bits[id >>> 5]! &= ~(1 << (id & 31));
}

/** The only bit that is set, if it is just one. */
export function onlyBit(bits: Uint32Array): number | undefined {
  let found: number | undefined;
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    if (word === 0) continue;
    if (found !== undefined || (word & (word - 1)) !== 0) return undefined;
    found = i * 32 + 31 - Math.clz32(word);
  }
  return found;
}
