/** The memory plan: its numbers, its refusals, and that reality keeps to it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { WasmBackend } from "../../src/backend/wasm/backend.ts";
import { matrixBytes } from "../../src/backend/wasm/matrix.ts";
import type { LocalExecutor } from "../../src/engine/executor.ts";
import { LocalModel } from "../../src/engine/local-model.ts";
import { planOptions } from "../../src/engine/model-options.ts";
import {
  activationsIn,
  describePlan,
  forInstances,
  formatBytes,
  type MemoryPlan,
  memoryPlan,
  mostKvBytes,
  plannedKvPages,
  requireFit,
} from "../../src/engine/plan.ts";
import { type Checkpoint, openCheckpoint } from "../../src/formats/checkpoint.ts";
import { Qwen3, Qwen3Error, type WeightType } from "../../src/index.ts";
import { WEIGHT_GROUP } from "../../src/model/weight-format.ts";
import { GOLDEN_CASES } from "../golden.ts";
import { goldenPath, nanoPath } from "../paths.ts";

const test = suite("memory plan");
const MIB = 2 ** 20;
/** Config and tensor list; the files are closed again. */
async function open(location: string): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(location);
  await checkpoint.close();
  return checkpoint;
}
const options = { backend: "wasm", weights: "auto", kvCache: "f32", budgetBytes: 1024 * MIB, maxBatchedTokens: 64 } as const;

test("nano's numbers", async () => {
  const plan = memoryPlan(await open(nanoPath), options);
  const norms = 5 * (2 * 256 + 2 * 64) + 256;
  assert.is(plan.weightBytes, 2 * (4_820_352 - norms) + 4 * norms);
  assert.is(plan.kvBytesPerToken, 5 * 2 * 2 * 64 * 4);
  assert.is(plan.maxModelLen, 4096);
  assert.is(plan.kvBytes, 4096 * plan.kvBytesPerToken);
  assert.is(plan.totalBytes, plan.weightBytes + plan.kvBytes + plan.activationBytes);
  const reference = memoryPlan(await open(nanoPath), { ...options, backend: "reference" });
  assert.is(reference.weightBytes, 4 * 4_820_352);
  const half = memoryPlan(await open(nanoPath), { ...options, kvCache: "f16" });
  assert.is(half.kvBytesPerToken, plan.kvBytesPerToken / 2);
});

test("weights count as they are held: floats in blocks of 16 rows, quantized ones of 8 and in whole groups, with a scale of two bytes", async () => {
  assert.is(matrixBytes(5, 7, { type: "f32" }), 16 * 7 * 4);
  assert.is(matrixBytes(17, 7, { type: "bf16" }), 32 * 7 * 2);
  assert.is(matrixBytes(8, 256, { type: "fp8" }), 16 * 256 + 8 * 4 * 3); // a bound and two scales beside each row
  assert.is(matrixBytes(5, 33, { type: "fp8" }), 16 * 33 + 5 * 4 * 2);
  assert.is(matrixBytes(8, 64, { type: "int8", group: 32 }), 8 * (64 + 2 * 2));
  assert.is(matrixBytes(5, 33, { type: "int8", group: 32 }), 8 * (64 + 2 * 2));
  assert.is(matrixBytes(8, 128, { type: "int4", group: 64, minimum: false }), 8 * (64 + 2 * 2));
  assert.is(matrixBytes(8, 128, { type: "int4", group: 64, minimum: true }), 8 * (64 + 2 * 4));
  const norms = 5 * (2 * 256 + 2 * 64) + 256;
  const values = 4_820_352 - norms; // whole blocks and groups
  const checkpoint = await open(nanoPath);
  const weightBytes = (weights: WeightType) => memoryPlan(checkpoint, { ...options, weights }).weightBytes;
  assert.is(weightBytes("f32"), 4 * values + 4 * norms);
  assert.is(weightBytes("f16"), weightBytes("auto"));
  assert.is(weightBytes("int8"), values * (1 + 2 / WEIGHT_GROUP.int8) + 4 * norms);
  assert.is(weightBytes("int4"), values * (0.5 + 4 / WEIGHT_GROUP.int4) + 4 * norms);
  for (const [weights, kvCache] of [
    ["int8", "int8"],
    ["int4", "int8"],
    ["auto", "f16"],
    ["bf16", "f16"],
  ] as const)
    assert.is((await planOptions(checkpoint, { weights })).kvCache, kvCache);
  assert.is((await planOptions(checkpoint, { weights: "int4", kvCache: "f32" })).kvCache, "f32");
  const model = await Qwen3.fromPretrained(nanoPath, { weights: "int4", maxModelLen: 1024 });
  assert.is(model.plan.weightBytes, weightBytes("int4"));
  assert.is(model.plan.kvBytesPerToken, 5 * 2 * 2 * (64 + 4));
  await model.close();
});

