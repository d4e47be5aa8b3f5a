/**
 * Runs the compiled test files, two at a time, and closes with what failed and `N passed, N failed`.
 *
 *   node build/test/run.js                 every file
 *   node build/test/run.js tokenizer rope  the files whose path contains one of the words
 *   node build/test/run.js --coverage      every file, then the coverage of src/ against the floors in .c8rc.json
 *
 * The sources in test/ say which files there are: what an earlier build left behind is not run, what is not compiled is a failure.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./paths.ts";
import { type FileResult, killRunning, runFile } from "./run-file.ts";

const AT_A_TIME = 2;
/** For what hangs; a file takes far less even on a busy machine. */
const TIMEOUT_MS = (process.env.LONG ? 60 : 10) * 60_000;
/** How much of a file's output is repeated at the end, in characters: its beginning and its end. */
const REPEATED = 6000;
/** They install packages and start other engines: begun first, they overlap with the rest. */
const SLOW_FIRST = ["clients/", "runtimes/", "pack", "checks/"];

/** Names such as `formats/safetensors`. */
function testNames(words: readonly string[]): string[] {
  const rank = (name: string) => SLOW_FIRST.findIndex((start) => name.startsWith(start)) >>> 0; // -1 goes last
  return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".test.ts") && !path.includes("node_modules/"))
    .map((path) => path.slice(0, -".test.ts".length))
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

async function runTest(name: string, env: NodeJS.ProcessEnv): Promise<FileResult> {
  const file = join(root, "build", "test", `${name}.test.js`);
  if (existsSync(file)) return await runFile(file, { timeoutMs: TIMEOUT_MS, env, cwd: root });
  return { passed: 0, failed: 1, skipped: 0, seconds: 0, problem: "is not compiled: npm run build:test", output: "" };
}

function report(name: string, width: number, result: FileResult): void {
  const counts = [`${result.passed} passed`];
  if (result.skipped > 0) counts.push(`${result.skipped} skipped`);
  if (result.failed > 0) counts.push(`${result.failed} FAILED`);
  console.log(
    `${result.failed > 0 ? "✘" : "•"} ${name.padEnd(width)}  ${result.seconds.toFixed(1).padStart(5)} s  ${counts.join(", ")}`,
  );
  if (result.failed > 0 || process.env.REPORT) console.log(details(name, result)); // REPORT=1: tests that measure say what they measured
}

function details(name: string, { problem, output }: FileResult): string {
  const lines = output.trimEnd().replaceAll(/^/gm, "  │ ");
  return problem === undefined ? lines : `  ${name}.test.ts ${problem}\n${lines}`;
}

/** Once more at the end, where whoever reads the end of a log sees it. */
function repeat(name: string, result: FileResult): void {
  const { output } = result;
  const half = REPEATED / 2;
  const cut = output.length <= REPEATED ? output : `${output.slice(0, half)}\n... (all of it above)\n${output.slice(-half)}`;
  console.log(`✘ ${name}  ${result.failed} FAILED\n${details(name, { ...result, output: cut })}`);
}

/** The table of c8; whether every floor of .c8rc.json is met, and no source was left out unseen (c8 skips what it cannot read). */
function coverageIsEnough(): boolean {
  const c8 = join(root, "node_modules", "c8", "bin", "c8.js");
  if (spawnSync(process.execPath, [c8, "report"], { cwd: root, stdio: "inherit" }).status !== 0) return false;
  const counted = Object.keys(JSON.parse(readFileSync(join(root, "coverage", "coverage-summary.json"), "utf8")));
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  const missing = sources.filter((path) => !counted.includes(join(root, "src", path)));
  if (missing.length > 0) console.log(`not in the coverage: ${missing.join(", ")}`);
  return sources.length > 0 && missing.length === 0;
}

async function main(): Promise<void> {
  const wantsCoverage = process.argv.includes("--coverage");
  const words = process.argv.slice(2).filter((argument) => argument !== "--coverage");
  if (wantsCoverage && words.length > 0) throw new Error("--coverage is a figure for all tests: it goes with no word");
  const env: NodeJS.ProcessEnv = {};
  if (wantsCoverage) {
    rmSync(join(root, "coverage"), { recursive: true, force: true });
    env.NODE_V8_COVERAGE = join(root, "coverage", "tmp"); // processes that a test starts inherit it
    env.NODE_DISABLE_COMPILE_CACHE = "1"; // functions that come from it are counted less exactly
  }

  const names = testNames(words);
  const width = Math.max(...names.map((name) => name.length));
  let passed = 0;
  let failed = 0;
  const failures: [name: string, result: FileResult][] = [];
  if (names.length === 0) {
    console.log(`no test file has ${words.join(" or ")} in its path`);
    failed = 1;
  }
  const queue = [...names];
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const result = await runTest(name, env);
      report(name, width, result);
      passed += result.passed;
      failed += result.failed;
      if (result.failed > 0) failures.push([name, result]);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));

  if (wantsCoverage) {
    if (coverageIsEnough()) passed++;
    else {
      failed++;
      console.log("✘ the coverage of src/ is below its floors (.c8rc.json), see above");
    }
    for (const [name, result] of failures) repeat(name, result);
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    killRunning();
    process.exit(1);
  });
}
await main();
