/** Several WebAssembly memories: what goes where, what does not fit, and that pages in pieces are whole to everybody else. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { KvShape, KvType, Segment, Tensor } from "../../../src/backend/backend.ts";
import { kvPageBytes, PAGE_TOKENS } from "../../../src/backend/backend.ts";
import { KvCache, KvPool } from "../../../src/backend/kv-pages.ts";
import { ReferenceBackend } from "../../../src/backend/reference.ts";
import type { WasmBackend } from "../../../src/backend/wasm/backend.ts";
import { WasmInstances } from "../../../src/backend/wasm/instances.ts";
import type { Kernels } from "../../../src/backend/wasm/kernels.ts";
import type { WasmKvStore } from "../../../src/backend/wasm/kv.ts";
import { WasmMemory } from "../../../src/backend/wasm/memory.ts";
import { createWasmBackend, type WasmOptions } from "../../../src/backend/wasm/open.ts";
import { Qwen3Error } from "../../../src/core/errors.ts";

const MIB = 2 ** 20;
const fails = (code: string, mentions: RegExp) => (error: unknown) =>
  error instanceof Qwen3Error && error.code === code && mentions.test(error.message);

/** Memories that nothing computes in. */
const instances = (options: ConstructorParameters<typeof WasmInstances>[1]) =>
  new WasmInstances(() => ({}) as unknown as Kernels, options);
const limits = ({ all }: WasmInstances) => all.map(({ memory }) => memory.limitBytes);
const make = (wasm: WasmOptions = {}, stepBytes?: number): Promise<WasmBackend> =>
  createWasmBackend({ build: "simd", instanceBytes: MIB, ...wasm }, { stepBytes });

test("weights go to the first memory that has room, and the next one is made when none has", () => {
  const made = instances({ instanceBytes: MIB, stepBytes: 0.25 * MIB });
  const where = [0.5, 0.5, 0.2, 0.24].map((share) => made.all.indexOf(made.place(share * MIB).instance));
  assert.equal(where, [0, 1, 0, 1]);
  assert.equal(limits(made), [MIB, MIB]);
  assert.ok(made.bytesInUse >= 1.44 * MIB && made.bytesInUse < 1.45 * MIB);
});

test("a step's activations always have room, and may be all that the first memory holds", () => {
  const made = instances({ instanceBytes: MIB, stepBytes: 2 * MIB });
  assert.is(made.all.indexOf(made.place(0.4 * MIB).instance), 1);
  made.home.memory.allocate(0.9 * MIB);
  made.all[1]!.memory.allocate(0.5 * MIB);
  assert.throws(() => made.place(0.5 * MIB), fails("MEMORY_FULL", /no room for 524288 bytes .* of at most 1048576 each/));
  assert.is(made.all.length, 2, "no memory is made for what it could not hold");
});

test("all memories together stay within their limit", () => {
  const made = instances({ maximumBytes: 2.5 * MIB, instanceBytes: MIB, stepBytes: 0 });
  for (let i = 0; i < 2; i++) made.place(0.9 * MIB);
  assert.throws(
    () => made.place(0.9 * MIB),
    fails("MEMORY_FULL", /1887456 bytes are in use in 2 memories .* all together at most 2621440/),
  );
  made.place(0.4 * MIB);
  assert.equal(limits(made), [MIB, MIB, 0.5 * MIB]);
  for (const option of ["maximumBytes", "instanceBytes"])
    assert.throws(() => instances({ [option]: 65535 }), fails("ARGUMENT", new RegExp(`wasm.${option} is 65535; allowed: 65536`)));
});

test("the first memory is no larger than the plan", () => {
  assert.equal(limits(instances({ plannedBytes: 3 * MIB, stepBytes: MIB })), [4 * MIB]);
  assert.equal(limits(instances({ plannedBytes: 0 })), [65536]);
  assert.equal(limits(instances({})), [2 ** 32 - 65536]);
});

test("a host that sets few addresses apart is asked for less, and told of when it gives none", () => {
  const { Memory } = WebAssembly;
  const asked: number[] = [];
  const refuse = (above: number) => {
    WebAssembly.Memory = function memory(descriptor: WebAssembly.MemoryDescriptor) {
      asked.push(descriptor.maximum!);
      if (descriptor.maximum! > above) throw new RangeError("no addresses left");
      return new Memory(descriptor);
    } as unknown as typeof Memory;
  };
  try {
    refuse(20_000);
    const made = instances({});
    assert.equal(limits(made), [16383 * 65536]);
    assert.equal(asked, [65535, 32767, 16383]);
    refuse(0);
    assert.throws(() => made.place(1.5 * 1024 * MIB), fails("MEMORY_FULL", /no room/));
    assert.throws(() => instances({}), fails("MEMORY_FULL", /the host refuses a WebAssembly memory of up to \d+ bytes/));
    assert.equal(
      made.spread(2, 1024 * MIB).map(({ count }) => count),
      [2],
      "what there is has to do",
    );
  } finally {
    WebAssembly.Memory = Memory;
  }
});

