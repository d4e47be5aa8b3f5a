/** Affine codes for checkpoints that are written: what is promised of their errors, and the kernel against the definition. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { quantizeAffine } from "../../src/backend/quantize-affine.ts";
import { quantizeWeights } from "../../src/backend/quantize-weights.ts";
import { affineQuantizer } from "../../src/backend/wasm/affine-quantizer.ts";
import { bf16ToF32, type FloatType, f16ToF32, f32ToBf16, f32ToF16 } from "../../src/core/dtype.ts";

const { fround } = Math;
const TYPES: readonly FloatType[] = ["f32", "f16", "bf16"];
const HELD: Readonly<Record<FloatType, (value: number) => number>> = {
  f32: fround,
  f16: (value) => f16ToF32(f32ToF16(value)),
  bf16: (value) => bf16ToF32(f32ToBf16(value)),
};

/** One group of 32 weights of some size, mostly; or any numbers in range. */
const rows = fc
  .tuple(
    fc.constantFrom(2 ** -30, 2 ** -12, 0.02, 1, 60000),
    fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 64, maxLength: 64 }),
    fc.double({ min: -1, max: 1, noNaN: true }),
  )
  .map(([size, values, shift]) =>
    Float32Array.from(values, (value) => Math.max(-65504, Math.min((value + shift) * size, 65504))),
  );

test("8 bits: no weight is cut off, and none is more than half a step from its value", () => {
  fc.assert(
    fc.property(rows, fc.constantFrom(...TYPES), (row, type) => {
      const { codes, scales, biases } = quantizeAffine(row, 8, 32, type);
      for (const [g, scale] of scales.entries()) {
        const bias = biases[g]!;
        assert.ok(Object.is(HELD[type](scale), scale) && Object.is(HELD[type](bias), bias), "numbers of the type");
        const weights = row.subarray(32 * g, 32 * (g + 1));
        assert.ok(weights.every((weight) => weight >= bias));
        for (const [k, weight] of weights.entries()) {
          const rounding = 2 ** -100 + 2 ** -22 * (Math.abs(bias) + 255 * scale); // of the quotient and of the sum, in f32
          assert.ok(Math.abs(codes[32 * g + k]! * scale + bias - weight) <= 0.5 * scale + rounding, `${weight} in ${type}`);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test("8 bits: the scale is the least that reaches the greatest weight, so its step is little more than it must be", () => {
  const row = Float32Array.from({ length: 64 }, (_, i) => (i - 20) / 1000);
  for (const type of TYPES) {
    const { scales, biases } = quantizeAffine(row, 8, 64, type);
    const least = (row[63]! - biases[0]!) / 255;
    assert.ok(scales[0]! >= fround(least) && scales[0]! <= least * (1 + 2 ** -7), `${type}: ${scales[0]} for ${least}`);
  }
});

test("4 bits in f16 is int4 with a minimum, as weights are quantized while they load", () => {
  fc.assert(
    fc.property(rows, (row) => {
      const expected = quantizeWeights(row, { type: "int4", group: 32, minimum: true });
      const { codes, scales, biases } = quantizeAffine(row, 4, 32, "f16");
      assert.equal([codes, scales, biases], [expected.codes, expected.scales, expected.minimums]);
    }),
  );
});

test("a group of equal weights, zeros too, has the step 0 or nothing but one code", () => {
  for (const type of TYPES)
    for (const bits of [4, 8] as const)
      for (const value of [0, -0, 0.5, -2, 65504, -65504]) {
        const { codes, scales, biases } = quantizeAffine(new Float32Array(32).fill(value), bits, 32, type);
        assert.ok(codes.every((code) => code === codes[0]));
        const error = Math.abs(codes[0]! * scales[0]! + biases[0]! - value);
        assert.ok(error <= 2 ** -8 * Math.abs(value), `${value} in ${bits} bits, ${type}`);
        assert.ok(!Object.is(biases[0], -0));
      }
});

test("the kernel chooses the same codes, scales and biases, to the bit, in rows of any width", async () => {
  const quantize = await affineQuantizer();
  assert.ok(quantize !== quantizeAffine, "the kernel is used");
  fc.assert(
    fc.property(rows, fc.constantFrom(...TYPES), fc.constantFrom(32, 64), fc.constantFrom(4, 8), (row, type, group, bits) => {
      for (const values of [row.subarray(0, group), row]) {
        const [expected, actual] = [quantizeAffine(values, bits, group, type), quantize(values, bits, group, type)];
        assert.equal(actual.codes, expected.codes);
        for (const part of ["scales", "biases"] as const)
          assert.ok(
            expected[part].every((value, i) => Object.is(value, actual[part][i])),
            `${part} in ${type}`,
          );
      }
    }),
    { numRuns: 1000 },
  );
});

test.run();
