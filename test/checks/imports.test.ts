/** Data flows one way: who may import whom, and where a host's own modules may appear. */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../paths.ts";
import { lineOf, type SourceFile, sourceFiles } from "./sources.ts";

/** A file may import from its own folder and from those on lines above its own. */
const LAYERS: readonly (readonly string[])[] = [
  ["core"],
  ["formats"],
  ["hub"],
  ["text"],
  ["backend"],
  ["model"],
  ["sampler"],
  ["engine"],
  ["grammar"],
  ["chat"],
  ["server", "agent", "cli"],
];
/** What a user's installation brings along; each is justified in ARCHITECTURE.md. */
const RUNTIME_DEPENDENCIES = ["@hono/node-server", "@huggingface/jinja", "@huggingface/tokenizers", "@noble/hashes", "hono"];
/** Those that the server alone needs: programs without one never load them. */
const OF_THE_SERVER = /^(?:hono|@hono\/[\w-]+)$/;
/** What the package exports: it gathers from everywhere, and the command line stands on it. */
const ENTRIES: readonly string[] = ["src/index.ts", "src/server.ts"];

interface Import {
  readonly line: number;
  readonly kind: "static" | "type" | "dynamic";
  readonly specifier: string;
}

/** Static, side-effect, re-export, dynamic and `typeof import()` forms. */
function importsOf(file: SourceFile): Import[] {
  const form = /\b(?:import|export)\s+(type\b)?[\w$\s{},*]*?\bfrom\s*["']|\bimport\s*["']|\bimport\s*\(\s*(["'`]?)/g;
  return [...file.code.matchAll(form)].map((match) => {
    const start = match.index + match[0].length;
    const end = file.text.slice(start).search(/["'`)]/);
    const dynamic = match[0].trimEnd().endsWith("(") || match[2] !== undefined;
    const kind = dynamic ? "dynamic" : match[1] ? "type" : "static";
    return { line: lineOf(file, match.index), kind, specifier: file.text.slice(start, start + end) };
  });
}

const layerOf = (path: string): number => LAYERS.findIndex((folders) => folders.includes(path.split("/")[1] ?? ""));
const isForNode = (path: string): boolean => path.endsWith("-node.ts") || path.startsWith("src/cli/");

/** Every rule that `file` breaks, as a sentence each. */
function violations(file: SourceFile): string[] {
  const found: string[] = [];
  for (const { line, kind, specifier } of importsOf(file)) {
    const report = (reason: string) => found.push(`${file.path}:${line} imports ${JSON.stringify(specifier)}: ${reason}`);
    if (specifier.startsWith("node:")) {
      if (!isForNode(file.path)) report("node: modules belong in files named *-node.ts and in src/cli");
    } else if (!specifier.startsWith(".")) {
      if (!RUNTIME_DEPENDENCIES.some((name) => specifier === name || specifier.startsWith(`${name}/`)))
        report("not a runtime dependency");
      else if (OF_THE_SERVER.test(specifier) && !file.path.startsWith("src/server/")) report("the server's alone");
    } else {
      const target = posix.normalize(posix.join(posix.dirname(file.path), specifier));
      const [own, other] = [layerOf(file.path), layerOf(target)];
      if (!target.startsWith("src/")) report("outside src");
      else if (ENTRIES.includes(target)) {
        if (!file.path.startsWith("src/cli/")) report("only the command line stands on the public API");
      } else if (!ENTRIES.includes(file.path)) {
        const sameFolder = file.path.split("/")[1] === target.split("/")[1];
        if (other > own || (other === own && !sameFolder)) report("imports go up the list of folders only");
      }
      if (target.endsWith("-node.ts") && kind === "static" && !isForNode(file.path)) {
        report("files for Node are imported when they are needed, by import()");
      }
    }
  }
  return found;
}

const sources = sourceFiles("src");