test("layers are shared out in order, each within one memory", () => {
  const made = instances({ instanceBytes: MIB, stepBytes: 0 });
  made.place(0.5 * MIB);
  const shares = (parts: ReturnType<typeof made.spread>) =>
    parts.map(({ instance, count }) => [made.all.indexOf(instance), count]);
  assert.equal(shares(made.spread(10, 0.2 * MIB)), [
    [0, 2],
    [1, 4],
    [2, 4],
  ]);
  assert.equal(shares(made.spread(2, 9 * MIB)), [
    [1, 1],
    [2, 1],
  ]); // more than a memory holds: each gets one of its own
  const tight = instances({ maximumBytes: 2 * MIB, instanceBytes: MIB, stepBytes: 0 });
  assert.equal(
    tight.spread(10, 0.3 * MIB).map(({ count }) => count),
    [3, 7],
  );
  const tiny = instances({ maximumBytes: 65536 });
  assert.equal(
    tiny.spread(3, MIB).map(({ instance, count }) => [instance === tiny.home, count]),
    [[true, 3]],
  );
});

test("an error that is not about memory passes through", () => {
  let count = 0;
  const made = new WasmInstances(
    () => {
      if (count++ > 0) throw new Error("a bug");
      return {} as unknown as Kernels;
    },
    { instanceBytes: MIB },
  );
  assert.throws(() => made.place(0.9 * MIB) && made.place(0.9 * MIB), "a bug");
});

const shape: KvShape = { layers: 5, kvHeads: 2, headDim: 8, type: "f32" };

for (const type of ["f32", "f16", "int8"] as const)
  test(`${type}: pages over several memories are written, read, copied and forked as pages of one`, async () => {
    const kv = { ...shape, type };
    const [b, whole] = [await make({ instanceBytes: MIB }, MIB), await make({ instanceBytes: 64 * MIB })];
    // Planned to take half a memory's room a layer: two layers in each of three memories.
    const store = b.createKvStore(kv, Math.floor((0.24 * MIB) / (kvPageBytes(kv) / kv.layers)));
    assert.is(b.instances.all.length, 4);
    const stores = [store, whole.createKvStore(kv), new ReferenceBackend().createKvStore(kv)];
    const pages = await Promise.all(
      stores.map(async (store) => {
        for (let page = 0; page < 3; page++) store.ensure(page);
        for (let page = 0; page < 2; page++) store.writePage(page, pageOf(kv, page));
        store.copyPage(0, 2);
        return Promise.all([0, 1, 2].map((page) => store.readPage(page)));
      }),
    );
    if (type === "f32") assert.equal(pages[0]![1], pageOf(kv, 1)); // int8 and f16 rows have bytes that the reference does not keep
    assert.equal(pages[0], pages[1]);
    const [a, c] = [b, whole].map((backend, i) => run(backend, new KvPool(stores[i]!)));
    assert.equal(await a, await c);
    const inUse = b.bytesInUse;
    store.close();
    assert.is(inUse - b.bytesInUse, 32 * kvPageBytes(kv), "a slab");
    b.close();
    whole.close();
  });

test("a store takes the pages of its plan by slabs, in which a layer's pieces follow each other, and others one by one", async () => {
  const b = await make({ instanceBytes: 64 * MIB });
  const [before, pageBytes] = [b.bytesInUse, kvPageBytes(shape)];
  const store = b.createKvStore(shape, 40) as WasmKvStore;
  const pagesTaken = (page: number): number => {
    store.ensure(page);
    return (b.bytesInUse - before) / pageBytes;
  };
  assert.equal([0, 31, 32, 39, 40, 41].map(pagesTaken), [32, 32, 40, 40, 41, 42]);
  const { addresses } = store.layer(3, [0, 1, 31, 32, 33]);
  const steps = addresses.map((address) => (address - addresses[0]!) / (pageBytes / shape.layers));
  assert.equal([steps[1], steps[2], steps[4]! - steps[3]!], [1, 31, 1]);
  store.close();
  assert.is(b.bytesInUse, before);
  b.close();
});

test("where a slab finds no room, fewer pages may, down to one", async () => {
  const pageBytes = kvPageBytes(shape);
  const b = await make({ maximumBytes: MIB }, MIB / 4);
  const store = b.createKvStore(shape, 1000);
  const room = Math.floor(b.instances.home.roomBytes / pageBytes);
  assert.ok(room > 32 && room < 64);
  store.ensure(room - 1);
  assert.throws(() => store.ensure(room), fails("MEMORY_FULL", new RegExp(`no room for ${pageBytes} bytes`)));
  b.close();
});

