/** The engines beside the Node that runs the tests: installed once from test/runtimes/package.json, called by path. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readlinkSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../paths.ts";

export interface Engine {
  readonly name: "this node" | "node 24" | "deno" | "bun";
  readonly engine: "node" | "deno" | "bun";
  /** What the engine must say of itself, from the lock file. */
  readonly version: string;
  readonly command: string;
  /** What goes before the program's path. */
  readonly args: readonly string[];
}

const folder = join(root, "test", "runtimes");
const modules = join(folder, "node_modules");

/** @param readable folders that a program may read; Deno allows nothing else (no network, no environment, no writing) */
export async function engines(readable: readonly string[]): Promise<Engine[]> {
  await install("runtimes");
  const locked: Record<string, { version: string }> = JSON.parse(
    readFileSync(join(folder, "package-lock.json"), "utf8"),
  ).packages;
  const version = (name: string) => locked[`node_modules/${name}`]!.version;
  const binary = (name: string) => join(modules, ".bin", name);
  const denoArgs = ["run", "--quiet", "--no-prompt", "--no-remote", `--allow-read=${readable.join(",")}`];
  return [
    { name: "this node", engine: "node", version: process.versions.node, command: process.execPath, args: [] },
    { name: "node 24", engine: "node", version: version("node"), command: binary("node"), args: [] },
    { name: "deno", engine: "deno", version: version("deno"), command: binary("deno"), args: denoArgs },
    { name: "bun", engine: "bun", version: version("bun"), command: binary("bun"), args: ["run"] },
  ];
}

/** Runs a program on an engine and returns its stdout; the process's own coverage is not measured. */
export function runOn(engine: Engine, program: readonly string[], cwd: string): string {
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const options = { cwd, env, encoding: "utf8", timeout: 600_000, maxBuffer: 1 << 24 } as const;
  const { status, stdout, stderr, error } = spawnSync(engine.command, [...engine.args, ...program], options);
  if (status !== 0) throw new Error(`${engine.name}: ${program.join(" ")} ended with ${status ?? error}\n${stdout}\n${stderr}`);
  return stdout;
}

/**
 * Installs what package-lock.json of a folder in test/ says, once. Two test files may want it at once: one installs, the other waits.
 */
export async function install(name: string): Promise<void> {
  const folder = join(root, "test", name);
  const marker = join(folder, "node_modules", ".installed"); // the hash of the lock file, written when all is in place
  const lock = join(root, "build", `${name}.lock`);
  const wanted = createHash("sha256")
    .update(readFileSync(join(folder, "package-lock.json")))
    .digest("hex");
  const isInstalled = () => existsSync(marker) && readFileSync(marker, "utf8") === wanted;
  while (!isInstalled()) {
    if (!tryLock(lock)) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      continue;
    }
    try {
      if (!isInstalled()) npmCi(folder); // it may have been done just before the lock was free
      writeFileSync(marker, wanted);
    } finally {
      unlinkSync(lock);
    }
  }
}

function npmCi(folder: string): void {
  const { status, stdout, stderr } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm ci in ${folder} ended with ${status}\n${stdout}\n${stderr}`);
}

/** The lock is a link that names its holder's process, since making one is atomic; one whose holder is gone is broken. */
function tryLock(lock: string): boolean {
  try {
    symlinkSync(String(process.pid), lock);
    return true;
  } catch {
    try {
      process.kill(Number(readlinkSync(lock)), 0);
    } catch {
      rmSync(lock, { force: true });
    }
    return false;
  }
}
