import { test } from "uvu";
import * as assert from "uvu/assert";
import { bf16ToF32, bytesPerValue, e4m3ToF32, type FloatType, f16ToF32, f32ToF16, widen } from "../../src/core/dtype.ts";

const ALL_HALVES = Array.from({ length: 65_536 }, (_, half) => half);

/** The value by the format's definition: sign, 5 bits of exponent with bias 15, 10 of mantissa. */
function f16ByDefinition(half: number): number {
  const [sign, exponent, mantissa] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023];
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

test("every f16 widens to its value", () => {
  for (const half of ALL_HALVES) assert.ok(Object.is(f16ToF32(half), f16ByDefinition(half)), half.toString(16));
});

test("every e4m3 has its value: the largest is 448, the smallest 2^-9, 0x7f and 0xff are NaN", () => {
  for (let byte = 0; byte < 256; byte++) {
    const [sign, exponent, mantissa] = [byte >> 7 ? -1 : 1, (byte >> 3) & 15, byte & 7];
    const magnitude = exponent === 0 ? (mantissa / 8) * 2 ** -6 : (1 + mantissa / 8) * 2 ** (exponent - 7);
    const expected = exponent === 15 && mantissa === 7 ? Number.NaN : sign * magnitude;
    assert.ok(Object.is(e4m3ToF32(byte), expected), `${byte}`);
  }
  assert.equal([0x7e, 0xfe, 0x38, 0x01].map(e4m3ToF32), [448, -448, 1, 2 ** -9]);
});

test("every f16 survives being widened and narrowed; NaNs become one", () => {
  for (const half of ALL_HALVES) {
    const isNaN16 = (half & 0x7fff) > 0x7c00;
    assert.is(f32ToF16(f16ToF32(half)), isNaN16 ? 0x7e00 : half, half.toString(16));
  }
});

test("narrowing takes the nearest f16: between neighbours the middle goes to the even one, all else to the nearer", () => {
  const below = (value: number) => nextF32(value, -1);
  const above = (value: number) => nextF32(value, 1);
  for (let half = 0; half < 0x7bff; half++) {
    const middle = (f16ToF32(half) + f16ToF32(half + 1)) / 2; // an f32: one more bit than an f16 has
    assert.is(f32ToF16(middle), half & 1 ? half + 1 : half);
    assert.is(f32ToF16(below(middle)), half);
    assert.is(f32ToF16(above(middle)), half + 1);
    assert.is(f32ToF16(-middle), 0x8000 | (half & 1 ? half + 1 : half));
  }
});

test("narrowing at the ends of the range", () => {
  assert.is(f32ToF16(65_504), 0x7bff);
  assert.is(f32ToF16(nextF32(65_520, -1)), 0x7bff);
  for (const large of [65_520, 1e10, 3.4028234663852886e38, Number.POSITIVE_INFINITY]) {
    assert.is(f32ToF16(large), 0x7c00);
    assert.is(f32ToF16(-large), 0xfc00);
  }
  assert.is(f32ToF16(2 ** -149), 0);
  assert.is(f32ToF16(-0), 0x8000);
  assert.is(f32ToF16(Number.NaN), 0x7e00);
});

/** The next f32 of a larger (1) or smaller (-1) magnitude; `value` is positive. */
function nextF32(value: number, step: 1 | -1): number {
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0]! += step;
  return new Float32Array(bits.buffer)[0]!;
}

test("every bf16 is the f32 with the same upper half", () => {
  const words = Uint32Array.from(ALL_HALVES, (half) => half << 16);
  const values = new Float32Array(words.buffer);
  for (const half of ALL_HALVES) assert.ok(Object.is(bf16ToF32(half), values[half]), half.toString(16));
});

test("widen reads little-endian values at any offset", () => {
  const values = [1, -2, 0.5, 65_504, -0];
  const stored: Record<FloatType, number[]> = {
    f32: values.flatMap((value) => [...new Uint8Array(Float32Array.of(value).buffer)]),
    f16: values.map(f32ToF16).flatMap((half) => [half & 255, half >> 8]),
    bf16: [0x3f80, 0xc000, 0x3f00, 0x477f, 0x8000].flatMap((half) => [half & 255, half >> 8]),
  };
  for (const [type, bytes] of Object.entries(stored) as [FloatType, number[]][])
    for (const shift of [0, 1, 2, 3]) {
      // In the middle of a larger buffer, so that a view's own offset counts too.
      const file = Uint8Array.of(9, 9, ...new Array<number>(shift).fill(9), ...bytes, 9, 9).subarray(2);
      const expected = type === "bf16" ? [1, -2, 0.5, 65_280, -0] : values;
      assert.equal([...widen(file, type, shift, 5)], expected);
      assert.equal([...widen(file, type, shift + 2 * bytesPerValue[type], 2)], expected.slice(2, 4));
      assert.is(widen(file, type, shift, 0).length, 0);
    }
});

test("widen does not read past the bytes", () => {
  assert.throws(() => widen(new Uint8Array(7), "f32", 0, 2), RangeError);
  assert.throws(() => widen(new Uint8Array(new ArrayBuffer(4), 0, 4), "f16", 2, 2), RangeError);
});

test.run();
