/**
 * Weights as trained ones look: matrices from N(0, 0.02), gains of norms around 1, no denormals (they make any kernel several times
 * slower).
 *
 * Drawing billions of values would take minutes, so a pool of a prime number of blocks of 32 is drawn once and repeated: no row of a real
 * width begins where another one did. Each tensor enters the pool at a place of its own, the same in every format, so that the files
 * of all formats hold the same weights.
 */
import { q4k, q6k, SUPER_BLOCK } from "./k-blocks.ts";

const BLOCK = 32;
const BLOCKS = 99_991; // prime
const SUPER_BLOCKS = 12_497; // prime; as many values, nearly
const STEP = 7_919; // from one tensor's place to the next
const DEVIATION = 0.02;

export type Encoding = "bf16" | "q8_0" | "q4_0" | "q4_k" | "q6_k";
/** Values of a block, and its bytes. */
const BLOCK_SIZES: Readonly<Record<Encoding, { readonly values: number; readonly bytes: number }>> = {
  bf16: { values: BLOCK, bytes: 64 },
  q8_0: { values: BLOCK, bytes: 34 },
  q4_0: { values: BLOCK, bytes: 18 },
  q4_k: { values: SUPER_BLOCK, bytes: 144 },
  q6_k: { values: SUPER_BLOCK, bytes: 210 },
};

export function bytesOf(encoding: Encoding, values: number): number {
  const block = BLOCK_SIZES[encoding];
  return (values / block.values) * block.bytes;
}

/** Uniform in 0..1, 0 left out; xorshift32. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Box and Muller's way. */
function gaussians(length: number, seed: number): Float32Array {
  const next = uniform(seed);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(next()));
    const angle = 2 * Math.PI * next();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < length) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** The gains of one norm. */
export const normValues = (length: number, tensor: number): Float32Array =>
  gaussians(length, 1 + tensor).map((value) => 1 + DEVIATION * value);

/** Blocks of the pool. */
function blocksIn(encoding: Encoding): number {
  return BLOCK_SIZES[encoding].values === BLOCK ? BLOCKS : SUPER_BLOCKS;
}

/** The pool in one encoding. */
export function encodedPool(encoding: Encoding): Uint8Array {
  const values = gaussians(BLOCKS * BLOCK, 0x12345678).map((value) => value * DEVIATION);
  if (encoding === "bf16") return bf16(values);
  const size = BLOCK_SIZES[encoding];
  const encode = { q8_0: q8, q4_0: q4, q4_k: q4k, q6_k: q6k }[encoding];
  const blocks = blocksIn(encoding);
  const pool = new Uint8Array(blocks * size.bytes);
  for (let b = 0; b < blocks; b++)
    encode(values.subarray(b * size.values, (b + 1) * size.values), pool.subarray(b * size.bytes, (b + 1) * size.bytes));
  return pool;
}

/** The pool's bytes from the tensor's place on, round and round, in pieces of at most one pool. */
export function* poolBytes(pool: Uint8Array, encoding: Encoding, values: number, tensor: number): Generator<Uint8Array> {
  let left = bytesOf(encoding, values);
  for (let at = ((tensor * STEP) % blocksIn(encoding)) * BLOCK_SIZES[encoding].bytes; left > 0; at = 0) {
    const piece = pool.subarray(at, Math.min(pool.length, at + left));
    left -= piece.length;
    yield piece;
  }
}

/** To the nearest, ties to even. */
export function bf16(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return new Uint8Array(Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16).buffer);
}

/** Of values between 2^-14 and 65504, as scales are; cut off, not rounded. */
function f16Bits(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  const magnitude = ((((bits >>> 23) & 255) - 112) << 10) | ((bits & 0x7fffff) >>> 13);
  return ((bits >>> 31) << 15) | magnitude;
}

/** Q8_0: an f16 scale and 32 codes, w = scale * code. */
function q8(block: Float32Array, out: Uint8Array): void {
  const scale = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
  const bits = f16Bits(scale);
  out[0] = bits & 255;
  out[1] = bits >>> 8;
  for (let i = 0; i < BLOCK; i++) out[2 + i] = Math.max(-127, Math.min(127, Math.round(block[i]! / scale)));
}

/** Q4_0: an f16 scale and 32 codes, w = scale * (code - 8); the low nibbles hold the first 16. The largest value gets code 0. */
function q4(block: Float32Array, out: Uint8Array): void {
  const largest = block.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  const scale = largest / -8;
  const bits = f16Bits(scale);
  out[0] = bits & 255;
  out[1] = bits >>> 8;
  const code = (value: number) => Math.max(0, Math.min(15, Math.round(value / scale) + 8));
  for (let i = 0; i < BLOCK / 2; i++) out[2 + i] = code(block[i]!) | (code(block[i + BLOCK / 2]!) << 4);
}
