/**
 * Blocks of 256 values of GGUF: one or two f16 for the block, and an integer (a factor of the scale, or of the minimum) for each group of
 * 16 or 32 values.
 *
 *   q2_k     factors [16] (low half scale, high half minimum), codes of 2 bits [64], d f16, dmin f16
 *   q3_k     third bits [32], codes of 2 bits [64], factors of 6 bits [12], d f16
 *   q4_k     d f16, dmin f16, factors of 6 bits [12], codes of 4 bits [128]
 *   q5_k     d f16, dmin f16, factors of 6 bits [12], fifth bits [32], low halves of codes [128]
 *   q6_k     low halves of codes [128], high pairs [64], factors i8 [16], d f16
 *   iq4_xs   d f16, high pairs of factors u16, low halves of factors [4], codes of 4 bits [128]
 *
 * A minimum is -(dmin * m): it is handed over as (-dmin) * m, the same bits.
 */
import { f16ToF32 } from "../core/dtype.ts";
import type { QuantizedRows } from "../core/quantized.ts";
import { HALVES, lookedUp, minus32, PAIRS } from "./gguf-words.ts";

/** Two halves of 128 values; in each, 4 times 32 values lie above each other in the same 32 bytes. */
export function decodeQ2K(from: DataView, blocks: number, words: Uint32Array, into: QuantizedRows): void {
  const { scales, minimums } = into;
  const [factors, minimumFactors] = [into.factors!, into.minimumFactors!];
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 84) {
    for (let g = 0; g < 16; g++) {
      const both = from.getUint8(at + g);
      factors[16 * b + g] = both & 15;
      minimumFactors[16 * b + g] = both >>> 4;
    }
    for (let half = 0; half < 64; half += 32)
      for (let shift = 0; shift < 8; shift += 2)
        for (let i = 0; i < 32; i += 4) words[to++] = (from.getUint32(at + 16 + half + i, true) >>> shift) & PAIRS;
    scales[b] = f16ToF32(from.getUint16(at + 80, true));
    minimums![b] = -f16ToF32(from.getUint16(at + 82, true));
  }
}

/** Codes as q2_k's; a third bit that is missing stands for -4. As int4, the code for 0 is 8. */
export function decodeQ3K(from: DataView, blocks: number, words: Uint32Array, into: QuantizedRows): void {
  const { scales } = into;
  const factors = into.factors!;
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 110) {
    for (let half = 0, bit = 0; half < 64; half += 32)
      for (let shift = 0; shift < 8; shift += 2, bit++)
        for (let i = 0; i < 32; i += 4) {
          const low = (from.getUint32(at + 32 + half + i, true) >>> shift) & PAIRS;
          const third = (from.getUint32(at + i, true) >>> bit) & 0x01010101;
          words[to++] = (low | (third << 2)) + 0x04040404;
        }
    const top = from.getUint32(at + 104, true);
    for (let word = 0; word < 4; word++) {
      const low = (from.getUint32(at + 96 + 4 * (word & 1), true) >>> (4 * (word >> 1))) & HALVES;
      const six = minus32(low | (((top >>> (2 * word)) & PAIRS) << 4));
      for (let i = 0; i < 4; i++) factors[16 * b + 4 * word + i] = six >>> (8 * i);
    }
    scales[b] = f16ToF32(from.getUint16(at + 108, true));
  }
}

export function decodeQ4K(from: DataView, blocks: number, words: Uint32Array, into: QuantizedRows): void {
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 144) {
    decodeScalesAndMinimums(from, at, b, into);
    for (let pair = 16; pair < 144; pair += 32, to += 16)
      for (let i = 0; i < 8; i++) {
        const word = from.getUint32(at + pair + 4 * i, true);
        words[to + i] = word & HALVES;
        words[to + 8 + i] = (word >>> 4) & HALVES;
      }
  }
}

