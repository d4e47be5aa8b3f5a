/** Weights as int8 and int4, and conversions of float weights: the definition keeps its promises, and the kernels have its bits. */
import { readFile } from "node:fs/promises";
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Backend, QuantizedRows } from "../../src/backend/backend.ts";
import { INT4_CUTS, INT4_STEPS, type QuantizedFormat, quantizeWeights } from "../../src/backend/quantize-weights.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import { SCALE_KINDS } from "../../src/backend/wasm/kernel-sizes.ts";
import { instantiate } from "../../src/backend/wasm/kernels.ts";
import { createWasmBackend } from "../../src/backend/wasm/open.ts";
import { type FloatType, f16ToF32, f32ToF16, narrow, widen } from "../../src/core/dtype.ts";
import { Qwen3Error } from "../../src/core/errors.ts";

const LARGEST = 65504;
const { abs, fround, max, min } = Math;

const FORMATS: readonly QuantizedFormat[] = [16, 32, 64, 128].flatMap((group): QuantizedFormat[] => [
  { type: "int8", group },
  { type: "int4", group, minimum: false },
  { type: "int4", group, minimum: true },
]);
const formats = fc.constantFrom(...FORMATS);

/** Zeros, the least numbers of f32 and f16, the extents below which groups count as flat, ties, the largest. */
const EDGES = [0, 1e-45, 1.1754942e-38, 2 ** -25, 2 ** -24, 2 ** -21, 2 ** -20, 6.1e-5, 0.5, 1, 7.5, 127, 2048.5, LARGEST];
const edge = fc
  .constantFrom(...EDGES.flatMap((value) => [value, -value, value * 1.0000001, value * 0.9999999]))
  .map((value) => fround(max(-LARGEST, min(value, LARGEST))));
const any = fc.float({ min: -LARGEST, max: LARGEST, noNaN: true });
/** Most of them small, as weights are: a uniform number to the power of 1 or 3. */
const near = fc.noBias(
  fc
    .tuple(fc.integer({ min: -(2 ** 20), max: 2 ** 20 }), fc.constantFrom(1, 3))
    .map(([n, power]) => fround((n / 2 ** 20) ** power / 8)),
);
const rowOf = (value: fc.Arbitrary<number>) => fc.array(value, { minLength: 1, maxLength: 300 });
/** Rows as models have them, with values of every size, of edges alone, all alike, and flat but for one weight. */
const rows = fc
  .oneof(
    rowOf(near),
    rowOf(any),
    rowOf(edge),
    rowOf(fc.oneof(near, edge, any)),
    fc.tuple(edge, fc.integer({ min: 1, max: 300 })).map(([value, length]) => new Array<number>(length).fill(value)),
    fc.tuple(rowOf(near), any, fc.nat()).map(([row, outlier, at]) => row.with(at % row.length, outlier)),
  )
  .map((row) => Float32Array.from(row));

/** The group's weights beside their codes and their steps. */
function* groupsOf(row: Float32Array, { codes, scales, minimums }: QuantizedRows, group: number) {
  for (let g = 0; g * group < row.length; g++) {
    const range = [g * group, (g + 1) * group] as const;
    yield { weights: row.subarray(...range), codes: codes.subarray(...range), scale: scales[g]!, minimum: minimums?.[g] ?? 0 };
  }
}

const squares = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value * value, 0);

test("int8: no weight is further than half a step from its value, and the scale is the least f16 for that", () => {
  fc.assert(
    fc.property(rows, fc.constantFrom(16, 32, 64, 128), (row, group) => {
      for (const { weights, codes, scale } of groupsOf(row, quantizeWeights(row, { type: "int8", group }), group)) {
        const largest = max(...weights.map(abs));
        assert.ok(127 * scale >= largest);
        assert.is(f16ToF32(f32ToF16(scale)), scale);
        if (scale > 0) assert.ok(127 * f16ToF32(f32ToF16(scale) - 1) < largest, `${scale} is not the least for ${largest}`);
        // Half a step, and what rounding weight * (1 / scale) to f32 can add.
        for (const [i, weight] of weights.entries()) assert.ok(abs(weight - codes[i]! * scale) <= scale * 0.50001, `${weight}`);
      }
    }),
  );
});

