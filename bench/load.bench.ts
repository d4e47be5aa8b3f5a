/**
 * Loading a Q4_K_M file of Qwen3-4B's shape (synthetic, written once to where the other synthetic checkpoints are): seconds from the page cache,
 * and memory at its highest, in a process of its own.
 *
 *     npm run bench -- load
 *     PRESET=0.6b FORMAT=q4_0 THREADS=1 npm run bench -- load
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type MemoryPlan, Qwen3 } from "../src/index.ts";
import { defaultFolder, ggufFiles } from "./model/checkpoints.ts";
import { GGUF_QUANTIZATIONS, type GgufQuantization } from "./model/gguf-files.ts";
import { type Preset, SHAPES } from "./model/shapes.ts";

const ROUNDS = 3;
const MIB = 2 ** 20;

interface Loaded {
  readonly seconds: number;
  /** Of all threads, in the system too. */
  readonly cpuSeconds: number;
  readonly threads: number;
  readonly weightBytes: number;
  /** Before the checkpoint was opened, and at the highest since. */
  readonly baseBytes: number;
  readonly peakBytes: number;
}

const { PRESET: preset = "4b", FORMAT: format = "q4_k_m", THREADS: threads, LOAD: location } = process.env;
if (location) console.log(JSON.stringify(await load(location)));
else {
  if (!(preset in SHAPES)) throw new Error(`no preset is called ${preset}; known: ${Object.keys(SHAPES).join(", ")}`);
  if (!GGUF_QUANTIZATIONS.includes(format as GgufQuantization)) throw new Error(`formats: ${GGUF_QUANTIZATIONS.join(", ")}`);
  measure(ggufFiles(defaultFolder, preset as Preset, format as GgufQuantization));
}

async function load(location: string): Promise<Loaded> {
  const baseBytes = process.memoryUsage.rss();
  let plan: MemoryPlan | undefined;
  const used = process.cpuUsage();
  const begun = performance.now();
  const model = await Qwen3.fromPretrained(location, {
    maxModelLen: 512,
    onPlan: (made) => {
      plan = made;
    },
    ...(threads && { threads: Number(threads) }),
  });
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(used);
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  await model.close();
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    threads: plan!.threads,
    weightBytes: plan!.weightBytes,
    baseBytes,
    peakBytes,
  };
}

function measure(files: readonly string[]): void {
  const bytes = files.reduce((sum, file) => sum + readThrough(file), 0);
  const script = fileURLToPath(import.meta.url);
  for (let round = 0; round < ROUNDS; round++) {
    const text = execFileSync(process.execPath, [script], { env: { ...process.env, LOAD: files[0]! }, encoding: "utf8" });
    const { seconds, cpuSeconds, threads, weightBytes, baseBytes, peakBytes } = JSON.parse(text) as Loaded;
    const allowed = (1.15 * weightBytes + 64 * MIB) / MIB;
    const peak = (peakBytes - baseBytes) / MIB;
    console.log(
      `${preset} ${format}: ${(bytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(2)} s (${(bytes / 1e9 / seconds).toFixed(2)} GB/s), ${cpuSeconds.toFixed(2)} s of ${threads} threads; ` +
        `weights ${(weightBytes / MIB).toFixed(0)} MiB, peak ${peak.toFixed(0)} MiB over the ${(baseBytes / MIB).toFixed(0)} MiB of an idle process ` +
        `(1.15 times the weights and 64 MiB are ${allowed.toFixed(0)})`,
    );
  }
}

/** So that it is in the page cache. @returns its bytes */
function readThrough(file: string): number {
  const descriptor = openSync(file, "r");
  const buffer = new Uint8Array(8 * MIB);
  let bytes = 0;
  try {
    for (let read = 1; read > 0; bytes += read) read = readSync(descriptor, buffer, 0, buffer.length, null);
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}
