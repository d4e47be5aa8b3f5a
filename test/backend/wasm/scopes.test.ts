/** Scopes of the wasm backend: what is returned survives unchanged, everything else goes and its room is used again. */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Backend, Tensor } from "../../../src/backend/backend.ts";
import type { WasmBackend } from "../../../src/backend/wasm/backend.ts";
import { createWasmBackend } from "../../../src/backend/wasm/open.ts";
import { Qwen3Error } from "../../../src/core/errors.ts";
import { sequence } from "../sequence.ts";

const make = (): Promise<WasmBackend> => createWasmBackend({ build: "simd" });
const filled = (b: Backend, size: number, value: number): Tensor => b.input(new Float32Array(size).fill(value), [size]);
const fails = (code: string, mentions: RegExp) => (error: unknown) =>
  error instanceof Qwen3Error && error.code === code && mentions.test(error.message);

/** A tree of scopes: tensors made before and after inner scopes, and which is returned. */
interface Tree {
  readonly sizes: readonly number[];
  readonly inner: readonly Tree[];
  readonly keep: "first" | "last" | "inner" | "view" | "none";
}
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 100_000 })), {
  minLength: 1,
  maxLength: 4,
});
const tree = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    sizes,
    inner: fc.oneof({ depthSize: "small" }, fc.constant([]), fc.array(tie("tree"), { maxLength: 3 })),
    keep: fc.constantFrom("first", "last", "inner", "view", "none"),
  }),
})).tree;

test("whatever the nesting, what is alive has its values, and what is not cannot be used", async () => {
  const b = await make();
  const reads: Promise<void>[] = [];
  let value = 0;
  const check = (x: Tensor, expected: number) => {
    const [size] = x.shape;
    reads.push(
      b.read(x).then((values) => {
        assert.is(values.length, size);
        assert.ok(
          values.every((v) => v === expected),
          `${values[0]}, not ${expected}`,
        );
      }),
    );
  };
  const run = ({ sizes, inner, keep }: Tree): { result: Tensor; expected: number } | undefined => {
    const dead: Tensor[] = [];
    let kept: { result: Tensor; expected: number } | undefined;
    const result = b.scope((): Tensor | undefined => {
      const alive = sizes.map((size) => ({ result: filled(b, size, ++value), expected: value }));
      const returned = inner.map(run).filter((entry) => entry !== undefined);
      for (const { result, expected } of [...alive, ...returned]) check(result, expected);
      const view = { result: b.reshape(alive[0]!.result, [...alive[0]!.result.shape]), expected: alive[0]!.expected };
      kept = { first: alive[0], last: alive.at(-1), inner: returned[0], view, none: undefined }[keep];
      const first = [alive[0], view]; // the same values under two shapes: both stay if one does
      const staying = first.includes(kept) ? first : [kept];
      dead.push(...[...alive, ...returned, view].filter((entry) => !staying.includes(entry)).map(({ result }) => result));
      return kept?.result;
    });
    assert.is(result, kept?.result);
    for (const x of dead) assert.throws(() => b.add(x, x), fails("ARGUMENT", /after its scope/));
    return kept;
  };
  fc.assert(
    fc.property(tree, (tree) => {
      b.scope(() => {
        const entry = run(tree);
        if (entry) check(entry.result, entry.expected);
        return undefined;
      });
    }),
    { numRuns: 60 },
  );
  await Promise.all(reads);
  b.close();
});

test("a scope's room is used again, and the peak is what was alive at once", async () => {
  const b = await make();
  const step = () =>
    b.scope(() => {
      let x = filled(b, 1000, 1);
      for (let i = 0; i < 20; i++) x = b.scope(() => b.add(b.add(x, x), b.add(x, x)), x);
      return undefined;
    });
  step();
  const inUse = b.bytesInUse;
  // x, and three sums in the layer.
  assert.is(b.arenaPeakBytes, 4 * 4000);
  for (let i = 0; i < 50; i++) step();
  assert.is(b.bytesInUse, inUse);
  assert.is(b.arenaPeakBytes, 4 * 4000);
  b.close();
});

test("a result takes the place of what it replaces", async () => {
  const b = await make();
  await b.scope(() => {
    const x = filled(b, 10, 1);
    const view = b.reshape(x, [2, 5]);
    const y = b.scope(() => b.add(x, x), x);
    for (const gone of [x, view]) assert.throws(() => b.add(gone, gone), fails("ARGUMENT", /after its scope/));
    const same = b.scope(() => y, y);
    assert.is(same, y);
    const outer = filled(b, 10, 5);
    const moved = b.scope(() => outer, y);
    assert.throws(
      () => b.scope(() => filled(b, 11, 1), moved),
      fails("ARGUMENT", /result of shape \[11\] cannot replace \[10\]/),
    );
    const reads = [b.read(moved), b.read(b.scope(() => b.add(moved, moved)))];
    Promise.all(reads).then((all) =>
      assert.equal(
        all.map((values) => values[9]),
        [5, 10],
      ),
    );
    return undefined;
  });
  b.close();
});

test("a failing body frees its tensors too", async () => {
  const b = await make();
  const x = filled(b, 100, 7);
  let lost: Tensor | undefined;
  const { arenaPeakBytes } = b;
  for (let i = 0; i < 5; i++)
    assert.throws(
      () =>
        b.scope(() => {
          lost = filled(b, 100, i);
          throw new Error("on purpose");
        }),
      "on purpose",
    );
  assert.throws(() => b.add(lost!, lost!), fails("ARGUMENT", /after its scope/));
  assert.is(b.arenaPeakBytes, 2 * arenaPeakBytes);
  assert.equal(await b.read(x), new Float32Array(100).fill(7));
  b.close();
});

test("tensors, matrices, vectors and stores of another backend are refused", async () => {
  const [a, b] = [await make(), await make()];
  const x = filled(a, 4, 1);
  const writer = a.createMatrix(2, 4, { type: "f32" });
  writer.write(0, new Uint8Array(32));
  const matrix = writer.finish();
  const segment = sequence(a, { layers: 1, kvHeads: 1, headDim: 4, type: "f32" }, 1).segment(1);
  const own = filled(b, 4, 1);
  for (const [message, call] of [
    [/a tensor is not of this backend/, () => b.add(own, x)],
    [/a tensor is not of this backend/, () => b.add({ shape: [4] }, own)],
    [/a tensor is not of this backend/, () => b.scope(() => x)],
    [/a matrix is not of this backend/, () => b.embed(matrix, Int32Array.of(0))],
    [/the weights are not of this backend/, () => b.rmsNorm(own, a.createVector(new Float32Array(4)), 0)],
    [/a KV store is not of this backend/, () => b.attention(b.reshape(own, [1, 1, 4]), [segment], 0, 1)],
  ] as const)
    assert.throws(call, fails("ARGUMENT", message));
  a.close();
  b.close();
});

test.run();
