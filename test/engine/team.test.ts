/** A team of threads gives the bits of one, fails with typed errors whatever happens to a thread, and leaves nothing behind. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KvCache, KvPool } from "../../src/backend/kv-pages.ts";
import { chooseKernels } from "../../src/backend/wasm/open.ts";
import type { StepRequest } from "../../src/engine/executor.ts";
import { LocalModel } from "../../src/engine/local-model.ts";
import { type ModelOptions, planOptions } from "../../src/engine/model-options.ts";
import { openExecutor } from "../../src/engine/open-executor.ts";
import { memoryPlan } from "../../src/engine/plan.ts";
import { TeamExecutor, type TeamOptions } from "../../src/engine/team.ts";
import { generateText } from "../../src/engine/text-generation.ts";
import type { StartThread } from "../../src/engine/threads.ts";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { type CheckpointSource, openFolder } from "../../src/formats/source.ts";
import { Qwen3, Qwen3Error } from "../../src/index.ts";
import { goldenPath, nanoPath } from "../paths.ts";
import { maximaOf } from "./fake-executor.ts";
import { syntheticCheckpoint } from "./synthetic-checkpoint.ts";
import type { Failure } from "./team-thread.ts";

const golden = goldenPath("gqa-bf16");
const ids = Array.from({ length: 70 }, (_, i) => (i * 7919 + 13) % 250);

async function rejects(promise: Promise<unknown>, code: string, mentions = /./): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  assert.ok(error instanceof Qwen3Error && error.code === code && mentions.test(error.message), `${error}`);
}

/** Everything that a model computes, in every way that it can be asked for. */
async function bitsOf(location: string, options: ModelOptions): Promise<{ bits: Map<string, Buffer>; description: string }> {
  const model = await Qwen3.fromPretrained(location, { maxModelLen: 128, maxBatchedTokens: 16, ...options });
  const bits = new Map<string, Buffer>();
  const record = (name: string, values: Float32Array) => bits.set(name, Buffer.from(values.slice().buffer));
  try {
    const cache = model.newCache();
    const whole = await model.forward(ids, { cache, logits: "all", hidden: true, trace: true });
    record("prefill", whole.logits!);
    record("hidden", whole.hidden!);
    for (const [name, { data }] of whole.trace!) record(name, data);
    record("decode", (await model.forward([7], { cache })).logits!);
    const fork = cache.fork();
    record("fork", (await model.forward([9, 11], { cache: fork })).logits!);
    record("beside the fork", (await model.forward([5], { cache })).logits!);
    cache.truncate(33);
    record("truncated", (await model.forward([1, 2, 3], { cache })).logits!);
    const far = { position: model.config.max_position_embeddings - 8 };
    record("far", (await model.forward(ids.slice(0, 8), far)).logits!);
    const sampled = { maxNewTokens: 6, ignoreEos: true, seed: 5, temperature: 0.8, logprobs: 3 };
    const batch = await model.generate([ids.slice(0, 40), ids.slice(3, 9), [1]], sampled).final();
    bits.set("batch", Buffer.from(JSON.stringify(batch.map(({ ids }) => ids))));
    return { bits, description: model.description };
  } finally {
    await model.close();
  }
}

test("logits of more rows than the threads' common memory has room for come whole", async () => {
  const rows = 40; // of one step
  const [one, two] = await Promise.all(
    [1, 2].map(async (threads) => {
      const model = await Qwen3.fromPretrained(golden, { maxModelLen: 128, maxBatchedTokens: rows, threads });
      const { logits } = await model.forward(ids.slice(0, rows), { logits: "all" });
      await model.close();
      return logits!;
    }),
  );
  assert.ok(one!.some((value) => value !== 0));
  assert.ok(Buffer.from(one!.buffer).equals(Buffer.from(two!.slice().buffer)));
});

