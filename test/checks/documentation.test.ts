/** What the documentation shows does what it says: see examples.ts for how a block says how it is checked. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../paths.ts";
import { allExamples, commandsOf, docComments, examplesOf, isExcerptOf, npmScript } from "./examples.ts";
import { sourceFiles } from "./sources.ts";

const TIMEOUT_MS = 300_000;
/** Done already when this test runs (installing, cloning), or the test run itself. */
const NOT_RUN = /^(?:npm (?:ci|cit|install|i|test|t|run (?:test|check|lint|bench)\S*)\b|git |cd |pip )/;

const examples = allExamples();
const programs = examples.filter(({ language, flag }) => language === "ts" && flag !== "excerpt");
const commands = examples.filter(({ language }) => language === "sh");
const folder = join(root, "build", "test-examples");
const fileName = (place: string): string => place.replaceAll(/[^\w]+/g, "-");
// Coverage is of the tests' own processes: these run the package as users have it.
const { NODE_V8_COVERAGE: _, ...env } = process.env;

test("every block says how it is checked", () => {
  for (const { place, language, flag } of examples) {
    const known: Record<string, string[]> = { ts: ["", "check", "excerpt"], sh: ["", "check"] };
    assert.not.ok(["js", "javascript", "typescript", "bash", "shell", "console"].includes(language), `${place}: write ts or sh`);
    if (language in known) assert.ok(known[language]!.includes(flag), `${place}: ${language} ${flag}`);
  }
  const inReadme = examples.filter(({ place }) => place.startsWith("README.md"));
  assert.ok(
    inReadme.some(({ language, flag }) => language === "ts" && flag === "") && inReadme.some(({ language }) => language === "sh"),
  );
  for (const { path, text } of sourceFiles("src")) {
    const count = text.match(/^ *\* @example/gm)?.length ?? 0;
    assert.ok(examplesOf(path, docComments(text)).length >= count, `${path}: an @example has no fenced block`);
  }
});

test("excerpts stand so in the sources", () => {
  const texts = [...sourceFiles("src"), ...sourceFiles("assembly")].map(({ text }) => text);
  for (const { place, flag, code } of examples)
    if (flag === "excerpt") assert.ok(isExcerptOf(code, texts), `${place} is out of date`);
});

test("programs type-check as they would for a user", () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(root, "weights"), join(folder, "weights"));
  for (const { place, code } of programs) writeFileSync(join(folder, `${fileName(place)}.ts`), code);
  const compilerOptions = { target: "es2022", module: "nodenext", strict: true, types: ["node"], skipLibCheck: true };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules", "qwen3.ts"));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", folder, "--pretty", "false"], {
    cwd: root,
    encoding: "utf8",
  });
  assert.is(status, 0, stdout);
});

for (const { place, flag } of programs) {
  if (flag === "check") continue;
  test(`${place} runs`, () => {
    const program = join(folder, `${fileName(place)}.js`);
    const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
      cwd: folder,
      env,
      encoding: "utf8",
      timeout: TIMEOUT_MS,
    });
    assert.is(status, 0, `${stdout}\n${stderr}`);
  });
}

test("commands run, in a fresh copy of the repository", () => {
  const copy = join(root, "build", "test-commands");
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ["package.json", "tsconfig.json", "asconfig.json", "assembly", "src", "weights", "README.md"]) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const example of commands) {
    for (const command of commandsOf(example)) {
      const script = npmScript(command);
      if (script !== undefined) assert.ok(script in scripts, `${example.place}: there is no npm script ${script}`);
      if (example.flag === "check" || NOT_RUN.test(command)) continue;
      const options = { cwd: copy, env, input: "Who are you?\n", encoding: "utf8", timeout: TIMEOUT_MS } as const;
      const { status, stdout, stderr } = spawnSync("bash", ["-c", command], options);
      assert.is(status, 0, `${example.place}: ${command}\n${stdout}\n${stderr}`);
    }
  }
  assert.ok(existsSync(join(copy, "dist", "index.js")), "no command of the documentation built the package");
});

test("blocks and commands are read as they are meant", () => {
  const page = 'a\n```sh\n$ npm ci && npm start -- "b" # c\n\n# d\nnpx e \\\n  f\n```\n  ```ts check\n  g();\n    h();\n  ```\n';
  const [shell, program] = examplesOf("a.md", page);
  assert.equal(commandsOf(shell!), ["npm ci", 'npm start -- "b"', "npx e f"]);
  assert.equal(program, { place: "a.md:10", language: "ts", flag: "check", code: "g();\n  h();\n" });
  assert.is(docComments("x\n/**\n * a\n *\n * ```ts\n * b\n * ```\n */\ny"), "\n\na\n\n```ts\nb\n```\n\n");
  assert.equal(["npm run a:b -- c", "npm start", "npm test", "npx d"].map(npmScript), ["a:b", "start", "test", undefined]);
  assert.ok(isExcerptOf("a\n  b\n...\nd\n", ["a\n\nb\nc\nd"]));
  assert.not.ok(isExcerptOf("a\nc\n", ["a\nb\nc"]));
  assert.not.ok(isExcerptOf("b\n...\na\n", ["a\nb"]));
});

test.run();
