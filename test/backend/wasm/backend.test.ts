/** Choosing, refusing and closing the wasm backend; the probe itself. */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Backend } from "../../../src/backend/backend.ts";
import { WasmBackend } from "../../../src/backend/wasm/backend.ts";
import { instantiate, type Kernels } from "../../../src/backend/wasm/kernels.ts";
import type { WasmMemory } from "../../../src/backend/wasm/memory.ts";
import { createWasmBackend, type WasmOptions } from "../../../src/backend/wasm/open.ts";
import { expectedProducts, probe } from "../../../src/backend/wasm/probe.ts";
import { probeAttention } from "../../../src/backend/wasm/probe-attention.ts";
import { Qwen3Error } from "../../../src/core/errors.ts";
import { conformanceCases } from "../../conformance/cases.ts";
import { runConformance } from "../../conformance/run-cases.ts";
import { sequence } from "../sequence.ts";

const fails = (code: string, mentions: RegExp) => (error: unknown) =>
  error instanceof Qwen3Error && error.code === code && mentions.test(error.message);

async function rejects(promise: Promise<unknown>, code: string, mentions: RegExp): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  assert.ok(fails(code, mentions)(error), `${error}`);
}

const bytes = new Uint8Array(await readFile(new URL("../../../src/wasm/qwen3-simd.wasm", import.meta.url)));
const module = await WebAssembly.compile(bytes);

/** The kernels with one of them replaced. */
function withKernel(change: (kernels: Kernels, memory: WasmMemory) => Partial<Kernels>): WasmBackend {
  return new WasmBackend((memory) => {
    const kernels = instantiate(module, memory.memory);
    return { ...kernels, ...change(kernels, memory) };
  });
}

test("the build is chosen, or the one that was asked for", async () => {
  const [simd, auto, own] = await Promise.all([
    createWasmBackend({ build: "simd" }),
    createWasmBackend(),
    createWasmBackend({ module }),
  ]);
  assert.is(simd.description, "wasm, simd");
  assert.match(auto.description, /^wasm, (simd|relaxed-simd|wide vectors)$/);
  assert.is(own.description, "wasm, simd");
  assert.is(own.name, "wasm");
  const relaxed = await createWasmBackend({ build: "relaxed" }).catch((error) => error);
  if (relaxed instanceof WasmBackend) assert.is(relaxed.description, "wasm, relaxed-simd");
  else {
    assert.ok(fails("BACKEND_UNAVAILABLE", /relaxed/)(relaxed), `${relaxed}`);
    assert.is(auto.description, "wasm, simd");
  }
  for (const backend of [simd, auto, own]) {
    assert.is(backend.bytesInUse, 0, "the probe leaves nothing behind");
    backend.close();
  }
});

test("options that mean nothing are refused", async () => {
  await rejects(createWasmBackend({ build: "fast" } as unknown as WasmOptions), "ARGUMENT", /wasm\.build is fast/);
  await rejects(createWasmBackend({ maximumBytes: 10 }), "ARGUMENT", /maximumBytes is 10/);
});

test("the probe passes right kernels", async () => {
  assert.is(
    await probe(
      withKernel(() => ({})),
      await expectedProducts(),
    ),
    undefined,
  );
});

test("the probe finds kernels that are wrong in one product of extremes", async () => {
  const wrong: [RegExp, Parameters<typeof withKernel>[0]][] = [
    [/int8 product in groups of 32/, (k, memory) => ({ int8: { ...k.int8, matmul: saturated(k.int8.matmul, memory, 5) } })],
    [/int4 product in groups of 32/, (k, memory) => ({ int4: { ...k.int4, matmul: saturated(k.int4.matmul, memory, 5) } })],
    [
      /int8 product/,
      (k) => ({
        int8: {
          ...k.int8,
          quantize: (x, c, i, tokens, cols, group, zero) => k.int8.quantize(x, c, i, Math.min(tokens, 4), cols, group, zero),
        },
      }),
    ],
    [/int4 product/, (k) => ({ packInt4: (codes, to, cols, padded, zero) => k.packInt4(codes, to, cols - 1, padded, zero) })],
  ];
  for (const [message, change] of wrong) assert.match((await probe(withKernel(change), await expectedProducts())) ?? "", message);
});

