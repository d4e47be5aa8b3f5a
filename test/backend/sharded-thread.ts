/** Run by sharded.test.ts in each thread of a team: the conformance table on a sharded backend, compared with the reference by the first. */
import { parentPort, workerData } from "node:worker_threads";
import type { HostBackend, Tensor } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import { ShardedBackend } from "../../src/backend/sharded.ts";
import { SharedLink } from "../../src/backend/team-link.ts";
import { type ChosenKernels, openWasmBackend } from "../../src/backend/wasm/open.ts";
import { conformanceCases } from "../conformance/cases.ts";
import { compareBits } from "../conformance/run-cases.ts";

export interface ThreadData {
  readonly memory: SharedArrayBuffer;
  readonly index: number;
  readonly count: number;
  readonly kernels: ChosenKernels | undefined;
  /** Every how manieth case runs. */
  readonly stride: number;
}

export interface ThreadReport {
  readonly cases: number;
  readonly values: number;
  readonly failures: readonly string[];
}

const { memory, index, count, kernels, stride }: ThreadData = workerData;
const link = new SharedLink(memory, index, count, false);
const open = (): HostBackend => (kernels ? openWasmBackend(kernels) : new ReferenceBackend());
const failures: string[] = [];
let [backend, cases, values] = [new ShardedBackend(open(), link), 0, 0];

for (const [i, { name, run }] of [...conformanceCases()].entries()) {
  if (i % stride !== 0) continue;
  cases++;
  if (cases % 50 === 0) {
    backend.close();
    backend = new ShardedBackend(open(), link);
  }
  const actual: Promise<Float32Array>[] = [];
  try {
    backend.scope(() => {
      for (const tensor of run(backend)) actual.push(backend.read(tensor));
      return undefined;
    });
  } catch (error) {
    if (!/query heads for \d+ KV heads, of a team/.test(String(error))) throw error; // heads that no team can share out
    cases--;
    continue;
  }
  if (index > 0) continue;
  const reference = new ReferenceBackend();
  const expected = await Promise.all(run(reference).map((tensor: Tensor) => reference.read(tensor)));
  for (const [j, result] of (await Promise.all(actual)).entries()) {
    values += result.length;
    const wrong = result.length === expected[j]!.length ? compareBits(expected[j]!, result) : `${result.length} values`;
    if (wrong !== undefined) failures.push(`${name}: result ${j}: ${wrong}`);
  }
}
backend.close();
parentPort!.postMessage({ cases, values, failures } satisfies ThreadReport);
