#!/usr/bin/env node
/** The program `qwen3`: gives the process's streams to the commands, and their exit code back. */
import module from "node:module";

// Code that was compiled is kept from one run to the next, from Node 22.8 on; for what is imported afterwards.
(module as { enableCompileCache?(): unknown }).enableCompileCache?.();
const { describe, runProgram } = await import("./program.ts");

const interrupt = new AbortController();
// Only the first: a second Ctrl-C ends a program that does not stop by itself.
process.once("SIGINT", () => interrupt.abort());

// A reader that has seen enough (`| head`) is no error, but nothing is left to do; a disk that is full is one.
for (const output of [process.stdout, process.stderr])
  output.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    process.stderr.write(`${describe(error)}\n`);
    process.exit(1);
  });

process.exitCode = await runProgram(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: interrupt.signal,
});
