/** The conformance table on whatever engine runs this: both builds of the kernels where there are two. Prints one JSON object. */
import { createWasmBackend } from "../../src/backend/wasm/open.ts";
import { type ConformanceResult, runConformance } from "../conformance/run-cases.ts";

const results: Record<string, ConformanceResult> = {};
for (const build of ["simd", "relaxed"] as const)
  results[build] = await runConformance((watch) => createWasmBackend({ build }, { watch }));
console.log(JSON.stringify(results));
