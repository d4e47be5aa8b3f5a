/** Wrong calls fail alike on every backend: with code ARGUMENT, the operation's name and the shapes in question. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Backend, MatrixFormat, QuantizedRows } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import { createWasmBackend } from "../../src/backend/wasm/open.ts";
import { Qwen3Error } from "../../src/core/errors.ts";
import { sequence } from "./sequence.ts";

/** What is wrong, what the message must say, the call. */
type Case = readonly [name: string, message: RegExp, call: (b: Backend) => unknown];

const zeros = (b: Backend, ...shape: number[]) => b.input(new Float32Array(shape.reduce((a, c) => a * c, 1)), shape);
const rows = (b: Backend, count: number, cols: number) => {
  const writer = b.createMatrix(count, cols, { type: "f32" });
  writer.write(0, new Uint8Array(4 * count * cols));
  return writer.finish();
};
const write = (format: MatrixFormat, firstRow: number, slice: Uint8Array | QuantizedRows) => (b: Backend) =>
  b.createMatrix(4, 20, format).write(firstRow, slice);
const int8 = { type: "int8", group: 16 } as const;
const codes = (count: number, code: number) => new Int8Array(count).fill(code);
const scales = (count: number) => new Float32Array(count);
/** A step's `tokens` of a sequence with room for `reserved`. */
const segment = (b: Backend, tokens: number, reserved = tokens) =>
  sequence(b, { layers: 2, kvHeads: 1, headDim: 4, type: "f32" }, Math.max(reserved, 0)).segment(tokens);

