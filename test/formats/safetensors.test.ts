import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3Error } from "../../src/core/errors.ts";
import { parseSafetensorsHeader, type SafetensorsHeader } from "../../src/formats/safetensors.ts";
import { type ByteSource, bytesSource } from "../../src/formats/source.ts";
import { goldenPath, nanoPath } from "../paths.ts";
import { refused } from "./refused.ts";
import { rawFile, safetensorsFile, type TestTensor, testTensor } from "./safetensors-file.ts";

const parse = (file: Uint8Array): Promise<SafetensorsHeader> => parseSafetensorsHeader(bytesSource("m.safetensors", file));
const zeros = (length: number) => new Uint8Array(length);
const a = (rest: string) => `{"a":{"dtype":"F32","shape":[2],${rest}}}`;

test("reads names, types, shapes, places and metadata", async () => {
  const file = safetensorsFile([testTensor("w", [2, 3], "BF16", 2), testTensor("n", [5], "F32", 4)], {
    metadata: { format: "pt" },
  });
  const { tensors, metadata } = await parse(file);
  const start = file.length - 32;
  assert.equal(
    [...tensors.values()],
    [
      { name: "w", dtype: "bf16", shape: [2, 3], byteOffset: start, byteLength: 12 },
      { name: "n", dtype: "f32", shape: [5], byteOffset: start + 12, byteLength: 20 },
    ],
  );
  assert.equal([...metadata], [["format", "pt"]]);
});

test("whitespace around the header, scalars, empty tensors and files without tensors are fine", async () => {
  assert.is((await parse(rawFile("{}"))).tensors.size, 0);
  const { tensors } = await parse(
    rawFile(
      ` \n {"b":{"dtype":"F16","shape":[0,7],"data_offsets":[4,4]},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
         "c":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}, "z":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},
         "e":{"dtype":"F16","shape":[0],"data_offsets":[6,6]},"__metadata__":{}}   `,
      zeros(6),
    ),
  );
  assert.equal([...tensors.keys()], ["b", "s", "c", "z", "e"]);
  assert.equal(tensors.get("b")?.byteLength, 0);
  assert.equal(tensors.get("s")?.byteLength, 4);
});

test("a shape has up to eight dimensions", async () => {
  const shape = [1, 2, 1, 2, 1, 2, 1, 1];
  assert.equal((await parse(safetensorsFile([testTensor("a", shape)]))).tensors.get("a")?.shape, shape);
});

