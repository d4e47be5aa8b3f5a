/** A terminal made of two streams: what is typed goes in by `type`, what would be on the screen collects in `screen`. */
import { PassThrough, Writable } from "node:stream";
import type { Streams } from "../../src/cli/streams.ts";

export class FakeTerminal {
  readonly input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
  readonly output: Writable & { isTTY: boolean; columns: number };
  screen = "";
  readonly #interrupt = new AbortController();
  #watchers: (() => void)[] = [];
  #read = 0;

  constructor(columns = 80) {
    const write = (chunk: unknown) => {
      this.screen += String(chunk);
      for (const watcher of this.#watchers.splice(0)) watcher();
    };
    const output = new Writable({
      write(chunk, _encoding, done) {
        write(chunk);
        done();
      },
    });
    this.output = Object.assign(output, { isTTY: true, columns });
  }

  /** Standard output and standard error are the same terminal. */
  get streams(): Streams {
    const env = { NO_COLOR: "1", TERM: "xterm" };
    return { stdin: this.input, stdout: this.output, stderr: this.output, env, signal: this.#interrupt.signal };
  }

  type(keys: string): void {
    this.input.write(keys);
  }

  /** What a signal from outside does. */
  interrupt(): void {
    this.#interrupt.abort();
  }

  /** Waits until `text` appears behind what was waited for before, and gives what came up to its end. */
  async shows(text: string, timeoutMs = 60_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const at = this.screen.indexOf(text, this.#read);
      if (at >= 0) {
        const seen = this.screen.slice(this.#read, at + text.length);
        this.#read = at + text.length;
        return seen;
      }
      if (Date.now() > deadline)
        throw new Error(`the screen never showed ${JSON.stringify(text)}:\n${this.screen.slice(this.#read)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#watchers.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

export const KEYS = {
  enter: "\r",
  ctrlC: "\x03",
  ctrlD: "\x04",
  up: "\x1b[A",
  pasteStart: "\x1b[200~",
  pasteEnd: "\x1b[201~",
} as const;