test("the probe finds attention that is wrong in one value", async () => {
  assert.is(await probeAttention(withKernel(() => ({}))), undefined);
  const wrong = withKernel((k, memory) => ({ attentionInt8: saturated(k.attentionInt8, memory, 1) }));
  assert.match((await probeAttention(wrong)) ?? "", /attention over an int8 cache: value 0 of 2 heads is/);
});

/** A product that is wrong by one bit in its first value. @param y which argument is the result's address */
function saturated<T extends (...operands: number[]) => void>(kernel: T, memory: WasmMemory, y: number): T {
  return ((...operands: number[]) => {
    kernel(...operands);
    memory.u32[operands[y]! / 4]! ^= 1;
  }) as T;
}

test("a module that computes wrongly is refused", async () => {
  const tampered = bytes.slice();
  let replaced = 0;
  // i32x4.dot_i16x8_s (fd ba 01) becomes i32x4.mul (fd b5 01), which has the same types.
  for (let i = 0; i + 2 < tampered.length; i++)
    if (tampered[i] === 0xfd && tampered[i + 1] === 0xba && tampered[i + 2] === 0x01) {
      tampered[i + 1] = 0xb5;
      replaced++;
    }
  assert.ok(replaced > 0);
  const wrong = await WebAssembly.compile(tampered);
  await rejects(
    createWasmBackend({ module: wrong }),
    "BACKEND_UNAVAILABLE",
    /module: it computes wrongly: int8 product in groups of 32/,
  );
});

test("a module that is something else is refused", async () => {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const empty = await WebAssembly.compile(Uint8Array.from(header));
  await rejects(
    createWasmBackend({ module: empty }),
    "BACKEND_UNAVAILABLE",
    /module: it imports \[\], not just memory env\.memory/,
  );
  // (import "env" "memory" (memory 0)) and nothing more
  const memory = [2, 15, 1, 3, ...text("env"), 6, ...text("memory"), 2, 0, 0];
  const bare = await WebAssembly.compile(Uint8Array.from([...header, ...memory]));
  await rejects(createWasmBackend({ module: bare }), "BACKEND_UNAVAILABLE", /module: it does not export add, swiglu, .*relaxed/);
});

const text = (name: string) => [...new TextEncoder().encode(name)];

test("a full memory is told in numbers, and what is there stays usable", async () => {
  const b = await createWasmBackend({ build: "simd", maximumBytes: 1024 * 1024 });
  const x = b.input(Float32Array.of(1, 2, 3, 4), [1, 4]);
  assert.throws(
    () => b.createMatrix(1024, 1024, { type: "bf16" }),
    fails("MEMORY_FULL", /no room for 2097152 bytes .* at most 1048576/),
  );
  const cache = sequence(b, { layers: 4, kvHeads: 4, headDim: 32, type: "f32" }, 32);
  const { store } = cache.segment(0);
  assert.throws(() => cache.reserve(2000), fails("MEMORY_FULL", /no room for 131072 bytes/));
  assert.is(cache.pages.length, 1);
  const inUse = b.bytesInUse;
  store.close();
  assert.ok(b.bytesInUse < inUse);
  assert.throws(() => b.scope(() => b.input(new Float32Array(2 ** 20), [2 ** 20])), fails("MEMORY_FULL", /no room/));
  assert.equal(await b.read(b.add(x, x)), Float32Array.of(2, 4, 6, 8));
  b.close();
});

test("operands past 2 GiB give the same bits", async () => {
  const b = await createWasmBackend({ build: "simd" });
  b.instances.home.memory.allocate(2 ** 31 + 2 ** 30); // never touched, so it takes no memory of the machine
  const cases = [...conformanceCases()].filter((_, i) => i % 100 === 0);
  const { failures, values } = await runConformance(async () => withoutMemory(b), cases);
  assert.equal(failures, []);
  assert.ok(values > 10_000);
});

