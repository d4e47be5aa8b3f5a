/**
 * What this machine allows: memory read by one thread and by all, natively and by a wasm loop, and the peaks of int8 dots.
 *
 *     npm run bench -- ceiling --threads 2 --node 24
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { defaultFolder } from "./checkpoints.ts";
import { measureNativeCeiling, measureWasmCeiling, nodeBinary } from "./processes.ts";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: String(availableParallelism()) },
    node: { type: "string", default: "24" },
    folder: { type: "string", default: defaultFolder },
  },
});
for (const threads of new Set([1, Number(values.threads)])) {
  console.log("native", JSON.stringify(await measureNativeCeiling(values.folder, threads)));
  console.log("wasm  ", JSON.stringify(await measureWasmCeiling(nodeBinary(values.node), threads)));
}
