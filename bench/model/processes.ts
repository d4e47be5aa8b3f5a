/** The measuring processes: each engine and each ceiling runs alone, and answers with one line of JSON. */
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { root } from "../../test/paths.ts";
import type { Failed, Measured, NativeCeiling, WasmCeiling } from "./result.ts";

const TICKS_PER_SECOND = 100;
const LIMIT_MS = 30 * 60 * 1000;
const compiled = dirname(fileURLToPath(import.meta.url));
const peers = join(root, "bench", "peers");
const installedNode24 = join(root, "test", "runtimes", "node_modules", ".bin", "node");

/** "20" and "24" are the one that runs this program and the one that the tests install; anything else is a path. */
export function nodeBinary(which: string): string {
  if (process.versions.node.startsWith(`${which}.`)) return process.execPath;
  if (which === "24" && existsSync(installedNode24)) return installedNode24;
  if (/^\d+$/.test(which)) throw new Error(`there is no Node ${which} here: give --node the path of one (npm test installs 24)`);
  return which;
}

export const havePeers = (): boolean => existsSync(join(peers, "node_modules"));

export const measureOurs = (node: string, options: readonly string[], folder: string): Promise<Measured | Failed> =>
  watched(answer<Measured>(node, [join(compiled, "ours.js"), ...options, folder]));

/** The drivers import TypeScript as it is, which Node can from version 22.18 on. */
export const measurePeer = (
  peer: "native" | "wllama",
  options: readonly string[],
  files: readonly string[],
): Promise<Measured | Failed> => watched(answer<Measured>(nodeBinary("24"), [join(peers, `${peer}.mjs`), ...options, ...files]));

/** Any other program that prints one line of JSON. */
export const measure = <T>(node: string, program: string, args: readonly string[]): Promise<T | Failed> =>
  answer<T>(nodeBinary(node), [program, ...args]);

export const measureWasmCeiling = (node: string, threads: number): Promise<WasmCeiling | Failed> =>
  answer<WasmCeiling>(node, [join(compiled, "wasm-reader.js"), String(threads)]);

/** Compiled on the machine that is measured, into `folder`. */
export async function measureNativeCeiling(folder: string, threads: number): Promise<NativeCeiling | Failed> {
  const source = join(root, "bench", "model", "ceiling.c");
  const name = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 12);
  const binary = join(folder, `ceiling-${name}`);
  try {
    mkdirSync(folder, { recursive: true });
    if (!existsSync(binary))
      execFileSync("gcc", ["-O3", "-march=native", "-pthread", source, "-o", binary], { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    return { error: `no native ceiling: gcc does not compile ceiling.c here (${firstLine(error)})` };
  }
  return answer<NativeCeiling>(binary, [String(threads)]);
}

/** Adds what others took of the machine while it ran. */
async function watched(running: Promise<Measured | Failed>): Promise<Measured | Failed> {
  const before = machineSeconds();
  const result = await running;
  const after = machineSeconds();
  if ("error" in result || !before || !after) return result;
  const busy = after.busy - before.busy - result.cpuSeconds;
  return { ...result, othersShare: Math.max(0, busy / (after.all - before.all)) };
}

/** Processor seconds of all cores since the system began, from /proc/stat: user nice system idle iowait irq softirq steal. */
function machineSeconds(): { busy: number; all: number } | undefined {
  if (!existsSync("/proc/stat")) return undefined;
  const ticks = readFileSync("/proc/stat", "utf8").split("\n")[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
  return { busy: all - (ticks[3]! + ticks[4]!) / TICKS_PER_SECOND, all };
}

async function answer<T>(command: string, args: readonly string[]): Promise<T | Failed> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd: root, timeout: LIMIT_MS, maxBuffer: 1 << 24 });
    return JSON.parse(stdout.trim().split("\n").at(-1)!) as T;
  } catch (error) {
    return { error: firstLine(error) };
  }
}

/** What a process said of its end: the line of its stderr that names an error, if there is one. */
function firstLine(error: unknown): string {
  const { stderr, message, signal } = error as Error & { stderr?: string | Buffer; signal?: string };
  if (signal) return `ended by ${signal}`;
  const lines = String(stderr ?? "")
    .split("\n")
    .filter((line) => line.trim());
  return (lines.find((line) => /^(?:\w*Error\b|Uncaught)/.test(line)) ?? lines[0] ?? message).trim().slice(0, 300);
}
