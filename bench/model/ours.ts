/**
 * Measures a checkpoint through the public API, in a process of its own. Prints one line of JSON, a `Measured`.
 *
 *     node build/bench/model/ours.js --weights int8 --threads 2 FOLDER
 */
import { readFileSync } from "node:fs";
import { platform } from "node:process";
import { parseArgs } from "node:util";
import { type ModelOptions, Qwen3 } from "../../src/index.ts";
import { root } from "../../test/paths.ts";
import { promptIds } from "./prompt.ts";
import { type Measured, median, type Run } from "./result.ts";

const WARM_UP_TOKENS = 128;
/** Short enough that a batch of 8 reads about as much of its caches as one sequence behind 512 tokens. */
const BATCH_PROMPT_TOKENS = 64;
const CONTEXT_DECODE_TOKENS = 32;

const number = (value: number) => ({ type: "string", default: String(value) }) as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    weights: { type: "string" },
    "kv-cache": { type: "string" },
    "max-batched-tokens": { type: "string" },
    threads: number(1),
    prompt: number(512),
    decode: number(128),
    repeats: number(1),
    batch: number(0),
    context: number(0),
  },
});
const [threads, promptTokens, decodeTokens, repeats, sequences, contextTokens] = (
  ["threads", "prompt", "decode", "repeats", "batch", "context"] as const
).map((name) => Number(values[name])) as [number, number, number, number, number, number];
const seconds = () => performance.now() / 1000; // since the process began

const loadBegun = seconds();
const model = await Qwen3.fromPretrained(positionals[0]!, {
  prefixCache: false, // prompts are measured more than once
  maxModelLen: 64 + Math.max(WARM_UP_TOKENS, promptTokens + decodeTokens, contextTokens + CONTEXT_DECODE_TOKENS),
  threads,
  ...(values.weights && { weights: values.weights }),
  ...(values["kv-cache"] && { kvCache: values["kv-cache"] }),
  ...(values["max-batched-tokens"] && { maxBatchedTokens: Number(values["max-batched-tokens"]) }),
} as ModelOptions);
const loadSeconds = seconds() - loadBegun;

/** Runs prompts of pseudo-random ids side by side and decodes `tokens` more of each, greedily. */
async function generate(prompts: number[][], tokens: number): Promise<Run> {
  const begun = seconds();
  const times: number[] = []; // when every sequence had so many tokens
  let made = 0;
  for await (const _ of model.generate(prompts, { temperature: 0, ignoreEos: true, maxNewTokens: tokens + 1 }))
    if (++made % prompts.length === 0) times.push(seconds());
  if (made !== prompts.length * (tokens + 1)) throw new Error(`${made} tokens came of ${prompts.length} * ${tokens + 1}`);
  const firstAt = times[0]!;
  const steps = times.slice(1).map((time, i) => time - times[i]!);
  return {
    promptSeconds: firstAt - begun,
    decodeSeconds: seconds() - firstAt,
    ...(steps.length > 0 && { tokenSeconds: median(steps) }),
  };
}

/** Resident memory at its highest, where the system tells it. */
function peakBytes(): number {
  if (platform !== "linux") return process.memoryUsage.rss();
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]);
}

await generate([promptIds(8, 1)], 0);
const firstTokenSeconds = seconds();
await generate([promptIds(WARM_UP_TOKENS, 1)], 16); // the engine optimizes what is hot

const runs: Run[] = [];
for (let i = 0; i < repeats; i++) runs.push(await generate([promptIds(promptTokens, 2 + i)], decodeTokens));

const batchRuns: Run[] = [];
const batchPrompts = (i: number) =>
  Array.from({ length: sequences }, (_, s) => promptIds(BATCH_PROMPT_TOKENS, 100 * (i + 1) + s));
if (sequences > 0) for (let i = 0; i < Math.max(1, repeats); i++) batchRuns.push(await generate(batchPrompts(i), decodeTokens));

const contextRun = contextTokens > 0 ? await generate([promptIds(contextTokens, 1000)], CONTEXT_DECODE_TOKENS) : undefined;

const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { version: string };
const measured: Measured = {
  engine: `qwen3.ts ${version}`,
  runtime: `node ${process.versions.node}`,
  details: { description: model.description, options: values },
  threads,
  promptTokens,
  decodeTokens,
  loadSeconds,
  firstTokenSeconds,
  peakBytes: peakBytes(),
  cpuSeconds: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  plan: model.plan,
  runs,
  ...(sequences > 0 && { batch: { sequences, promptTokens: BATCH_PROMPT_TOKENS, decodeTokens, runs: batchRuns } }),
  ...(contextRun && { context: { promptTokens: contextTokens, decodeTokens: CONTEXT_DECODE_TOKENS, run: contextRun } }),
};
console.log(JSON.stringify(measured));
await model.close();
