/**
 * llama.cpp as native code: node-llama-cpp, on the CPU alone. Prints one line of JSON.
 *
 *     node bench/peers/native.mjs --threads 2 --prompt 512 --decode 128 --repeats 3 MODEL.gguf
 *
 * llama.cpp picks the best of a dozen builds of its kernels for the processor. With --without-amx it does not find the one with matrix
 * tiles (AMX), which no vector instruction comes near to, and takes the next best: AVX-512 with VNNI. With --avx2 it finds the one for AVX2
 * alone: what processors without VNNI get, and engines that do not use it.
 */
import { cpSync, readFileSync, rmSync } from "node:fs";
import { registerHooks } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { promptIds } from "../model/prompt.ts";
import { median } from "../model/result.ts";
import { nativeEngine } from "./native-engine.mjs";

const count = (value) => ({ type: "string", default: String(value) });
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: count(2),
    prompt: count(512),
    decode: count(128),
    repeats: count(3),
    "without-amx": { type: "boolean" },
    avx2: { type: "boolean" },
  },
});
const [threads, promptTokens, decodeTokens, repeats] = [values.threads, values.prompt, values.decode, values.repeats].map(Number);
const seconds = () => performance.now() / 1000;

const builds = "@node-llama-cpp/linux-x64";
if (values["without-amx"] || values.avx2) {
  const copy = join(tmpdir(), `qwen3.ts-bench-llama-${process.pid}`);
  const hidden = values.avx2 ? /libggml-cpu-(?!haswell)\w+\.so$/ : /libggml-cpu-sapphirerapids\.so$/;
  const original = fileURLToPath(new URL(`node_modules/${builds}`, import.meta.url));
  cpSync(original, copy, { recursive: true, filter: (path) => !hidden.test(path) });
  process.on("exit", () => rmSync(copy, { recursive: true }));
  const url = pathToFileURL(join(copy, "dist", "index.js")).href;
  registerHooks({ resolve: (name, context, next) => (name === builds ? { url, shortCircuit: true } : next(name, context)) });
}
const { getLlama, LlamaLogLevel } = await import("node-llama-cpp");
const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  maxThreads: threads,
  logLevel: LlamaLogLevel.error,
});
const loadBegun = seconds();
const model = await llama.loadModel({ modelPath: positionals[0], gpuLayers: 0 });
const loadSeconds = seconds() - loadBegun;
const context = await model.createContext({
  contextSize: promptTokens + decodeTokens + 64,
  batchSize: promptTokens,
  threads,
});
const sequence = context.getSequence();

/** From the prompt to its first token, and on for `tokens` more. */
async function generate(prompt, tokens) {
  await sequence.clearHistory();
  const begun = seconds();
  const times = [];
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    times.push(seconds());
    if (times.length > tokens) break;
  }
  const steps = times.slice(1).map((time, i) => time - times[i]);
  return { promptSeconds: times[0] - begun, decodeSeconds: seconds() - times[0], tokenSeconds: median(steps) };
}

await generate(promptIds(128, 1), 8); // brings the file into memory and the threads up
const runs = [];
for (let i = 0; i < repeats; i++) runs.push(await generate(promptIds(promptTokens, 2 + i), decodeTokens));

const { engine, runtime, details } = nativeEngine(llama);
console.log(
  JSON.stringify({
    engine,
    runtime,
    details: { ...details, threads: context.currentThreads },
    threads,
    promptTokens,
    decodeTokens,
    loadSeconds,
    peakBytes: 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]),
    cpuSeconds: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
    runs,
  }),
);
process.exit(0);
