/** How a tensor is shared out and put together again, and every operation on several threads against the reference. */
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Matrix, Tensor } from "../../src/backend/backend.ts";
import { gather } from "../../src/backend/gather.ts";
import { ownerOf, partition } from "../../src/backend/partition.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import { ShardedBackend } from "../../src/backend/sharded.ts";
import type { ShardedMatrix } from "../../src/backend/sharded-matrix.ts";
import { SharedLink, type TeamLink } from "../../src/backend/team-link.ts";
import { chooseKernels } from "../../src/backend/wasm/open.ts";
import { Qwen3Error } from "../../src/core/errors.ts";
import { sequence } from "./sequence.ts";
import type { ThreadData, ThreadReport } from "./sharded-thread.ts";

const fails = (code: string, mentions: RegExp) => (error: unknown) =>
  error instanceof Qwen3Error && error.code === code && mentions.test(error.message);

test("a partition gives every thread whole units, as evenly as it can, and leaves nothing out", () => {
  const sizes = fc.record({
    extent: fc.integer({ min: 1, max: 500 }),
    unit: fc.integer({ min: 1, max: 40 }),
    count: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(sizes, ({ extent, unit, count }) => {
      const bounds = partition(extent, unit, count);
      assert.is(bounds.length, count + 1);
      assert.is(bounds[0], 0);
      assert.is(bounds[count], extent);
      const units = Array.from({ length: count }, (_, i) => Math.ceil((bounds[i + 1]! - bounds[i]!) / unit));
      for (const bound of bounds) assert.ok(bound % unit === 0 || bound === extent, `${bounds}`);
      assert.ok(Math.max(...units) - Math.min(...units) <= 1, `${units}`);
      for (let at = 0; at < extent; at++) {
        const owner = ownerOf(bounds, at);
        assert.ok(bounds[owner]! <= at && at < bounds[owner + 1]!);
      }
    }),
  );
});

/** A team of which one thread is real: at each barrier the others show what they have. */
function soloLink(index: number, shards: readonly Float32Array[], slot: number): TeamLink & { readonly meetings: number } {
  const room = new Float32Array(shards.length * slot).fill(Number.NaN);
  let meetings = 0;
  return {
    index,
    count: shards.length,
    slot,
    room: () => room,
    meet() {
      for (const [thread, shard] of shards.entries())
        if (thread !== index) room.set(shard.subarray(meetings * slot, (meetings + 1) * slot), thread * slot);
      meetings++;
    },
    get meetings() {
      return meetings;
    },
  };
}

test("gather puts every column in its place, in pieces of any size", () => {
  const team = fc.record({
    widths: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 }),
    rows: fc.integer({ min: 0, max: 6 }),
    slot: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(team, ({ widths, rows, slot }) => {
      const bounds = [0, ...widths].map((_, i) => widths.slice(0, i).reduce((sum, width) => sum + width, 0));
      const total = bounds[widths.length]!;
      const whole = Float32Array.from({ length: rows * total }, (_, i) => i + 1);
      const shards = widths.map((width, thread) =>
        Float32Array.from(
          { length: rows * width },
          (_, i) => whole[Math.floor(i / width) * total + bounds[thread]! + (i % width)]!,
        ),
      );
      for (const [thread, own] of shards.entries()) {
        const link = soloLink(thread, shards, slot);
        const out = new Float32Array(whole.length);
        gather(link, own, bounds, rows, out);
        assert.equal(out, whole);
        assert.is(link.meetings, Math.ceil((rows * Math.max(...widths)) / slot), "all threads meet as often");
        const onlooker = soloLink(thread, shards, slot);
        gather(onlooker, own, bounds, rows);
        assert.is(onlooker.meetings, link.meetings);
      }
    }),
  );
});

test("a thread that waits for one which has failed is released, and the team can begin anew", () => {
  const memory = SharedLink.memory();
  const link = new SharedLink(memory, 0, 2, true);
  SharedLink.fail(memory);
  assert.throws(() => link.meet(), fails("BACKEND_LOST", /another thread/));
  SharedLink.reset(memory);
  link.begin();
  const other = new SharedLink(memory, 1, 2, true);
  Atomics.add(new Int32Array(memory), 0, 1); // as if the other had come first
  link.meet();
  assert.is(other.room().length, 2 * other.slot);
});

