/** `qwen3 pull`, `list` and `rm` against a local hub, and models by their ids. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runProgram } from "../../src/cli/program.ts";
import { ProgressLine } from "../../src/cli/progress.ts";
import { Speed } from "../../src/cli/speed.ts";
import { HubServer, TOKEN } from "../hub/hub-server.ts";
import { COMMIT, ggufRepository, NANO_COMMIT, nanoRepository, shardedRepository } from "../hub/repository.ts";
import { FakeTerminal } from "./fake-terminal.ts";
import { type Ended, ended, qwen3, start } from "./qwen3.ts";

const test = suite("hub commands");
const VARIABLES = ["HF_ENDPOINT", "HF_HOME", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"];
const before = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));
const printed: string[] = [];
let hub: HubServer;
let home: string;

test.before(async () => {
  hub = await HubServer.start();
});
test.after(() => {
  hub.stop();
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});
test.before.each(() => {
  hub.reset();
  hub.repos.clear();
  hub.repos.set("local/nano", nanoRepository());
  hub.repos.set("local/private", { ...nanoRepository(), needsToken: true });
  hub.repos.set("local/gguf", ggufRepository());
  hub.repos.set("local/sharded", shardedRepository());
  home = mkdtempSync(join(tmpdir(), "qwen3-home-"));
  for (const name of VARIABLES) delete process.env[name];
  Object.assign(process.env, { HF_ENDPOINT: hub.endpoint, HF_HOME: home });
});
test.after.each(() => rmSync(home, { recursive: true }));

async function run(...args: string[]): Promise<Ended> {
  const result = await qwen3(args);
  printed.push(result.stdout, result.stderr);
  return result;
}
const snapshot = (repo: string, commit: string) => join(home, "hub", `models--${repo.replace("/", "--")}`, "snapshots", commit);

test("pull, list, chat, rm", async () => {
  assert.equal(await run("list"), { code: 0, stdout: "", stderr: "No models yet; qwen3 pull OWNER/NAME fetches one.\n" });
  const pulled = await run("pull", "local/nano");
  assert.equal([pulled.code, pulled.stdout], [0, `${snapshot("local/nano", NANO_COMMIT)}\n`]);
  assert.match(pulled.stderr, /^\[6 files, 9.48 MiB; 9.48 MiB downloaded in \d+\.\d s\]\n$/);
  assert.is((await run("pull", "local/nano")).stderr, "[6 files, 9.48 MiB; all there before]\n");
  assert.is((await run("pull", "local/gguf:Q8_0", "--quiet")).stderr, "");
  assert.is(
    (await run("list")).stdout,
    "MODEL       SIZE      REVISION  WEIGHTS\nlocal/gguf  3.03 KiB  main      Model-Q8_0.gguf\nlocal/nano  9.48 MiB  main      safetensors\n",
  );
  process.env.HF_HUB_OFFLINE = "1";
  hub.reset();
  const chat = await run("chat", "--model", "local/nano", "--temperature", "0", "Who are you?");
  assert.match(chat.stdout, /^I am nano/);
  assert.equal(hub.seen, []);
  const models = JSON.parse((await run("list", "--json")).stdout);
  assert.equal(
    models.map(({ repo }: { repo: string }) => repo),
    ["local/gguf", "local/nano"],
  );
  assert.is((await run("rm", "local/gguf:Q8_0")).stderr, "local/gguf:Q8_0 is removed; 3.03 KiB are free now.\n");
  assert.match((await run("rm", "local/gguf")).stderr, /^HUB_NOT_FOUND: local\/gguf is not in /);
  assert.ok(JSON.parse((await run("rm", "local/nano", "--json")).stdout).freedBytes > 9_000_000);
  assert.not.ok(existsSync(join(home, "hub", "models--local--nano")));
});

test("pull --json, --revision, --include", async () => {
  const { repo, commit, path, bytes, downloadedBytes, files } = JSON.parse(
    (await run("pull", "local/sharded", "--json", "--include", "*.pt", "--include", "empty.txt")).stdout,
  );
  assert.equal(
    [repo, commit, path, bytes, downloadedBytes],
    ["local/sharded", COMMIT, snapshot("local/sharded", COMMIT), 3000, 3000],
  );
  assert.equal(
    files.map(({ path }: { path: string }) => path),
    ["optimizer.pt", "empty.txt"],
  );
  const older = JSON.parse((await run("pull", "local/sharded", "--json", "--revision", "v1")).stdout);
  assert.equal(
    older.files.map(({ path }: { path: string }) => path),
    ["config.json", "tokenizer.json", "model.safetensors"],
  );
  assert.match((await run("list")).stdout, /local\/sharded +\S+ \S+ +v1 +safetensors/);
  assert.match((await run("list")).stdout, /local\/sharded +\S+ \S+ +main +none/);
});

test("a model by its id: downloaded when it is first used, or not kept", async () => {
  const args = ["run", "--temperature", "0", "--max-new-tokens", "3", "The capital of"];
  const kept = await run(...args, "--model", "local/nano");
  assert.is(kept.code, 0);
  assert.ok(existsSync(snapshot("local/nano", NANO_COMMIT)));
  await run("rm", "local/nano");
  assert.is((await run(...args, "--model", "local/nano", "--no-download")).stdout, kept.stdout);
  assert.not.ok(existsSync(snapshot("local/nano", NANO_COMMIT)));
  assert.match((await run("info", "--model", `${hub.endpoint}/local/nano`, "--no-download")).stdout, /num_hidden_layers +5/);
  assert.match((await run("inspect", "local/nano")).stdout, "model.embed_tokens.weight");
  assert.not.ok(existsSync(snapshot("local/nano", NANO_COMMIT)));
  assert.match((await run("info", "--model", "local/nano", "--revision", "none")).stderr, /^HUB_NOT_FOUND: .*no such revision/);
});

test("a terminal sees how far it is, how fast, and for how long still", async () => {
  let now = 0;
  const terminal = new FakeTerminal();
  const written: string[] = [];
  const output = Object.assign(Object.create(terminal.streams.stderr), {
    columns: 120,
    write: (text: string) => written.push(text),
  });
  const line = new ProgressLine(output, "local/nano", () => now);
  for (const [ms, bytes, waiting] of [
    [3000, 0],
    [4000, 2_000_000],
    [5000, 4_000_000],
    [6000, 399_000_000],
    [6100, 399_000_000, true],
  ] as const) {
    now = ms;
    line.download({
      file: "model.safetensors",
      waiting: waiting ?? false,
      loadedBytes: bytes,
      totalBytes: 400_000_000,
      downloadedBytes: bytes,
    });
  }
  const shown = written.map((text) => text.replace("\r", "").replace("\x1b[K", ""));
  assert.equal(shown, [
    "  0%  0.0 of 400.0 MB  model.safetensors  local/nano",
    "  0%  2.0 of 400.0 MB  2.0 MB/s  4 min left  model.safetensors  local/nano",
    "  1%  4.0 of 400.0 MB  2.0 MB/s  4 min left  model.safetensors  local/nano",
    " 99%  399.0 of 400.0 MB  133.0 MB/s  1 s left  model.safetensors  local/nano",
    " 99%  399.0 of 400.0 MB  waiting for the process that downloads model.safetensors  local/nano",
  ]);
});

test("speed is that of the last seconds", () => {
  let now = 0;
  const speed = new Speed(() => now);
  assert.is(speed.after(0), undefined);
  for (let i = 1; i <= 10; i++) {
    now = i * 1000;
    speed.after(i * 10);
  }
  assert.is(speed.after(100), 10);
  now = 30_000;
  assert.is(speed.after(100), undefined);
});

test("an interrupt keeps what came, and says so", async () => {
  const stop = new AbortController();
  const terminal = new FakeTerminal();
  hub.fault = ({ origin, range }) => {
    if (origin !== "storage" || range?.startsWith("bytes=0-")) return undefined;
    setTimeout(() => stop.abort(), 50);
    return { type: "silent", afterBytes: 10 };
  };
  const code = await runProgram(["pull", "local/nano"], { ...terminal.streams, signal: stop.signal });
  assert.is(code, 130);
  assert.match(terminal.screen, "Stopped. What came so far is kept; the same command goes on from there.\n");
});

test("wrong command lines", async () => {
  for (const [args, says] of [
    [["pull"], "which model?"],
    [["pull", "a/b", "c/d"], '"c/d" is too much: one model at a time'],
    [["rm"], "which model?"],
    [["list", "x"], "list takes no name"],
    [["pull", "a/b", "--include", ""], "at least one character"],
  ] as const) {
    const { code, stderr } = await run(...args);
    assert.equal([code, stderr.includes(says)], [2, true], stderr);
  }
  assert.match((await run("pull", "./here")).stderr, /^ARGUMENT: ".\/here" is no model of the hub/);
});

test("the token is in nothing that is printed, whatever goes wrong", async () => {
  process.env.HF_TOKEN = TOKEN;
  process.env.DEBUG = "1";
  try {
    await run("pull", "local/private");
    await run("list");
    await run("chat", "--model", "local/private", "--temperature", "0", "Hello");
    await run("rm", "local/private");
    await run("pull", "local/none");
    for (const status of [400, 401, 403, 404, 500]) {
      hub.apiFault = () => ({
        type: "status",
        status,
        headers: { "retry-after": "0", location: `/?token=${TOKEN}`, "x-error-message": TOKEN },
      });
      await run("pull", "local/private");
      await run("chat", "--model", "local/private", "x");
    }
    hub.reset();
    hub.fault = ({ origin }) => (origin === "storage" ? { type: "status", status: 404 } : undefined);
    await run("pull", "local/private");
    process.env.HF_ENDPOINT = "http://127.0.0.1:9";
    const child = start(["pull", "local/private"], { DEBUG: "1" });
    child.stdin!.end();
    const { code, stdout, stderr } = await ended(child);
    assert.is(code, 1);
    printed.push(stdout, stderr);
  } finally {
    delete process.env.DEBUG;
  }
  const all = printed.join("\n");
  assert.ok(all.length > 5000, `${all.length} characters were looked at`);
  assert.not.ok(all.includes(TOKEN) || all.includes(TOKEN.slice(3)) || all.includes("signature=secret"));
});

test.run();