/** Bytes that are numbers of every type. */
function pageOf({ layers, kvHeads, headDim, type }: KvShape, seed: number): Uint8Array {
  const bytes = new Uint8Array(kvPageBytes({ layers, kvHeads, headDim, type }));
  const floats = new Float32Array(bytes.buffer);
  for (let i = 0; i < floats.length; i++) floats[i] = ((i * 37 + seed * 11) % 101) / 64;
  return bytes;
}

/** A sequence of 40 tokens, a fork of it, and a token more of each, in a batch: what every attention gives. */
async function run(b: WasmBackend, pool: KvPool): Promise<Float32Array[]> {
  const { layers, kvHeads, headDim } = pool.store.shape;
  const results: Promise<Float32Array>[] = [];
  const first = new KvCache(pool);
  const step = (caches: readonly KvCache[], tokens: number) => {
    for (const cache of caches) cache.reserve(tokens);
    const segments: Segment[] = caches.map((cache) => cache.segment(tokens));
    const input = (heads: number, seed: number): Tensor => {
      const size = caches.length * tokens * heads * headDim;
      return b.input(
        Float32Array.from({ length: size }, (_, i) => ((i * 29 + seed * 17) % 67) / 32 - 1),
        [caches.length * tokens, heads, headDim],
      );
    };
    b.scope(() => {
      for (let layer = 0; layer < layers; layer++) {
        b.appendKv(segments, layer, input(kvHeads, layer), input(kvHeads, layer + 1));
        results.push(b.read(b.attention(input(2 * kvHeads, layer + 2), segments, layer, 0.3)));
      }
      return undefined;
    });
    for (const cache of caches) cache.commit(tokens);
  };
  step([first], PAGE_TOKENS + 8);
  step([first, first.fork()], 1);
  return Promise.all(results);
}

test("a page that finds no room in one of its memories is refused, and those before stay", async () => {
  const b = await make({ maximumBytes: 2 * MIB }, MIB);
  const type: KvType = "f32";
  const store = b.createKvStore({ ...shape, type }, 20);
  const pool = new KvPool(store);
  const cache = new KvCache(pool);
  cache.reserve(32);
  cache.commit(32);
  assert.throws(() => cache.reserve(100_000), fails("MEMORY_FULL", /no room for \d+ bytes/));
  assert.is(cache.pages.length, 1);
  cache.reserve(32);
  b.close();
});

test("operations of matrices in other memories give the reference's bits, and bytesInUse counts all", async () => {
  const b = await make({}, MIB);
  const reference = new ReferenceBackend();
  const values = Float32Array.from({ length: 60 * 500 }, (_, i) => ((i * 31) % 97) / 50 - 1);
  const matrices = [b, reference].map((backend) =>
    [0, 1, 2, 3, 4, 5].map((seed) => {
      const writer = backend.createMatrix(60, 500, { type: "f32" });
      writer.write(0, new Uint8Array(values.map((value) => value + seed).buffer));
      return writer.finish();
    }),
  );
  assert.is(b.instances.all.length, 3, "four of 128,000 bytes in half a memory");
  assert.is(b.bytesInUse, 6 * 128_000 + 2 * 32_000, "matrices of four blocks, and in two memories scratch of a block");
  const x = Float32Array.from({ length: 3 * 500 }, (_, i) => ((i * 13) % 31) / 16 - 1);
  const results = await Promise.all(
    [b, reference].map((backend, i) =>
      Promise.all(
        matrices[i]!.flatMap((matrix) => [
          backend.read(backend.matmul(backend.input(x, [3, 500]), matrix)),
          backend.read(backend.embed(matrix, Int32Array.of(59, 0, 7))),
        ]),
      ),
    ),
  );
  assert.equal(results[0], results[1]);
  const other = await make();
  assert.throws(() => other.embed(matrices[0]![0]!, Int32Array.of(0)), fails("ARGUMENT", /a matrix is not of this backend/));
  b.close();
  assert.is(b.bytesInUse, 0);
  for (const { memory } of b.instances.all) assert.is(memory.u8.length, 0);
  assert.throws(() => b.embed(matrices[0]![5]!, Int32Array.of(0)), fails("CLOSED", /closed/));
  other.close();
});

test("a tensor that no memory can hold is refused with the numbers", async () => {
  const b = await createWasmBackend({ build: "simd" });
  assert.throws(
    () => b.createMatrix(2 ** 16, 2 ** 15, { type: "bf16" }),
    fails(
      "MEMORY_FULL",
      /no room for 4294967296 bytes in WebAssembly memory: 0 bytes are in use in 1 memories of at most 4294901760 each/,
    ),
  );
  assert.instance(b.instances.home.memory, WasmMemory);
  b.close();
});

test.run();
