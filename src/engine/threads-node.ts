/** Threads by Node's modules, for Node, Deno and Bun. */
import { Worker } from "node:worker_threads";
import type { StartThread } from "./threads.ts";

export const startThread: StartThread = (name, { message, lost }) => {
  const worker = new Worker(new URL("../engine/team-worker-node.js", import.meta.url), {
    name,
    execArgv: [], // those of a program given as text (--input-type) would keep a file from running
  });
  let isEnding = false;
  worker.unref();
  worker.on("message", message);
  worker.on("messageerror", lost);
  worker.on("error", lost);
  worker.on("exit", (code) => {
    if (!isEnding) lost(new Error(`the thread ended by itself, with exit code ${code}`));
  });
  return {
    post: (data, transfer = []) => worker.postMessage(data, [...transfer] as Parameters<Worker["postMessage"]>[1]),
    hold: (isAwaited) => void (isAwaited ? worker.ref() : worker.unref()),
    async end() {
      isEnding = true;
      await worker.terminate();
    },
  };
};
