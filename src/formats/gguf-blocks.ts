/**
 * Blocks of GGUF into codes and scales. Codes are moved four at a time, as the bytes of a 32-bit word; in blocks of 32, the low halves of 16
 * bytes are the first 16 values and the high halves the others.
 *
 *   q8_0    d f16, 32 codes i8                        q4_0, iq4_nl   d f16, 16 bytes
 *   q4_1    d f16, m f16, 16 bytes                    q5_0           d f16, fifth bits of 32 codes u32, 16 bytes
 *   q5_1    d f16, m f16, fifth bits u32, 16 bytes    k types, iq4_xs: gguf-super-blocks.ts
 */
import { f16ToF32 } from "../core/dtype.ts";
import type { QuantizedRows } from "../core/quantized.ts";
import { decodeIq4Xs, decodeQ2K, decodeQ3K, decodeQ4K, decodeQ5K, decodeQ6K } from "./gguf-super-blocks.ts";
import { GGUF_TYPES, type GgufType } from "./gguf-types.ts";
import { fifthBits, HALVES, lookedUp, minus16 } from "./gguf-words.ts";

/** @param words the codes, four in each; @param blocks how many there are */
type Decode = (from: DataView, blocks: number, words: Uint32Array, into: QuantizedRows) => void;

/**
 * Whole rows, so whole blocks.
 *
 * @param into memory for as many values, its codes at a multiple of 4 bytes
 */
export function decodeBlocks(type: GgufType, bytes: Uint8Array, into: QuantizedRows): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = new Uint32Array(into.codes.buffer, into.codes.byteOffset, into.codes.length / 4);
  DECODERS[type](view, bytes.length / GGUF_TYPES[type].bytes, words, into);
}

const DECODERS: Readonly<Record<GgufType, Decode>> = {
  q8_0: decodeQ8,
  q4_0: (from, blocks, words, into) => decodeQ4(from, blocks, words, into.scales, undefined),
  q4_1: (from, blocks, words, into) => decodeQ4(from, blocks, words, into.scales, into.minimums),
  q5_0: (from, blocks, words, into) => decodeQ5(from, blocks, words, into.scales, undefined),
  q5_1: (from, blocks, words, into) => decodeQ5(from, blocks, words, into.scales, into.minimums),
  q2_k: decodeQ2K,
  q3_k: decodeQ3K,
  q4_k: decodeQ4K,
  q5_k: decodeQ5K,
  q6_k: decodeQ6K,
  iq4_nl: decodeIq4Nl,
  iq4_xs: decodeIq4Xs,
};

function decodeQ8(from: DataView, blocks: number, words: Uint32Array, { scales }: QuantizedRows): void {
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 34) {
    scales[b] = f16ToF32(from.getUint16(at, true));
    for (let i = 2; i < 34; i += 4) words[to++] = from.getUint32(at + i, true);
  }
}

function decodeQ4(from: DataView, blocks: number, words: Uint32Array, scales: Float32Array, minimums?: Float32Array): void {
  let at = 0;
  for (let b = 0, to = 0; b < blocks; b++, to += 8) {
    scales[b] = f16ToF32(from.getUint16(at, true));
    at += 2;
    if (minimums) {
      minimums[b] = f16ToF32(from.getUint16(at, true));
      at += 2;
    }
    for (let i = 0; i < 4; i++, at += 4) {
      const word = from.getUint32(at, true);
      words[to + i] = word & HALVES;
      words[to + 4 + i] = (word >>> 4) & HALVES;
    }
  }
}

function decodeQ5(from: DataView, blocks: number, words: Uint32Array, scales: Float32Array, minimums?: Float32Array): void {
  let at = 0;
  for (let b = 0, to = 0; b < blocks; b++, to += 8) {
    scales[b] = f16ToF32(from.getUint16(at, true));
    at += 2;
    if (minimums) {
      minimums[b] = f16ToF32(from.getUint16(at, true));
      at += 2;
    }
    const fifth = from.getUint32(at, true);
    at += 4;
    for (let i = 0; i < 4; i++, at += 4) {
      const word = from.getUint32(at, true);
      const low = (word & HALVES) | fifthBits(fifth >>> (4 * i));
      const high = ((word >>> 4) & HALVES) | fifthBits(fifth >>> (16 + 4 * i));
      words[to + i] = minimums ? low : minus16(low);
      words[to + 4 + i] = minimums ? high : minus16(high);
    }
  }
}

function decodeIq4Nl(from: DataView, blocks: number, words: Uint32Array, { scales }: QuantizedRows): void {
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 18, to += 8) {
    scales[b] = f16ToF32(from.getUint16(at, true));
    for (let i = 0; i < 4; i++) {
      const word = from.getUint32(at + 2 + 4 * i, true);
      words[to + i] = lookedUp(word & HALVES);
      words[to + 4 + i] = lookedUp((word >>> 4) & HALVES);
    }
  }
}