test("left out, the context is the largest that fits, at most 32,768 and the model's own", async () => {
  const checkpoint = await open(goldenPath("gqa-bf16"));
  const wide = memoryPlan(checkpoint, options);
  assert.equal([wide.maxModelLen, wide.largestContext], [32768, 262144]);
  const { weightBytes, activationBytes, kvBytesPerToken } = wide;
  const budgetBytes = weightBytes + activationBytes + 1000 * kvBytesPerToken;
  const tight = memoryPlan(checkpoint, { ...options, budgetBytes });
  assert.is(tight.maxModelLen, 992); // whole pages of 32
  requireFit(tight, checkpoint.config);
  assert.ok(tight.totalBytes <= budgetBytes);
});

test("auto is the largest context that fits, at most the model's own", async () => {
  const checkpoint = await open(goldenPath("gqa-bf16"));
  const wide = memoryPlan(checkpoint, { ...options, maxModelLen: "auto" });
  assert.is(wide.maxModelLen, 262144);
  requireFit(wide, checkpoint.config);
  const budgetBytes = wide.weightBytes + wide.activationBytes + 50_000 * wide.kvBytesPerToken;
  const tight = memoryPlan(checkpoint, { ...options, budgetBytes, maxModelLen: "auto" });
  assert.is(tight.maxModelLen, 49_984);
  requireFit(tight, checkpoint.config);
  const none = memoryPlan(checkpoint, { ...options, budgetBytes: wide.weightBytes, maxModelLen: "auto" });
  assert.throws(() => requireFit(none, checkpoint.config), /does not fit the memory budget\n/);
  const model = await Qwen3.fromPretrained(nanoPath, { memoryBudgetBytes: 20 * MIB, maxModelLen: "auto" });
  assert.is(model.plan.maxModelLen, model.plan.largestContext);
  assert.ok(model.plan.maxModelLen > 1000 && model.plan.maxModelLen < 4096);
  await model.close();
});

test("what all caches may take is what the budget leaves, and a page", async () => {
  const plan = memoryPlan(await open(nanoPath), options);
  const { budgetBytes, weightBytes, activationBytes, kvBytesPerToken } = plan;
  assert.is(mostKvBytes(plan), budgetBytes - weightBytes - activationBytes + 32 * kvBytesPerToken);
  assert.is(plannedKvPages(plan, 1000), Math.floor(mostKvBytes(plan) / (32 * kvBytesPerToken)));
  assert.is(plannedKvPages(plan, 3), 3 * 129);
  assert.is(mostKvBytes({ ...plan, budgetBytes: 0 }), plan.kvBytes + 32 * kvBytesPerToken);
  assert.ok(forInstances(plan).plannedBytes >= budgetBytes - activationBytes);
});

test("the plan is told before anything is loaded, and what the memories may take is a budget too", async () => {
  const seen: unknown[] = [];
  const onPlan = (plan: MemoryPlan) => seen.push(plan);
  const onProgress = () => void (seen.length < 2 && seen.push("progress"));
  const model = await Qwen3.fromPretrained(nanoPath, { wasm: { maximumBytes: 64 * MIB }, onPlan, onProgress });
  assert.equal(seen, [model.plan, "progress"]);
  assert.is(model.plan.budgetBytes, 64 * MIB);
  await model.close();
  seen.length = 0;
  await Qwen3.fromPretrained(nanoPath, { memoryBudgetBytes: MIB, onPlan }).catch(() => undefined);
  assert.equal(seen, [], "a plan that does not fit is in the error");
});

