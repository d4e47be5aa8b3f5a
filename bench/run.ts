/**
 * Runs benchmarks, each in a process of its own.
 *
 *     npm run bench                            whole models: ours, ceilings and peers in one table
 *     npm run bench -- model --preset 0.6b     whole models, with options (--help lists them)
 *     npm run bench -- server                  the server under load
 *     npm run bench -- serving                 chats at once
 *     npm run bench -- kernels nano            the files *.bench.ts whose names contain one of the words
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../test/paths.ts";

const MODEL_PROGRAMS = ["table", "model", "peers"];

const compiled = dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const [first] = words;
if (first === undefined || first.startsWith("-")) run("model/main.js", ["table", ...words]);
else if (MODEL_PROGRAMS.includes(first)) run("model/main.js", words);
else if (first === "checkpoints") run("model/write-checkpoints.js", words.slice(1));
else if (first === "ceiling") run("model/print-ceilings.js", words.slice(1));
else if (first === "server") run("server/main.js", words.slice(1));
else if (first === "serving") run("serving/main.js", words.slice(1));
else runFiles();

function runFiles(): void {
  const names = readdirSync(join(root, "bench"))
    .filter((file) => file.endsWith(".bench.ts"))
    .map((file) => file.slice(0, -".bench.ts".length))
    .filter((name) => words.some((word) => name.includes(word)));
  if (names.length === 0) throw new Error(`no benchmark has ${words.join(" or ")} in its name`);
  for (const name of names) {
    console.log(`\n${name}`);
    run(`${name}.bench.js`, []);
  }
}

function run(program: string, args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [join(compiled, program), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exitCode = 1;
}
