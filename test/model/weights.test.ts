/** Checkpoints held in every type: the same bits on both backends, near to what is stored, and hostile weights refused by name. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytesPerValue, type FloatType, narrow, widen } from "../../src/core/dtype.ts";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { type ModelOptions, Qwen3, Qwen3Error } from "../../src/index.ts";
import { WEIGHT_GROUP, WEIGHT_TYPES, weightFormat } from "../../src/model/weight-format.ts";
import { goldenPath } from "../paths.ts";

/** One checkpoint of each stored type. */
const SMALL = ["gqa-bf16", "mqa-untied-f32", "mha-f16"];

const same = (a: Float32Array, b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));

const ids = Array.from({ length: 37 }, (_, i) => (i * 7919 + 13) % 200);

async function logits(name: string, options: ModelOptions): Promise<Float32Array> {
  const model = await Qwen3.fromPretrained(goldenPath(name), { maxModelLen: 64, ...options });
  const { logits } = await model.forward(ids, { logits: "all" });
  await model.close();
  return logits!;
}

for (const name of SMALL)
  test(`${name}: with each type of weights and cache, wasm and reference have the same bits, in chunks too`, async () => {
    for (const weights of WEIGHT_TYPES)
      for (const kvCache of ["f32", "f16", "int8"] as const) {
        const reference = await logits(name, { weights, kvCache, backend: "reference" });
        const wasm = await logits(name, { weights, kvCache, maxBatchedTokens: 19 });
        assert.ok(same(wasm, reference), `${weights}, ${kvCache}`);
      }
  });

/** Root of the mean square error over the spread. These checkpoints are random and tiny: a real model's errors are smaller. */
const LARGEST_ERROR = { f32: 0, bf16: 0.02, f16: 0.02, int8: 0.1, int4: 0.6 } as const;

function errorOf(actual: Float32Array, expected: Float32Array): number {
  const mean = expected.reduce((sum, value) => sum + value, 0) / expected.length;
  const error = expected.reduce((sum, value, i) => sum + (actual[i]! - value) ** 2, 0);
  return Math.sqrt(error / expected.reduce((sum, value) => sum + (value - mean) ** 2, 0));
}

for (const name of SMALL)
  test(`${name}: weights of another type give logits near those of the stored one`, async () => {
    const stored = await logits(name, { kvCache: "f32" });
    const errors: Record<string, number> = {};
    for (const weights of ["f32", "bf16", "f16", "int8", "int4"] as const) {
      errors[weights] = errorOf(await logits(name, { weights, kvCache: "f32" }), stored);
      assert.ok(errors[weights]! <= LARGEST_ERROR[weights], `${weights}: ${errors[weights]}`);
    }
    if (process.env.REPORT) console.log(`    ${name}: ${JSON.stringify(errors)}`);
    assert.ok(errors.int4! > errors.int8! && errors.int8! > errors.f32!);
    const cached = errorOf(await logits(name, { kvCache: "int8" }), stored);
    assert.ok(cached > 0 && cached <= LARGEST_ERROR.int8, `int8 cache: ${cached}`);
  });

for (const name of SMALL)
  test(`${name}: activations of f32 with quantized weights, wasm and reference have the same bits, nearer to what is stored`, async () => {
    const stored = await logits(name, { kvCache: "f32" });
    for (const weights of ["int8", "int4"] as const) {
      const [reference, wasm, quantized] = await Promise.all([
        logits(name, { weights, activations: "f32", kvCache: "f32", backend: "reference" }),
        logits(name, { weights, activations: "f32", kvCache: "f32", maxBatchedTokens: 19 }),
        logits(name, { weights, activations: "int8", kvCache: "f32" }),
      ]);
      assert.ok(same(wasm, reference), weights);
      assert.ok(same(quantized, await logits(name, { weights, kvCache: "f32" })), "int8 is the default");
      assert.not.ok(same(wasm, quantized));
      if (weights === "int8") assert.ok(errorOf(wasm, stored) < errorOf(quantized, stored), weights);
    }
    assert.ok(same(await logits(name, { activations: "int8", kvCache: "f32" }), stored), "float weights meet f32");
  });

test("auto keeps what is stored; the cache is int8 with quantized weights, and f16 otherwise", async () => {
  for (const stored of ["f32", "f16", "bf16"] as const) {
    assert.equal(weightFormat({ type: stored }, {}), { type: stored });
    assert.equal(weightFormat({ type: stored }, { weights: "f16" }), { type: "f16" });
    assert.is((weightFormat({ type: stored }, { weights: "int8" }) as { group: number }).group, WEIGHT_GROUP.int8);
  }
  const name = "gqa-bf16";
  assert.ok(same(await logits(name, {}), await logits(name, { weights: "bf16", kvCache: "f16" })));
  assert.ok(same(await logits(name, { weights: "int4" }), await logits(name, { weights: "int4", kvCache: "int8" })));
});

/** The bytes of the first golden checkpoint's file, with one weight of `tensor` replaced. */
async function withWeight(tensor: string, at: number, value: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "qwen3-weights-"));
  const source = goldenPath("gqa-bf16");
  const file = readFileSync(join(source, "model.safetensors"));
  const headerLength = Number(file.readBigUInt64LE(0));
  const { dtype, data_offsets } = JSON.parse(file.toString("utf8", 8, 8 + headerLength))[tensor];
  const type = dtype.toLowerCase() as FloatType;
  file.set(narrow(Float32Array.of(value), type), 8 + headerLength + data_offsets[0] + at * bytesPerValue[type]);
  writeFileSync(join(folder, "model.safetensors"), file);
  writeFileSync(join(folder, "config.json"), readFileSync(join(source, "config.json")));
  return folder;
}

test("weights that their new type cannot hold are refused by tensor, row and column, on both backends", async () => {
  for (const [tensor, at, value] of [
    ["model.embed_tokens.weight", 0, Number.NaN],
    ["model.layers.1.mlp.down_proj.weight", 70, Number.NEGATIVE_INFINITY],
    ["model.layers.0.self_attn.k_proj.weight", 7, 65536],
  ] as const) {
    const folder = await withWeight(tensor, at, value);
    try {
      const checkpoint = await openCheckpoint(folder);
      const [, cols = 0] = checkpoint.tensors.get(tensor)!.shape;
      await checkpoint.close();
      for (const backend of ["wasm", "reference"] as const)
        for (const weights of ["int8", "int4", "f16"] as const) {
          const error = await Qwen3.fromPretrained(folder, { backend, weights }).catch((reason) => reason);
          assert.instance(error, Qwen3Error);
          assert.is(error.code, "CHECKPOINT_TENSOR");
          const place = `${tensor}: row ${Math.floor(at / cols)}, column ${at % cols} is ${value}`;
          assert.match(error.message, `${place}; weights that become ${weights} are finite and at most 65504 in magnitude`);
        }
      const asStored = await Qwen3.fromPretrained(folder);
      await asStored.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  assert.is(widen(narrow(Float32Array.of(65536), "bf16"), "bf16", 0, 1)[0], 65536);
});

test.run();
