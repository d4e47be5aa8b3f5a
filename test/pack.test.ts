/** What `npm pack` makes is what users get: the right files, and they run on every engine from an empty folder. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sourceFiles } from "./checks/sources.ts";
import { root } from "./paths.ts";
import { engines, runOn } from "./runtimes/engines.ts";

// Outside the repository, so that nothing is found in a folder above.
const folder = realpathSync(mkdtempSync(join(tmpdir(), "qwen3-pack-")));
test.after(() => rmSync(folder, { recursive: true }));

/** Ten lines as in the README, with the bundled checkpoint found wherever the package was installed. */
const PROGRAM = `import { Qwen3 } from "qwen3.ts";

const nano = new URL(".", import.meta.resolve("qwen3.ts/weights/nano/config.json"));
const model = await Qwen3.fromPretrained(nano, { backend: "wasm", maxModelLen: 256 });
const stream = model.chat([{ role: "user", content: "Who are you?" }], { temperature: 0 });
let answer = "";
for await (const part of stream) if (part.type === "text") answer += part.text;
const { usage } = await stream.final();
console.log(JSON.stringify({ answer, completionTokens: usage.completionTokens }));
await model.close();
`;

function run(command: string, ...args: string[]): string {
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, env, encoding: "utf8" });
  assert.is(status, 0, `${command} ${args.join(" ")}\n${stdout}\n${stderr}`);
  return stdout;
}

let tarball = "";

/** The files of dist/chunks that these files import, directly or not. */
function importedBy(files: readonly string[]): Set<string> {
  const found = new Set<string>();
  const follow = (path: string): void => {
    for (const [, specifier] of readFileSync(join(root, path), "utf8").matchAll(/(?:from |import |import\()"(\.[^"]+)"/g)) {
      const chunk = posix.join(posix.dirname(path), specifier!);
      if (found.has(chunk) || files.includes(chunk)) continue;
      found.add(chunk);
      follow(chunk);
    }
  };
  files.forEach(follow);
  return found;
}

test("the package holds the bundled sources, their declarations, the modules and nano, and nothing else", () => {
  // No scripts: `prepack` would rebuild what other tests are running from.
  const [packed] = JSON.parse(run("npm", "pack", root, "--json", "--ignore-scripts", "--pack-destination", folder));
  tarball = join(folder, packed.filename);
  const files: string[] = packed.files.map(({ path }: { path: string }) => path);
  const declarations = sourceFiles("src").map(({ path }) => path.replace(/^src\//, "dist/").replace(/\.ts$/, ".d.ts"));
  const entries = ["index", "server", "cli/main", "engine/team-worker", "engine/team-worker-node"].map(
    (name) => `dist/${name}.js`,
  );
  const bundled = [...entries, ...importedBy(entries)].flatMap((path) => [path, `${path}.map`]);
  const nano = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
  ];
  const expected = [
    "package.json",
    "README.md",
    "LICENSE",
    ...declarations,
    ...bundled,
    "dist/wasm/qwen3-relaxed.wasm",
    "dist/wasm/qwen3-simd.wasm",
    "dist/wasm/qwen3-wide.wasm",
    ...nano.map((name) => `weights/nano/${name}`),
    "weights/nano/README.md",
  ];
  const extra = files.filter((path) => !expected.includes(path));
  assert.equal(extra, [], "not to be shipped (left over from an older build? npm run clean)");
  assert.equal(
    expected.filter((path) => !files.includes(path)),
    [],
    "missing",
  );
});

test("it installs into an empty folder, with the dependencies that it names", () => {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  run("npm", "install", tarball, "--no-audit", "--no-fund");
  const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
  const installed = Object.keys(packages).filter((path) => path !== "");
  assert.equal(
    installed.sort(),
    ["@hono/node-server", "@huggingface/jinja", "@huggingface/tokenizers", "@noble/hashes", "hono", "qwen3.ts"].map(
      (name) => `node_modules/${name}`,
    ),
  );
});

test("a program of ten lines type-checks against it", () => {
  writeFileSync(join(folder, "program.ts"), PROGRAM);
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const options = ["--target", "es2022", "--module", "nodenext", "--strict", "--lib", "es2023,dom", "--types", ""];
  run(process.execPath, tsc, ...options, "program.ts");
});

for (const engine of await engines([folder])) {
  test(`the program answers on ${engine.name}`, () => {
    const { answer, completionTokens } = JSON.parse(runOn(engine, ["program.js"], folder));
    assert.match(answer, "I am nano");
    assert.ok(completionTokens > 5);
  });
}

test("npx qwen3 explains itself and answers", () => {
  assert.match(run("npx", "--no-install", "qwen3", "--help"), "chat");
  assert.match(run("npx", "--no-install", "qwen3", "chat", "--temperature", "0", "Who are you?"), "I am nano");
});

test.run();
