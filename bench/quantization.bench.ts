/**
 * What quantizing weights and the KV cache costs, by scheme: bits per weight, how far weights and nano's predictions move, and how
 * fast one core quantizes and multiplies.
 *
 *     npm run bench -- quantization
 */
import type { Backend, KvType, MatrixFormat } from "../src/backend/backend.ts";
import { KvCache, KvPool } from "../src/backend/kv-pages.ts";
import { createWasmBackend } from "../src/backend/wasm/open.ts";
import { f16ToF32, f32ToF16 } from "../src/core/dtype.ts";
import { LocalExecutor } from "../src/engine/executor.ts";
import { Runner } from "../src/engine/runner.ts";
import { SequenceCache } from "../src/engine/sequence-cache.ts";
import { openCheckpoint } from "../src/formats/checkpoint.ts";
import { Qwen3 } from "../src/index.ts";
import { WEIGHT_GROUP } from "../src/model/weight-format.ts";
import { loadWeights } from "../src/model/weights.ts";
import { answerLogprobs, compare, type Dialogue, heldOutDialogues } from "../test/held-out.ts";
import { nanoPath } from "../test/paths.ts";

const DIALOGUES = 100;
/** down_proj of Qwen3-4B, or a third of its rows where weights are only compared. */
const [ROWS, COLS] = [2560, 9728];
const SAMPLE_ROWS = 64;

interface Scheme {
  readonly name: string;
  readonly format: MatrixFormat;
  /** For the embedding, which is the lm_head too, if another. */
  readonly embedding?: MatrixFormat;
  /** Default f32. */
  readonly kvCache?: KvType;
}
type Quantized = Extract<MatrixFormat, { group: number }>;

const int8 = (group: number): Quantized => ({ type: "int8", group });
const int4 = (group: number, minimum = false): Quantized => ({ type: "int4", group, minimum });
const named = (format: Quantized): Scheme => ({
  name: `${format.type}${format.type === "int4" && format.minimum ? " with minimum" : ""}, groups of ${format.group}`,
  format,
});
const SCHEMES: readonly Scheme[] = [
  { name: "bf16", format: { type: "bf16" } },
  ...[16, 32, 64, 128].map((group) => named(int8(group))),
  ...[16, 32, 64, 128].map((group) => named(int4(group))),
  ...[32, 64, 128].map((group) => named(int4(group, true))),
  ...[32, 64].map((group) => ({ ...named(int4(group)), name: `int4, groups of ${group}; embedding int8`, embedding: int8(32) })),
];
const float: MatrixFormat = { type: "bf16" };
const [chosen8, chosen4] = [int8(WEIGHT_GROUP.int8), int4(WEIGHT_GROUP.int4, true)];
/** What the library takes by default, and what it does with other caches and activations. */
const SETTINGS: readonly Scheme[] = [
  ...[float, chosen8, chosen4].flatMap((format) =>
    (["f32", "f16", "int8"] as const).map((kvCache) => ({ name: `${format.type}, cache ${kvCache}`, format, kvCache })),
  ),
  ...[chosen8, chosen4].map((format) => ({
    name: `${format.type}, cache f32, activations f32`,
    format: { ...format, activations: "f32" as const },
  })),
];

/** Standard normal numbers from a counter. */
function* normals(): Generator<number> {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((Math.imul(state ^ (state >>> 13), 0x297a2d39) >>> 0) + 1) / 2 ** 32;
  };
  for (;;) yield Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Weights of a spread of about 0.02, with ever heavier tails. */
function sampleWeights() {
  const random = normals();
  const next = () => random.next().value as number;
  const sample = (draw: () => number) => Float32Array.from({ length: SAMPLE_ROWS * COLS }, () => 0.02 * draw());
  return {
    normal: sample(next),
    laplace: sample(() => (next() ** 2 + next() ** 2 - next() ** 2 - next() ** 2) / 2),
    "student-t 4": sample(() => next() / Math.sqrt((next() ** 2 + next() ** 2 + next() ** 2 + next() ** 2) / 4)),
  };
}

/** Root of the mean square error over that of the weights, in percent. */
function percent(weights: Float32Array, values: Float32Array): number {
  let [error, total] = [0, 0];
  for (let i = 0; i < weights.length; i++) {
    error += (weights[i]! - values[i]!) ** 2;
    total += weights[i]! ** 2;
  }
  return 100 * Math.sqrt(error / total);
}

/** For comparison: the 4.5 bits of Q4_0, where of 32 weights the one furthest from zero gets the code -8. */
function q4Error(weights: Float32Array): number {
  const values = new Float32Array(weights.length);
  for (let at = 0; at < weights.length; at += 32) {
    const group = weights.subarray(at, at + 32);
    const scale = group.reduce((most, weight) => (Math.abs(weight) > Math.abs(most) ? weight : most), 0) / -8;
    const stored = f16ToF32(f32ToF16(scale));
    for (const [i, weight] of group.entries()) values[at + i] = stored * Math.min(7, Math.round(weight / scale));
  }
  return percent(weights, values);
}

function relativeError(b: Backend, weights: Float32Array, cols: number, format: MatrixFormat): Promise<number> {
  const rows = weights.length / cols;
  const writer = b.createMatrix(rows, cols, format, { type: "f32" });
  writer.write(0, new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength));
  const matrix = writer.finish();
  let read: Promise<Float32Array> | undefined;
  b.scope(() => {
    read = b.read(
      b.embed(
        matrix,
        Int32Array.from({ length: rows }, (_, row) => row),
      ),
    );
    return undefined;
  });
  return read!.then((values) => percent(weights, values));
}

