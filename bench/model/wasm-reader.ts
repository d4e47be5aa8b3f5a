/**
 * The ceiling that WebAssembly itself has: 128-bit loads from a memory larger than any cache, in several streams, each thread in a memory of
 * its own.
 *
 *     node build/bench/model/wasm-reader.js THREADS
 */
import { argv } from "node:process";
import { Worker, workerData } from "node:worker_threads";
import asc from "assemblyscript/asc";

const MEMORY_BYTES = 512 * 1024 * 1024;
const BASE = 65_536;
const STREAMS = [1, 2, 4, 8];
const PASSES = 8; // the first ones run before the engine has optimized the loop

/** Sums `size` bytes of memory, cut into `streams` parts that are read side by side. */
function source(streams: number): string {
  const each = (line: (stream: number) => string) => Array.from({ length: streams }, (_, s) => line(s)).join("\n");
  const loads = (s: number) =>
    [0, 16, 32, 48].map((k) => `s${s} = i32x4.add(s${s}, v128.load(at + <usize>${s} * part, ${k}));`).join(" ");
  return `
    export function read${streams}(from: usize, size: usize): i32 {
      const part = size / ${streams};
      const end = from + part;
      ${each((s) => `let s${s} = i32x4.splat(0);`)}
      for (let at = from; at < end; at += 64) {
        ${each(loads)}
      }
      ${each((s) => (s === 0 ? "" : `s0 = i32x4.add(s0, s${s});`))}
      return i32x4.extract_lane(s0, 0);
    }`;
}

type Reader = Record<string, (from: number, size: number) => number>;

/** What a worker is given, and what all share. */
interface Job {
  readonly module: WebAssembly.Module;
  readonly threads: number;
  /** Arrivals at the barrier, and its generation. */
  readonly barrier: Int32Array;
}

async function compile(): Promise<WebAssembly.Module> {
  const text = STREAMS.map(source).join("\n");
  const options = ["--enable", "simd", "-O3", "--runtime", "stub", "--importMemory", "--outFile", "out.wasm"];
  const files = new Map<string, Uint8Array | string>();
  const { error, stderr } = await asc.main(["in.ts", ...options], {
    readFile: (name) => (name === "in.ts" ? text : null),
    writeFile: (name, contents) => void files.set(name, contents),
    listFiles: () => [],
  });
  if (error) throw new Error(`the read loop does not compile: ${error.message}\n${stderr}`);
  return WebAssembly.compile(files.get("out.wasm") as Uint8Array<ArrayBuffer>);
}

function arrive({ barrier, threads }: Job): void {
  const generation = Atomics.load(barrier, 1);
  if (Atomics.add(barrier, 0, 1) === threads - 1) {
    Atomics.store(barrier, 0, 0);
    Atomics.add(barrier, 1, 1);
    Atomics.notify(barrier, 1);
  } else while (Atomics.load(barrier, 1) === generation) Atomics.wait(barrier, 1, generation);
}

/** Milliseconds of the fastest pass, by number of streams. */
function measure(job: Job): Record<number, number> {
  const memory = new WebAssembly.Memory({ initial: (BASE + MEMORY_BYTES) / 65_536 });
  new Uint8Array(memory.buffer).fill(3);
  const { exports } = new WebAssembly.Instance(job.module, { env: { memory, abort: () => {} } });
  const best: Record<number, number> = {};
  for (const streams of STREAMS) {
    const read = (exports as Reader)[`read${streams}`]!;
    let fastest = Number.POSITIVE_INFINITY;
    for (let pass = 0; pass < PASSES; pass++) {
      arrive(job);
      const begun = performance.now();
      read(BASE, MEMORY_BYTES);
      arrive(job); // the slowest thread ends the pass
      fastest = Math.min(fastest, performance.now() - begun);
    }
    best[streams] = fastest;
  }
  return best;
}

const job = workerData as Job | null;
if (job) {
  const { parentPort } = await import("node:worker_threads");
  parentPort!.postMessage(measure(job));
} else {
  const threads = Number(argv[2] ?? 1);
  const data: Job = { module: await compile(), threads, barrier: new Int32Array(new SharedArrayBuffer(8)) };
  const results = Array.from({ length: threads }, () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    return new Promise<Record<number, number>>((resolve, reject) => worker.once("message", resolve).once("error", reject));
  });
  const [milliseconds] = await Promise.all(results);
  const readGBps = Object.fromEntries(
    STREAMS.map((streams) => [streams, Number(((MEMORY_BYTES * threads) / milliseconds![streams]! / 1e6).toFixed(2))]),
  );
  console.log(JSON.stringify({ threads, readGBps }));
}
