/** Both backends, and wasm in several memories, against Hugging Face transformers: residual stream, logits, far positions, greedy ids, whatever the chunks. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3, type TraceTensor } from "../../src/index.ts";
import { ERROR_RATIO, errorOverStd, floats, GOLDEN_CASES, ids, readGolden } from "../golden.ts";
import { goldenPath } from "../paths.ts";

// The residual stream has no float64 reference: PyTorch's own float32 error is on the other side of the comparison.
const RESIDUAL_RATIO = ERROR_RATIO + 1;

const same = (a: Float32Array, b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));

const BACKENDS = {
  reference: { backend: "reference" },
  wasm: { backend: "wasm" },
  "wasm in small memories": { backend: "wasm", wasm: { instanceBytes: 2 ** 20 }, maxBatchedTokens: 16 },
} as const;

for (const name of GOLDEN_CASES)
  for (const [backend, options] of Object.entries(BACKENDS)) {
    const golden = readGolden(name);
    const limit = ERROR_RATIO * golden.floatError;
    const inputIds = ids(golden, "input_ids");
    const load = () => Qwen3.fromPretrained(goldenPath(name), { ...options, kvCache: "f32", activations: "f32" });

    test(`${name}, ${backend}: residual stream and logits`, async () => {
      const model = await load();
      const { logits, trace } = await model.forward(inputIds, { logits: "all", trace: true });
      const error = errorOverStd(logits!, floats(golden, "logits_f64"));
      assert.ok(error <= limit, `logits are ${error} off, allowed ${limit}`);
      if (process.env.REPORT)
        console.log(`    ${name} ${backend}: ${(error / golden.floatError).toFixed(2)} times PyTorch's float32 error`);
      const stages = ["embed_tokens", ...Array.from({ length: model.config.num_hidden_layers }, (_, i) => `layers.${i}`), "norm"];
      for (const stage of stages) {
        const seen = trace!.get(`model.${stage}`) as TraceTensor;
        assert.equal(seen.shape, [inputIds.length, model.config.hidden_size]);
        const off = errorOverStd(seen.data, floats(golden, stage));
        assert.ok(
          off <= RESIDUAL_RATIO * golden.floatError,
          `${stage} is ${off} off, allowed ${RESIDUAL_RATIO * golden.floatError}`,
        );
      }
      await model.close();
    });

    test(`${name}, ${backend}: token by token and in chunks of 1, 7 and 16, the same bits`, async () => {
      const model = await load();
      const { logits: whole } = await model.forward(inputIds, { logits: "all" });
      for (const chunk of [1, 7, 16]) {
        const cache = model.newCache();
        const chunks: number[] = [];
        for (let at = 0; at < inputIds.length; at += chunk) {
          const { logits } = await model.forward(inputIds.slice(at, at + chunk), { logits: "all", cache });
          for (const value of logits!) chunks.push(value);
        }
        assert.ok(same(Float32Array.from(chunks), whole!), `chunks of ${chunk}`);
      }
      await model.close();
    });

    test(`${name}, ${backend}: greedy ids and the logits that chose them`, async () => {
      const model = await load();
      const rows: number[] = [];
      const stream = model.generate(ids(golden, "prompt_ids"), {
        temperature: 0,
        maxNewTokens: 24,
        ignoreEos: true,
        logitsProcessor: (logits) => rows.push(...logits),
      });
      const { ids: generated } = await stream.final();
      assert.equal(generated, ids(golden, "greedy_ids"));
      const error = errorOverStd(rows, floats(golden, "greedy_logits"));
      assert.ok(error <= limit + golden.floatError, `logits along the way are ${error} off`); // both sides are float32 here
      await model.close();
    });

    if (golden.positionOffset !== null)
      test(`${name}, ${backend}: at positions from ${golden.positionOffset}`, async () => {
        const model = await load();
        const position = golden.positionOffset!;
        const { logits } = await model.forward(inputIds, { logits: "all", position });
        const error = errorOverStd(logits!, floats(golden, "offset_logits_f64"));
        const theirs = errorOverStd(floats(golden, "offset_logits"), floats(golden, "offset_logits_f64"));
        if (process.env.REPORT) console.log(`    ${name} ${backend} at ${position}: ${error}, PyTorch ${theirs}`);
        assert.ok(error <= ERROR_RATIO * Math.max(theirs, golden.floatError), `logits are ${error} off, PyTorch's ${theirs}`);
        await model.close();
      });
  }

for (const name of GOLDEN_CASES)
  test(`${name}: 333 tokens over page borders, wasm and reference, whole and in chunks, the same bits`, async () => {
    const { vocab_size } = (await Qwen3.fromPretrained(goldenPath(name))).config;
    const long = Array.from({ length: 333 }, (_, i) => (i * 7919 + 13) % vocab_size);
    const runs: Float32Array[] = [];
    for (const options of [
      { backend: "reference", maxBatchedTokens: 333 },
      { backend: "wasm", maxBatchedTokens: 333 },
      { backend: "wasm", maxBatchedTokens: 31 },
    ] as const) {
      const model = await Qwen3.fromPretrained(goldenPath(name), {
        kvCache: "f32",
        activations: "f32",
        maxModelLen: 512,
        ...options,
      });
      runs.push((await model.forward(long)).logits!);
      await model.close();
    }
    assert.ok(same(runs[0]!, runs[1]!), "wasm against reference");
    assert.ok(same(runs[0]!, runs[2]!), "chunked against whole");
  });

test.run();
