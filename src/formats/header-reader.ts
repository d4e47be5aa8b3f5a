/**
 * Reads a binary header from the front of a source, little-endian, in few and growing pieces: a header of 6 MB behind HTTP takes two
 * requests. Every length that the file states is checked against the file's size before it is used.
 */
import { Qwen3Error } from "../core/errors.ts";
import { readRange } from "./range.ts";
import type { ByteSource } from "./source.ts";

/** 16 MiB: three times what the vocabulary of Qwen3 takes. In all files of a set together. */
export const MAX_BINARY_HEADER_BYTES = 16 * 1024 * 1024;

const FIRST_PIECE = 2 * 1024 * 1024;
/** Behind the first file of a set, which has the vocabulary. */
const LATER_PIECE = 64 * 1024;
const LARGEST_PIECE = 8 * 1024 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class HeaderReader {
  readonly source: ByteSource;
  /** What has been read so far of the file, from its first byte on. */
  bytes = new Uint8Array(0);
  /** The byte that is next. */
  at = 0;
  readonly #signal: AbortSignal | undefined;
  readonly #mostBytes: number;
  #view = new DataView(this.bytes.buffer);
  #piece = FIRST_PIECE;

  /** @param mostBytes how many the header may have; for one of several files, what the others leave */
  constructor(source: ByteSource, signal: AbortSignal | undefined, mostBytes = MAX_BINARY_HEADER_BYTES) {
    this.source = source;
    this.#signal = signal;
    this.#mostBytes = mostBytes;
    if (mostBytes < MAX_BINARY_HEADER_BYTES) this.#piece = LATER_PIECE;
  }

  /** Bytes from `at` to the file's end. */
  get remaining(): number {
    return this.source.size - this.at;
  }

  /** Whether the next `count` bytes are at hand; if not, `fetch` them. Loops ask first, since to await takes its time. */
  has(count: number): boolean {
    return count <= this.bytes.length - this.at;
  }

  /** @param what the bytes are, for messages */
  async fetch(count: number, what: string): Promise<void> {
    if (this.has(count)) return;
    if (count > this.remaining)
      this.refuse(`truncated: ${what} takes ${count} bytes at byte ${this.at}, the file has ${this.source.size}`);
    const end = this.at + count;
    if (end > this.#mostBytes)
      this.refuse(`${what} ends at byte ${end}; headers may have at most ${MAX_BINARY_HEADER_BYTES} bytes`);
    const have = this.bytes.length;
    const wanted = Math.min(Math.max(end, have + this.#piece), this.source.size, this.#mostBytes);
    const piece = await readRange(this.source, have, wanted - have, this.#signal);
    this.#piece = Math.min(2 * this.#piece, LARGEST_PIECE);
    if (have === 0) this.bytes = piece as Uint8Array<ArrayBuffer>;
    else {
      const longer = new Uint8Array(wanted);
      longer.set(this.bytes);
      longer.set(piece, have);
      this.bytes = longer;
    }
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  /** What lies behind `at` is no header and is let go. */
  finish(): void {
    if (this.bytes.length - this.at > this.at / 8) this.bytes = this.bytes.slice(0, this.at);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  async uint32(what: string): Promise<number> {
    await this.fetch(4, what);
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }

  /** A count, length or offset of 64 bits. @param most the largest that is allowed; @param limit what it comes from, for messages */
  async count(what: string, most: number, limit: string): Promise<number> {
    await this.fetch(8, what);
    const count = this.nextLength();
    if (count > most)
      this.refuse(`${what} is ${this.#view.getBigUint64(this.at - 8, true)}; at most ${most} is possible, ${limit}`);
    return count;
  }

  /** 64 bits as a number, which is rounded from 2^53 on: good to compare with a limit. They must be at hand. */
  nextLength(): number {
    this.at += 8;
    return this.#view.getUint32(this.at - 8, true) + this.#view.getUint32(this.at - 4, true) * 4294967296;
  }

  /** Text behind its length. */
  async text(what: string, mostBytes = MAX_BINARY_HEADER_BYTES): Promise<string> {
    const length = await this.count(`the length of ${what}`, mostBytes, "as the format has it");
    await this.fetch(length, what);
    this.at += length;
    return this.decode(this.at - length, this.at, what);
  }

  decode(start: number, end: number, what: string): string {
    try {
      return utf8.decode(this.bytes.subarray(start, end));
    } catch (cause) {
      throw new Qwen3Error("CHECKPOINT_HEADER", `${this.source.name}: ${what} is not UTF-8`, { cause });
    }
  }

  /** The bytes start..end-1 of the header, for numbers in them. */
  view(start: number, end: number): DataView {
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + start, end - start);
  }

  refuse(problem: string): never {
    throw new Qwen3Error("CHECKPOINT_HEADER", `${this.source.name}: ${problem}`);
  }
}
