/** The container: what a right file says, how much of it is read, and every way in which a header can be wrong. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseGgufHeader } from "../../src/formats/gguf.ts";
import { GgufArray } from "../../src/formats/gguf-metadata.ts";
import { bytesSource } from "../../src/formats/memory.ts";
import type { ByteSource } from "../../src/formats/source.ts";
import { ggufFile, int32s, strings, TENSOR, tinyGguf, tinyGgufShapes, tinyGgufTensors } from "./gguf-file.ts";

const parse = (bytes: Uint8Array) => parseGgufHeader(bytesSource("model.gguf", bytes));

test("a file's tensors with rows first, and where their bytes lie", async () => {
  const tensors = tinyGgufTensors();
  const bytes = tinyGguf({ tensors });
  const header = await parse(bytes);
  assert.is(header.version, 3);
  assert.equal(Object.fromEntries([...header.tensors].map(([name, { shape }]) => [name, shape])), tinyGgufShapes);
  for (const { name, data } of tensors) {
    const { byteOffset, byteLength, dtype } = header.tensors.get(name as string)!;
    assert.is(dtype, "f32");
    assert.is(byteOffset % 32, 0);
    assert.equal(bytes.slice(byteOffset, byteOffset + byteLength), data);
  }
});

test("version 2 is read alike, and a file without tensors too", async () => {
  assert.is((await parse(tinyGguf({ version: 2 }))).version, 2);
  assert.is((await parse(ggufFile({ metadata: { a: 1 } }))).tensors.size, 0);
});

test("every type of metadata", async () => {
  const { metadata } = await parse(
    ggufFile({
      metadata: {
        u8: ["uint8", 255],
        i8: ["int8", -1],
        u16: ["uint16", 65_535],
        i16: ["int16", -2],
        u32: 4_294_967_295,
        i32: ["int32", -3],
        f32: ["float32", 0.6],
        tiny: ["float32", 1e-6],
        third: ["float32", 1 / 3],
        nan: ["float32", Number.NaN],
        yes: true,
        no: false,
        text: "täxt\0",
        u64: ["uint64", Number.MAX_SAFE_INTEGER],
        large: (out) => out.u32(10).u64(2n ** 64n - 1n),
        i64: ["int64", -4],
        f64: ["float64", 0.1],
        list: int32s([3, -4]),
        texts: strings(["", "ab", "ü"]),
        bools: (out) => out.u32(9).u32(7).u64(2).u8(1).u8(0),
        none: strings([]),
      },
    }),
  );
  const read = Object.fromEntries(
    [...metadata].map(([key, value]) => [key, value instanceof GgufArray ? [...value.values()] : value]),
  );
  assert.equal(read, {
    ...{ u8: 255, i8: -1, u16: 65_535, i16: -2, u32: 4_294_967_295, i32: -3 },
    // A float32 is told as the decimal that was meant; a third has nine digits there.
    ...{ f32: 0.6, tiny: 1e-6, third: 0.33333334, nan: Number.NaN },
    ...{ yes: true, no: false, text: "täxt\0", u64: Number.MAX_SAFE_INTEGER, large: 2n ** 64n - 1n, i64: -4, f64: 0.1 },
    ...{ list: [3, -4], texts: ["", "ab", "ü"], bools: [true, false], none: [] },
  });
  assert.is(JSON.stringify(metadata.get("texts")), '"array of 3 string"');
  assert.equal((metadata.get("texts") as GgufArray).find(["ü", "ab", "x"]), [1, 2]);
  assert.equal((metadata.get("list") as GgufArray).find(["ü"]), []);
});

test("blocks and alignment: sizes are those of the types", async () => {
  const { tensors } = await parse(
    ggufFile({
      alignment: 64,
      metadata: { "general.alignment": 64 },
      tensors: [
        { name: "a", shape: [2, 64], type: TENSOR.q8_0, data: 136 },
        { name: "b", shape: [3, 2, 256], type: TENSOR.q4_k, data: 864 },
        { name: "c", shape: [5], type: TENSOR.bf16, data: 10 },
      ],
    }),
  );
  const [a, b, c] = [...tensors.values()];
  assert.equal([a!.dtype, a!.byteLength, b!.dtype, b!.byteLength, c!.byteLength], ["q8_0", 136, "q4_k", 864, 10]);
  assert.equal([b!.byteOffset - a!.byteOffset, c!.byteOffset - b!.byteOffset], [192, 896]);
  assert.equal(b!.shape, [3, 2, 256]);
});

/** A vocabulary like the real one, and 2.5 GB of weights that are never asked for. */
test("the header of a large file is read in three pieces of at most 16 MB together", async () => {
  const tokens = Array.from({ length: 151_936 }, (_, i) => `token${i % 1000}`);
  const merges = Array.from({ length: 151_387 }, (_, i) => `left${i % 100} right${i % 10}`);
  const header = ggufFile({
    metadata: { tokens: strings(tokens), merges: strings(merges), types: int32s(tokens.map(() => 1)) },
    tensors: [{ name: "a", shape: [610_352, 4096], type: TENSOR.q8_0, data: 0 }],
  });
  const size = Math.ceil(header.length / 32) * 32 + 610_352 * 4352;
  const reads: number[] = [];
  const source: ByteSource = {
    name: "large",
    size,
    async read(offset, length) {
      reads.push(length);
      const bytes = new Uint8Array(length);
      bytes.set(header.subarray(offset, offset + length));
      return bytes;
    },
  };
  const { metadata, tensors } = await parseGgufHeader(source);
  assert.ok(size > 2.5e9 && header.length > 5e6, `${size}, ${header.length}`);
  assert.ok(reads.length <= 3 && reads.reduce((a, b) => a + b) <= 16e6, `${reads}`);
  assert.is(tensors.get("a")!.byteLength, 610_352 * 4352);
  assert.equal([...(metadata.get("merges") as GgufArray).values()], merges);
});

test.run();
