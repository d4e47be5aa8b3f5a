/** Every block type of GGUF once more, one weight at a time: where its bits lie, and what they stand for. */
import { f16ToF32 } from "../../src/core/dtype.ts";
import { GGUF_TYPES, type GgufType } from "../../src/formats/gguf-types.ts";

const { fround } = Math;

/** Where the f16 fields of a block are. */
export const F16_FIELDS: Readonly<Record<GgufType, readonly number[]>> = {
  ...{ q8_0: [0], q4_0: [0], q4_1: [0, 2], q5_0: [0], q5_1: [0, 2], iq4_nl: [0], iq4_xs: [0] },
  ...{ q2_k: [80, 82], q3_k: [108], q4_k: [0, 2], q5_k: [0, 2], q6_k: [208] },
};

export const TYPES = Object.keys(GGUF_TYPES) as GgufType[];

/** The same bytes for the same seed. */
export function randomBytes(seed: number, count: number): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
}

/** Bytes that are whole blocks, their f16 fields made finite. @param small 2^-7 and less, as scales of a model are */
export function validBlocks(type: GgufType, bytes: Uint8Array, small = false): Uint8Array {
  const blocks = bytes.slice();
  for (let at = 0; at < blocks.length; at += GGUF_TYPES[type].bytes)
    for (const field of F16_FIELDS[type]) {
      const high = blocks[at + field + 1]!;
      if (small) blocks[at + field + 1] = high & 0x9f;
      else if ((high & 0x7c) === 0x7c) blocks[at + field + 1] = high & ~0x40;
    }
  return blocks;
}

const IQ4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

export function plainWeights(type: GgufType, bytes: Uint8Array): Float32Array {
  const { values, bytes: size } = GGUF_TYPES[type];
  return Float32Array.from({ length: (bytes.length / size) * values }, (_, i) =>
    weight(type, bytes.subarray(Math.floor(i / values) * size), i % values),
  );
}

function weight(type: GgufType, b: Uint8Array, i: number): number {
  const half = (at: number) => f16ToF32(b[at]! | (b[at + 1]! << 8));
  /** Code i of 4 bits in a block of 32 whose 16 bytes begin at `at`. */
  const nibble = (at: number, i: number) => (i < 16 ? b[at + i]! & 15 : b[at + i - 16]! >> 4);
  const bit = (at: number, n: number) => (b[at + (n >> 3)]! >> (n & 7)) & 1;
  const signed = (byte: number) => (byte << 24) >> 24;
  // Of blocks of 256: groups of 16 or 32, and the byte and shift of two bits, where 128 values lie in 32 bytes.
  const [g16, g32, l] = [i >> 4, i >> 5, i & 31];
  const pair = (at: number) => (b[at + 32 * (i >> 7) + l]! >> (2 * (g32 & 3))) & 3;
  switch (type) {
    case "q8_0":
      return signed(b[2 + i]!) * half(0);
    case "q4_0":
      return (nibble(2, i) - 8) * half(0);
    case "q4_1":
      return nibble(4, i) * half(0) + half(2);
    case "q5_0":
      return (nibble(6, i) + 16 * bit(2, i) - 16) * half(0);
    case "q5_1":
      return (nibble(8, i) + 16 * bit(4, i)) * half(0) + half(2);
    case "iq4_nl":
      return IQ4[nibble(2, i)]! * half(0);
    case "iq4_xs": {
      const low = (b[4 + (g32 >> 1)]! >> (4 * (g32 & 1))) & 15;
      const high = ((b[2]! | (b[3]! << 8)) >> (2 * g32)) & 3;
      return IQ4[nibble(8 + 16 * g32, l)]! * fround(half(0) * (low + 16 * high - 32));
    }
    case "q2_k":
      return pair(16) * fround(half(80) * (b[g16]! & 15)) - fround(half(82) * (b[g16]! >> 4));
    case "q3_k": {
      const low = g16 < 8 ? b[96 + g16]! & 15 : b[96 + g16 - 8]! >> 4;
      const high = (b[104 + (g16 & 3)]! >> (2 * (g16 >> 2))) & 3;
      return (pair(32) + 4 * ((b[l]! >> g32) & 1) - 4) * fround(half(108) * (low + 16 * high - 32));
    }
    case "q4_k":
    case "q5_k": {
      const codes = type === "q4_k" ? 16 : 48;
      const four = (b[codes + 32 * (g32 >> 1) + l]! >> (4 * (g32 & 1))) & 15;
      const code = type === "q4_k" ? four : four + 16 * ((b[16 + l]! >> g32) & 1);
      const g = g32 & 3;
      const scale = g32 < 4 ? b[4 + g]! & 63 : (b[12 + g]! & 15) + 16 * (b[4 + g]! >> 6);
      const minimum = g32 < 4 ? b[8 + g]! & 63 : (b[12 + g]! >> 4) + 16 * (b[8 + g]! >> 6);
      return code * fround(half(0) * scale) - fround(half(2) * minimum);
    }
    case "q6_k": {
      const quarter = g32 & 3;
      const low = (b[64 * (i >> 7) + 32 * (quarter & 1) + l]! >> (4 * (quarter >> 1))) & 15;
      return (low + 16 * pair(128) - 32) * fround(half(208) * signed(b[192 + g16]!));
    }
  }
}
