/**
 * A model whose weights pass 4 GiB, in one thread: 8 GB of weights with LONG=1, the same lines on a small one without.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { WasmBackend } from "../../src/backend/wasm/backend.ts";
import type { LocalExecutor } from "../../src/engine/executor.ts";
import { LocalModel } from "../../src/engine/local-model.ts";
import { generateText } from "../../src/engine/text-generation.ts";
import { syntheticCheckpoint } from "./synthetic-checkpoint.ts";

const GIB = 2 ** 30;
const SMALL = {
  hidden_size: 256,
  num_hidden_layers: 3,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  head_dim: 32,
  intermediate_size: 704,
  vocab_size: 2048,
  max_position_embeddings: 8192,
};
/** Qwen3-4B-Instruct-2507. */
const LARGE = {
  hidden_size: 2560,
  num_hidden_layers: 36,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
  intermediate_size: 9728,
  vocab_size: 151_936,
  max_position_embeddings: 262_144,
};
const isLong = process.env.LONG !== undefined;
const shape = isLong ? LARGE : SMALL;
const unit = isLong ? GIB : 2 ** 21; // 4 of these are one memory
const prompt = [17, 3, 1999, 640, 2];

test("weights and cache larger than a memory load and generate, with the same bits wherever they lie", async () => {
  const before = process.memoryUsage().rss;
  const answers: { ids: readonly number[]; logits: Float32Array }[] = [];
  for (const instanceBytes of [4 * unit - 65536, 2.5 * unit]) {
    const options = { threads: 1, maxModelLen: 4096, memoryBudgetBytes: 10 * unit, maxBatchedTokens: 8, wasm: { instanceBytes } };
    const model = await LocalModel.load(syntheticCheckpoint(shape), options);
    const { instances } = (model.executor as LocalExecutor).backend as WasmBackend;
    const { logits } = await model.forward(prompt);
    const cache = model.newCache();
    const generation = generateText(
      model,
      [prompt],
      { temperature: 0, maxNewTokens: 3, ignoreEos: true, cache },
      ([one]) => one!,
    );
    const { ids } = await generation.final();
    answers.push({ ids, logits: logits! });
    cache.kv.reserve(4000); // the whole context has room beside the weights
    const { weightBytes, kvBytes } = model.plan;
    assert.ok(instances.all.length >= (isLong ? 3 : 2), `${instances.all.length} memories`);
    assert.ok(model.bytesInUse > weightBytes + 0.9 * kvBytes && weightBytes + kvBytes > 4 * (isLong ? GIB : 2 ** 20));
    assert.ok(instances.all.every(({ memory }) => memory.bytesInUse > 0));
    await model.close();
    if (process.env.REPORT) {
      const peak = process.resourceUsage().maxRSS * 1024 - before;
      const [held, memories] = [model.plan.weightBytes + model.plan.kvBytes, instances.all.length];
      console.log(`    ${held} bytes of weights and cache in ${memories} memories, peak ${(peak / held).toFixed(3)} times that`);
    }
  }
  assert.equal(answers[1], answers[0]);
  assert.ok(new Set(answers[0]!.logits).size > 1000, "logits of every kind");
});

test.run();
