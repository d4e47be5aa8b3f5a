/**
 * GGUF checkpoints of every type for which there are golden vectors: tensors as gguf-py dequantizes them, logits and greedy ids of transformers
 * with those weights, and the same bits on both backends, on any number of threads, in any chunks.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { matrixBytes } from "../../src/backend/wasm/matrix.ts";
import { memoryPlan } from "../../src/engine/plan.ts";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { dequantizeRows } from "../../src/formats/decode.ts";
import { encodingName, rowBytes } from "../../src/formats/encoding.ts";
import { GGUF_TYPES, type GgufType } from "../../src/formats/gguf-types.ts";
import { type ModelOptions, Qwen3 } from "../../src/index.ts";
import { ERROR_RATIO, errorOverStd, floats, ids, readGolden, readTensors } from "../golden.ts";
import { goldenPath } from "../paths.ts";

/** Folders, types of their matrices, and the most that weights may take in memory, over their bytes in the file. */
const CASES: readonly (readonly [name: string, types: readonly string[], growth: number])[] = [
  ["gguf-f16", ["f16"], 1],
  ["gguf-bf16", ["bf16"], 1],
  ["gguf-q8_0", ["q8_0"], 1.12],
  ["gguf-q4_0", ["q4_0"], 1.12],
  ["gguf-q4_1", ["q4_1"], 1.12],
  ["gguf-q5_0", ["q5_0"], 8.5 / 5.5],
  ["gguf-q5_1", ["q5_1"], 9 / 6],
  ["gguf-q6_k", ["q6_k"], 8.5625 / 6.5625],
  ["gguf-q4_k_m", ["q4_k", "q6_k"], 1.2], // of a real mix, a fifth is q6_k: see below
  ["gguf-q5_k_m", ["q5_k", "q6_k"], 8.625 / 5.5],
];

/**
 * Largest difference that activations of int8 may make, over the standard deviation of the logits. With random weights every rounding counts: a
 * real model's logits move less (ARCHITECTURE.md, "Quantizing while loading").
 */
const INT8_ACTIVATIONS = 0.35;
/** The same with an int8 cache beside them: the largest of some thousand differences, and their root mean square. */
const INT8_CACHE = { largest: 0.45, rms: 0.05 };

