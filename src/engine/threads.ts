/** Starting threads, on whatever host: `node:worker_threads` in Node, Deno and Bun, Web Workers in browsers. */
import type { Host } from "../core/host.ts";

/** A worker that runs team-worker*.ts. An idle one does not keep the process alive. */
export interface Thread {
  post(message: unknown, transfer?: readonly Transferable[]): void;
  /** Whether the process is to wait for this thread. */
  hold(isAwaited: boolean): void;
  /** Ends it, whatever it is doing; resolved once its memory is given back. */
  end(): Promise<void>;
}

export interface ThreadEvents {
  readonly message: (message: unknown) => void;
  /** The thread has ended without being asked to, or said something that cannot be understood. */
  readonly lost: (cause: unknown) => void;
}

export type StartThread = (name: string, events: ThreadEvents) => Thread;

/** Whether threads that share memory can be started here; not in a page that is not cross-origin isolated. */
export function hasThreads(
  host: Host,
  globals: { readonly SharedArrayBuffer?: unknown; readonly Worker?: unknown } = globalThis,
): boolean {
  return globals.SharedArrayBuffer !== undefined && (host.nodeModules || globals.Worker !== undefined);
}

/** How they are started. */
export async function threadStarter(host: Host): Promise<StartThread> {
  return host.nodeModules ? (await import("./threads-node.ts")).startThread : startWebWorker;
}

export const startWebWorker: StartThread = (name, { message, lost }) => {
  const worker = new Worker(new URL("../engine/team-worker.js", import.meta.url), { type: "module", name });
  worker.onmessage = ({ data }) => message(data);
  worker.onmessageerror = () => lost(new Error("a message could not be read"));
  worker.onerror = (event) => {
    event.preventDefault(); // it is told to whoever uses the thread
    lost(event.error ?? new Error(event.message || "the worker could not be started"));
  };
  return {
    post: (data, transfer = []) => worker.postMessage(data, [...transfer]),
    hold: () => undefined, // pages do not end by themselves
    end: async () => worker.terminate(),
  };
};
