/** Where the compiled kernels lie: told here, one folder deep, so that it holds in the chunks of dist/ as well (src/build.js). */

/** Of wasm/qwen3-simd.wasm, -relaxed.wasm or -wide.wasm. */
export function kernelFile(build: string): URL {
  return new URL(`../wasm/qwen3-${build}.wasm`, import.meta.url);
}
