/**
 * Compiles assembly/index.ts into dist/wasm/qwen3-simd.wasm, -relaxed.wasm and -wide.wasm, the targets of asconfig.json.
 *
 *   node assembly/build.js             compile, unless dist/wasm was made from these very sources
 *   node assembly/build.js FOLDER      and copy the modules into FOLDER
 *   node assembly/build.js --wat       and write them as text into build/wat, for reading
 *
 * Checked before a module is written: its only import is `env.memory`, and the plain build has no relaxed instruction.
 */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "dist", "wasm");
const record = join(root, "build", "wasm.sha256");
const { version } = JSON.parse(readFileSync(fileURLToPath(import.meta.resolve("assemblyscript/package.json")), "utf8"));
const targets = ["simd", "relaxed", "wide"];
const fileOf = (target) => join(modules, `qwen3-${target}.wasm`);

/** One line that changes whenever a source, an option, the compiler or a module does. */
function fingerprint() {
  const sources = readdirSync(join(root, "assembly"), { recursive: true })
    .filter((name) => /\.(ts|js)$/.test(name))
    .sort()
    .map((name) => join(root, "assembly", name));
  const hash = createHash("sha256").update(`assemblyscript ${version}\n`);
  for (const file of [...sources, join(root, "asconfig.json"), ...targets.map(fileOf)]) {
    const bytes = readFileSync(file);
    hash.update(`${relative(root, file)} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

const isCurrent = () =>
  existsSync(record) && targets.every((target) => existsSync(fileOf(target))) && readFileSync(record, "utf8") === fingerprint();

/** @returns the module's bytes and its text form */
async function compile(target) {
  const { default: asc } = await import("assemblyscript/asc"); // half a second to load, so not when nothing is to do
  const outputs = new Map();
  const { error, stderr } = await asc.main(
    ["--config", "asconfig.json", "--target", target, "--baseDir", root, "--outFile", "out.wasm", "--textFile", "out.wat"],
    { writeFile: (name, contents) => void outputs.set(basename(name), contents) },
  );
  if (error) throw new Error(`assembly, target ${target}: ${error.message}\n${stderr}`);
  process.stderr.write(stderr.toString()); // warnings
  return { bytes: outputs.get("out.wasm"), text: outputs.get("out.wat").toString() };
}

/** Reads the binary itself, since the engine that builds need not be able to compile the relaxed module. */
function check(target, { bytes, text }) {
  const imports = importSection(bytes).toString("latin1");
  const onlyMemory = "\x01\x03env\x06memory\x02"; // one entry: "env", "memory", kind 2
  if (!imports.startsWith(onlyMemory))
    throw new Error(`qwen3-${target}.wasm imports more than env.memory: ${JSON.stringify(imports)}`);
  const relaxed = text.match(/\b[fi]\d+x\d+\.relaxed_\w+/g) ?? [];
  if (target === "simd" && relaxed.length > 0) throw new Error(`qwen3-simd.wasm uses ${relaxed[0]}, which simd128 alone has not`);
  return `${(bytes.length / 1024).toFixed(1)} KiB, ${relaxed.length} relaxed instructions`;
}

/** The contents of section 2: a count, then (module name, name, kind, type) each. */
function importSection(bytes) {
  let at = 8; // past the magic number and the version
  const varuint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const id = bytes[at++];
    const length = varuint();
    if (id === 2) return Buffer.from(bytes.subarray(at, at + length));
    at += length;
  }
  return Buffer.alloc(0);
}

/** Never half a file, even if two builds run at once. */
function write(file, contents) {
  mkdirSync(resolve(file, ".."), { recursive: true });
  const partial = `${file}.${process.pid}`;
  writeFileSync(partial, contents);
  renameSync(partial, file);
}

const wantsText = process.argv.includes("--wat");
const copyTo = process.argv.slice(2).find((argument) => argument !== "--wat");
if (copyTo?.startsWith("-")) throw new Error(`unknown option ${copyTo}; known is --wat, and a folder to copy the modules to`);

if (wantsText || !isCurrent()) {
  for (const target of targets) {
    const module = await compile(target);
    console.error(`qwen3-${target}.wasm: ${check(target, module)}`);
    write(fileOf(target), module.bytes);
    if (wantsText) write(join(root, "build", "wat", `qwen3-${target}.wat`), module.text);
  }
  write(record, fingerprint());
}
if (copyTo) {
  mkdirSync(copyTo, { recursive: true });
  for (const target of targets) copyFileSync(fileOf(target), join(copyTo, `qwen3-${target}.wasm`));
}
