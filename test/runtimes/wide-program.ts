/** What test/runtimes/wide.test.ts runs: the kernels for wide vectors are chosen, and then another module is compiled. */
import { readFile } from "node:fs/promises";
import { chooseKernels, openWasmBackend } from "../../src/backend/wasm/open.ts";

const backend = openWasmBackend(await chooseKernels());
console.log(`\nchosen: ${backend.description}`);
const other = await readFile(new URL("../../src/wasm/qwen3-relaxed.wasm", import.meta.url));
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(other), {
  env: { memory: new WebAssembly.Memory({ initial: 1 }) },
});
const add = exports.add as (a: number, b: number, out: number, n: number) => void;
for (let i = 0; i < 5000; i++) add(0, 0, 4096, 1024); // until the optimizing compiler takes it
console.log("done");