test("what does not fit is refused with the plan", async () => {
  const checkpoint = await open(nanoPath);
  const code = (plan: ReturnType<typeof memoryPlan>) => {
    try {
      requireFit(plan, checkpoint.config);
      return "fits";
    } catch (error) {
      assert.match((error as Error).message, /\d/);
      return (error as Qwen3Error).code;
    }
  };
  assert.is(code(memoryPlan(checkpoint, { ...options, maxModelLen: 4096 })), "fits");
  assert.is(code(memoryPlan(checkpoint, { ...options, maxModelLen: 4097 })), "CONTEXT_FULL");
  assert.is(code(memoryPlan(checkpoint, { ...options, maxModelLen: 4096, budgetBytes: 30 * MIB })), "MEMORY_PLAN");
  assert.is(code(memoryPlan(checkpoint, { ...options, budgetBytes: 5 * MIB })), "MEMORY_PLAN");
  const none = memoryPlan(checkpoint, { ...options, budgetBytes: 5 * MIB });
  assert.match(describePlan(none), /weights and activations leave no room/);
  const error = await Qwen3.fromPretrained(nanoPath, { memoryBudgetBytes: 16 * MIB, maxModelLen: 4096 }).catch(
    (reason) => reason,
  );
  assert.is(error.code, "MEMORY_PLAN");
  assert.match(error.message, /budget +16.0 MiB/);
  assert.match(error.message, /longest context that fits +\d+ tokens/);
});

test("options out of range are refused by name", async () => {
  for (const [wrong, mentions] of [
    [{ maxModelLen: 0 }, /maxModelLen is 0; allowed: a positive integer, or "auto"/],
    [{ memoryBudgetBytes: 1.5 }, /memoryBudgetBytes is 1.5/],
    [{ maxBatchedTokens: -1 }, /maxBatchedTokens is -1/],
    [{ backend: "cuda" as never }, /backend is cuda/],
    [{ kvCache: "int3" as never }, /kvCache is int3; allowed: "f32", "f16", "int8"/],
    [{ weights: "int2" as never }, /weights is int2; allowed: "auto", "f32", "bf16", "f16", "int8", "int4"/],
    [{ activations: "f16" as never }, /activations is f16; allowed: "int8", "f32"/],
  ] as const) {
    const error = await Qwen3.fromPretrained(nanoPath, wrong).catch((reason) => reason);
    assert.instance(error, Qwen3Error);
    assert.is(error.code, "ARGUMENT");
    assert.match(error.message, mentions);
  }
});

test("activations stay within the plan, to within its alignment", async () => {
  for (const name of GOLDEN_CASES)
    for (const tokens of [1, 7, 64]) {
      const model = await LocalModel.load(goldenPath(name), { maxModelLen: 256, maxBatchedTokens: tokens });
      await model.forward(
        Array.from({ length: 100 }, (_, i) => i),
        { logits: "all" },
      );
      const { arenaPeakBytes } = (model.executor as LocalExecutor).backend as WasmBackend;
      const planned = activationsIn(model.config, tokens);
      // Each of at most 40 tensors may be padded to 16 bytes.
      assert.ok(arenaPeakBytes <= planned + 40 * 16, `${name}, ${tokens} tokens: ${arenaPeakBytes} used, ${planned} planned`);
      assert.ok(arenaPeakBytes >= planned / 2, `${name}, ${tokens} tokens: ${arenaPeakBytes} used, ${planned} planned`);
      await model.close();
    }
});

test("sizes for people", () => {
  assert.equal([0, 1023, 1536, 10 * MIB, 1.5 * 2 ** 30, 2 ** 40].map(formatBytes), [
    "0 B",
    "1023 B",
    "1.50 KiB",
    "10.0 MiB",
    "1.50 GiB",
    "1.00 TiB",
  ]);
});

test.run();