const cases: readonly Case[] = [
  ["no extents", /input: \[\] is not a shape/, (b) => b.input(new Float32Array(1), [])],
  ["a broken extent", /input: \[2,1\.5\] is not a shape/, (b) => b.input(new Float32Array(3), [2, 1.5])],
  ["a negative extent", /input: \[-1,-3\]/, (b) => b.input(new Float32Array(3), [-1, -3])],
  ["values for another shape", /input: 5 values for shape \[2,3\]/, (b) => b.input(new Float32Array(5), [2, 3])],
  ["another size", /reshape: \[2,3\] to \[4\]/, (b) => b.reshape(zeros(b, 2, 3), [4])],
  ["an extent that is none", /reshape: \[-2,-3\]/, (b) => b.reshape(zeros(b, 2, 3), [-2, -3])],
  ["other columns", /matmul: x \[2,3\] with weight \[5, 4\]/, (b) => b.matmul(zeros(b, 2, 3), rows(b, 5, 4))],
  ["three extents", /matmul: x \[2,3,4\]/, (b) => b.matmul(zeros(b, 2, 3, 4), rows(b, 5, 4))],
  ["another width", /rmsNorm: x \[2,3\] with 4 weights/, (b) => b.rmsNorm(zeros(b, 2, 3), b.createVector(scales(4)), 0)],
  ["two extents", /rope: x \[2,8\]/, (b) => b.rope(zeros(b, 2, 8), zeros(b, 2, 4), zeros(b, 2, 4))],
  ["an odd head", /rope: x \[2,1,7\]/, (b) => b.rope(zeros(b, 2, 1, 7), zeros(b, 7), zeros(b, 7))],
  ["other angles", /with cos \[2,3\]/, (b) => b.rope(zeros(b, 2, 1, 8), zeros(b, 2, 3), zeros(b, 2, 3))],
  ["sin unlike cos", /rope: shapes/, (b) => b.rope(zeros(b, 2, 1, 8), zeros(b, 2, 4), zeros(b, 8))],
  ["unlike operands", /add: shapes \[2,3\] and \[3,2\] differ/, (b) => b.add(zeros(b, 2, 3), zeros(b, 3, 2))],
  ["unlike operands", /swiglu: shapes/, (b) => b.swiglu(zeros(b, 2, 3), zeros(b, 6))],
  ["three extents", /blockMaxima: x \[2,3,4\]/, (b) => b.blockMaxima(zeros(b, 2, 3, 4))],
  ["a row that is not there", /rows: index 2 is outside 0\.\.1/, (b) => b.rows(zeros(b, 2, 3), Int32Array.of(0, 2))],
  ["a token that is not there", /embed: index -1 is outside 0\.\.4/, (b) => b.embed(rows(b, 5, 4), Int32Array.of(-1))],

  ["no rows", /createMatrix: extents \[0, 4\]/, (b) => b.createMatrix(0, 4, { type: "f32" })],
  ["too many", /createMatrix: extents/, (b) => b.createMatrix(2 ** 40, 2 ** 40, { type: "f32" })],
  ["group 24", /group 24 is not 16, 32, 64 or 128/, (b) => b.createMatrix(4, 4, { type: "int8", group: 24 })],
  [
    "int8 with a minimum, of floats",
    /not quantized to int8 with a minimum/,
    (b) => b.createMatrix(4, 32, { type: "int8", group: 32, minimum: true }, { type: "bf16" }),
  ],
  [
    "two levels of scales, of floats",
    /not quantized with scales of two-level/,
    (b) => b.createMatrix(4, 32, { type: "int4", group: 32, scales: "two-level" }, { type: "f32" }),
  ],
  ["floats as fp8", /not converted to fp8/, (b) => b.createMatrix(4, 32, { type: "fp8" }, { type: "bf16" })],
  ["bytes for fp8", /fp8 rows are handed over as codes/, write({ type: "fp8" }, 0, new Uint8Array(20))],
  ["scales of groups", /2 scales, expected 1/, write({ type: "fp8" }, 0, { codes: codes(20, 0), scales: scales(2) })],
  [
    "a scale of infinity",
    /scales: Infinity is not finite/,
    write({ type: "fp8" }, 0, { codes: codes(20, 0), scales: Float32Array.of(Number.POSITIVE_INFINITY) }),
  ],
  [
    "minimums for fp8",
    /neither factors nor minimums/,
    write({ type: "fp8" }, 0, { codes: codes(20, 0), scales: scales(1), minimums: scales(1) }),
  ],
  [
    "part of a row of fp8",
    /scales, expected 1\.5|do not fit/,
    write({ type: "fp8" }, 0, { codes: codes(30, 0), scales: scales(1) }),
  ],
  [
    "codes for floats",
    /f32 rows are handed over as bytes/,
    write({ type: "f32" }, 0, { codes: codes(20, 0), scales: scales(2) }),
  ],
  ["bytes for codes", /int8 rows are handed over as codes/, write(int8, 0, new Uint8Array(20))],
  ["part of a row", /1\.5 rows/, write({ type: "f16" }, 0, new Uint8Array(60))],
  ["a row past the end", /2 rows from row 3 do not fit \[4, 20\]/, write({ type: "f16" }, 3, new Uint8Array(80))],
  ["a row before the first", /from row -1/, write({ type: "bf16" }, -1, new Uint8Array(40))],
  ["half a row on", /from row 0\.5/, write({ type: "bf16" }, 0.5, new Uint8Array(40))],
  ["too few scales", /1 scales, expected 2/, write(int8, 0, { codes: codes(20, 0), scales: scales(1) })],
  [
    "code 128",
    /code 128 is outside -128\.\.127/,
    write(int8, 0, { codes: Uint8Array.of(...codes(19, 0), 128), scales: scales(2) }),
  ],
  [
    "a scale past f16",
    /scales: 65520 is not a finite f16/,
    write(int8, 0, { codes: codes(20, 0), scales: Float32Array.of(1, 65520) }),
  ],
  [
    "a scale between bf16 numbers",
    /scales: 1\.0009765625 is not a bf16 number/,
    write({ ...int8, scales: "bf16" }, 0, { codes: codes(20, 0), scales: Float32Array.of(1, 1 + 2 ** -10) }),
  ],
  [
    "one level for two",
    /0 factors of scales, expected 2/,
    write({ ...int8, scales: "two-level" }, 0, { codes: codes(20, 0), scales: scales(1) }),
  ],
  ["unknown scales", /scales f64 are not f32/, (b) => b.createMatrix(4, 4, { type: "int8", group: 16, scales: "f64" } as never)],
  [
    "code 16",
    /code 16 is outside 0\.\.15/,
    write({ type: "int4", group: 16, minimum: false }, 0, { codes: codes(20, 16), scales: scales(2) }),
  ],
  ["minimums", /2 minimums, expected 0/, write(int8, 0, { codes: codes(20, 0), scales: scales(2), minimums: scales(2) })],
  [
    "no minimums",
    /0 minimums, expected 2/,
    write({ type: "int4", group: 16, minimum: true }, 0, { codes: codes(20, 0), scales: scales(2) }),
  ],
  [
    "a row that was never written",
    /row 1 of 4 was not written/,
    (b) => {
      const writer = b.createMatrix(4, 2, { type: "f32" });
      for (const row of [2, 0, 0, 3]) writer.write(row, new Uint8Array(8));
      writer.finish();
    },
  ],

  [
    "no heads",
    /createKvStore: .*\[2, 0, 4\] must be positive/,
    (b) => b.createKvStore({ layers: 2, kvHeads: 0, headDim: 4, type: "f32" }),
  ],
  [
    "type f8",
    /type f8 is not f32, f16 or int8/,
    (b) => b.createKvStore({ layers: 2, kvHeads: 1, headDim: 4, type: "f8" as "f16" }),
  ],
  [
    "an int8 cache of long entries",
    /headDim 513 with int8; at most 512/,
    (b) => b.createKvStore({ layers: 2, kvHeads: 1, headDim: 513, type: "int8" }),
  ],
  [
    "tokens that are not the tensor's",
    /attention: segments hold 2 tokens, a tensor \[3,1,4\]/,
    (b) => b.attention(zeros(b, 3, 1, 4), [segment(b, 2)], 0, 1),
  ],
  [
    "another head_dim",
    /attention: q \[1,1,8\] for a store of head_dim 4/,
    (b) => b.attention(zeros(b, 1, 1, 8), [segment(b, 1)], 0, 1),
  ],
  ["layer 2 of 2", /attention: layer 2 is outside 0\.\.1/, (b) => b.attention(zeros(b, 1, 1, 4), [segment(b, 1)], 2, 1)],
  [
    "entries that were not reserved",
    /position 32 was not reserved/,
    (b) => b.attention(zeros(b, 33, 1, 4), [segment(b, 33, 32)], 0, 1),
  ],
  [
    "a number of tokens that is none",
    /a segment of -1 tokens/,
    (b) => b.attention(zeros(b, 0, 1, 4), [segment(b, -1), segment(b, 1)], 0, 1),
  ],
  [
    "something else for a store",
    /a KV store is not of this backend/,
    (b) => b.attention(zeros(b, 1, 1, 4), [{ ...segment(b, 1), store: { shape: segment(b, 1).store.shape } as never }], 0, 1),
  ],
  [
    "heads that the cache lacks",
    /appendKv: k \[1,2,4\] for a store of \[1, 4\]/,
    (b) => b.appendKv([segment(b, 1)], 0, zeros(b, 1, 2, 4), zeros(b, 1, 2, 4)),
  ],
  [
    "v unlike k",
    /appendKv: shapes \[1,1,4\] and \[1,4\] differ/,
    (b) => b.appendKv([segment(b, 1)], 0, zeros(b, 1, 1, 4), zeros(b, 1, 4)),
  ],
];

const backends: readonly (readonly [name: string, make: () => Promise<Backend>])[] = [
  ["reference", async () => new ReferenceBackend()],
  ["wasm", () => createWasmBackend({ build: "simd" })],
];

for (const [backendName, make] of backends)
  test(`${backendName} refuses what does not fit`, async () => {
    const backend = await make();
    for (const [name, message, call] of cases) {
      try {
        call(backend);
      } catch (error) {
        assert.instance(error, Qwen3Error, `${name}: ${error}`);
        assert.is((error as Qwen3Error).code, "ARGUMENT", name);
        assert.match((error as Qwen3Error).message, message);
        continue;
      }
      assert.unreachable(`${name} was accepted`);
    }
    backend.close();
  });

test.run();
