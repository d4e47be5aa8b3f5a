/** What a script makes is what that script makes of today's sources. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../paths.ts";

interface Generated {
  readonly files: readonly string[];
  /** What the files are made from; nothing else may influence them. */
  readonly sources: readonly string[];
  /** The script, run in a copy of `sources`. */
  readonly script: string;
}

const GENERATED: readonly Generated[] = [
  {
    files: ["simd", "relaxed", "wide"].map((build) => `dist/wasm/qwen3-${build}.wasm`),
    sources: ["assembly", "asconfig.json", "package.json"],
    script: "assembly/build.js",
  },
];

// Inside build/, so that the script finds node_modules as it does at its own place.
const folder = join(root, "build", "test-generated");

for (const { files, sources, script } of GENERATED) {
  test(`${files.join(", ")} are what ${script} makes`, () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const source of sources) cpSync(join(root, source), join(folder, source), { recursive: true });
    const { status, stderr } = spawnSync(process.execPath, [join(folder, script)], { cwd: folder, encoding: "utf8" });
    assert.is(status, 0, stderr);
    for (const file of files) {
      const [now, again] = [readFileSync(join(root, file)), readFileSync(join(folder, file))];
      assert.ok(now.length > 0 && now.equals(again), `${file} is out of date: node ${script}`);
    }
  });
}

test("the tests run the modules that are shipped", () => {
  for (const name of ["qwen3-simd.wasm", "qwen3-relaxed.wasm", "qwen3-wide.wasm"]) {
    const [shipped, tested] = ["dist", "build/src"].map((place) => readFileSync(join(root, place, "wasm", name)));
    assert.ok(shipped!.equals(tested!), `build/src/wasm/${name} differs from dist: npm run build:test`);
  }
});

test.run();