/** The backend's operations alone, so that nobody copies its gigabytes. */
function withoutMemory(b: WasmBackend): Backend {
  const hide = (target: WasmBackend, name: string | symbol) => {
    const value = name === "instances" ? undefined : Reflect.get(target, name, target);
    return name === "bytesInUse" ? 0 : typeof value === "function" ? value.bind(target) : value;
  };
  return new Proxy(b, { get: hide });
}

test("bytesInUse counts weights, vectors, pages and activations", async () => {
  const b = await createWasmBackend({ build: "simd" });
  b.createMatrix(10, 20, { type: "bf16" });
  assert.is(b.bytesInUse, 640, "a block of 16 rows");
  b.createMatrix(5, 20, { type: "int4", group: 32, minimum: true }); // a block of 8 x 32 codes, f16 scales and minimums
  assert.is(b.bytesInUse, 640 + 128 + 16 + 16);
  b.createVector(new Float32Array(4));
  assert.is(b.bytesInUse, 640 + 160 + 16);
  sequence(b, { layers: 1, kvHeads: 1, headDim: 4, type: "f16" }, 33);
  assert.is(b.bytesInUse, 816 + 2 * 512);
  b.input(new Float32Array(10), [10]);
  assert.ok(b.bytesInUse > 816 + 1024);
  b.close();
});

test("after close every call fails with CLOSED, and closing again is nothing", async () => {
  const b = await createWasmBackend({ build: "simd" });
  const x = b.input(Float32Array.of(1, 2, 3, 4), [1, 4]);
  const writer = b.createMatrix(1, 4, { type: "f32" });
  writer.write(0, new Uint8Array(16));
  const matrix = writer.finish();
  const vector = b.createVector(new Float32Array(4));
  const cache = sequence(b, { layers: 1, kvHeads: 1, headDim: 4, type: "f32" }, 1);
  const segments = [cache.segment(1)];
  const head = b.reshape(x, [1, 1, 4]);
  const half = b.input(new Float32Array(2), [1, 2]);
  b.close();
  b.close();
  assert.is(b.bytesInUse, 0);
  const calls: (() => unknown)[] = [
    () => b.createMatrix(1, 4, { type: "f32" }),
    () => b.createVector(new Float32Array(4)),
    () => b.createKvStore({ layers: 1, kvHeads: 1, headDim: 4, type: "f32" }),
    () => b.scope(() => undefined),
    () => b.input(new Float32Array(1), [1]),
    () => b.reshape(x, [4]),
    () => b.embed(matrix, Int32Array.of(0)),
    () => b.matmul(x, matrix),
    () => b.rmsNorm(x, vector, 0),
    () => b.rope(head, half, half),
    () => b.appendKv(segments, 0, head, head),
    () => b.attention(head, segments, 0, 1),
    () => b.swiglu(x, x),
    () => b.add(x, x),
    () => b.rows(x, Int32Array.of(0)),
    () => cache.reserve(40),
  ];
  for (const call of calls) assert.throws(call, fails("CLOSED", /closed|given back/));
  await rejects(b.read(x), "CLOSED", /closed/);
  cache.close();
});

test("nothing to do is done", async () => {
  const b = await createWasmBackend({ build: "simd" });
  const none = b.input(new Float32Array(0), [0, 4]);
  const writer = b.createMatrix(3, 4, { type: "int8", group: 16 });
  writer.write(0, { codes: new Int8Array(12), scales: new Float32Array(3) });
  const matrix = writer.finish();
  const segment = sequence(b, { layers: 1, kvHeads: 1, headDim: 4, type: "f32" }).segment(0);
  const heads = b.input(new Float32Array(0), [0, 1, 4]);
  b.appendKv([segment], 0, heads, heads);
  const results = [
    b.matmul(none, matrix),
    b.embed(matrix, new Int32Array(0)),
    b.rmsNorm(none, b.createVector(new Float32Array(4)), 0),
    b.rmsNorm(b.input(new Float32Array(0), [2, 0]), b.createVector(new Float32Array(0)), 0),
    b.attention(heads, [segment], 0, 1),
    b.attention(heads, [], 0, 1),
    b.add(none, none),
    b.rows(none, new Int32Array(0)),
  ];
  for (const result of results) assert.is((await b.read(result)).length, 0);
  b.close();
});

test.run();
