/**
 * Measures whole models: our engine, the ceilings of the machine and the peers, in turns within one run, each in a process of its own.
 * Prints a table and writes everything that was measured to bench/results/.
 *
 *     npm run bench -- table --preset 0.6b
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../test/paths.ts";
import { checkpointFolder, ggufFiles } from "./checkpoints.ts";
import { GGUF_OF, type Job, type Options, readOptions } from "./jobs.ts";
import type { Ceilings, Outcome } from "./lines.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { havePeers, measureNativeCeiling, measureOurs, measurePeer, measureWasmCeiling, nodeBinary } from "./processes.ts";
import { report } from "./report.ts";
import type { Failed, Measured } from "./result.ts";

async function main({ jobs, folder, rounds, passedOn }: Options): Promise<void> {
  const machine = describeMachine();
  const wanted = jobs.filter(({ engine }) => isPossible(engine, machine));
  if (wanted.length === 0)
    throw new Error("nothing to measure: the peers are not installed (npm --prefix bench/peers install --no-package-lock)");
  for (const job of wanted) filesOf(job, folder); // writing them must not disturb what is measured
  const outcomes: Outcome[] = wanted.map((job) => ({ job, results: [] }));
  const ceilings: Ceilings = { native: [], wasm: [] };
  const threads = [...new Set([1, wanted[0]!.threads])];
  for (let round = 0; round < rounds; round++) {
    for (const count of threads) {
      ceilings.native.push(await measureNativeCeiling(folder, count));
      ceilings.wasm.push(await measureWasmCeiling(nodeBinary(wanted[0]!.node), count));
    }
    for (const { job, results } of outcomes) {
      if (round > 0 && (job.kind === "batch" || job.kind === "context")) continue; // long, and compared with nobody
      console.error(`round ${round + 1} of ${rounds}: ${nameOf(job)}`);
      const result = await measure(job, folder, passedOn);
      if ("error" in result) console.error(`  ${result.error}`);
      results.push(result);
    }
  }
  console.log(report(machine, ceilings, outcomes));
  const path = join(root, "bench", "results", `${machine.date.replaceAll(/[:.]/g, "-")}.json`);
  mkdirSync(join(root, "bench", "results"), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ machine, ceilings, outcomes }, undefined, 2)}\n`);
  console.log(`\nEverything measured: ${path}`);
}

function isPossible(engine: Job["engine"], machine: Machine): boolean {
  if (engine === "ours") return true;
  if (engine === "native without AMX") return havePeers() && machine.amx;
  return havePeers() && (engine !== "native AVX2" || machine.avx512);
}

function measure(job: Job, folder: string, passedOn: readonly string[]): Promise<Measured | Failed> {
  const { engine, weights, threads, promptTokens, decodeTokens } = job;
  const flags = (values: Record<string, number>) =>
    Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const work = flags({ threads, prompt: promptTokens, decode: decodeTokens });
  const files = filesOf(job, folder);
  if (engine === "ours") {
    const repeats = job.kind === "batch" || job.kind === "context" ? 0 : 1;
    const own = flags({ repeats, batch: job.batch, context: job.context });
    const stored = weights === "bf16" ? "auto" : weights;
    return measureOurs(nodeBinary(job.node), [...work, ...own, ...passedOn, "--weights", stored], files[0]!);
  }
  const once = [...work, "--repeats", "1"];
  if (engine === "wllama") return measurePeer("wllama", once, files);
  const hidden = engine === "native AVX2" ? ["--avx2"] : engine === "native without AMX" ? ["--without-amx"] : [];
  return measurePeer("native", [...once, ...hidden], files.slice(0, 1));
}

/** A checkpoint's folder for us, GGUF files for the peers; written if they are not there yet. */
function filesOf({ engine, preset, weights }: Job, folder: string): string[] {
  if (engine === "ours") return [checkpointFolder(folder, preset)];
  return ggufFiles(folder, preset, GGUF_OF[weights]);
}

const nameOf = ({ engine, preset, weights, threads, kind }: Job): string =>
  `${preset} ${weights}, ${engine}${kind === "main" ? "" : ` (${kind})`}, ${threads} threads`;

const [program = "table", ...args] = process.argv.slice(2);
const options = readOptions(program, args);
if (options) await main(options);