test("a large vocabulary's maxima are those of its logits, on any number of threads, and sampling by them is sampling without", async () => {
  const vocab_size = 16_405; // the last block is not full
  const shape = { hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 16 };
  const checkpoint = syntheticCheckpoint({ ...shape, intermediate_size: 96, vocab_size, max_position_embeddings: 256 });
  const answers: (readonly number[])[] = [];
  for (const threads of [1, 2, 3]) {
    const model = await LocalModel.load(checkpoint, { threads, weights: "int8", maxModelLen: 128 });
    const cache = new KvCache(new KvPool(model.executor.store));
    cache.reserve(3);
    const { pages, start, length, tokens } = cache.segment(3);
    for (const logitRows of [Int32Array.of(2), Int32Array.of(0, 2)]) {
      const step = {
        ids: Int32Array.of(5, 16_404, 7),
        segments: [{ pages, start, length, tokens }],
        hiddenRows: new Int32Array(),
      };
      const { logits, maxima } = await model.executor.step({ ...step, logitRows, trace: false });
      assert.is(logits.length, logitRows.length * vocab_size);
      assert.equal(maxima.slice(), await maximaOf(logits.slice(), vocab_size));
    }
    cache.close();
    const sampled = { maxNewTokens: 8, ignoreEos: true, seed: 3, temperature: 1, topK: 50 };
    for (const logitsProcessor of [undefined, () => undefined]) {
      const generation = generateText(model, [[9, 4], [16_400]], { ...sampled, logitsProcessor }, (all) => all);
      answers.push((await generation.final()).flatMap(({ ids }) => ids));
    }
    await model.close();
  }
  assert.ok(new Set(answers[0]).size > 8);
  for (const other of answers) assert.equal(other, answers[0]);
});

const CONFIGURATIONS: readonly (readonly [checkpoint: string, options: ModelOptions, threads: readonly number[]])[] = [
  ["gqa-bf16", { kvCache: "f16" }, [2, 3, 4]],
  ["gqa-bf16", { kvCache: "int8", weights: "int8" }, [2, 4]],
  ["gqa-bf16", { kvCache: "f32", weights: "int4" }, [3]],
  ["gqa-bf16", { backend: "reference", kvCache: "int8" }, [2]],
  ["mqa-untied-f32", { kvCache: "int8" }, [2, 3, 4]],
  ["mha-f16", { kvCache: "f32" }, [2, 3]],
  ["sharded-bf16", { kvCache: "f16" }, [3]],
  ["yarn-bf16", { kvCache: "f16", weights: "int4" }, [2]],
];
for (const [checkpoint, options, threads] of CONFIGURATIONS)
  test(`${checkpoint} ${JSON.stringify(options)}: the bits of one thread on ${threads.join(", ")}`, async () => {
    const one = await bitsOf(goldenPath(checkpoint), { ...options, threads: 1 });
    assert.ok(one.bits.size > 40);
    for (const count of threads) {
      const { bits, description } = await bitsOf(goldenPath(checkpoint), { ...options, threads: count });
      assert.is(description, `${one.description}, ${count} threads`);
      assert.equal([...bits.keys()], [...one.bits.keys()]);
      for (const [name, expected] of one.bits) assert.ok(bits.get(name)!.equals(expected), `${count} threads: ${name}`);
    }
  });

test("pages are read and written whole, as one thread has them", async () => {
  for (const kvCache of ["f32", "f16", "int8"] as const) {
    const pages: Uint8Array[] = [];
    for (const threads of [1, 3]) {
      const model = await LocalModel.load(golden, { threads, kvCache, maxModelLen: 128 });
      const cache = model.newCache();
      await model.forward(ids.slice(0, 40), { cache });
      const { store } = model.executor;
      const page = await store.readPage(cache.kv.pages[1]!);
      pages.push(page);
      const next = await model.forward([3], { cache });
      store.ensure(9);
      store.writePage(9, page);
      store.copyPage(9, 8);
      assert.equal(await store.readPage(8), page);
      cache.truncate(40);
      store.writePage(cache.kv.pages[1]!, page);
      assert.equal((await model.forward([3], { cache })).logits, next.logits);
      store.close();
      await model.close();
    }
    assert.ok(pages[0]!.some((byte) => byte !== 0));
    assert.equal(pages[1], pages[0]);
  }
});

/** Threads of which the last one fails. */
const failing =
  (count: number, failure: Failure, onStep = 2): StartThread =>
  (name, { message, lost }) => {
    const isLast = name.endsWith(`${count}/${count}`);
    const workerData = { failure: isLast ? failure : "none", onStep };
    const worker = new Worker(new URL("./team-thread.js", import.meta.url), { workerData });
    let isEnding = false;
    worker.on("message", message).on("error", lost);
    worker.on("exit", (code) => !isEnding && lost(new Error(`exit code ${code}`)));
    return {
      post: (data, transfer = []) => worker.postMessage(data, [...transfer] as ArrayBuffer[]),
      hold: () => undefined,
      async end() {
        isEnding = true;
        await worker.terminate();
      },
    };
  };

