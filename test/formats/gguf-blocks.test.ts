/** Every block type of GGUF, dequantized, against the package `gguf` of PyPI (gguf/make.py), bit for bit. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { matrixBytes } from "../../src/backend/wasm/matrix.ts";
import type { Qwen3Error } from "../../src/core/errors.ts";
import { dequantizeRows, layoutOf } from "../../src/formats/decode.ts";
import { GGUF_TYPES, type GgufType } from "../../src/formats/gguf-types.ts";
import { root } from "../paths.ts";
import { F16_FIELDS, plainWeights, randomBytes, TYPES, validBlocks } from "./gguf-plain.ts";
import { refused } from "./refused.ts";

interface Vectors {
  readonly types: Readonly<Record<GgufType, { readonly blocks: string; readonly weights: string }>>;
}

const { types } = JSON.parse(readFileSync(join(root, "test", "formats", "gguf", "vectors.json"), "utf8")) as Vectors;
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const wordsOf = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

assert.equal(Object.keys(types).sort(), Object.keys(GGUF_TYPES).sort());
for (const type of Object.keys(types) as GgufType[])
  test(`${type}: the bits of gguf-py`, () => {
    const expected = new Uint32Array(bytesOf(types[type].weights).buffer);
    for (const rows of [1, 4]) {
      const weights = dequantizeRows({ type }, [bytesOf(types[type].blocks)], rows, 1024 / rows);
      assert.is(weights.length, 1024);
      assert.equal(wordsOf(weights), expected);
    }
  });

for (const type of TYPES)
  test(`${type}: any blocks, in rows of any length, have the weights of the plain definition, bit for bit`, () => {
    const { values, bytes } = GGUF_TYPES[type];
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.nat(), (rows, blocks, seed) => {
        const stored = validBlocks(type, randomBytes(seed, rows * blocks * bytes));
        const weights = dequantizeRows({ type }, [stored], rows, blocks * values);
        assert.equal(wordsOf(weights), wordsOf(plainWeights(type, stored)));
      }),
      { numRuns: 100 },
    );
  });

test("whatever the bytes: a typed error, or numbers", () => {
  let [right, wrong] = [0, 0];
  fc.assert(
    fc.property(fc.constantFrom(...TYPES), fc.nat(), fc.boolean(), (type, seed, ones) => {
      const { values, bytes } = GGUF_TYPES[type];
      const stored = randomBytes(seed, 2 * bytes);
      if (ones) stored.fill(255, 0, seed % bytes);
      try {
        assert.ok(dequantizeRows({ type }, [stored], 2, values).every(Number.isFinite));
        right++;
      } catch (error) {
        assert.is((error as Qwen3Error).code, "CHECKPOINT_TENSOR");
        wrong++;
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(right > 100 && wrong > 100, `${right} right, ${wrong} wrong`);
});

test("every layout takes the bytes that the table says, and holds each weight of a block", () => {
  const bits: Record<string, number> = {};
  for (const type of TYPES) {
    const { layout } = GGUF_TYPES[type];
    bits[type] = (matrixBytes(8, 1024, layout) * 8) / (8 * 1024);
    assert.equal(layoutOf({ type }), layout);
  }
  assert.equal(bits, {
    ...{ q8_0: 8.5, q4_0: 4.5, q4_1: 5, q5_0: 8.5, q5_1: 9, iq4_nl: 8.5, iq4_xs: 8.3125 },
    ...{ q2_k: 5.125, q3_k: 4.5625, q4_k: 4.625, q5_k: 8.625, q6_k: 8.5625 },
  });
});

test("a scale that is not finite is refused by its row", async () => {
  for (const type of TYPES)
    for (const field of F16_FIELDS[type])
      for (const [high, value] of [
        [0x7c, "Infinity"],
        [0xfc, "-Infinity"],
        [0x7e, "NaN"],
      ] as const) {
        // biome-ignore format: a table
        const { values, bytes } = GGUF_TYPES[type];
        const stored = validBlocks(type, randomBytes(7, 5 * 2 * bytes));
        stored.set([0, high], 3 * 2 * bytes + bytes + field);
        // What is subtracted is held negated.
        const shown = F16_FIELDS[type].indexOf(field) === 1 && values === 256 ? String(-Number(value)) : value;
        await refused("CHECKPOINT_TENSOR", [`row 13: a scale is ${shown}; scales and minimums have to be finite`], () =>
          dequantizeRows({ type }, [stored], 5, 2 * values, 10),
        );
      }
});

test.run();
