/**
 * 200,000 broken files (LONG=1: five million): each ends in a typed error or a checkpoint that keeps its promises, soon, and in little
 * memory. What took long is tried again, alone, before it counts: the machine may have been busy.
 */
import { getHeapStatistics } from "node:v8";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { contentsJson, contentsText } from "../../src/cli/inspect-text.ts";
import { Qwen3Error } from "../../src/core/errors.ts";
import { tokenizerOrReason } from "../../src/engine/tokenizer-files.ts";
import { type Checkpoint, openCheckpoint } from "../../src/formats/checkpoint.ts";
import { readContents } from "../../src/formats/contents.ts";
import { expectedTensors } from "../../src/formats/qwen3-tensors.ts";
import { memoryFolder } from "../../src/formats/source.ts";
import { type Files, fuzzedGguf, fuzzedSafetensors } from "./fuzz-files.ts";

const INPUTS = process.env.LONG ? 5_000_000 : 200_000;
const LIMIT_MS = 50;
const LIMIT_BYTES = 64 * 1024 * 1024;
const TRIES = 5;

/** Which fuzzer, and its seed: FUZZ=gguf:123 tries one alone. */
type Input = readonly [kind: keyof typeof FUZZERS, seed: number];
const FUZZERS = { gguf: fuzzedGguf, safetensors: fuzzedSafetensors };
const inputOf = (i: number): Input => [i % 3 === 2 ? "safetensors" : "gguf", i];

const inUse = (): number => {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
};

interface Outcome {
  readonly code: string;
  readonly ms: number;
  /** All that was allocated, garbage too; less where some was collected meanwhile. */
  readonly bytes: number;
}

async function tryOne([kind, seed]: Input): Promise<Outcome> {
  const files = FUZZERS[kind](seed);
  const before = inUse();
  const begun = performance.now();
  const code = await outcome(files, seed).catch((error: unknown) => {
    throw new Error(`FUZZ=${kind}:${seed} ended in ${error instanceof Error ? error.stack : error}`);
  });
  return { code, ms: performance.now() - begun, bytes: inUse() - before };
}

async function outcome(files: Files, seed: number): Promise<string> {
  if (seed % 8 === 0) await inspect(files);
  let checkpoint: Checkpoint;
  try {
    checkpoint = await openCheckpoint(memoryFolder("m", files));
  } catch (error) {
    return refusal(error);
  }
  await keepsPromises(
    checkpoint,
    Object.values(files).reduce((sum, { length }) => sum + length, 0),
    seed,
  );
  const tokenizer = await tokenizerOrReason(checkpoint);
  await checkpoint.close();
  return tokenizer instanceof Qwen3Error ? tokenizer.code : "opened";
}

/** The code of an error that is meant; any other is thrown. */
function refusal(error: unknown): string {
  if (error instanceof Qwen3Error && /^CHECKPOINT_/.test(error.code) && !/\p{Cc}/u.test(error.message)) return error.code;
  throw error;
}

/** What the command line shows of it cannot steer a terminal. */
async function inspect(files: Files): Promise<void> {
  try {
    const contents = await readContents(memoryFolder("m", files));
    JSON.parse(contentsJson(contents));
    const text = contentsText(contents, { stdout: process.stdout, env: { NO_COLOR: "1" } });
    assert.not.match(text, /[^\n\P{Cc}]/u);
  } catch (error) {
    refusal(error);
  }
}

/** Every tensor that is needed is there, has its shape, and its bytes can be read. */
async function keepsPromises({ config, tensors, tensorBytes }: Checkpoint, size: number, seed: number): Promise<void> {
  const expected = [...expectedTensors(config)];
  assert.is(tensors.size, expected.length);
  assert.ok(tensorBytes <= 4 * size, `${tensorBytes} bytes of tensors in ${size}`); // scales that rows share count once for each row
  const [name, shape] = expected[seed % expected.length]!;
  const tensor = tensors.get(name)!;
  assert.equal(tensor.shape, shape);
  let bytes = 0;
  for await (const slice of tensor.rows({ sliceBytes: 64 })) bytes += slice.bytes.length;
  assert.is(bytes, tensor.byteLength);
}

test(`${INPUTS.toLocaleString("en")} broken files`, async () => {
  const one = process.env.FUZZ?.split(":");
  const inputs = one ? [[one[0], Number(one[1])] as Input] : undefined;
  const codes = new Map<string, number>();
  const suspects: Input[] = [];
  let slowest = 0;
  let largest = 0;
  for (let i = 0; i < (inputs?.length ?? INPUTS); i++) {
    const input = inputs?.[i] ?? inputOf(i);
    const { code, ms, bytes } = await tryOne(input);
    codes.set(code, (codes.get(code) ?? 0) + 1);
    slowest = Math.max(slowest, ms);
    largest = Math.max(largest, bytes);
    if (ms > LIMIT_MS || bytes > LIMIT_BYTES) suspects.push(input);
  }
  console.log(Object.fromEntries(codes), `slowest ${slowest.toFixed(1)} ms, largest ${(largest / 1024 / 1024).toFixed(1)} MiB`);
  for (const input of suspects) {
    const tries: Outcome[] = [];
    for (let i = 0; i < TRIES; i++) tries.push(await tryOne(input));
    const ms = Math.min(...tries.map((outcome) => outcome.ms));
    const bytes = Math.min(...tries.map((outcome) => outcome.bytes));
    assert.ok(ms <= LIMIT_MS && bytes <= LIMIT_BYTES, `FUZZ=${input.join(":")} took ${ms} ms and ${bytes} bytes`);
  }
  if (one) return;
  for (const code of [
    "CHECKPOINT_HEADER",
    "CHECKPOINT_CONFIG",
    "CHECKPOINT_TENSOR",
    "TOKENIZER_MISSING",
    "TOKENIZER_FILE",
    "opened",
  ])
    assert.ok((codes.get(code) ?? 0) > INPUTS / 1000, `${codes.get(code)} ended in ${code}: the fuzzer no longer gets there`);
});

test.run();
