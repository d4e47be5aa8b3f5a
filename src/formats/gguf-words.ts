/** Four codes at once, as the bytes of a 32-bit word, the first one lowest. */

/** The low halves of four bytes. */
export const HALVES = 0x0f0f0f0f;
/** The low two bits of four bytes. */
export const PAIRS = 0x03030303;

/** The lowest four bits of `bits`, each as the fifth bit of a byte. */
export function fifthBits(bits: number): number {
  return (((bits & 15) * 0x204081) & 0x01010101) << 4; // bit i to 8i: the product has it at 0, 7, 14 and 21 places further up
}

/** Less 16, as signed bytes: bytes up to 31 with the top bit set lend nothing to each other. */
export function minus16(word: number): number {
  return ((word | 0x80808080) - 0x10101010) ^ 0x80808080;
}

/** Less 32, of bytes up to 63. */
export function minus32(word: number): number {
  return ((word | 0x80808080) - 0x20202020) ^ 0x80808080;
}

/** What the codes of iq4_nl and iq4_xs stand for. */
export const IQ4_VALUES: Int8Array = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** Four codes of 0..15 in bytes, each replaced by what it stands for. */
export function lookedUp(word: number): number {
  return (
    (IQ4_VALUES[word & 15]! & 255) |
    ((IQ4_VALUES[(word >>> 8) & 15]! & 255) << 8) |
    ((IQ4_VALUES[(word >>> 16) & 15]! & 255) << 16) |
    (IQ4_VALUES[(word >>> 24) & 15]! << 24)
  );
}
