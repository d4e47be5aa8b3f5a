/** Matrices of quantized checkpoints: what is held is what is stored, on both backends, whatever the slices, as kept or as converted. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { HostBackend, Matrix, MatrixFormat } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import { createWasmBackend } from "../../src/backend/wasm/open.ts";
import { dequantizeRows } from "../../src/formats/decode.ts";
import { GGUF_TYPES, type GgufType } from "../../src/formats/gguf-types.ts";
import { randomBytes, TYPES, validBlocks } from "../formats/gguf-plain.ts";
import { refused } from "../formats/refused.ts";

const backends: readonly HostBackend[] = [new ReferenceBackend(), await createWasmBackend()];
const COLS = 512;

const rowBytes = (type: GgufType) => (COLS / GGUF_TYPES[type].values) * GGUF_TYPES[type].bytes;
const words = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** Blocks whose scales are of a model's size, so that products are numbers. */
function storedRows(type: GgufType, seed: number, rows: number): Uint8Array {
  return validBlocks(type, randomBytes(seed, rows * rowBytes(type)), true);
}

/** Written from the last row to the first, in slices of random sizes. */
function matrixOf(b: HostBackend, type: GgufType, stored: Uint8Array, format: MatrixFormat, sizes: readonly number[]): Matrix {
  const rows = stored.length / rowBytes(type);
  const writer = b.createMatrix(rows, COLS, format, { type });
  for (let end = rows, i = 0; end > 0; i++) {
    const first = Math.max(0, end - (sizes[i % sizes.length] ?? rows));
    writer.write(first, stored.subarray(first * rowBytes(type), end * rowBytes(type)));
    end = first;
  }
  return writer.finish();
}

async function rowsOf(b: HostBackend, matrix: Matrix): Promise<Float32Array> {
  const ids = Int32Array.from({ length: matrix.rows }, (_, i) => i);
  let read: Promise<Float32Array> | undefined;
  b.scope(() => {
    read = b.read(b.embed(matrix, ids));
    return undefined;
  });
  return read!;
}

async function product(b: HostBackend, matrix: Matrix, x: Float32Array): Promise<Float32Array> {
  let read: Promise<Float32Array> | undefined;
  b.scope(() => {
    read = b.read(b.matmul(b.input(x, [x.length / COLS, COLS]), matrix));
    return undefined;
  });
  return read!;
}

for (const type of TYPES)
  test(`${type}: the kernels hold the stored weights, and multiply with them, bit for bit`, () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 1, max: 21 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        async (seed, rows, sizes) => {
          const stored = storedRows(type, seed, rows);
          const weights = dequantizeRows({ type }, [stored], rows, COLS);
          const { layout } = GGUF_TYPES[type];
          // Kernels add the minimum, or 0: what is -0 in a file without minimums is 0 there.
          const held = layout.minimum ? weights : weights.map((weight) => weight + 0);
          const x = Float32Array.from({ length: 3 * COLS }, (_, i) => Math.sin(i + seed));
          const products: Float32Array[] = [];
          for (const b of backends) {
            const quantized = matrixOf(b, type, stored, layout, sizes);
            assert.equal(words(await rowsOf(b, quantized)), words(held), b.name);
            products.push(await product(b, quantized, x));
            const widened = matrixOf(b, type, stored, { ...layout, activations: "f32" }, [rows]);
            const plain = b.createMatrix(rows, COLS, { type: "f32" });
            plain.write(0, new Uint8Array(weights.buffer));
            assert.equal(words(await product(b, widened, x)), words(await product(b, plain.finish(), x)), b.name);
          }
          assert.equal(words(products[1]!), words(products[0]!), "wasm and reference");
        },
      ),
      { numRuns: 12 },
    ));

const OTHERS: readonly MatrixFormat[] = [
  { type: "f32" },
  { type: "f16" },
  { type: "bf16" },
  { type: "int8", group: 128 },
  { type: "int4", group: 64, minimum: true },
  { type: "int4", group: 32 },
];

test("as another type: what the dequantized weights become, on both backends", async () => {
  let compared = 0;
  for (const type of TYPES) {
    const stored = storedRows(type, 5, 11);
    const weights = dequantizeRows({ type }, [stored], 11, COLS);
    for (const format of OTHERS.filter((format) => JSON.stringify(format) !== JSON.stringify(GGUF_TYPES[type].layout)))
      for (const b of backends) {
        const writer = b.createMatrix(11, COLS, format, { type: "f32" });
        writer.write(0, new Uint8Array(weights.buffer));
        const expected = await rowsOf(b, writer.finish());
        const actual = await rowsOf(b, matrixOf(b, type, stored, format, [4]));
        assert.equal(words(actual), words(expected), `${type} as ${JSON.stringify(format)}, ${b.name}`);
        compared++;
      }
  }
  assert.ok(compared > 100);
});

test("scales that are not finite are refused by their row, on both backends, kept or converted", async () => {
  for (const type of TYPES)
    for (const b of backends)
      for (const format of [GGUF_TYPES[type].layout, { type: "f32" } as const]) {
        const stored = validBlocks(type, new Uint8Array(9 * rowBytes(type)));
        stored.set(infinite(type), 6 * rowBytes(type) - infinite(type).length);
        await refused("CHECKPOINT_TENSOR", ["row 7: a scale is Infinity; scales and minimums have to be finite"], () => {
          b.createMatrix(20, COLS, format, { type }).write(2, stored);
        });
      }
});

/** A block whose first scale is. */
function infinite(type: GgufType): Uint8Array {
  const block = new Uint8Array(GGUF_TYPES[type].bytes);
  block.set([0, 0x7c], { q2_k: 80, q3_k: 108, q6_k: 208 }[type as "q2_k"] ?? 0);
  return block;
}

test("what is not rows of the encoding is refused", async () => {
  for (const b of backends) {
    const writer = b.createMatrix(4, 64, { type: "int4", group: 32 }, { type: "q4_0" });
    await refused("ARGUMENT", ["1.5 rows from row 0 do not fit [4, 64]"], () => writer.write(0, new Uint8Array(54)));
    await refused("ARGUMENT", ["5 rows from row 0 do not fit"], () => writer.write(0, new Uint8Array(180)));
    await refused("ARGUMENT", ["q4_0 rows are handed over as bytes"], () =>
      writer.write(0, { codes: new Uint8Array(64), scales: new Float32Array(2) }),
    );
    await refused("ARGUMENT", ["row 0 of 4 was not written"], () => writer.finish());
    await refused("CHECKPOINT_TENSOR", ["rows of 48 values; a multiple of 32 is needed"], () =>
      b.createMatrix(4, 48, { type: "int4", group: 32 }, { type: "q4_0" }),
    );
    await refused("ARGUMENT", ["weights are not quantized to int8 with a minimum"], () =>
      b.createMatrix(4, 64, { type: "int8", group: 32, minimum: true }, { type: "q4_0" }),
    );
  }
});

test.run();
