/** The hub on every engine, each with no more permissions than it needs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../paths.ts";
import { engines, runOn } from "./engines.ts";

const folder = mkdtempSync(join(tmpdir(), "qwen3-engines-"));
// In a process of its own: this one stands still while an engine runs.
const server = spawn(process.execPath, [join(root, "build", "test", "hub", "serve.js")], { stdio: ["ignore", "pipe", "ignore"] });
const [first] = (await once(server.stdout!, "data")) as [Buffer];
const endpoint = String(first).trim().split("=")[1]!;
test.after(() => {
  server.kill();
  rmSync(folder, { recursive: true });
});

let logits: unknown;
for (const engine of await engines([root, folder])) {
  test(`${engine.name} downloads, stops, goes on, runs and removes`, () => {
    const permissions = engine.engine === "deno" ? [`--allow-write=${folder}`, "--allow-net=127.0.0.1"] : [];
    const program = [
      ...permissions,
      join(root, "build", "test", "runtimes", "hub-program.js"),
      endpoint,
      join(folder, engine.name),
    ];
    const result = JSON.parse(runOn(engine, program, root));
    assert.is(result.stopped, "enough");
    assert.ok(
      result.downloadedBytes > 1e6 && result.downloadedBytes < 8e6,
      `${result.downloadedBytes} bytes came the second time`,
    );
    assert.equal([result.files, result.models, result.freed > 9e6], [6, ["local/nano"], true]);
    logits ??= result.logits[0];
    assert.equal(result.logits, [logits, logits]);
  });
}

test.run();
