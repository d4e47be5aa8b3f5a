/** Which llama.cpp computed, for results: to be asked once it has, since its kernels are then in memory. */
import { readFileSync } from "node:fs";

export function nativeEngine(llama) {
  const kernels = /libggml-cpu-\w+/.exec(readFileSync("/proc/self/maps", "utf8"))?.[0];
  const packageFile = new URL("node_modules/node-llama-cpp/package.json", import.meta.url); // which its exports do not show
  const { version } = JSON.parse(readFileSync(packageFile, "utf8"));
  return {
    engine: `node-llama-cpp ${version}`,
    runtime: `node ${process.versions.node}`,
    details: { llamaCpp: llama.llamaCppRelease.release, kernels },
  };
}
