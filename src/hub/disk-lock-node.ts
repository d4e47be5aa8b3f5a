/**
 * One process at a time downloads a file. The lock is a file that only one can create; it names its holder, who touches it every
 * second. A lock whose holder has gone, or has not touched it for long, is taken from it.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { Qwen3Error } from "../core/errors.ts";
import { sleep } from "../formats/retry.ts";
import type { PartialOptions } from "./cache.ts";

const TOUCH_MS = 1_000;
const STALE_MS = 20_000;
const POLL_MS = 200;

export interface Lock {
  /** @throws Qwen3Error SOURCE_READ where another process has taken the lock (this one slept too long) */
  check(): void;
  release(): Promise<void>;
}

export interface LockOptions extends PartialOptions {
  readonly staleMs?: number | undefined;
}

export async function takeLock(path: string, { signal, onWait, staleMs = STALE_MS }: LockOptions): Promise<Lock> {
  const holder = JSON.stringify({ pid: process.pid, host: machine(), id: randomUUID() });
  await mkdir(dirname(path), { recursive: true });
  for (let waits = 0; !(await created(path, holder)); waits++) {
    if (waits === 0) onWait?.();
    if (await isStale(path, staleMs)) await takeAway(path, staleMs);
    else await sleep(POLL_MS, signal);
    signal?.throwIfAborted();
  }
  let lost = false;
  const touch = async () => {
    if ((await readFile(path, "utf8").catch(() => "")) !== holder) lost = true;
    else await utimes(path, new Date(), new Date()).catch(() => undefined);
  };
  const timer = setInterval(touch, TOUCH_MS);
  timer.unref();
  return {
    check() {
      if (lost) throw new Qwen3Error("SOURCE_READ", `${path}: another process has taken over this download`);
    },
    async release() {
      clearInterval(timer);
      if (!lost && (await readFile(path, "utf8").catch(() => "")) === holder) await rm(path, { force: true });
    },
  };
}

async function created(path: string, holder: string): Promise<boolean> {
  try {
    await writeFile(path, holder, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Whether the holder is gone: its process, where that is of this machine, or every sign of life. */
async function isStale(path: string, staleMs: number): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > staleMs) return true;
    const { pid, host } = JSON.parse(await readFile(path, "utf8")) as { pid?: unknown; host?: unknown };
    return host !== "" && host === machine() && typeof pid === "number" && !isAlive(pid);
  } catch {
    return false; // gone in this moment, or being written
  }
}

/** This machine's name; "" where asking is forbidden (Deno without --allow-sys): then only signs of life count. */
function machine(): string {
  try {
    return hostname();
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"; // there, but not ours to ask
  }
}

/** Moving is for one only. Whoever finds that it moved the lock of one who was faster puts it back. */
async function takeAway(path: string, staleMs: number): Promise<void> {
  const aside = `${path}.${randomUUID().slice(0, 8)}.stale`;
  await rename(path, aside).catch(() => undefined);
  if (await isStale(aside, staleMs)) await rm(aside, { force: true });
  else await rename(aside, path).catch(() => undefined);
}
