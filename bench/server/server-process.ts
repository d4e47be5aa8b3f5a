/** Starts `served.ts` and asks it how it is. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ChatModelStats } from "../../src/chat/chat-model.ts";

export interface Report extends ChatModelStats {
  /** Kinds of what keeps the process busy, connections and timers, one entry each. */
  readonly resources: readonly string[];
  readonly rss: number;
  readonly heapUsed: number;
}

export interface ServedOptions {
  readonly maxSequences?: number;
  readonly memoryBudgetBytes?: number;
  readonly maxModelLen?: number;
  /** Answers under way or waiting; more get a 429. */
  readonly answers?: number;
}

export class ServerProcess {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, url: string) {
    this.#child = child;
    this.#lines = lines;
    this.url = url;
  }

  static async start(options: ServedOptions = {}): Promise<ServerProcess> {
    const program = fileURLToPath(new URL("served.js", import.meta.url));
    const args = ["--expose-gc", program, JSON.stringify(options)];
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const { value } = await lines.next();
    return new ServerProcess(child, lines, JSON.parse(value).url);
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async report(): Promise<Report> {
    this.#child.stdin!.write("report\n");
    return JSON.parse((await this.#lines.next()).value);
  }

  /** The report once nothing is computed and no connection is open. */
  async idle(timeoutMs = 30_000): Promise<Report> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const report = await this.report();
      if (report.running + report.waiting === 0 && !report.resources.includes("TCPSocketWrap")) return report;
      if (Date.now() > end) throw new Error(`still busy after ${timeoutMs} ms: ${JSON.stringify(report)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** @returns the exit code */
  async stop(): Promise<number> {
    const closed = once(this.#child, "close");
    this.#child.stdin!.end("end\n");
    return (await closed)[0];
  }
}
