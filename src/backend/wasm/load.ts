/** Where the kernels' builds come from: files beside this package's code, or a module that the host compiled. */
import { detectHost } from "../../core/host.ts";
import { kernelFile } from "../kernel-files.ts";

/**
 * The same kernels: for every engine with 128-bit SIMD, with the dot products of relaxed SIMD, and those with tiles for registers of 256
 * bits. An engine that has no such registers computes the last ones, too, but slower.
 */
export type Build = "simd" | "relaxed" | "wide";

/** @throws Error if the file cannot be read, the engine lacks the instructions, or the host forbids compiling */
export async function loadModule(build: Build): Promise<WebAssembly.Module> {
  const bytes = (await detectHost().readFileUrl(kernelFile(build))) as Uint8Array<ArrayBuffer>;
  return (build === "wide" && (await wideVectors())?.compileWide(bytes)) || WebAssembly.compile(bytes);
}

/** Whether the engine has registers of 256 bits for WebAssembly, and is known to compute rightly with them. */
export async function hasWideVectors(): Promise<boolean> {
  return (await wideVectors()) !== undefined;
}

async function wideVectors(): Promise<typeof import("./wide-vectors-node.ts") | undefined> {
  if (detectHost().name !== "node") return undefined;
  const node = await import("./wide-vectors-node.ts");
  return node.canCompileWide() ? node : undefined;
}
