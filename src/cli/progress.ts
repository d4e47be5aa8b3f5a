/** One line on a terminal that is written over as work goes on, and gone when the work is done. */
import { formatBytes, type LoadProgress, type MemoryPlan, type PullProgress } from "../index.ts";
import { Speed } from "./speed.ts";
import type { Output } from "./streams.ts";
import { escapeControls } from "./terminal.ts";
import { fit } from "./width.ts";

/** Work that is done sooner leaves no flicker. */
const QUIET_MS = 300;
const REDRAW_MS = 100;
const MEGABYTE = 1_000_000;

export class ProgressLine {
  readonly #output: Output;
  readonly #what: string;
  readonly #now: () => number;
  #next: number;
  #shown = false;
  #note = "";
  readonly #speed: Speed;

  /** @param now milliseconds of a clock that never goes back */
  constructor(output: Output, what: string, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#what = escapeControls(what);
    this.#now = now;
    this.#next = now() + QUIET_MS;
    this.#speed = new Speed(now);
  }

  /** What the model will take, told above the line if that is ever shown. */
  readonly plan = ({ weightBytes, kvBytes, maxModelLen, activationBytes, budgetBytes }: MemoryPlan): void => {
    const [weights, cache, activations, budget] = [weightBytes, kvBytes, activationBytes, budgetBytes].map(formatBytes);
    this.#note = `memory: weights ${weights}, KV cache ${cache} for ${maxModelLen} tokens, activations ${activations}; budget ${budget}\n`;
  };

  /** Bytes of a checkpoint. */
  readonly update = ({ loadedBytes, totalBytes }: LoadProgress): void => {
    this.#draw(loadedBytes / totalBytes, `${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB`);
  };

  /** Bytes of a download, how fast they come and how long the others will take. */
  readonly download = ({ file, waiting, loadedBytes, totalBytes, downloadedBytes }: PullProgress): void => {
    const perSecond = this.#speed.after(downloadedBytes);
    const left = totalBytes - loadedBytes;
    const speed = perSecond ? `  ${megabytes(perSecond)} MB/s  ${duration(left / perSecond)} left` : "";
    const what = waiting ? `  waiting for the process that downloads ${file}` : `${speed}  ${file}`;
    this.#draw(totalBytes > 0 ? loadedBytes / totalBytes : 1, `${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB${what}`);
  };

  /** Tokens of a prompt; the line goes with the last one. */
  readonly tokens = ({ computedTokens, totalTokens }: { computedTokens: number; totalTokens: number }): void => {
    if (computedTokens === totalTokens) this.clear();
    else this.#draw(computedTokens / totalTokens, `${computedTokens} of ${totalTokens} tokens`);
  };

  #draw(share: number, amount: string): void {
    const now = this.#now();
    if (now < this.#next) return;
    this.#next = now + REDRAW_MS;
    this.#shown = true;
    if (this.#note) this.#output.write(this.#note);
    this.#note = "";
    const line = `${String(Math.floor(100 * share)).padStart(3)}%  ${amount}  ${this.#what}`;
    // One column is left free: a terminal may break the line after its last one.
    this.#output.write(`\r${fit(line, (this.#output.columns || 80) - 1).trimEnd()}\x1b[K`);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#shown) this.#output.write("\r\x1b[K");
    this.#shown = false;
  }
}

const megabytes = (bytes: number): string => (bytes / MEGABYTE).toFixed(1);

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  return whole < 3600 ? `${Math.ceil(whole / 60)} min` : `${Math.floor(whole / 3600)} h ${Math.ceil((whole % 3600) / 60)} min`;
}

/** Shows a download while `work` runs, on a terminal's standard error. */
export async function withDownloadProgress<T>(
  { stderr }: { readonly stderr: Output },
  what: string,
  quiet: boolean | undefined,
  work: (onProgress: ProgressLine["download"] | undefined) => Promise<T>,
): Promise<T> {
  const line = stderr.isTTY && !quiet ? new ProgressLine(stderr, what) : undefined;
  try {
    return await work(line?.download);
  } finally {
    line?.clear();
  }
}

/** Shows how far a prompt is computed while `work` runs, on a terminal's standard error. */
export async function withPromptProgress<T>(
  { stderr }: { readonly stderr: Output },
  quiet: boolean | undefined,
  work: (onPromptProgress: ProgressLine["tokens"] | undefined) => Promise<T>,
): Promise<T> {
  const line = stderr.isTTY && !quiet ? new ProgressLine(stderr, "prompt") : undefined;
  try {
    return await work(line?.tokens);
  } finally {
    line?.clear();
  }
}
