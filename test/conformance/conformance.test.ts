/** The wasm backend against the reference, by the table; and that the table would see a difference. */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Backend, kvPageBytes } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import type { Build } from "../../src/backend/wasm/load.ts";
import { chooseKernels, createWasmBackend, openWasmBackend } from "../../src/backend/wasm/open.ts";
import { conformanceCases } from "./cases.ts";
import { elementwiseCases } from "./elementwise-cases.ts";
import { type ConformanceResult, type MakeBackend, runConformance } from "./run-cases.ts";

/** The largest matrix of the table takes half of it. */
const MEMORY_BYTES = 2 ** 22 + 2 ** 17;
const LEAST_CASES = 2000;
const OPERATIONS = ["matmul", "embed", "rmsNorm", "rope", "add", "swiglu", "rows", "blockMaxima", "scopes", "attention"];

async function compiled(build: Build): Promise<WebAssembly.Module | undefined> {
  const bytes = await readFile(new URL(`../../src/wasm/qwen3-${build}.wasm`, import.meta.url));
  return WebAssembly.validate(bytes) ? WebAssembly.compile(bytes) : undefined;
}

function requireAll(result: ConformanceResult): void {
  assert.equal(result.failures.slice(0, 10), [], `${result.failures.length} failures`);
  assert.ok(result.cases >= LEAST_CASES, `only ${result.cases} cases`);
  assert.ok(result.values >= 100 * result.cases, `only ${result.values} values`);
  assert.ok(result.watched >= result.cases, `only ${result.watched} operations were watched`);
  console.log(`  ${result.cases} cases, ${result.values} values, ${result.watched} operations watched`);
}

test("every operation has its lines", () => {
  const names = Array.from(conformanceCases(), ({ name }) => name);
  assert.ok(new Set(names).size > LEAST_CASES);
  for (const operation of OPERATIONS) {
    const lines = names.filter((name) => name.startsWith(operation)).length;
    assert.ok(lines >= 67, `${operation}: ${lines} lines`);
  }
});

for (const build of ["simd", "relaxed", "wide"] as const) {
  test(`${build}: the same bits as the reference, and no stray write`, async () => {
    const module = await compiled(build);
    if (!module) return console.log(`  this engine has no ${build} build; test/runtimes has others`);
    const kernels = await chooseKernels({ module });
    requireAll(await runConformance(async (watch) => openWasmBackend(kernels, {}, { watch })));
  });
}

test("several memories: the same bits, and no stray write", async () => {
  const module = await compiled("simd");
  const kernels = await chooseKernels({ module: module! });
  const memories: number[] = [];
  const make: MakeBackend = async (watch) => {
    // Nothing but activations has room in the first memory, and each layer's pages are planned to fill most of a half of one.
    const backend = openWasmBackend(kernels, { instanceBytes: MEMORY_BYTES }, { watch, stepBytes: MEMORY_BYTES });
    const createKvStore = backend.createKvStore.bind(backend);
    backend.createKvStore = (shape) => {
      const store = createKvStore(shape, Math.floor((0.45 * MEMORY_BYTES) / (kvPageBytes(shape) / shape.layers)));
      memories.push(backend.instances.all.length);
      return store;
    };
    return backend;
  };
  const withWeights = [...conformanceCases()].filter(({ name }) => /^(matmul|embed|attention)/.test(name));
  const some = withWeights.filter((_, i) => i % 5 < 2);
  requireAll(await runConformance(make, some));
  assert.ok(memories.length > 200 && memories.every((count) => count >= 2));
  assert.ok(
    memories.filter((count) => count >= 3).length > 100,
    `layers lie apart in ${memories.filter((count) => count >= 3).length} of ${memories.length} cases`,
  );
});

test("one wrong bit is seen", async () => {
  const wrong = async (): Promise<Backend> => {
    const backend = new ReferenceBackend();
    const add = backend.add.bind(backend);
    backend.add = (a, b) => {
      const sum = add(a, b) as ReturnType<typeof add> & { data: Float32Array };
      new Uint32Array(sum.data.buffer)[sum.data.length - 1]! ^= 1;
      return sum;
    };
    return backend;
  };
  const cases = [...elementwiseCases()].filter(({ name }) => name.startsWith("add") && name.endsWith("plain"));
  const { failures } = await runConformance(wrong, cases);
  assert.is(failures.length, cases.length);
});

test("one stray byte is seen", async () => {
  const module = await compiled("simd");
  const { failures } = await runConformance(
    async (watch) => {
      const backend = await createWasmBackend({ module: module! }, { watch });
      const add = backend.add.bind(backend);
      backend.add = (a, b) => {
        const sum = add(a, b) as ReturnType<typeof add> & { storage: { address: number; bytes: number } };
        backend.instances.home.memory.u8[sum.storage.address + sum.storage.bytes]! ^= 1;
        return sum;
      };
      return backend;
    },
    [...elementwiseCases()].filter(({ name }) => name.startsWith("add")).slice(0, 20),
  );
  assert.is(failures.length, 20);
  assert.match(failures[0]!, /add wrote at \d+, outside \d+/);
});

test.run();
