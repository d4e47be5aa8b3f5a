/**
 * What the threads of a team spend on putting a tensor together: every thread shows its columns, waits for the others, and copies theirs.
 *
 *     npm run bench -- gather
 */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { gather } from "../src/backend/gather.ts";
import { partition } from "../src/backend/partition.ts";
import { SharedLink } from "../src/backend/team-link.ts";

interface Member {
  readonly memory: SharedArrayBuffer;
  readonly index: number;
  readonly threads: number;
}

/** Widths of Qwen3-4B: hidden_size, heads * head_dim, intermediate_size; one token as in decoding, and a prompt's step. */
const CASES = [2560, 4096, 9728].flatMap((width) => [1, 512].map((tokens) => ({ tokens, width })));
const WARM_UP = 500;

function measure({ memory, index, threads }: Member): number[][] {
  const link = new SharedLink(memory, index, threads, threads <= availableParallelism());
  return CASES.map(({ tokens, width }) => {
    const bounds = partition(width, 8, threads);
    const own = new Float32Array(tokens * (bounds[index + 1]! - bounds[index]!)).fill(index + 1);
    const out = new Float32Array(tokens * width);
    const times: number[] = [];
    for (let i = 0; i < WARM_UP + (tokens === 1 ? 20_000 : 200); i++) {
      const begun = performance.now();
      gather(link, own, bounds, tokens, out);
      if (i >= WARM_UP) times.push((performance.now() - begun) * 1000);
    }
    if (out.at(-1) !== threads) throw new Error("the last column is not the last thread's");
    return times.sort((a, b) => a - b);
  });
}

async function main(): Promise<void> {
  for (const threads of [2, 3, 4]) {
    const memory = SharedLink.memory();
    const workers = Array.from(
      { length: threads },
      (_, index) => new Worker(fileURLToPath(import.meta.url), { workerData: { memory, index, threads } satisfies Member }),
    );
    const [first] = await Promise.all(
      workers.map((worker) => new Promise<number[][]>((resolve) => worker.once("message", resolve))),
    );
    for (const [i, { tokens, width }] of CASES.entries()) {
      const times = first![i]!;
      const [median, p90, p99] = [0.5, 0.9, 0.99].map((share) => times[Math.floor(times.length * share)]!.toFixed(1));
      const gathered = `[${tokens}, ${width}]`.padEnd(12);
      console.log(`${threads} threads, ${gathered} median ${median} µs, 90% ${p90} µs, 99% ${p99} µs`);
    }
  }
}

if (isMainThread) await main();
else parentPort!.postMessage(measure(workerData));
