/**
 * Number formats of weights and caches, and their exact conversions. Every f16 and bf16 value is also an f32 value, so widening
 * loses nothing; narrowing rounds to nearest, ties to even.
 */
export type FloatType = "f32" | "f16" | "bf16";

export const bytesPerValue: Readonly<Record<FloatType, number>> = { f32: 4, f16: 2, bf16: 2 };

const HALF_STEP = 5.960464477539063e-8; // 2^-24, the smallest binary16
const E4M3_STEP = 0.001953125; // 2^-9, the smallest e4m3
const bits = new DataView(new ArrayBuffer(4));

/** The f32 whose upper half is `half` (a bfloat16, 0..65535). */
export function bf16ToF32(half: number): number {
  bits.setUint32(0, half << 16);
  return bits.getFloat32(0);
}

/** The value of an IEEE binary16 (0..65535); its NaNs become NaN. */
export function f16ToF32(half: number): number {
  const exponent = (half >> 10) & 31;
  const mantissa = half & 1023;
  if (exponent === 0) return (half & 0x8000 ? -mantissa : mantissa) * HALF_STEP;
  // Exponent bias 15 becomes 127; the mantissa moves to the top. 31 (infinity, NaN) becomes 255.
  bits.setUint32(0, ((half & 0x8000) << 16) | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13));
  return bits.getFloat32(0);
}

/** The nearest IEEE binary16 of an f32, ties to even; past 65,504 infinity, NaN as 0x7e00. */
export function f32ToF16(value: number): number {
  bits.setFloat32(0, value);
  const word = bits.getUint32(0);
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65,520 and more round to infinity
  if (magnitude < 0x38800000) {
    // Below 2^-14 the result is a multiple of 2^-24: let f32 addition of 0.5 do the rounding to that multiple.
    bits.setFloat32(0, Math.fround(Math.abs(Math.fround(value)) + 0.5));
    return sign | (bits.getUint32(0) - 0x3f000000);
  }
  // Re-bias the exponent (127 to 15) and round the 13 dropped bits; a carry into the exponent is the right answer.
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** The nearest bfloat16 of an f32, ties to even; NaN as 0x7fc0. */
export function f32ToBf16(value: number): number {
  bits.setFloat32(0, value);
  const word = bits.getUint32(0);
  if ((word & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16; // a carry into the exponent is the right answer
}

/** The value of an e4m3fn (0..255): sign 1, exponent 4 with bias 7, mantissa 3; up to 448, no infinities, 0x7f and 0xff are NaN. */
export function e4m3ToF32(byte: number): number {
  if ((byte & 0x7f) === 0x7f) return Number.NaN;
  if ((byte & 0x78) === 0) return (byte & 0x80 ? -1 : 1) * (byte & 7) * E4M3_STEP;
  // Exponent bias 7 becomes 127; exponent and mantissa move to the top.
  bits.setUint32(0, ((byte & 0x80) << 24) | (((byte & 0x7f) << 20) + 0x3c000000));
  return bits.getFloat32(0);
}

/** Widens `count` values of `type` that start at `byteOffset` of `bytes` (little-endian, any alignment). */
export function widen(bytes: Uint8Array, type: FloatType, byteOffset: number, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset + byteOffset, count * bytesPerValue[type]);
  const out = new Float32Array(count);
  if (type === "f32") for (let i = 0; i < count; i++) out[i] = view.getFloat32(4 * i, true);
  else if (type === "f16") for (let i = 0; i < count; i++) out[i] = f16ToF32(view.getUint16(2 * i, true));
  else for (let i = 0; i < count; i++) out[i] = bf16ToF32(view.getUint16(2 * i, true));
  return out;
}

/** Values as bytes of `type` (little-endian), rounded to nearest, ties to even. */
export function narrow(values: Float32Array, type: FloatType): Uint8Array {
  const bytes = new Uint8Array(values.length * bytesPerValue[type]);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries())
    if (type === "f32") view.setFloat32(4 * i, value, true);
    else view.setUint16(2 * i, type === "f16" ? f32ToF16(value) : f32ToBf16(value), true);
  return bytes;
}
