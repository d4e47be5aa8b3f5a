/** Checkpoints that are stored quantized: kept in memory as they are, and computed with int8 activations alike on every backend. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { memoryPlan } from "../../src/engine/plan.ts";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { rowBytes } from "../../src/formats/encoding.ts";
import { Qwen3 } from "../../src/index.ts";
import { errorOverStd, floats, ids, readGolden } from "../golden.ts";
import { goldenPath } from "../paths.ts";

/** Largest share by which memory may exceed the file's tensors: paddings, norms as f32, FP8's scales for each row. */
const MORE = 1.12;
/** The largest error among some 10,000 logits of a random model, in their deviations: 0.15 and 0.13 were measured. */
const INT8_ERROR = 0.3;

/** Root mean square of a - b over that of b. */
function relativeRms(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [errors, squares] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    errors += (a[i]! - b[i]!) ** 2;
    squares += b[i]! ** 2;
  }
  return Math.sqrt(errors / squares);
}

const same = (a: Float32Array, b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));

for (const name of ["mlx-4bit", "mlx-8bit"])
  test(`${name}: int8 activations, the same bits on both backends and on threads, near f32 ones`, async () => {
    const golden = readGolden(name);
    const logits = async (options: object): Promise<Float32Array> => {
      const model = await Qwen3.fromPretrained(goldenPath(name), { kvCache: "f32", ...options });
      const { logits } = await model.forward(ids(golden, "input_ids"), { logits: "all" });
      await model.close();
      return logits!;
    };
    const expected = await logits({ backend: "reference" });
    assert.ok(same(await logits({ backend: "wasm" }), expected), "wasm");
    assert.ok(same(await logits({ backend: "wasm", threads: 2, maxBatchedTokens: 7 }), expected), "two threads, in chunks");
    const error = errorOverStd(expected, floats(golden, "logits_f64"));
    if (process.env.REPORT) {
      const rms = relativeRms(expected, floats(golden, "logits_f64"));
      console.log(`    ${name}: int8 activations are ${error} of the logits' deviation off at most, ${rms} on the whole`);
    }
    assert.ok(error > 1e-4 && error < INT8_ERROR, `${error} off`);
  });

test("fp8: two threads share the scales of a block, the same bits", async () => {
  const runs: Float32Array[] = [];
  for (const threads of [1, 2]) {
    const model = await Qwen3.fromPretrained(goldenPath("fp8"), { threads });
    runs.push((await model.forward([1, 2, 3, 4, 5], { logits: "all" })).logits!);
    await model.close();
  }
  assert.ok(same(runs[0]!, runs[1]!));
});

for (const name of ["fp8", "mlx-4bit", "mlx-8bit"])
  test(`${name}: takes as much memory as the file's tensors`, async () => {
    const checkpoint = await openCheckpoint(goldenPath(name));
    let stored = 0;
    for (const { encoding, shape } of checkpoint.tensors.values()) {
      const [rows = 0, cols = 1] = shape;
      stored += encoding.type === "fp8" ? rows * cols : rows * rowBytes(encoding, cols);
    }
    const { weightBytes } = memoryPlan(checkpoint, {
      backend: "wasm",
      weights: "auto",
      kvCache: "int8",
      budgetBytes: 2 ** 30,
      maxBatchedTokens: 128,
    });
    assert.ok(weightBytes >= stored && weightBytes <= MORE * stored, `${weightBytes} bytes for ${stored}`);
    await checkpoint.close();
  });

for (const weights of ["f32", "bf16", "int8", "int4"] as const)
  test(`fp8 and mlx as ${weights}: dequantized first, the same bits on both backends`, async () => {
    for (const name of ["fp8", "mlx-4bit"]) {
      const runs: Float32Array[] = [];
      for (const backend of ["reference", "wasm"] as const) {
        const model = await Qwen3.fromPretrained(goldenPath(name), { backend, weights });
        runs.push((await model.forward([7, 8, 9], { logits: "all" })).logits!);
        await model.close();
      }
      assert.ok(same(runs[0]!, runs[1]!), name);
    }
  });

test.run();