const same = (a: Float32Array, b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
const file = (name: string) => goldenPath(name, "model.gguf");

async function withModel<T>(name: string, options: ModelOptions, use: (model: Qwen3) => Promise<T>): Promise<T> {
  const model = await Qwen3.fromPretrained(file(name), { maxModelLen: 128, ...options });
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

const logitsOf = (name: string, inputIds: readonly number[], options: ModelOptions) =>
  withModel(name, options, async (model) => (await model.forward(inputIds, { logits: "all" })).logits!);

const BACKENDS = {
  reference: { backend: "reference" },
  wasm: { backend: "wasm" },
  "wasm in small memories": { backend: "wasm", wasm: { instanceBytes: 2 ** 20 }, maxBatchedTokens: 16 },
} as const;

for (const [name, types, growth] of CASES) {
  const golden = readGolden(name);
  const inputIds = ids(golden, "input_ids");

  test(`${name}: encodings, sizes, and the first rows as gguf-py has them, bit for bit`, async () => {
    const checkpoint = await openCheckpoint(file(name));
    const matrices = [...checkpoint.tensors.values()].filter(({ shape }) => shape.length === 2);
    assert.equal([...new Set(matrices.map(({ encoding }) => encodingName(encoding)))].sort(), [...types].sort());
    const options = { backend: "wasm", weights: "auto", kvCache: "f16", budgetBytes: 2 ** 30, maxBatchedTokens: 32 } as const;
    const { weightBytes } = memoryPlan(checkpoint, options);
    assert.ok(weightBytes <= growth * checkpoint.tensorBytes, `${weightBytes} bytes for ${checkpoint.tensorBytes}`);
    const layer = "model.layers.0";
    const names = {
      embed_tokens: "model.embed_tokens",
      q_proj: `${layer}.self_attn.q_proj`,
      v_proj: `${layer}.self_attn.v_proj`,
      down_proj: `${layer}.mlp.down_proj`,
    };
    for (const [short, expected] of readTensors(goldenPath(name, "dequantized.safetensors"))) {
      const tensor = checkpoint.tensors.get(`${names[short as keyof typeof names]}.weight`)!;
      let seen = 0;
      for await (const { firstRow, bytes } of tensor.rows({ end: 4, sliceBytes: 1 })) {
        const cols = tensor.shape[1]!;
        const weights = dequantizeRows(tensor.encoding, [bytes], 1, cols);
        assert.ok(
          same(weights, (expected as Float32Array).slice(firstRow * cols, (firstRow + 1) * cols)),
          `${short} ${firstRow}`,
        );
        seen++;
      }
      assert.is(seen, 4);
    }
    await checkpoint.close();
  });

  for (const [backend, options] of Object.entries(BACKENDS))
    test(`${name}, ${backend}, activations f32: logits, embedding and greedy ids of transformers`, () =>
      withModel(name, { ...options, activations: "f32", kvCache: "f32" }, async (model) => {
        const { logits, trace } = await model.forward(inputIds, { logits: "all", trace: true });
        const error = errorOverStd(logits!, floats(golden, "logits_f64"));
        if (process.env.REPORT)
          console.log(`    ${name} ${backend}: ${(error / golden.floatError).toFixed(2)} times PyTorch's float32 error`);
        assert.ok(error <= ERROR_RATIO * golden.floatError, `logits are ${error} off`);
        assert.equal(
          Array.from(trace!.get("model.embed_tokens")!.data, plus0),
          Array.from(floats(golden, "embed_tokens"), plus0),
        );
        const stream = model.generate(ids(golden, "prompt_ids"), { temperature: 0, maxNewTokens: 24, ignoreEos: true });
        assert.equal((await stream.final()).ids, ids(golden, "greedy_ids"));
      }));

  test(`${name}: weights that become f32 compute what activations of f32 do; f16, bf16, int8 and int4 are alike on both backends`, async () => {
    const kvCache = "f32";
    const kept = await logitsOf(name, inputIds, { activations: "f32", kvCache });
    assert.ok(same(await logitsOf(name, inputIds, { weights: "f32", kvCache }), kept));
    for (const weights of ["f16", "bf16", "int8", "int4"] as const) {
      const [wasm, reference] = [
        await logitsOf(name, inputIds, { weights }),
        await logitsOf(name, inputIds, { weights, backend: "reference" }),
      ];
      assert.ok(same(wasm, reference), weights);
    }
  });

  test(`${name}: by default, wasm and reference have the same bits, on 1 to 4 threads, in chunks`, async () => {
    const expected = await logitsOf(name, inputIds, { backend: "reference" });
    for (const threads of [1, 2, 3, 4])
      for (const maxBatchedTokens of [32, 7]) {
        const logits = await logitsOf(name, inputIds, { threads, maxBatchedTokens });
        assert.ok(same(logits, expected), `${threads} threads, ${maxBatchedTokens} tokens a step`);
      }
    const isQuantized = types[0]!.startsWith("q");
    const explicit = { activations: "int8", kvCache: isQuantized ? "int8" : "f16" } as const;
    assert.ok(same(await logitsOf(name, inputIds, explicit), expected), "the defaults");
  });

  test(`${name}: how far activations of int8 are from f32`, async () => {
    const kvCache = "f32";
    const exact = floats(golden, "logits_f64");
    const logits = await logitsOf(name, inputIds, { kvCache });
    const error = errorOverStd(logits, exact);
    const cached = await logitsOf(name, inputIds, {});
    const withCache = { largest: errorOverStd(cached, exact), rms: rms(cached, exact) };
    if (process.env.REPORT) {
      const figures = [error, rms(logits, exact), withCache.largest, withCache.rms].map((value) => value.toFixed(5)).join(" | ");
      console.log(`    | ${name} | ${figures} | ${sameTop(logits, exact)} of 32 |`);
    }
    if (!types[0]!.startsWith("q")) assert.ok(error <= ERROR_RATIO * golden.floatError);
    else {
      assert.ok(error > 100 * golden.floatError && error <= INT8_ACTIVATIONS, `${error}`);
      const isNear = withCache.largest <= INT8_CACHE.largest && withCache.rms <= INT8_CACHE.rms;
      assert.ok(isNear, `${withCache.largest}, ${withCache.rms}`);
    }
  });
}

/** What is -0 in a file without minimums is 0 here. */
function plus0(value: number): number {
  return value + 0;
}

/** Root of the mean square difference over the standard deviation. */
function rms(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const values = Array.from(b);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const error = values.reduce((sum, value, i) => sum + (a[i]! - value) ** 2, 0);
  return Math.sqrt(error / values.reduce((sum, value) => sum + (value - mean) ** 2, 0));
}

/** Positions whose likeliest token is the same. */
function sameTop(a: ArrayLike<number>, b: ArrayLike<number>, rows = 32): number {
  const width = a.length / rows;
  const top = (values: ArrayLike<number>, row: number) => {
    let best = row * width;
    for (let i = best; i < (row + 1) * width; i++) if (values[i]! > values[best]!) best = i;
    return best;
  };
  return Array.from({ length: rows }, (_, row) => row).filter((row) => top(a, row) === top(b, row)).length;
}

test("a Q4_K_M mix of Qwen3-4B takes 11% more than its file", () => {
  const [hidden, heads, kv, ffn, vocab] = [2560, 4096, 1024, 9728, 151_936];
  let [stored, held] = [0, 0];
  const add = (type: GgufType, rows: number, cols: number, times: number) => {
    stored += times * rows * rowBytes({ type }, cols);
    held += times * matrixBytes(rows, cols, GGUF_TYPES[type].layout);
  };
  // As llama.cpp mixes it: the embedding, and v_proj and down_proj of half of the layers, are q6_k.
  add("q6_k", vocab, hidden, 1);
  for (const type of ["q4_k", "q6_k"] as const) {
    add(type, kv, hidden, 18);
    add(type, hidden, ffn, 18);
  }
  add("q4_k", heads, hidden, 36);
  add("q4_k", kv, hidden, 36);
  add("q4_k", hidden, heads, 36);
  add("q4_k", ffn, hidden, 2 * 36);
  assert.is(Math.round(stored / 1e6), 2491);
  assert.ok(held / stored < 1.12 && held / stored > 1.1, `${held / stored}`);
});

test.run();
