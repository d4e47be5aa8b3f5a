/** The forward pass as a caller sees it: logits, hidden states, trace, caches, positions, adapters. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KvCache, KvPool } from "../../src/backend/kv-pages.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import { LocalExecutor } from "../../src/engine/executor.ts";
import { Runner } from "../../src/engine/runner.ts";
import { SequenceCache } from "../../src/engine/sequence-cache.ts";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { Qwen3, type Qwen3Error, type TraceTensor } from "../../src/index.ts";
import { loadWeights } from "../../src/model/weights.ts";
import { goldenPath, nanoPath } from "../paths.ts";

const ids = [5, 9, 200, 17, 3, 88, 41];
const golden = goldenPath("gqa-bf16");
const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
const same = (a: Float32Array, b: Float32Array) => a.length === b.length && bytes(a).equals(bytes(b));

test("logits last, all and none", async () => {
  const model = await Qwen3.fromPretrained(golden, { maxModelLen: 64 });
  const { vocab_size, hidden_size } = model.config;
  const { logits: all, hidden } = await model.forward(ids, { logits: "all", hidden: true });
  const { logits: last } = await model.forward(ids);
  const none = await model.forward(ids, { logits: "none", hidden: true, timings: true });
  assert.is(all!.length, ids.length * vocab_size);
  assert.ok(same(last!, all!.slice(-vocab_size)));
  assert.is(none.logits, undefined);
  assert.is(hidden!.length, ids.length * hidden_size);
  assert.ok(same(hidden!, none.hidden!));
  assert.ok(none.timings!.tokensPerSecond > 0);
  await model.close();
});

test("trace names every stage with its shape, over chunks too, and changes no bit", async () => {
  const model = await Qwen3.fromPretrained(golden, { maxModelLen: 64, maxBatchedTokens: 3 });
  const { config } = model;
  const plain = await model.forward(ids, { logits: "all" });
  const { logits, trace, hidden } = await model.forward(ids, { logits: "all", trace: true, hidden: true });
  assert.ok(same(logits!, plain.logits!));
  const [T, D, H, G, d] = [
    ids.length,
    config.hidden_size,
    config.num_attention_heads,
    config.num_key_value_heads,
    config.head_dim,
  ];
  const layer = (i: number): [string, number[]][] => [
    [`model.layers.${i}.input_layernorm`, [T, D]],
    [`model.layers.${i}.self_attn.q_proj`, [T, H * d]],
    [`model.layers.${i}.self_attn.k_proj`, [T, G * d]],
    [`model.layers.${i}.self_attn.v_proj`, [T, G * d]],
    [`model.layers.${i}.self_attn.q_norm`, [T, H, d]],
    [`model.layers.${i}.self_attn.q_rope`, [T, H, d]],
    [`model.layers.${i}.self_attn.k_norm`, [T, G, d]],
    [`model.layers.${i}.self_attn.k_rope`, [T, G, d]],
    [`model.layers.${i}.self_attn.o_proj`, [T, D]],
    [`model.layers.${i}.self_attn`, [T, D]],
    [`model.layers.${i}.post_attention_layernorm`, [T, D]],
    [`model.layers.${i}.mlp.gate_proj`, [T, config.intermediate_size]],
    [`model.layers.${i}.mlp.up_proj`, [T, config.intermediate_size]],
    [`model.layers.${i}.mlp.down_proj`, [T, D]],
    [`model.layers.${i}.mlp`, [T, D]],
    [`model.layers.${i}`, [T, D]],
  ];
  const layers = Array.from({ length: config.num_hidden_layers }, (_, i) => layer(i)).flat();
  const expected = new Map<string, number[]>([
    ["model.embed_tokens", [T, D]],
    ...layers,
    ["model.norm", [T, D]],
    ["lm_head", [T, config.vocab_size]],
  ]);
  assert.equal(new Map([...trace!].map(([name, tensor]) => [name, [...tensor.shape]])), expected);
  for (const { dtype, shape, data } of trace!.values()) {
    assert.is(dtype, "f32");
    assert.is(
      data.length,
      shape.reduce((product, extent) => product * extent, 1),
    );
  }
  assert.ok(same(trace!.get("lm_head")!.data, logits!));
  assert.ok(same(trace!.get("model.norm")!.data, hidden!));
  await model.close();
});

test("onTrace is called in the order of computation, and nothing is traced without it", async () => {
  const model = await Qwen3.fromPretrained(golden, { maxModelLen: 64 });
  const seen: [string, TraceTensor][] = [];
  const result = await model.forward(ids, { onTrace: (name, tensor) => seen.push([name, tensor]) });
  assert.is(result.trace, undefined);
  assert.is(seen[0]![0], "model.embed_tokens");
  assert.is(seen.at(-1)![0], "lm_head");
  assert.equal(seen.at(-1)![1].shape, [1, model.config.vocab_size]);
  await model.close();
});

test("a cache is gone on from; position starts an empty one; misuse is refused", async () => {
  const model = await Qwen3.fromPretrained(golden, { maxModelLen: 16 });
  const { logits: whole } = await model.forward(ids);
  const cache = model.newCache();
  await model.forward(ids.slice(0, 4), { cache, logits: "none" });
  assert.equal([cache.length, cache.position, cache.ids], [4, 4, ids.slice(0, 4)]);
  const { logits } = await model.forward(ids.slice(4), { cache });
  assert.ok(same(logits!, whole!));
  cache.truncate(4);
  assert.ok(same((await model.forward(ids.slice(4), { cache })).logits!, whole!), "again after truncation");

  const far = model.newCache();
  await model.forward(ids.slice(0, 2), { cache: far, position: 1000 });
  assert.is(far.position, 1002);
  const refused = async (work: Promise<unknown>, code: string) =>
    work.then(
      () => assert.unreachable(),
      (error) => assert.is((error as Qwen3Error).code, code, (error as Error).message),
    );
  await refused(model.forward([1], { cache: far, position: 5 }), "ARGUMENT");
  await refused(model.forward([1], { position: -1 }), "ARGUMENT");
  const fresh = model.newCache();
  await refused(model.forward([99999], { cache: fresh, position: 5 }), "ARGUMENT");
  assert.is(fresh.position, 0);
  await refused(model.forward(ids, { position: model.config.max_position_embeddings - 3 }), "CONTEXT_FULL");
  await refused(model.forward(Array(10).fill(1), { cache }), "CONTEXT_FULL");
  assert.is(cache.length, 7);
  const both = [model.forward([1], { cache }), model.forward([2], { cache })];
  const [first, second] = await Promise.allSettled(both);
  assert.equal([first!.status, second!.status, cache.length], ["fulfilled", "rejected", 8]);
  cache.close();
  await refused(model.forward([1], { cache }), "CLOSED");
  await model.close();
});

test("an f16 cache gives nearly the same logits, the same bits on both backends", async () => {
  const runs: Float32Array[] = [];
  for (const options of [{ kvCache: "f32" }, { kvCache: "f16" }, { kvCache: "f16", backend: "reference" }] as const) {
    const model = await Qwen3.fromPretrained(golden, { maxModelLen: 64, ...options });
    runs.push((await model.forward(ids)).logits!);
    await model.close();
  }
  const [f32, f16, reference] = runs as [Float32Array, Float32Array, Float32Array];
  assert.ok(same(f16, reference));
  assert.not.ok(same(f16, f32));
  const worst = f32.reduce((most, value, i) => Math.max(most, Math.abs(value - f16[i]!)), 0);
  assert.ok(worst < 0.02, `off by ${worst}`); // keys and values have 11 bits: about 5e-4 of logits that spread over several units
});

test("nano gives the same bits on both backends", async () => {
  const runs: Float32Array[] = [];
  for (const backend of ["wasm", "reference"] as const) {
    const model = await Qwen3.fromPretrained(nanoPath, { backend, maxModelLen: 64 });
    runs.push((await model.forward(model.encodeChat([{ role: "user", content: "Hi" }]), { logits: "all" })).logits!);
    await model.close();
  }
  assert.ok(same(runs[0]!, runs[1]!));
});

test("an adapter beside a matrix adds its low-rank update", async () => {
  const backend = new ReferenceBackend();
  const checkpoint = await openCheckpoint(golden);
  const weights = await loadWeights(backend, checkpoint);
  await checkpoint.close();
  const { hidden_size: D, vocab_size: V } = checkpoint.config;
  const matrix = (rows: number, cols: number, value: (i: number) => number) => {
    const writer = backend.createMatrix(rows, cols, { type: "f32" });
    writer.write(0, new Uint8Array(Float32Array.from({ length: rows * cols }, (_, i) => value(i)).buffer));
    return writer.finish();
  };
  // Rank 1: logits + sum(hidden) * B.
  const B = Float32Array.from({ length: V }, (_, i) => (i % 5) / 8);
  const lora = { A: matrix(1, D, () => 1), B: matrix(V, 1, (i) => B[i]!) };
  const run = async (model: typeof weights) => {
    const executor = new LocalExecutor(backend, checkpoint.config, model, "f32");
    const cache = new SequenceCache(new KvCache(new KvPool(executor.store)));
    const [result] = await new Runner(executor, checkpoint.config, 64).run([{ cache, ids, logits: "last", hidden: true }]);
    return result!;
  };
  const plain = await run(weights);
  const adapted = await run({ ...weights, lm_head: { ...weights.lm_head, lora } });
  const sum = plain.hidden!.slice(-D).reduce((total, value) => total + value, 0);
  for (let i = 0; i < V; i++) assert.ok(Math.abs(adapted.logits![i]! - plain.logits![i]! - sum * B[i]!) < 1e-4);
  assert.not.ok(same(adapted.logits!, plain.logits!));
});

test.run();