async function conformance(count: number, data: Pick<ThreadData, "kernels" | "stride">): Promise<ThreadReport> {
  const memory = SharedLink.memory();
  const reports = Array.from({ length: count }, (_, index) => {
    const worker = new Worker(new URL("./sharded-thread.js", import.meta.url), { workerData: { memory, index, count, ...data } });
    return new Promise<ThreadReport>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", (error) => {
        SharedLink.fail(memory);
        reject(error);
      });
    });
  });
  return (await Promise.all(reports))[0]!;
}

for (const { count, inner, stride } of [
  { count: 1, inner: "reference", stride: 13 },
  { count: 2, inner: "wasm", stride: 5 },
  { count: 3, inner: "reference", stride: 19 },
  { count: 4, inner: "wasm", stride: 11 },
])
  test(`${count} threads of the ${inner} backend give the bits of the reference`, async () => {
    const kernels = inner === "wasm" ? await chooseKernels() : undefined;
    const { cases, values, failures } = await conformance(count, { kernels, stride });
    assert.equal(failures.slice(0, 5), [], `${failures.length} failures`);
    assert.ok(cases >= 120 && values >= 50 * cases, `${cases} cases, ${values} values`);
  });

/** One thread of one: everything is its own. */
const alone = () => new ShardedBackend(new ReferenceBackend(), new SharedLink(SharedLink.memory(), 0, 1, true));

test("rows of others are passed over, in every format, and an error names the row that it is about", () => {
  const team = new ShardedBackend(new ReferenceBackend(), new SharedLink(SharedLink.memory(), 1, 2, true));
  const writer = team.createMatrix(20, 2, { type: "f32" });
  assert.equal(writer.range, { first: 16, end: 20 });
  writer.write(0, new Uint8Array(16 * 8)); // all of the other thread's
  assert.throws(() => writer.finish(), fails("ARGUMENT", /row 0 of 4 was not written/));
  writer.write(4, new Uint8Array(16 * 8));
  assert.is(writer.finish().rows, 20);

  const quantized = team.createMatrix(20, 16, { type: "int4", group: 16, minimum: true });
  quantized.write(0, { codes: new Uint8Array(320), scales: new Float32Array(20), minimums: new Float32Array(20) });
  assert.is(quantized.finish().cols, 16);

  const fp8 = team.createMatrix(20, 130, { type: "fp8" }); // two scales for each row
  const scales = Float32Array.from({ length: 40 }, (_, i) => i);
  fp8.write(0, { codes: new Uint8Array(20 * 130).fill(0x38), scales });
  const own = (fp8.finish() as ShardedMatrix).own as Matrix & { readonly values: Float32Array };
  assert.equal([own.values[0], own.values[128], own.values[130]], [32, 33, 34], "of row 16, and of row 17");

  const narrowed = team.createMatrix(32, 1, { type: "f16" }, { type: "f32" });
  const rows = new Float32Array(32).fill(1);
  rows[17] = 1e9;
  const bytes = new Uint8Array(rows.buffer);
  assert.throws(
    () => narrowed.write(0, bytes),
    fails("CHECKPOINT_TENSOR", /of the rows from 16 on, row 1, column 0 is 1000000000/),
  );
  assert.throws(() => narrowed.write(17, bytes), fails("ARGUMENT", /do not fit/));
});

test("what another backend made is refused", () => {
  const [b, other] = [alone(), new ReferenceBackend()];
  const shape = { layers: 1, kvHeads: 1, headDim: 2, type: "f32" } as const;
  const input = (heads = 1) => b.input(new Float32Array(2 * heads), [1, heads, 2]);
  const foreign: Tensor = other.input(new Float32Array(2), [1, 2]);
  const segment = { ...sequence(other, shape, 1).segment(1) };
  assert.throws(() => b.rows(foreign, Int32Array.of(0)), fails("ARGUMENT", /a tensor is not/));
  const writer = other.createMatrix(1, 2, { type: "f32" });
  writer.write(0, new Uint8Array(8));
  assert.throws(() => b.embed(writer.finish(), Int32Array.of(0)), fails("ARGUMENT", /a matrix is not/));
  assert.throws(() => b.appendKv([segment], 0, input(), input()), fails("ARGUMENT", /a KV store is not/));
  const own = sequence(b, { ...shape, kvHeads: 2 }, 1).segment(1);
  assert.throws(() => b.attention(input(3), [own], 0, 1), fails("ARGUMENT", /3 query heads for 2 KV heads/));
});

test.run();
