/** Starting threads, on whatever host: `node:worker_threads` in Node, Deno and Bun, Web Workers in browsers. */
import { detectHost, type Host } from "../core/host.ts";

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

/** How threads that share memory are started here; undefined where there are none (a page that is not cross-origin isolated). */
export async function threadStarter(
  host: Host = detectHost(),
  globals: { readonly SharedArrayBuffer?: unknown; readonly Worker?: unknown } = globalThis,
): Promise<StartThread | undefined> {
  if (globals.SharedArrayBuffer === undefined) return undefined;
  if (host.nodeModules) return (await import("./threads-node.ts")).startThread;
  return globals.Worker === undefined ? undefined : startWebWorker;
}

export const startWebWorker: StartThread = (name, { message, lost }) => {
  const worker = new Worker(new URL("./team-worker.js", import.meta.url), { type: "module", name });
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
