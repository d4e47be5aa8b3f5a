/** `qwen3 serve`: a port, signals, and what is refused. */
import type { ChildProcess } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ended, qwen3, start } from "./qwen3.ts";

/** A server on a free port, once it is ready. */
async function serving(
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<{ child: ChildProcess; url: string; result: ReturnType<typeof ended> }> {
  const child = start(["serve", "--port", "0", ...args], env);
  const result = ended(child);
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr!.on("data", (text: string) => {
      said += text;
      if (/^Ready/m.test(said)) resolve();
    });
    child.on("close", () => reject(new Error(said)));
  });
  const [, url] = /Listening on (\S+)/.exec(said) ?? [];
  assert.ok(url, said);
  return { child, url, result };
}

const chat = (url: string, body: object, headers = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ messages: [{ role: "user", content: "Who are you?" }], ...body }),
  });
const ENDLESS = { temperature: 100, top_p: 1, top_k: 0, seed: 1, ignore_eos: true };

test("it answers, and ends with 0 when it is asked to: what runs may finish", async () => {
  const { child, url, result } = await serving(["--served-model-name", "mine", "--max-num-seqs", "4", "--kv-cache-dtype", "f32"]);
  assert.equal((await (await fetch(`${url}/v1/models`)).json()).data[0].id, "mine");
  const version = await (await fetch(`${url}/version`)).json();
  assert.match(version.version, /^\d+\.\d+\.\d+/);
  const running = await chat(url, { ...ENDLESS, max_tokens: 150, stream: true, stream_options: { include_usage: true } });
  child.kill("SIGTERM");
  assert.match(await running.text(), '"completion_tokens":150');
  const { code, stdout } = await result;
  assert.is(code, 0);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ path }) => path),
    ["/v1/models", "/version", "/v1/chat/completions"],
  );
});

test("answers have so long and no longer, and a key may come from the environment", async () => {
  const { child, url, result } = await serving(["--shutdown-timeout", "0.1", "--disable-log-requests"], { QWEN3_API_KEY: "k" });
  assert.is((await chat(url, {})).status, 401);
  const running = await chat(url, { ...ENDLESS, stream: true }, { authorization: "Bearer k" });
  assert.is(running.status, 200);
  child.kill("SIGINT");
  const text = await running.text().catch(() => "cut off");
  assert.ok(text === "cut off" || text.includes("shutting_down"));
  assert.equal([(await result).code, (await result).stdout], [0, ""]);
});

test("a second signal ends it at once", async () => {
  const { child, url, result } = await serving();
  const running = await chat(url, { ...ENDLESS, stream: true });
  running.text().catch(() => undefined);
  child.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.is(child.exitCode, null, "it waits for the answer");
  child.kill("SIGTERM");
  assert.is((await result).code, 1);
});

test("what it does not start with", async () => {
  for (const [args, message] of [
    [["--host", "0.0.0.0"], /can be reached from outside: give an --api-key, or --insecure/],
    [["--host", "10.0.0.1"], /can be reached from outside/],
    [["--port", "65536"], /whole number from 0 to 65535/],
    [["--tool-call-parser", "llama3"], /hermes or none/],
    [["nano"], /serve takes options only/],
  ] as const) {
    const { code, stderr } = await qwen3(["serve", ...args]);
    assert.is(code, 2, stderr);
    assert.match(stderr, message);
  }
  const missing = await qwen3(["serve", "--port", "0", "--model", "/nowhere"]);
  assert.is(missing.code, 1);
  assert.match(missing.stderr, "SOURCE_READ");
});

test.run();
