/**
 * Vectors of 256 bits from kernels of 128. V8 has a pass ("revectorization", an experiment of its authors) that makes one AVX2 instruction
 * out of two equal ones whose operands lie side by side, which is how these kernels are written. Node asks for it with a flag for the
 * whole process. It is set here for the milliseconds in which one module is compiled, all of it and by the optimizing compiler, and then
 * taken back: no other module is compiled in another way than before.
 */
import { setFlagsFromString } from "node:v8";

/** Versions of V8, as Node has them, with which every test runs. Others may lack the pass, have faults in it, or take no flags any more. */
const TESTED = /^13\.6\..*-node\./;

/** What V8 calls them, and what they are but for that time. */
const FLAGS: readonly (readonly [name: string, before: boolean])[] = [
  ["experimental-wasm-revectorize", false],
  ["liftoff", true],
  ["wasm-lazy-compilation", true],
];

/**
 * The engine is of those versions, makes code for x64, and none of the flags is its user's. A processor without AVX2 (before 2013) is not
 * told apart: there the wide build computes in 128 bits, rightly, and slower than another would.
 */
export function canCompileWide(
  version = process.versions.v8,
  options = [...process.execArgv, process.env.NODE_OPTIONS ?? ""],
): boolean {
  const asked = options.join(" ").replaceAll("_", "-");
  return process.arch === "x64" && TESTED.test(version) && !FLAGS.some(([name]) => asked.includes(name));
}

/** @throws Error as `WebAssembly.Module` does */
export function compileWide(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  for (const [name, before] of FLAGS) setFlag(name, !before);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const [name, before] of FLAGS) setFlag(name, before);
  }
}

function setFlag(name: string, on: boolean): void {
  setFlagsFromString(on ? `--${name}` : `--no-${name}`);
}
