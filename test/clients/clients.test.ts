/**
 * Clients as they are published against `qwen3 serve`, both on each engine: versions 6 of `openai` and of `ai` where this Node is, the
 * newest elsewhere.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../paths.ts";
import { type Engine, engines, install } from "../runtimes/engines.ts";

const LEAST_CASES = 69;
const KEY = "a-key-of-the-tests";
const OLDER = ["openai-6", "ai-6", "openai-compatible-2"];
const NEWEST = ["openai", "ai", "@ai-sdk/openai-compatible"];
const built = join(root, "build", "test", "clients");

await install("clients");
// The compiled cases find the packages where a program beside package.json would.
if (!existsSync(join(built, "node_modules")))
  symlinkSync(join(root, "test", "clients", "node_modules"), join(built, "node_modules"));

/** Deno asks before it does anything: this much a server and a client of this machine need. */
const DENO_ARGS = [
  "run",
  "--quiet",
  "--no-prompt",
  "--node-modules-dir=manual",
  "--allow-read",
  "--allow-env",
  "--allow-sys",
  "--allow-net=127.0.0.1",
];

function begin(engine: Engine, program: readonly string[]): ChildProcess {
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const args = engine.engine === "deno" ? DENO_ARGS : engine.args;
  return spawn(engine.command, [...args, ...program], {
    cwd: root,
    env: { ...env, QWEN3_API_KEY: KEY },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param ready settles `started` with its first group, once it matches standard error */
function follow(child: ChildProcess, ready = /$^/): { readonly ended: Promise<Ended>; readonly started: Promise<string> } {
  let [stdout, stderr] = ["", ""];
  let start = (_: string) => {};
  let fail = (_: Error) => {};
  const started = new Promise<string>((resolve, reject) => {
    start = resolve;
    fail = reject;
  });
  started.catch(() => undefined);
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    const found = ready.exec(stderr);
    if (found) start(found[1]!);
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => {
      fail(new Error(`it ended with ${code}: ${stderr}`));
      resolve({ code, stdout, stderr });
    });
  });
  return { ended, started };
}

for (const engine of await engines([root])) {
  const clients = engine.name === "this node" ? OLDER : NEWEST;
  test(`${engine.name}: ${clients.join(", ")}`, async () => {
    const main = join(root, "build", "src", "cli", "main.js");
    const server = begin(engine, [main, "serve", "--port", "0", "--served-model-name", "nano"]);
    const { ended, started } = follow(server, /Listening on (\S+)[\s\S]*Ready/);
    try {
      const url = await started;
      const client = await follow(begin(engine, [join(built, "cases.js"), url, KEY, ...clients])).ended;
      assert.is(client.code, 0, client.stderr);
      const report: { engine: string; passed: string[]; failed: Record<string, string> } = JSON.parse(
        client.stdout.trim().split("\n").at(-1)!,
      );
      assert.is(report.engine, `${engine.engine} ${engine.version}`);
      assert.equal(report.failed, {});
      assert.ok(report.passed.length >= LEAST_CASES, `${report.passed.length} cases`);
    } finally {
      server.kill("SIGTERM");
    }
    const { code, stdout, stderr } = await ended;
    assert.is(code, 0, stderr);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.ok(lines.length >= LEAST_CASES);
    assert.equal(
      lines.filter(({ status }) => status >= 500 && status !== 503),
      [],
    );
  });
}

test.run();
