/** Where the compiled kernels lie. */

/** Of wasm/qwen3-simd.wasm, -relaxed.wasm or -wide.wasm, in the folder beside those of the code. */
export function kernelFile(build: string): URL {
  return new URL(`../wasm/qwen3-${build}.wasm`, import.meta.url);
}