async function team(start: StartThread, options: Partial<TeamOptions> = {}): Promise<TeamExecutor> {
  const checkpoint = await openCheckpoint(golden);
  const limits = { maximumBytes: 8 * 2 ** 20 };
  const sizes = { count: 3, patient: false, limits, planned: { stepBytes: 2 ** 20 }, mostPages: 64 };
  try {
    return await TeamExecutor.open(checkpoint, { start, kernels: await chooseKernels(), kvCache: "f16", ...sizes, ...options });
  } finally {
    await checkpoint.close();
  }
}

/** Steps of a sequence, each of some tokens. */
function stepper(executor: TeamExecutor): (tokens: number) => Promise<Float32Array> {
  const cache = new KvCache(new KvPool(executor.store));
  return async (tokens) => {
    cache.reserve(tokens);
    const { pages, start, length } = cache.segment(tokens);
    const request: StepRequest = {
      ids: Int32Array.from(ids.slice(length, length + tokens)),
      segments: [{ pages, start, length, tokens }],
      logitRows: Int32Array.of(tokens - 1),
      hiddenRows: new Int32Array(),
      trace: false,
    };
    const { logits } = await executor.step(request);
    cache.commit(tokens);
    return logits;
  };
}

for (const failure of ["exit", "throw", "bug"] as const)
  test(`a thread that fails (${failure}) in the middle of a step is a typed error of every call, and no hang`, async () => {
    const executor = await team(failing(3, failure));
    assert.ok(executor.bytesInUse > 0);
    const step = stepper(executor);
    await step(4);
    const [second, third] = [step(2), step(2)];
    await Promise.all([rejects(second, "BACKEND_LOST", /thread 3 of 3/), rejects(third, "BACKEND_LOST", /thread 3 of 3/)]);
    await rejects(step(1), "BACKEND_LOST", /thread 3 of 3/);
    await rejects(executor.store.readPage(0), "BACKEND_LOST");
    assert.is(executor.bytesInUse, 0);
    await executor.close();
    await rejects(step(1), "BACKEND_LOST", /thread 3 of 3/);
  });

test("a thread without room fails the step, and the team goes on with the same bits", async () => {
  const [executor, sound] = [await team(failing(3, "full")), await team(failing(3, "none"))];
  const [step, expected] = [stepper(executor), stepper(sound)];
  assert.equal(await step(4), await expected(4));
  await rejects(step(2), "MEMORY_FULL", /no room/);
  assert.equal(await step(2), await expected(2));
  await Promise.all([executor.close(), sound.close()]);
});

test("a page that cannot be written is the end of the team", async () => {
  const executor = await team(failing(3, "none"));
  const step = stepper(executor);
  await step(1);
  executor.store.ensure(1e6);
  executor.store.copyPage(0, 1);
  await rejects(step(1), "MEMORY_FULL").catch(() => rejects(step(1), "BACKEND_LOST", /copyPage: no room/));
  await rejects(step(1), "BACKEND_LOST", /copyPage: no room/);
  await executor.close();
});

test("closing in the middle of a step ends it", async () => {
  const executor = await team(failing(3, "hang"));
  const step = stepper(executor);
  await step(3);
  const pending = step(2);
  setTimeout(() => void executor.close(), 50);
  await rejects(pending, "CLOSED");
  await rejects(step(1), "CLOSED");

  const model = await Qwen3.fromPretrained(golden, { threads: 2, maxModelLen: 128 });
  const running = rejects(model.forward(ids, { logits: "all" }), "CLOSED");
  await model.close();
  await running;
  await model.close();
});

