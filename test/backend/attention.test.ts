/** Attention over the cache: the same bits however a sequence was cut into steps, on either backend, with every build. */
import { readFile } from "node:fs/promises";
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Backend, KvType } from "../../src/backend/backend.ts";
import { KvCache, KvPool } from "../../src/backend/kv-pages.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import { createWasmBackend } from "../../src/backend/wasm/open.ts";
import { KINDS, type Kind, Random } from "../conformance/values.ts";

interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly type: KvType;
}

/** Keys, values and queries of a sequence that starts at an absolute position. */
interface Entries {
  readonly start: number;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly q: Float32Array;
}

/** [tokens, heads, head_dim], computed in steps of so many tokens. */
async function attended(
  b: Backend,
  { heads, kvHeads, headDim, type }: Heads,
  { start, k, v, q }: Entries,
  steps: readonly number[],
) {
  const store = b.createKvStore({ layers: 1, kvHeads, headDim, type });
  const cache = new KvCache(new KvPool(store));
  cache.start = start;
  const results: Promise<Float32Array>[] = [];
  for (const tokens of steps) {
    const at = cache.length;
    cache.reserve(tokens);
    const segments = [cache.segment(tokens)];
    b.scope(() => {
      const input = (x: Float32Array, count: number) =>
        b.input(x.subarray(at * count * headDim, (at + tokens) * count * headDim), [tokens, count, headDim]);
      b.appendKv(segments, 0, input(k, kvHeads), input(v, kvHeads));
      results.push(b.read(b.attention(input(q, heads), segments, 0, 1 / Math.sqrt(headDim))));
      return undefined;
    });
    cache.commit(tokens);
  }
  const values = await Promise.all(results);
  cache.close();
  store.close();
  return Float32Array.from(values.flatMap((step) => [...step]));
}

const backends: [name: string, backend: Backend][] = [["reference", new ReferenceBackend()]];
for (const name of ["simd", "relaxed"]) {
  const bytes = await readFile(new URL(`../../src/wasm/qwen3-${name}.wasm`, import.meta.url));
  if (!WebAssembly.validate(bytes)) continue;
  backends.push([name, await createWasmBackend({ module: await WebAssembly.compile(bytes) })]);
}
test.after(() => {
  for (const [, backend] of backends) backend.close();
});

/** Heads that share a KV head evenly or not; steps that end within pages, at their ends and past them. */
const situations = fc.record({
  kvHeads: fc.integer({ min: 1, max: 3 }),
  ratio: fc.constantFrom(1, 1.5, 2, 3, 4, 5),
  headDim: fc.oneof(fc.integer({ min: 1, max: 130 }), fc.constantFrom(64, 80, 127, 128, 129, 130)),
  start: fc.oneof(fc.integer({ min: 0, max: 70 }), fc.constantFrom(31, 32, 33, 63, 64, 262_112)),
  steps: fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(1, 31, 32, 33)), { minLength: 1, maxLength: 4 }),
  kind: fc.constantFrom<Kind>(...KINDS),
  seed: fc.nat(),
});

for (const type of ["f32", "f16", "int8"] as const)
  test(`${type}: in steps and at once, reference and wasm, the same bits`, async () => {
    assert.ok(backends.length >= 2);
    await fc.assert(
      fc.asyncProperty(situations, async ({ kvHeads, ratio, headDim, start, steps, kind, seed }) => {
        const model = { heads: Math.ceil(kvHeads * ratio), kvHeads, headDim, type };
        const tokens = steps.reduce((sum, step) => sum + step, 0);
        const random = new Random(seed);
        const values = (count: number) => random.floats(tokens * count * headDim, kind);
        const entries = { start, k: values(kvHeads), v: values(kvHeads), q: values(model.heads) };
        const cuts = [[tokens], steps];
        const [, reference] = backends[0]!;
        const expected = await attended(reference, model, entries, cuts[0]!);
        for (const [name, backend] of backends)
          for (const cut of backend === reference ? cuts.slice(1) : cuts) {
            const actual = await attended(backend, model, entries, cut);
            assert.is(actual.length, expected.length);
            const wrong = expected.findIndex((value, i) => !Object.is(value, actual[i]));
            if (wrong >= 0)
              assert.unreachable(`${name}, steps ${cut}: value ${wrong} is ${actual[wrong]}, not ${expected[wrong]}`);
          }
      }),
      { numRuns: type === "int8" ? 60 : 20 },
    );
  });

test("a query over an int8 cache is within the error that codes allow of f32 attention", async () => {
  const reference = backends[0]![1];
  const random = new Random(7);
  const [heads, headDim, tokens] = [2, 64, 70];
  const values = () => random.floats(tokens * heads * headDim, "plain");
  const entries = { start: 9, k: values(), v: values(), q: values() };
  const shape = { heads, kvHeads: heads, headDim };
  const exact = await attended(reference, { ...shape, type: "f32" }, entries, [tokens]);
  const int8 = await attended(reference, { ...shape, type: "int8" }, entries, [tokens]);
  // Values are within 1: half a step of their codes is 1 / 254, of weights 1 / 510 of the largest; scores move by about as much.
  const worst = exact.reduce((most, value, i) => Math.max(most, Math.abs(value - int8[i]!)), 0);
  assert.ok(worst > 0 && worst < 0.02, `${worst}`);
});

test.run();
