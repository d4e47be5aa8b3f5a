/** Encodings of one part and of several: their bytes, slices cut anywhere, rows that share a part, and shapes that cannot be stored so. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { layoutOf } from "../../src/formats/decode.ts";
import {
  cutParts,
  cutRows,
  type Encoding,
  encodingName,
  requireEncodable,
  rowBytes,
  rowParts,
} from "../../src/formats/encoding.ts";
import { bytesSource } from "../../src/formats/source.ts";
import { storedRows } from "../../src/formats/stored-rows.ts";
import { randomBytes } from "./gguf-plain.ts";
import { refused } from "./refused.ts";

const AFFINE: Encoding = { type: "affine", bits: 4, group: 64, scales: "bf16" };
const FP8: Encoding = { type: "fp8", scales: "f32" };
const ENCODINGS: readonly (readonly [encoding: Encoding, name: string, parts: readonly number[]])[] = [
  [{ type: "f32" }, "f32", [1024]],
  [{ type: "bf16" }, "bf16", [512]],
  [{ type: "q8_0" }, "q8_0", [272]],
  [{ type: "q4_k" }, "q4_k", [144]],
  [AFFINE, "affine 4-bit, groups of 64", [128, 8, 8]],
  [{ type: "affine", bits: 6, group: 32, scales: "f32" }, "affine 6-bit, groups of 32", [192, 32, 32]],
  [FP8, "fp8", [256, 8]],
];

test("bytes of a row of 256 weights, and names", () => {
  for (const [encoding, name, parts] of ENCODINGS) {
    assert.is(encodingName(encoding), name);
    assert.equal(rowParts(encoding, 256), parts);
    assert.is(
      rowBytes(encoding, 256),
      parts.reduce((sum, bytes) => sum + bytes),
    );
    assert.equal(structuredClone(encoding), encoding);
  }
});

/** Rows with every part made of one random byte for each row. */
function sliceOf(encoding: Encoding, cols: number, first: number, end: number): Uint8Array {
  const rows = Array.from({ length: end - first }, (_, i) => first + i);
  return Uint8Array.from(
    rowParts(encoding, cols).flatMap((bytes, part) => rows.flatMap((row) => new Array(bytes).fill((row * 7 + part * 31) & 255))),
  );
}

test("a slice's rows, cut anywhere, are the slice of those rows", () => {
  fc.assert(
    fc.property(fc.constantFrom(...ENCODINGS), fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)), ([encoding], [before, rows, after]) => {
      const count = before + rows + after;
      const whole = sliceOf(encoding, 256, 0, count);
      const cut = cutRows(encoding, 256, whole, count, before, before + rows);
      assert.equal(cut, sliceOf(encoding, 256, before, before + rows));
      const parts = cutParts(encoding, 256, whole, count, before, before + rows);
      assert.equal(
        parts.map(({ length }) => length),
        rowParts(encoding, 256).map((bytes) => bytes * rows),
      );
    }),
  );
});

const anyOpen = { checkOpen: () => undefined };

test("parts from several places come together, slice by slice; memory is used again", async () => {
  const [rows, cols] = [21, 64];
  const parts = rowParts(AFFINE, cols).map((bytes, i) => ({ bytes, data: randomBytes(i, 5 + rows * bytes) }));
  const sources = parts.map(({ data }, i) => ({ source: bytesSource(`part ${i}`, data), byteOffset: 5 }));
  const stored = { name: "w", shape: [rows, cols], encoding: AFFINE, dtype: "U32", parts: sources };
  const tensor = storedRows("model.w", stored, anyOpen);
  assert.is(tensor.byteLength, rows * rowBytes(AFFINE, cols));
  for (const sliceBytes of [1, 100, 36 * 21, 1e6]) {
    const spares: ArrayBuffer[] = [];
    let rowsSeen = 0;
    for await (const { firstRow, bytes } of tensor.rows({ sliceBytes, spares, first: 2 })) {
      const count = bytes.length / rowBytes(AFFINE, cols);
      assert.is(firstRow, 2 + rowsSeen);
      const expected = parts.map(({ bytes, data }) => data.subarray(5 + firstRow * bytes, 5 + (firstRow + count) * bytes));
      assert.equal(cutParts(AFFINE, cols, bytes, count), expected);
      rowsSeen += count;
    }
    assert.is(rowsSeen, rows - 2);
    assert.ok(spares.length > 0, "several parts lie in memory of their own");
  }
});

test("a part that rows share comes once for each of them", async () => {
  const [rows, cols] = [300, 130]; // the last block of rows, and of columns, is partial
  const data = randomBytes(1, rows * cols);
  const scales = randomBytes(2, 3 * 8);
  const parts = [
    { source: bytesSource("weight", data), byteOffset: 0 },
    { source: bytesSource("scales", scales), byteOffset: 0, sharedBy: 128 },
  ];
  const tensor = storedRows("w", { name: "w", shape: [rows, cols], encoding: FP8, dtype: "F8_E4M3", parts }, anyOpen);
  for (const [first, end] of [[0, 300], [1, 129], [127, 129], [255, 257], [299, 300], [128, 256]] as const) // biome-ignore format: a table
    for await (const { firstRow, bytes } of tensor.rows({ first, end })) {
      const [codes, shared] = cutParts(FP8, cols, bytes, end - first);
      assert.is(firstRow, first);
      assert.equal(codes, data.subarray(first * cols, end * cols));
      for (let row = first; row < end; row++) {
        const block = Math.floor(row / 128);
        assert.equal(shared!.subarray((row - first) * 8, (row - first + 1) * 8), scales.subarray(block * 8, block * 8 + 8));
      }
    }
});

test("shapes that an encoding cannot have are refused", async () => {
  const cases: readonly (readonly [encoding: Encoding, shape: readonly number[], says: string])[] = [
    [{ type: "q4_k" }, [256], '"w" [256] of q4_k: only matrices can be quantized'],
    [{ type: "q4_0" }, [2, 2, 32], "only matrices"],
    [{ type: "q4_k" }, [4, 288], "rows of 288 values; a multiple of 256 is needed"],
    [{ type: "iq4_nl" }, [4, 48], "rows of 48 values; a multiple of 32 is needed"],
    [AFFINE, [4, 96], "rows of 96 values; a multiple of 64 is needed"],
    [FP8, [128], "only matrices"],
  ];
  for (const [encoding, shape, says] of cases)
    await refused("CHECKPOINT_TENSOR", [says], () => requireEncodable("w", encoding, shape));
  for (const [encoding, shape] of [
    [{ type: "f16" }, [7]],
    [{ type: "q6_k" }, [3, 512]],
    [AFFINE, [3, 192]],
    [FP8, [3, 130]],
  ] as const)
    requireEncodable("w", encoding, shape);
});

test("float types are their own layout", () => {
  for (const type of ["f32", "f16", "bf16"] as const) assert.equal(layoutOf({ type }), { type });
});

test.run();
