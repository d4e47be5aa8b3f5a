/** Vectors of 256 bits in Node 24: the engine does make them of the kernels, and of nobody else's. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { canCompileWide } from "../../src/backend/wasm/wide-vectors-node.ts";
import { root } from "../paths.ts";
import { engines, runOn } from "./engines.ts";

/** Every loop in which a model spends its time; all of what they store must be found to be pairs. */
const HOT = [
  "activation/add",
  "activation/swiglu",
  "attention-int8-scores/scoreTile<i16,u16>",
  "attention-int8-scores/scoreTile<i16,u32>",
  "attention-int8-values/valueTile<i8,u16>",
  "attention-int8-values/valueTile<i8,u32>",
  "attention-int8-weights/exponentials",
  "f8-gemv/addPairs",
  "float-gemm/addTokens4",
  "float-gemv/addFours<i16>",
  "float-gemv/addFours<u16>",
  "gemm/timesPanel4<i16>",
  "gemm/timesPanel4<i8>",
  "gemm/timesPanel4Widening<i8>",
  "gemm-few/timesBlock4<u16,i16>",
  "gemm-few/timesBlock4<u8,i8>",
  "gemm-few/timesBlock4Widening<i8>",
  "gemm-wide/timesPanels4<i16,u8>",
  "gemm-wide/timesPanels4<i8,u8>",
  "gemm-wide/timesPanels4<i8,u16>",
  "gemv/timesBlock<u8,i8>",
  "norm/rmsNorm",
];

const program = join(root, "build", "test", "runtimes", "wide-program.js");
const node24 = (await engines([root])).find(({ name }) => name === "node 24")!;
const run = (...options: string[]) => runOn({ ...node24, args: [...node24.args, ...options] }, [program], root);
const hasAvx2 = process.arch === "x64"; // every x64 processor that the tests have met

/** The wide build's functions, in order, by their names in assembly/. */
function functionNames(): string[] {
  const text = join(root, "build", "wat", "qwen3-wide.wat");
  const isCurrent = () => existsSync(text) && statSync(text).mtimeMs >= statSync(join(root, "dist/wasm/qwen3-wide.wasm")).mtimeMs;
  if (!isCurrent()) spawnSync(process.execPath, [join(root, "assembly", "build.js"), "--wat"], { cwd: root, stdio: "inherit" });
  return [...readFileSync(text, "utf8").matchAll(/^ \(func \$"?assembly\/([^\s"]+)/gm)].map(([, name]) => name!);
}

if (hasAvx2) {
  const [compiling = "", after = ""] = run("--single-threaded", "--trace-wasm-revectorize").split("chosen: wasm, wide vectors");

  test("the hot kernels become instructions of 256 bits", () => {
    const traces = new Map(
      compiling
        .split("Begin revec function wasm-function#")
        .slice(1)
        .map((trace) => [Number.parseInt(trace, 10), trace]),
    );
    const names = functionNames();
    assert.ok(traces.size > 60, `${traces.size} functions`);
    for (const hot of HOT) {
      const trace = traces.get(names.indexOf(hot)) ?? "no such function";
      assert.match(trace, "Decide to vectorize", hot);
      assert.not.match(trace, "Build tree failed", hot);
    }
  });

  test("a module that is compiled afterwards is compiled as ever", () => {
    assert.match(after, "done");
    assert.not.match(after, "revec");
  });
}

test("it is left alone where V8 is another, or has these flags from its user", () => {
  assert.is(canCompileWide("13.6.233.17-node.53", []), process.arch === "x64");
  for (const version of ["11.3.244.8-node.38", "13.60.1", "12.4.254.21-node.33", "14.1.146.11-node.14", "13.6.233.10-electron.0"])
    assert.not.ok(canCompileWide(version, []), version);
  for (const options of [
    ["--no-liftoff"],
    ["--max-old-space-size=4096 --experimental_wasm_revectorize"],
    ["--no-wasm-lazy-compilation"],
  ])
    assert.not.ok(canCompileWide("13.6.233.17-node.53", options), options[0]);
  assert.is(canCompileWide("13.6.233.17-node.53", ["--expose-gc", "--max-old-space-size=4096"]), process.arch === "x64");
});

test("whoever has set the flags gets the other kernels", () => {
  assert.match(run("--no-liftoff"), "chosen: wasm, relaxed-simd");
});

test.run();