test("every folder of src has its place in the order", () => {
  assert.ok(sources.length >= 10, `${sources.length} files looked at`);
  for (const { path } of sources) assert.ok(ENTRIES.includes(path) || layerOf(path) >= 0, `${path} is in no known folder`);
});

test("imports go up, and a host's modules stay where they belong", () => {
  const count = sources.reduce((sum, file) => sum + importsOf(file).length, 0);
  assert.ok(count >= 2 * sources.length, `only ${count} imports were found in ${sources.length} files`);
  assert.equal(sources.flatMap(violations), []);
});

test("host globals are reached through globalThis, so that the core loads anywhere", () => {
  const pattern = /(?<![.\w$?"'])(?:process|Buffer|__dirname|__filename|Deno|Bun)(?=\s*[.([])/g;
  const found = sources
    .filter(({ path }) => !isForNode(path))
    .flatMap((file) => [...file.code.matchAll(pattern)].map((match) => `${file.path}:${lineOf(file, match.index)}: ${match[0]}`));
  assert.equal(found, []);
});

test("package.json has the runtime dependencies that are justified, and no other", () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  assert.equal(Object.keys(dependencies).sort(), RUNTIME_DEPENDENCIES);
});

test("every rule is seen when it is broken", () => {
  const file = (path: string, text: string): SourceFile => ({
    path,
    text,
    code: text.replaceAll(/(?<=").*?(?=")/g, (s) => " ".repeat(s.length)),
  });
  const broken: readonly (readonly [path: string, text: string, reason: string])[] = [
    ["src/core/a.ts", 'import { a } from "../text/b.ts";', "up the list"],
    ["src/core/a.ts", 'import type { a } from "../text/b.ts";', "up the list"],
    ["src/core/a.ts", 'export * from "../text/b.ts";', "up the list"],
    ["src/core/a.ts", 'import "../text/b.ts";', "up the list"],
    ["src/core/a.ts", 'const a = await import("../text/b.ts");', "up the list"],
    ["src/cli/a.ts", 'import {\n  a,\n  b as c,\n} from "../server/b.ts";', "up the list"],
    ["src/chat/a.ts", 'import { Qwen3 } from "../index.ts";', "public API"],
    ["src/core/a.ts", 'import { join } from "node:path";', "node: modules"],
    ["src/core/a.ts", 'import { join } from "path";', "not a runtime dependency"],
    ["src/core/a.ts", 'import { b } from "./b-node.ts";', "when they are needed"],
    ["src/core/a.ts", 'import { b } from "../../test/paths.ts";', "outside src"],
    ["src/chat/a.ts", 'import { Hono } from "hono";', "the server's alone"],
    ["src/core/a.ts", "await import(name);", "not a runtime dependency"],
  ];
  for (const [path, text, reason] of broken) {
    const found = violations(file(path, text));
    assert.is(found.length, 1, text);
    assert.match(found[0]!, reason);
  }
  const fine: readonly (readonly [path: string, text: string])[] = [
    ["src/text/a.ts", 'import { a } from "../core/b.ts";\nimport { c } from "./c.ts";'],
    ["src/index.ts", 'export { a } from "./chat/a.ts";'],
    ["src/cli/a.ts", 'import { createServer } from "../server.ts";'],
    ["src/server/a.ts", 'import { Hono } from "hono";'],
    ["src/cli/a.ts", 'import { Qwen3 } from "../index.ts";\nimport { join } from "node:path";'],
    ["src/core/a.ts", 'const b = await import("./b-node.ts");\nimport type { B } from "./b-node.ts";'],
    ["src/core/b-node.ts", 'import { join } from "node:path";'],
    ["src/text/a.ts", 'import { Template } from "@huggingface/jinja";'],
    ["src/text/a.ts", 'export const imported = "x"; export function f(a = "b") {}'],
  ];
  for (const [path, text] of fine) assert.equal(violations(file(path, text)), [], text);
});

test.run();