export function decodeQ5K(from: DataView, blocks: number, words: Uint32Array, into: QuantizedRows): void {
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 176) {
    decodeScalesAndMinimums(from, at, b, into);
    for (let pair = 0; pair < 4; pair++, to += 16)
      for (let i = 0; i < 8; i++) {
        const word = from.getUint32(at + 48 + 32 * pair + 4 * i, true);
        const fifth = from.getUint32(at + 16 + 4 * i, true) >>> (2 * pair);
        words[to + i] = (word & HALVES) | ((fifth & 0x01010101) << 4);
        words[to + 8 + i] = ((word >>> 4) & HALVES) | (((fifth >>> 1) & 0x01010101) << 4);
      }
  }
}

/** d, dmin and 8 factors of each, 6 bits: of the last four, the upper two bits stand above those of the first four. */
function decodeScalesAndMinimums(from: DataView, at: number, block: number, into: QuantizedRows): void {
  const [factors, minimumFactors] = [into.factors!, into.minimumFactors!];
  into.scales[block] = f16ToF32(from.getUint16(at, true));
  into.minimums![block] = -f16ToF32(from.getUint16(at + 2, true));
  const first = from.getUint32(at + 4, true);
  const second = from.getUint32(at + 8, true);
  const third = from.getUint32(at + 12, true);
  const scales = (third & HALVES) | (((first >>> 6) & PAIRS) << 4);
  const minimums = ((third >>> 4) & HALVES) | (((second >>> 6) & PAIRS) << 4);
  for (let i = 0, g = 8 * block; i < 4; i++, g++) {
    factors[g] = (first >>> (8 * i)) & 63;
    minimumFactors[g] = (second >>> (8 * i)) & 63;
    factors[g + 4] = scales >>> (8 * i);
    minimumFactors[g + 4] = minimums >>> (8 * i);
  }
}

/** Two halves of 128 values: 64 bytes have the low halves of 4 times 32, 32 bytes their high pairs. */
export function decodeQ6K(from: DataView, blocks: number, words: Uint32Array, into: QuantizedRows): void {
  const { scales } = into;
  const factors = into.factors!;
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 210) {
    for (let half = 0; half < 2; half++, to += 32)
      for (let i = 0; i < 8; i++) {
        const first = from.getUint32(at + 64 * half + 4 * i, true);
        const second = from.getUint32(at + 64 * half + 32 + 4 * i, true);
        const high = from.getUint32(at + 128 + 32 * half + 4 * i, true);
        words[to + i] = minus32((first & HALVES) | ((high & PAIRS) << 4));
        words[to + 8 + i] = minus32((second & HALVES) | (((high >>> 2) & PAIRS) << 4));
        words[to + 16 + i] = minus32(((first >>> 4) & HALVES) | (((high >>> 4) & PAIRS) << 4));
        words[to + 24 + i] = minus32(((second >>> 4) & HALVES) | (((high >>> 6) & PAIRS) << 4));
      }
    for (let g = 0; g < 16; g++) factors[16 * b + g] = from.getInt8(at + 192 + g);
    scales[b] = f16ToF32(from.getUint16(at + 208, true));
  }
}

export function decodeIq4Xs(from: DataView, blocks: number, words: Uint32Array, into: QuantizedRows): void {
  const { scales } = into;
  const factors = into.factors!;
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 136) {
    scales[b] = f16ToF32(from.getUint16(at, true));
    const high = from.getUint16(at + 2, true);
    const low = from.getUint32(at + 4, true);
    for (let g = 0; g < 8; g++, to += 8) {
      factors[8 * b + g] = (((low >>> (4 * g)) & 15) | (((high >>> (2 * g)) & 3) << 4)) - 32;
      for (let i = 0; i < 4; i++) {
        const word = from.getUint32(at + 8 + 16 * g + 4 * i, true);
        words[to + i] = lookedUp(word & HALVES);
        words[to + 4 + i] = lookedUp((word >>> 4) & HALVES);
      }
    }
  }
}