/** The steps that the definition tries, in double precision. */
function tried(weights: Float32Array, withMinimum: boolean): { scale: number; minimum: number }[] {
  const toF16 = (value: number) => f16ToF32(f32ToF16(fround(value)));
  const [low, high] = [min(...weights), max(...weights)];
  if (withMinimum)
    return INT4_CUTS.flatMap((below) =>
      INT4_CUTS.map((above) => ({
        scale: toF16(((high - low) * (1 - below - above)) / 15),
        minimum: toF16(low + (high - low) * below),
      })),
    );
  const extreme = max(0, high) >= -min(0, low) ? high : low;
  return INT4_STEPS.map((steps) => ({ scale: toF16(extreme / steps), minimum: 0 }));
}

for (const withMinimum of [false, true])
  test(`int4${withMinimum ? " with minimum" : ""}: of the steps that are tried, those with the least squared error`, () => {
    fc.assert(
      fc.property(rowOf(near), fc.constantFrom(16, 32, 64, 128), (values, group) => {
        const row = Float32Array.from(values);
        const format = { type: "int4", group, minimum: withMinimum } as const;
        const [low, high] = withMinimum ? [0, 15] : [-8, 7];
        for (const { weights, codes, scale, minimum } of groupsOf(row, quantizeWeights(row, format), group)) {
          const zero = withMinimum ? 0 : 8;
          const error = squares(weights.map((weight, i) => weight - ((codes[i]! - zero) * scale + minimum)));
          if (scale === 0) continue;
          const least = min(
            ...tried(weights, withMinimum).map((steps) =>
              squares(
                weights.map((weight) => {
                  const code = max(low, min(Math.round((weight - steps.minimum) / steps.scale), high));
                  return weight - (code * steps.scale + steps.minimum);
                }),
              ),
            ),
          );
          // Errors are summed in f32, in squares of steps.
          assert.ok(error <= least * 1.0001 + scale * scale * 1e-5, `${error} where ${least} can be had`);
        }
      }),
    );
  });

test("a group without extent has the scale 0 and keeps what its minimum can say", () => {
  for (const value of [0, -0, 1e-45, 2 ** -22, -(2 ** -22)])
    for (const type of ["int8", "int4"] as const) {
      const { codes, scales } = quantizeWeights(new Float32Array(40).fill(value), { type, group: 32, minimum: false });
      if (type === "int8" && value !== 0) continue; // its scale is the least f16 and more
      assert.equal([...scales], [0, 0], `${type} ${value}`);
      assert.ok(codes.every((code) => code === (type === "int8" ? 0 : 8)));
    }
  for (const value of [0, -0, 0.3, -LARGEST]) {
    const { codes, scales, minimums } = quantizeWeights(new Float32Array(40).fill(value), {
      type: "int4",
      group: 32,
      minimum: true,
    });
    assert.equal([...scales], [0, 0]);
    assert.ok(codes.every((code) => code === 0));
    assert.ok(minimums!.every((minimum) => Object.is(minimum, f16ToF32(f32ToF16(value + 0)))));
  }
});

const modules: { name: string; module: WebAssembly.Module }[] = [];
for (const name of ["simd", "relaxed"]) {
  const bytes = await readFile(new URL(`../../src/wasm/qwen3-${name}.wasm`, import.meta.url));
  if (WebAssembly.validate(bytes)) modules.push({ name, module: await WebAssembly.compile(bytes) });
}

/** What a build's kernel makes of a row. */
function quantizerOf(module: WebAssembly.Module): (row: Float32Array, format: QuantizedFormat) => QuantizedRows {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const kernels = instantiate(module, memory);
  const [x, codes, scales, minimums] = [1024, 8192, 16384, 24576] as const;
  return (row, format) => {
    const { type, group } = format;
    new Uint8Array(memory.buffer).fill(0xff);
    new Float32Array(memory.buffer, x, row.length).set(row);
    const withMinimum = type === "int4" && format.minimum;
    if (withMinimum) kernels.quantizeInt4Range(x, codes, scales, minimums, row.length, group, SCALE_KINDS.f16);
    else kernels[type === "int8" ? "quantizeInt8" : "quantizeInt4"](x, codes, scales, row.length, group);
    const groups = Math.ceil(row.length / group);
    const bytes = new Uint8Array(memory.buffer.slice(codes, codes + row.length));
    return {
      codes: type === "int8" ? Int8Array.from(bytes, (code) => code - 128) : bytes, // int8 codes are held with 128 added
      scales: new Float32Array(memory.buffer, scales, groups).slice(),
      ...(withMinimum && { minimums: new Float32Array(memory.buffer, minimums, groups).slice() }),
    };
  };
}

