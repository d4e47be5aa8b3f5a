/**
 * Codes of MLX: a row is one string of bits, in 32-bit words from the lowest bit on. Codes of 2, 4 and 8 bits fill words; those of 3, 5
 * and 6 run on from one word into the next, 32 of them in as many words as they have bits.
 *
 * Source: github.com/ml-explore/mlx, `mlx.core.quantize`.
 */

/** @param bytes whole words, little-endian; @param codes as many as there are, one in each byte, whole multiples of 32 */
export function unpackCodes(bytes: Uint8Array, bits: number, codes: Uint8Array | Int8Array): void {
  if (bits === 8) codes.set(bytes);
  else if (bits === 4) {
    for (let i = 0, to = 0; i < bytes.length; i++, to += 2) {
      codes[to] = bytes[i]! & 15;
      codes[to + 1] = bytes[i]! >> 4;
    }
  } else {
    const mask = (1 << bits) - 1;
    for (let i = 0, at = 0; i < codes.length; i++, at += bits) {
      const byte = at >> 3;
      codes[i] = ((bytes[byte]! | (bytes[byte + 1]! << 8)) >> (at & 7)) & mask; // a code lies in two bytes at most
    }
  }
}

/** Codes as bytes of words. @param codes a multiple of 8 */
export function packCodes(codes: Uint8Array, bits: 4 | 8): Uint8Array {
  if (bits === 8) return codes;
  const bytes = new Uint8Array(codes.length / 2);
  for (let i = 0, from = 0; i < bytes.length; i++, from += 2) bytes[i] = codes[from]! | (codes[from + 1]! << 4);
  return bytes;
}