/** nano's predictions with its weights held by `scheme`. */
async function predictions(scheme: Scheme, dialogues: readonly Dialogue[]): Promise<Float32Array[][]> {
  const backend = await createWasmBackend();
  const createMatrix = backend.createMatrix.bind(backend);
  const checkpoint = await openCheckpoint(nanoPath);
  const { vocab_size } = checkpoint.config;
  backend.createMatrix = (rows, cols, _, source) =>
    createMatrix(rows, cols, rows === vocab_size ? (scheme.embedding ?? scheme.format) : scheme.format, source);
  const weights = await loadWeights(backend, checkpoint);
  await checkpoint.close();
  const executor = new LocalExecutor(backend, checkpoint.config, weights, scheme.kvCache ?? "f32");
  const pool = new KvPool(executor.store);
  const runner = new Runner(executor, checkpoint.config, 128);
  const results: Float32Array[][] = [];
  for (const dialogue of dialogues)
    results.push(
      await answerLogprobs(dialogue, async (ids) => {
        const cache = new SequenceCache(new KvCache(pool));
        const [result] = await runner.run([{ cache, ids, logits: "all" }]);
        cache.close();
        return result!.logits!;
      }),
    );
  backend.close();
  return results;
}

/** The shortest of several runs, in seconds: what else the machine does only adds to it. */
function seconds(run: () => void, repeats: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repeats; i++) {
    const begun = performance.now();
    run();
    best = Math.min(best, (performance.now() - begun) / 1000);
  }
  return best;
}

async function speeds(format: MatrixFormat, pattern: Float32Array): Promise<Record<string, string>> {
  const b = await createWasmBackend();
  const bytes = new Uint8Array(Uint16Array.from(new Uint32Array(pattern.buffer), (word) => word >>> 16).buffer);
  const writer = b.createMatrix(ROWS, COLS, format, { type: "bf16" });
  const loading = seconds(() => writer.write(0, bytes), 5);
  for (let row = SAMPLE_ROWS; row < ROWS; row += SAMPLE_ROWS) writer.write(row, bytes);
  const matrix = writer.finish();
  const product = (tokens: number, repeats: number) => {
    const x = Float32Array.from({ length: tokens * COLS }, (_, i) => Math.sin(i));
    let best = 0;
    b.scope(() => {
      const input = b.input(x, [tokens, COLS]);
      const run = () =>
        b.scope(() => {
          b.matmul(input, matrix);
          return undefined;
        });
      best = seconds(run, repeats);
      return undefined;
    });
    return best;
  };
  const result = {
    "quantize, M weights/s": ((SAMPLE_ROWS * COLS) / loading / 1e6).toFixed(0),
    "1 token, G weights/s": ((ROWS * COLS) / product(1, 20) / 1e9).toFixed(1),
    "128 tokens, GMAC/s": ((128 * ROWS * COLS) / product(128, 5) / 1e9).toFixed(1),
  };
  b.close();
  return result;
}

async function errors(scheme: Scheme): Promise<Record<string, string>> {
  const { perplexity, meanKl, kl99, sameTop } = compare(dialogues, exact, await predictions(scheme, dialogues));
  return {
    perplexity: perplexity.toFixed(4),
    "KL, mean": meanKl.toFixed(5),
    "KL, 99%": kl99.toFixed(4),
    "same top, %": (100 * sameTop).toFixed(2),
  };
}

const nano = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 1024 });
const dialogues = heldOutDialogues(nano.tokenizer, DIALOGUES);
await nano.close();
const samples = sampleWeights();
const exact = await predictions(SCHEMES[0]!, dialogues);
const weightErrors: Record<string, Record<string, string>> = {};
const costs: Record<string, Record<string, string>> = {};
for (const scheme of SCHEMES) {
  const { name, format } = scheme;
  const row: Record<string, string> = {};
  if ("group" in format && !scheme.embedding) {
    const b = await createWasmBackend();
    const parts = 16 * (format.type === "int4" && format.minimum ? 2 : 1);
    row.bits = ((format.type === "int8" ? 8 : 4) + parts / format.group).toFixed(3);
    for (const [kind, weights] of Object.entries(samples))
      row[`${kind}, %`] = (await relativeError(b, weights, COLS, format)).toFixed(3);
    b.close();
  }
  weightErrors[name] = { ...row, ...(await errors(scheme)) };
  if (!scheme.embedding) costs[name] = await speeds(format, samples.normal!);
}
const settingErrors: Record<string, Record<string, string>> = {};
for (const scheme of SETTINGS) settingErrors[scheme.name] = await errors(scheme);

console.log(`errors; predictions of nano, ${dialogues.reduce((sum, { answers }) => sum + answers.length, 0)} tokens`);
console.table(weightErrors);
const q4 = Object.entries(samples).map(([kind, weights]) => `${kind} ${q4Error(weights).toFixed(3)}%`);
console.log(`for comparison, weights by Q4_0 (4.5 bits): ${q4.join(", ")}`);
console.log("the same of the formats that are taken, by type of the KV cache and of activations");
console.table(settingErrors);
console.log("speed of one core, best of some");
console.table(costs);