test("loading tells how far it is, and can be given up", async () => {
  const seen: number[] = [];
  let total = 0;
  const model = await Qwen3.fromPretrained(nanoPath, {
    threads: 3,
    onProgress: ({ loadedBytes, totalBytes }) => {
      seen.push(loadedBytes);
      total = totalBytes;
    },
  });
  await model.close();
  assert.ok(seen.length > 50 && total > 9e6);
  assert.ok(seen.every((bytes, i) => i === 0 || bytes >= seen[i - 1]!));
  assert.is(seen.at(-1), total);

  const stop = new AbortController();
  const reason = new Error("no longer wanted");
  const onProgress = () => stop.abort(reason);
  const error = await Qwen3.fromPretrained(nanoPath, { threads: 2, signal: stop.signal, onProgress }).catch((error) => error);
  assert.is(error, reason);
  const before = await Qwen3.fromPretrained(nanoPath, { threads: 2, signal: stop.signal }).catch((error) => error);
  assert.is(before, reason);
});

test("what a source fails with comes out as it is", async () => {
  const folder = await openFolder(golden);
  const broken: CheckpointSource = {
    name: "broken",
    async open(file) {
      const source = await folder.open(file);
      if (!source || !file.endsWith(".safetensors")) return source;
      const read: typeof source.read = (offset, length, ...rest) => {
        if (offset > source.size / 2) throw new TypeError("the disk is on fire");
        return source.read(offset, length, ...rest);
      };
      return { name: source.name, size: source.size, read, close: () => source.close?.() };
    },
  };
  await rejects(Qwen3.fromPretrained(broken, { threads: 2 }), "SOURCE_READ", /disk is on fire/);
  await rejects(team(failing(3, "none"), { limits: { maximumBytes: 2 ** 16 } }), "MEMORY_FULL");
});

test("where threads cannot be started, one computes, unless several were asked for", async () => {
  const refusing: StartThread = (name) => {
    if (name.endsWith("1/3")) return failing(3, "none")(name, { message: () => undefined, lost: () => undefined });
    throw new Error("no more threads");
  };
  const silent: StartThread = (_, { lost }) => {
    const worker = new Worker(new URL("./no-such-file.js", import.meta.url)).on("error", lost);
    return { post: (data) => worker.postMessage(data), hold: () => undefined, end: async () => void (await worker.terminate()) };
  };
  const checkpoint = await openCheckpoint(golden);
  const options = { maxModelLen: 64, kvCache: "f16" } as const;
  const plan = memoryPlan(checkpoint, { ...(await planOptions(checkpoint, options)), threads: 3 });
  for (const start of [refusing, silent]) {
    await rejects(openExecutor(checkpoint, plan, { ...options, threads: 3 }, start), "BACKEND_UNAVAILABLE", /cannot be started/);
    const executor = await openExecutor(checkpoint, plan, options, start);
    assert.not.match(executor.description, /threads/);
    await executor.close();
  }
  await checkpoint.close();
});

test("threads are counted in whole numbers from 1", async () => {
  for (const threads of [0, 1.5, -1]) await rejects(Qwen3.fromPretrained(golden, { threads }), "ARGUMENT", /threads is/);
  const model = await Qwen3.fromPretrained(golden);
  assert.not.match(model.description, /threads/); // small as it is
  await model.close();
});

test("a process ends by itself with an idle model, and not before its steps are done", () => {
  const program = `
    import { Qwen3 } from ${JSON.stringify(new URL("../../src/index.js", import.meta.url).href)};
    const model = await Qwen3.fromPretrained(${JSON.stringify(golden)}, { threads: 2 });
    model.forward([1, 2, 3]).then(({ logits }) => console.log(logits.length));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    encoding: "utf8",
    timeout: 300_000,
  });
  assert.is(status, 0, stderr);
  assert.match(stdout, /^\d+\n$/);
});

test("opening and closing leaves no memory behind", () => {
  const allowed = 24 * 2 ** 20;
  const [first, stretch] = process.env.LONG ? [100, 900] : [12, 12];
  const script = fileURLToPath(new URL("./team-cycles.js", import.meta.url));
  const args = ["--expose-gc", script, ...[first, stretch, 6, allowed].map(String)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.is(status, 0, stderr);
  const resident: number[] = JSON.parse(stdout);
  const mebibytes = resident.map((bytes) => bytes >> 20).join(", ");
  if (process.env.REPORT) console.log(`    resident after ${first} cycles and after each ${stretch} more: ${mebibytes} MiB`);
  assert.ok(resident.length >= 2);
  assert.ok(
    resident.at(-1)! - resident.at(-2)! <= allowed,
    `${stretch} cycles leave more than 24 MiB every time: ${mebibytes} MiB`,
  );
});

test.run();
