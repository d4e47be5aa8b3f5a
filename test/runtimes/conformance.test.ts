/** Every kernel in all builds on the engines that have relaxed SIMD, against the reference backend there. */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ConformanceResult } from "../conformance/run-cases.ts";
import { root } from "../paths.ts";
import { engines, runOn } from "./engines.ts";

const program = join(root, "build", "test", "runtimes", "conformance.js");

for (const engine of (await engines([root])).filter(({ name }) => name !== "this node"))
  test(`${engine.name}: the conformance table, simd, relaxed and wide`, () => {
    const results: Record<string, ConformanceResult> = JSON.parse(runOn(engine, [program], root));
    assert.equal(Object.keys(results), ["simd", "relaxed", "wide"]);
    for (const { cases, failures } of Object.values(results)) {
      assert.equal(failures, []);
      assert.ok(cases >= 2000, `${cases} cases`);
    }
  });

test.run();