test("every dtype of the format is understood, packed ones too", async () => {
  const bits: Readonly<Record<string, number>> = {
    ...{ BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
    ...{ I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32, C64: 64, F64: 64, I64: 64, U64: 64 },
    ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  };
  for (const [dtype, size] of Object.entries(bits)) {
    const { tensors } = await parse(
      rawFile(`{"x":{"dtype":"${dtype}","shape":[4],"data_offsets":[0,${size / 2}]}}`, zeros(size / 2)),
    );
    assert.is(tensors.get("x")?.dtype, dtype.toLowerCase());
  }
});

// Each breaks one rule.
const broken: readonly (readonly [title: string, file: Uint8Array, ...says: string[]])[] = [
  ["an empty file", zeros(0), "a file of 0 bytes is too short"],
  ["half of a length", zeros(7), "a file of 7 bytes is too short"],
  ["a length of zero", rawFile(""), "ends too early"],
  ["a length past the file", rawFile("{}", zeros(0), 3n), "truncated: the header ends at byte 11, the file at byte 10"],
  ["a length past the limit", rawFile("{}", zeros(0), 1_048_577n), "1048577 bytes; at most 1048576"],
  ["a length of 2^64 - 1", rawFile("{}", zeros(0), 0xffff_ffff_ffff_ffffn), "18446744073709551615 bytes; at most 1048576"],
  ["a length of -2^63", rawFile("{}", zeros(0), 0x8000_0000_0000_0000n), "9223372036854775808 bytes; at most"],
  ["a header that is not UTF-8", rawFile(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "not UTF-8"],
  ["a byte order mark", rawFile("\ufeff{}"), "byte order mark"],
  ["not JSON", rawFile("{'a':1}"), "double quotes"],
  ["a list", rawFile("[]"), "an object is needed, got []"],
  ["null", rawFile("null"), "an object is needed, got null"],
  ["two values", rawFile("{} {}"), "something follows"],
  ["a NUL behind the header", rawFile("{}\0"), "something follows"],
  ["a tensor twice", rawFile(`{"a":1,"a":2}`), 'the key "a" stands twice'],
  ["a key of a tensor twice", rawFile(`{"a":{"dtype":"F32","dtype":"F16"}}`), 'the key "dtype" stands twice'],
  ["__proto__ as a tensor", rawFile(`{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, zeros(4)), "__proto__"],
  ["__metadata__ of another type", rawFile(`{"__metadata__":[]}`), "__metadata__: an object is needed, got []"],
  ["__metadata__ with a number", rawFile(`{"__metadata__":{"n":1}}`), "__metadata__: n is 1; supported: strings"],
  ["__metadata__ with null", rawFile(`{"__metadata__":{"n":null}}`), "n is null; supported: strings"],
  ["a tensor that is a number", rawFile(`{"a":1}`), "a: an object is needed, got 1"],
  ["a tensor that is null", rawFile(`{"a":null}`), "a: an object is needed, got null"],
  [
    "an unknown key",
    rawFile(a(`"data_offsets":[0,8],"x\\n":1`), zeros(8)),
    '"x\\n" is 1; supported: dtype, shape, data_offsets only',
  ],
  ["no dtype", rawFile(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, zeros(4)), "dtype is absent; supported: F32, F16, BF16,"],
  ["an unknown dtype", rawFile(`{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,4]}}`, zeros(4)), 'dtype is "Q4"'],
  ["a dtype in lower case", rawFile(`{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}`, zeros(4)), 'dtype is "f32"'],
  ["a dtype that is a number", rawFile(`{"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}`, zeros(4)), "dtype is 32"],
  ["no shape", rawFile(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, zeros(4)), "shape is absent; supported: a list of integers"],
  ["a shape that is a number", rawFile(`{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}`, zeros(4)), "shape is 1"],
  ["a negative size", rawFile(`{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}`, zeros(4)), "shape is [-1,-1]"],
  ["a broken size", rawFile(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}`, zeros(6)), "shape is [1.5]"],
  ["a size as text", rawFile(`{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, zeros(4)), 'shape is ["1"]'],
  [
    "nine dimensions",
    rawFile(`{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}`, zeros(4)),
    "shape is [1,1,1,1,1,1,1,1,1]; supported: at most 8 dimensions, here 9",
  ],
  ["a size of null", rawFile(`{"a":{"dtype":"F32","shape":[null],"data_offsets":[0,4]}}`, zeros(4)), "shape is [null]"],
  [
    "a size past 2^53",
    rawFile(`{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}`, zeros(4)),
    "shape is [90",
  ],
  [
    "a product past 2^53",
    rawFile(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`),
    "too large to count",
  ],
  [
    "a product that wraps to 4 in 64 bits",
    rawFile(`{"a":{"dtype":"F32","shape":[2147483649,8589934588],"data_offsets":[0,16]}}`, zeros(16)),
    "too large",
  ],
  [
    "a product past 2^53 that ends in 0",
    rawFile(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`),
    "too large",
  ],
  ["no offsets", rawFile(`{"a":{"dtype":"F32","shape":[1]}}`, zeros(4)), "data_offsets is absent"],
  ["one offset", rawFile(a(`"data_offsets":[8]`), zeros(8)), "data_offsets is [8]; supported: [begin, end]"],
  ["three offsets", rawFile(a(`"data_offsets":[0,8,8]`), zeros(8)), "data_offsets is [0,8,8]"],
  ["offsets backwards", rawFile(a(`"data_offsets":[8,0]`), zeros(8)), "data_offsets is [8,0]"],
  ["a negative offset", rawFile(a(`"data_offsets":[-8,0]`), zeros(8)), "data_offsets is [-8,0]"],
  ["an offset past 2^53", rawFile(a(`"data_offsets":[0,9007199254740992]`), zeros(8)), "data_offsets is [0,9007199254740992]"],
  [
    "a length that does not fit the shape",
    rawFile(a(`"data_offsets":[0,12]`), zeros(12)),
    '"a": [2] in f32 needs 8 bytes, data_offsets give 12',
  ],
  [
    "half a byte",
    rawFile(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, zeros(1)),
    "needs 1.5 bytes, data_offsets give 1",
  ],
  ["data cut off", rawFile(a(`"data_offsets":[0,8]`), zeros(7)), 'truncated: "a" ends at data byte 8, the file has 7'],
  ["bytes behind the last tensor", rawFile(a(`"data_offsets":[0,8]`), zeros(9)), '1 bytes behind "a" belong to no tensor'],
  ["bytes without any tensor", rawFile("{}", zeros(1)), "1 bytes behind the header belong to no tensor"],
  ["a hole before the first", rawFile(a(`"data_offsets":[4,12]`), zeros(12)), 'a hole of 4 bytes between the header and "a"'],
  [
    "a hole between two",
    rawFile(
      `{"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`,
      zeros(3),
    ),
    'a hole of 1 bytes between "a" and "b"',
  ],
  [
    "an overlap",
    rawFile(
      `{"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`,
      zeros(3),
    ),
    '"b" overlaps "a" by 1 bytes',
  ],
  [
    "the same bytes twice",
    rawFile(
      `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`,
      zeros(2),
    ),
    "overlaps",
  ],
  [
    "an empty tensor inside another",
    rawFile(
      `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}`,
      zeros(2),
    ),
    '"b" overlaps "a" by 1 bytes',
  ],
];
for (const [title, file, ...says] of broken)
  test(`refused: ${title}`, () => refused("CHECKPOINT_HEADER", ["m.safetensors: ", ...says], () => parse(file)));

test("the header's limit is checked before anything is read into memory", async () => {
  const asked: number[] = [];
  const source = (headerLength: bigint): ByteSource => ({
    name: "huge",
    size: Number.MAX_SAFE_INTEGER,
    async read(offset, length) {
      asked.push(length);
      return rawFile("", new Uint8Array(0), headerLength).subarray(offset, offset + length);
    },
  });
  await refused("CHECKPOINT_HEADER", ["at most 1048576"], () => parseSafetensorsHeader(source(1_048_577n)));
  assert.equal(asked, [8]);
  await refused("SOURCE_READ", ["huge: asked for 1048576 bytes at 8, got 0"], () => parseSafetensorsHeader(source(1_048_576n)));
});

test("a header of exactly the limit is read", async () => {
  const header = new Uint8Array(1024 * 1024).fill(0x20);
  header.set(new TextEncoder().encode("{}"), 0);
  assert.is((await parse(rawFile(header))).tensors.size, 0);
});

test("an aborted signal stops with its reason", async () => {
  const reason = new Error("enough");
  try {
    await parseSafetensorsHeader(bytesSource("m", rawFile("{}")), AbortSignal.abort(reason));
    assert.unreachable();
  } catch (error) {
    assert.is(error, reason);
  }
});

const sizes: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2, I8: 1, I64: 8 };
const tensors: fc.Arbitrary<TestTensor[]> = fc
  .uniqueArray(
    fc.record({
      name: fc.string({ unit: "grapheme", maxLength: 12 }).filter((name) => !/^__(proto|metadata)__$/.test(name)),
      dtype: fc.constantFrom(...Object.keys(sizes)),
      shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
    }),
    { selector: ({ name }) => name, maxLength: 8 },
  )
  .map((list) => list.map(({ name, dtype, shape }) => testTensor(name, shape, dtype, sizes[dtype])));

test("property: what was written is read, in any order of the header", async () => {
  const ordered = tensors.chain((list) =>
    fc
      .shuffledSubarray(
        list.map((_, i) => i),
        { minLength: list.length },
      )
      .map((headerOrder) => ({ list, headerOrder })),
  );
  await fc.assert(
    fc.asyncProperty(ordered, async ({ list, headerOrder }) => {
      const file = safetensorsFile(list, { headerOrder });
      const header = await parse(file);
      assert.is(header.tensors.size, list.length);
      for (const { name, dtype, shape, data } of list) {
        const info = header.tensors.get(name)!;
        assert.is(info.dtype, dtype.toLowerCase());
        assert.equal(info.shape, shape);
        assert.equal(file.subarray(info.byteOffset, info.byteOffset + info.byteLength), data);
      }
    }),
    { numRuns: 300 },
  );
});

test("property: changed or cut files end in a Qwen3Error or a file that is covered exactly", async () => {
  const good = safetensorsFile([testTensor("a.b", [2, 3]), testTensor("c", [4], "F16", 2), testTensor("d", [1], "I64", 8)]);
  const change = fc.record({
    at: fc.nat(good.length - 1),
    to: fc.oneof(fc.nat(255), fc.constantFrom(0x22, 0x2c, 0x30, 0x5d, 0x7d)),
  });
  let refusals = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 4 }), fc.option(fc.nat(good.length)), async (changes, length) => {
      const file = good.slice(0, length ?? good.length);
      for (const { at, to } of changes) if (at < file.length) file[at] = to;
      try {
        const { tensors } = await parse(file);
        const total = [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
        assert.is(8 + Number(new DataView(file.buffer).getBigUint64(0, true)) + total, file.length);
      } catch (error) {
        assert.instance(error, Qwen3Error, String(error));
        refusals++;
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(refusals > 1000, `only ${refusals} were refused`);
});

/** The npm package `safetensors`, as a second opinion. It reads no file with `__metadata__`. */
interface SecondReader {
  readonly metadata: ReadonlyMap<
    string,
    { readonly dtype: string; readonly shape: number[]; readonly data_offsets: [number, number] }
  >;
  getTensor(name: string): Uint8Array;
}
const { SafeTensor } = createRequire(import.meta.url)("safetensors") as { SafeTensor: new (file: Uint8Array) => SecondReader };

test("the npm package safetensors reads the same", async () => {
  const { tensors: golden } = await parse(readFileSync(goldenPath("gqa-bf16", "model.safetensors")));
  const list = [...golden.values()].map(({ name, shape }) => testTensor(name, shape, "BF16", 2));
  const file = safetensorsFile(list, { headerOrder: list.map((_, i) => list.length - 1 - i) });
  const [ours, theirs] = [await parse(file), new SafeTensor(file)];
  assert.equal([...ours.tensors.keys()], [...theirs.metadata.keys()]);
  assert.ok(ours.tensors.size > 30);
  for (const { name, dtype, shape, byteOffset, byteLength } of ours.tensors.values()) {
    assert.equal(theirs.metadata.get(name), {
      dtype: dtype.toUpperCase(),
      shape,
      data_offsets: [byteOffset, byteOffset + byteLength],
    });
    assert.equal(file.subarray(byteOffset, byteOffset + byteLength), theirs.getTensor(name));
  }
});

test("files as PyTorch writes them: the golden vectors, and the bundled model", async () => {
  const expected = await parse(readFileSync(goldenPath("gqa-bf16", "expected.safetensors")));
  assert.is(expected.tensors.get("input_ids")?.shape.length, 1);
  assert.is(expected.tensors.get("logits_f64")?.dtype, "f64");
  const nano = await parse(readFileSync(`${nanoPath}/model.safetensors`));
  assert.equal(nano.tensors.get("model.embed_tokens.weight")?.shape, [4096, 256]);
});

test.run();
