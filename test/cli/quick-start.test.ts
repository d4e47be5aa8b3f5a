/** Imports of the program's own files resolve as Node would resolve them; all others are left to Node. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { startQuickly } from "../../src/cli/quick-start.ts";

type Resolve = (
  specifier: string,
  context: { parentURL?: string },
  next: (specifier: string) => { url: string },
) => { url: string; format?: string; shortCircuit?: boolean };

const own = new URL("../../src/cli/main.js", import.meta.url).href;

test("relative imports of our own files are taken as they stand, others are for the next resolver", () => {
  const resolvers: Resolve[] = [];
  let cached = 0;
  startQuickly({ enableCompileCache: () => cached++, registerHooks: (hooks) => resolvers.push(hooks.resolve as Resolve) });
  const [resolve] = resolvers;
  assert.is(cached, 1);
  const next = (specifier: string) => ({ url: `next:${specifier}` });
  const program = resolve!("./program.js", { parentURL: own }, next);
  assert.equal(program, { url: new URL("./program.js", own).href, format: "module", shortCircuit: true });
  assert.ok(existsSync(fileURLToPath(program.url)));
  assert.is(resolve!("../index.js", { parentURL: own }, next).url, new URL("../../src/index.js", import.meta.url).href);
  for (const [specifier, parentURL] of [
    ["node:fs", own],
    ["@huggingface/jinja", own],
    ["./x.js", "file:///elsewhere/y.js"],
    ["./x.js", undefined],
  ] as const)
    assert.equal(resolve!(specifier, parentURL === undefined ? {} : { parentURL }, next), { url: `next:${specifier}` });
});

test("versions without either start as they are", () => {
  startQuickly({});
});

test.run();
