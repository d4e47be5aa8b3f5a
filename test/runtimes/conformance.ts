/** The conformance table on whatever engine runs this: both builds of the kernels where there are two. Prints one JSON object. */
import { chooseKernels, openWasmBackend } from "../../src/backend/wasm/open.ts";
import { compareAll, type MakeBackend } from "../conformance/run-cases.ts";

const makes: Record<string, MakeBackend> = {};
for (const build of ["simd", "relaxed"] as const) {
  const kernels = await chooseKernels({ build });
  makes[build] = async (watch) => openWasmBackend(kernels, {}, { watch });
}
console.log(JSON.stringify(await compareAll(makes)));
