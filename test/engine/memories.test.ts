/** Nano in memories far smaller than itself: the same answers, whatever lies where; and the plan that shares it out. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { WasmBackend } from "../../src/backend/wasm/backend.ts";
import type { LocalExecutor } from "../../src/engine/executor.ts";
import { LocalModel } from "../../src/engine/local-model.ts";
import { Qwen3, type Qwen3Error } from "../../src/index.ts";
import { nanoPath } from "../paths.ts";

const MIB = 2 ** 20;
const { cases } = JSON.parse(readFileSync(join(nanoPath, "expected.json"), "utf8")) as {
  cases: { prompt_ids: number[]; greedy_ids: number[] }[];
};

for (const kvCache of ["f32", "f16", "int8"] as const)
  test(`${kvCache}: nano answers as ever from a dozen memories`, async () => {
    const answers = [];
    for (const wasm of [{}, { instanceBytes: 4.5 * MIB }]) {
      const model = await Qwen3.fromPretrained(nanoPath, { kvCache, wasm, maxModelLen: 512, memoryBudgetBytes: 40 * MIB });
      const prompts = cases.slice(0, 3).map(({ prompt_ids }) => prompt_ids);
      const results = await model.generate(prompts, { temperature: 0, maxNewTokens: 40 }).final();
      answers.push(results.map(({ ids }) => ids));
      await model.close();
    }
    assert.equal(answers[1], answers[0]);
    if (kvCache === "f32")
      assert.equal(
        answers[0],
        cases.slice(0, 3).map(({ greedy_ids }) => greedy_ids.slice(0, 40)),
      );
  });

test("weights and cache lie in many memories, all of which go when the model is closed", async () => {
  const model = await LocalModel.load(nanoPath, { wasm: { instanceBytes: 4.5 * MIB }, memoryBudgetBytes: 40 * MIB });
  await model.forward([1, 2, 3]);
  const { instances } = (model.executor as LocalExecutor).backend as WasmBackend;
  assert.ok(instances.all.length >= 10, `${instances.all.length} memories`);
  assert.ok(model.bytesInUse >= model.plan.weightBytes);
  assert.ok(model.bytesInUse < model.plan.weightBytes + 4 * MIB);
  await model.close();
  assert.is(model.bytesInUse, 0);
  assert.ok(instances.all.every(({ memory }) => memory.u8.length === 0));
});

test("a small model lies in one memory, however large the budget", async () => {
  const model = await LocalModel.load(nanoPath, { memoryBudgetBytes: 64 * 1024 * MIB });
  await model.forward([1, 2, 3]);
  assert.is(((model.executor as LocalExecutor).backend as WasmBackend).instances.all.length, 1);
  await model.close();
});

test("the budget holds all the caches it was made for, over however many memories", async () => {
  const model = await LocalModel.load(nanoPath, {
    wasm: { instanceBytes: 24 * MIB },
    memoryBudgetBytes: 60 * MIB,
    maxModelLen: 4096,
    kvCache: "f32",
  });
  let full: Qwen3Error | undefined;
  while (!full) {
    const { kv } = model.newCache();
    try {
      kv.reserve(512);
    } catch (error) {
      full = error as Qwen3Error;
    }
  }
  assert.is(full.code, "MEMORY_FULL");
  assert.match(full.message, /the KV caches hold \d+ bytes of at most \d+ in the memory plan/);
  assert.ok(model.bytesInUse > 50 * MIB, "all of it was used");
  await model.close();
});

test.run();
