/** How threads are started on other hosts than this one, and what the memory plan makes of them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { detectHost, type Host } from "../../src/core/host.ts";
import { activationsIn, forInstances, forThread, memoryPlan, mostKvBytes, SMALL_MODEL_BYTES } from "../../src/engine/plan.ts";
import type { FromMember, ToMember } from "../../src/engine/team-messages.ts";
import { hasThreads, startWebWorker, type Thread, threadStarter } from "../../src/engine/threads.ts";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { nanoPath } from "../paths.ts";

const browser: Host = { ...detectHost(), name: "browser", nodeModules: false };

test("threads need shared memory, and workers", async () => {
  const none = { SharedArrayBuffer: undefined, Worker: class {} };
  assert.is(hasThreads(browser, none), false);
  assert.is(hasThreads(detectHost(), none), false);
  assert.is(hasThreads(browser, { SharedArrayBuffer }), false);
  assert.is(hasThreads(browser, { SharedArrayBuffer, Worker: class {} }), true);
  assert.is(hasThreads(detectHost()), true);
  assert.is(await threadStarter(browser), startWebWorker);
  assert.is.not(await threadStarter(detectHost()), startWebWorker);
});

/** A page's Worker, whose other side is in this thread too. */
class FakeWorker {
  static made: FakeWorker[] = [];
  readonly posted: unknown[] = [];
  onmessage: ((event: { data: unknown }) => void) | undefined;
  onmessageerror: (() => void) | undefined;
  onerror: ((event: { error?: unknown; message?: string; preventDefault: () => void }) => void) | undefined;
  isTerminated = false;

  readonly url: URL;
  readonly options: unknown;

  constructor(url: URL, options: unknown) {
    this.url = url;
    this.options = options;
    FakeWorker.made.push(this);
  }

  postMessage(message: unknown, transfer: unknown[]): void {
    this.posted.push([message, transfer]);
  }

  terminate(): void {
    this.isTerminated = true;
  }
}

test("a Web Worker's messages, errors and end", async () => {
  const globals = globalThis as { Worker?: unknown };
  globals.Worker = FakeWorker;
  const [messages, lost]: [unknown[], string[]] = [[], []];
  let thread: Thread;
  try {
    thread = startWebWorker("a", { message: (m) => messages.push(m), lost: (cause) => lost.push((cause as Error).message) });
  } finally {
    delete globals.Worker;
  }
  const [worker] = FakeWorker.made;
  assert.match(worker!.url.href, /\/engine\/team-worker\.js$/);
  assert.equal(worker!.options, { type: "module", name: "a" });
  const buffer = new ArrayBuffer(1);
  thread.post("x");
  thread.post("y", [buffer]);
  thread.hold(true);
  assert.equal(worker!.posted, [
    ["x", []],
    ["y", [buffer]],
  ]);
  worker!.onmessage!({ data: "z" });
  assert.equal(messages, ["z"]);
  let prevented = 0;
  const preventDefault = () => void prevented++;
  worker!.onerror!({ error: new Error("thrown"), preventDefault });
  worker!.onerror!({ message: "no such file", preventDefault });
  worker!.onerror!({ preventDefault });
  worker!.onmessageerror!();
  assert.equal(lost, ["thrown", "no such file", "the worker could not be started", "a message could not be read"]);
  assert.is(prevented, 3);
  await thread.end();
  assert.ok(worker!.isTerminated);
});

test("what a Web Worker runs answers its page", async () => {
  const scope = globalThis as unknown as {
    postMessage?: (m: FromMember) => void;
    onmessage?: (event: { data: ToMember }) => void;
  };
  const answered = new Promise<FromMember>((resolve) => {
    scope.postMessage = resolve;
  });
  try {
    await import("../../src/engine/team-worker.ts");
    scope.onmessage!({ data: { kind: "readPage", page: 0, pages: 0 } }); // before anything was opened
    const answer = await answered;
    assert.ok(answer.kind === "failed" && answer.error.code === undefined && /TypeError/.test(answer.error.message));
  } finally {
    delete scope.postMessage;
    delete scope.onmessage;
  }
});

test("the plan counts what every thread has, and shares out the rest", async () => {
  const checkpoint = await openCheckpoint(nanoPath);
  await checkpoint.close();
  const { config } = checkpoint;
  const options = {
    backend: "wasm",
    weights: "auto",
    kvCache: "f16",
    budgetBytes: 2 ** 28,
    maxBatchedTokens: 64,
    processors: 8,
  } as const;
  const one = memoryPlan(checkpoint, options);
  assert.is(one.threads, 1, "nano is small");
  assert.ok(one.weightBytes < SMALL_MODEL_BYTES);
  const wide = { ...checkpoint, tensors: new Map(checkpoint.tensors) };
  const embedding = checkpoint.tensors.get("model.embed_tokens.weight")!;
  wide.tensors.set(embedding.name, { ...embedding, shape: [SMALL_MODEL_BYTES / 512, 256] });
  assert.is(memoryPlan(wide, options).threads, config.num_key_value_heads);
  assert.is(memoryPlan(wide, { ...options, processors: 1 }).threads, 1);
  assert.is(memoryPlan(wide, { ...options, backend: "reference" }).threads, 1);

  const three = memoryPlan(checkpoint, { ...options, threads: 3 });
  const norms = 5 * (2 * 256 + 2 * 64) + 256;
  assert.is(three.threads, 3);
  assert.is(three.weightBytes, one.weightBytes + 2 * 4 * norms);
  assert.is(three.activationBytes, activationsIn(config, 64, 3));
  assert.ok(three.activationBytes > 1.5 * one.activationBytes && three.activationBytes < 3 * one.activationBytes + 2 ** 22);
  const { plannedBytes, stepBytes } = forThread(three, config.num_key_value_heads);
  assert.is(plannedBytes, Math.ceil(three.weightBytes / 3 + mostKvBytes(three) / 2), "a thread has one of two KV heads, or none");
  assert.ok(stepBytes < forInstances(three).stepBytes);
});

test.run();
