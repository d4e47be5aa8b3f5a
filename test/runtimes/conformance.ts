/** The conformance table on whatever engine runs this: all builds of the kernels. Prints one JSON object. */
import { chooseKernels, openWasmBackend } from "../../src/backend/wasm/open.ts";
import { compareAll, type MakeBackend } from "../conformance/run-cases.ts";

const makes: Record<string, MakeBackend> = {};
for (const build of ["simd", "relaxed", "wide"] as const) {
  const kernels = await chooseKernels({ build });
  makes[build] = async (watch) => openWasmBackend(kernels, {}, { watch });
}
console.log(JSON.stringify(await compareAll(makes)));