const sameBits = (a: Float32Array, b: Float32Array) => a.length === b.length && a.every((value, i) => Object.is(value, b[i]));

test("the kernels choose the same codes, scales and minimums, to the bit", () => {
  assert.ok(modules.length > 0);
  for (const { name, module } of modules) {
    const quantize = quantizerOf(module);
    fc.assert(
      fc.property(rows, formats, (row, format) => {
        const [expected, actual] = [quantizeWeights(row, format), quantize(row, format)];
        assert.equal(actual.codes, expected.codes, name);
        assert.ok(sameBits(actual.scales, expected.scales), `${name}: scales ${actual.scales}, not ${expected.scales}`);
        assert.is(actual.minimums === undefined, expected.minimums === undefined);
        if (actual.minimums) assert.ok(sameBits(actual.minimums, expected.minimums!), `${name}: minimums`);
      }),
      { numRuns: 1000 },
    );
  }
});

const TYPES: readonly FloatType[] = ["f32", "bf16", "f16"];
/** What a matrix of `cols` columns, made of rows of bytes of `source`, holds. */
async function held(
  b: Backend,
  bytes: Uint8Array,
  cols: number,
  source: FloatType,
  format: Parameters<Backend["createMatrix"]>[2],
) {
  const writer = b.createMatrix(2, cols, format, { type: source });
  const rowBytes = bytes.length / 2;
  writer.write(1, bytes.subarray(rowBytes));
  writer.write(0, bytes.subarray(0, rowBytes));
  const matrix = writer.finish();
  let read: Promise<Float32Array> | undefined;
  b.scope(() => {
    read = b.read(b.embed(matrix, Int32Array.of(0, 1)));
    return undefined;
  });
  return await read!;
}

test("rows of each float type become each format, on both backends alike", async () => {
  const reference = new ReferenceBackend();
  const wasm = await createWasmBackend();
  const targets = [...TYPES.map((type) => ({ type })), ...FORMATS];
  await fc.assert(
    fc.asyncProperty(rows, fc.constantFrom(...TYPES), fc.constantFrom(...targets), async (row, source, format) => {
      const bytes = narrow(Float32Array.from([...row, ...row.toReversed()]), source);
      // Rounding to bf16 can pass 65504.
      fc.pre(widen(bytes, source, 0, 2 * row.length).every((value) => abs(value) <= LARGEST));
      const expected = await held(reference, bytes, row.length, source, format);
      const actual = await held(wasm, bytes, row.length, source, format);
      assert.ok(sameBits(actual, expected), `${source} to ${format.type}: ${actual}, not ${expected}`);
      if (!("group" in format)) {
        const values = widen(bytes, source, 0, 2 * row.length);
        assert.ok(sameBits(actual, widen(narrow(values, format.type), format.type, 0, values.length)));
      }
    }),
    { numRuns: 500 },
  );
  wasm.close();
});

test("weights that a format cannot come near are refused by place, with what is allowed", async () => {
  const backends: readonly Backend[] = [new ReferenceBackend(), await createWasmBackend()];
  const cols = 37;
  for (const b of backends)
    for (const [format, wrong] of [
      ...[...FORMATS, { type: "f16" } as const].map((format) => [format, [65505, -1e38]] as const),
      [{ type: "bf16" }, [3.4e38, -3.4e38]] as const,
    ])
      for (const value of [...wrong, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const weights = new Float32Array(4 * cols).fill(0.5);
        weights[2 * cols + 36] = value;
        const writer = b.createMatrix(8, cols, format, { type: "f32" });
        try {
          writer.write(3, new Uint8Array(weights.buffer));
          assert.unreachable(`${value} became ${format.type}`);
        } catch (error) {
          assert.instance(error, Qwen3Error, `${error}`);
          assert.is((error as Qwen3Error).code, "CHECKPOINT_TENSOR");
          assert.match((error as Qwen3Error).message, `row 5, column 36 is ${fround(value)}; weights that become ${format.type}`);
        }
      }
  for (const b of backends) {
    const kept = await held(b, narrow(Float32Array.of(Number.NaN, 1, Number.POSITIVE_INFINITY, -0), "bf16"), 2, "bf16", {
      type: "f32",
    });
    assert.equal([...kept], [Number.NaN, 1, Number.POSITIVE_INFINITY, -0], "f32 takes every value as it is");
    b.close();
  }
});

test.run();
