/**
 * Synthetic checkpoints of the real shapes, written once into a folder outside the repository and found there again.
 *
 *     npm run bench -- checkpoints --preset 4b
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GgufFormat, writeGguf } from "./gguf-files.ts";
import { writeCheckpoint } from "./safetensors-files.ts";
import { type Preset, SHAPES } from "./shapes.ts";

export const defaultFolder = join(tmpdir(), "qwen3.ts-bench");

/** @returns the folder of the bf16 checkpoint */
export function checkpointFolder(folder: string, preset: Preset): string {
  return once(join(folder, `${preset}-bf16`), (path) => writeCheckpoint(path, SHAPES[preset]));
}

/** @returns the GGUF files, in order */
export function ggufFiles(folder: string, preset: Preset, format: GgufFormat): string[] {
  const name = `${preset}-${format === "bf16" ? "bf16-gguf" : format}`; // the other one is the checkpoint's
  const path = once(join(folder, name), (path) => void writeGguf(path, SHAPES[preset], format));
  return readdirSync(path)
    .sort()
    .map((name) => join(path, name));
}

/** A folder has its name only when it is whole. */
function once(path: string, write: (path: string) => void): string {
  if (existsSync(path)) return path;
  const partial = `${path}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  const begun = performance.now();
  try {
    write(partial);
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
  console.error(`wrote ${path} in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  return path;
}
