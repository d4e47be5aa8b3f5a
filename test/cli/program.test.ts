/** Whole commands on a terminal. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { describe, runProgram } from "../../src/cli/program.ts";
import { FakeTerminal, KEYS } from "./fake-terminal.ts";

const ANSWER = "I am nano, a tiny teaching model with the Qwen3 architecture and about 5 million parameters.\n";

test("chat without a prompt is a conversation", async () => {
  const terminal = new FakeTerminal(200);
  const code = runProgram(["chat", "--temperature", "0", "--system", "Be kind."], terminal.streams);
  await terminal.shows("nano, a tiny teaching model that is often wrong\n");
  await terminal.shows("> ");
  terminal.type(`/system${KEYS.enter}`);
  await terminal.shows("System message: Be kind.\n");
  await terminal.shows("> ");
  terminal.type(`/system -${KEYS.enter}`);
  await terminal.shows("> ");
  terminal.type(`Who are you?${KEYS.enter}`);
  await terminal.shows(ANSWER);
  await terminal.shows("22 output tokens");
  await terminal.shows("> ");
  terminal.type(KEYS.ctrlD);
  assert.is(await code, 0);
});

test("chat with a prompt answers and ends", async () => {
  const terminal = new FakeTerminal();
  assert.is(await runProgram(["chat", "--temperature", "0", "Who are you?"], terminal.streams), 0);
  assert.match(terminal.screen, `${ANSWER}[15 prompt tokens`); // on a busy machine behind a line of progress
});

test("run ends the terminal's line", async () => {
  const terminal = new FakeTerminal();
  const args = ["run", "--temperature", "0", "--max-new-tokens", "3", "The capital of"];
  assert.is(await runProgram(args, terminal.streams), 0);
  assert.match(terminal.screen, /^.+\n\[\d+ prompt tokens/);
});

test("what needs a text says so, and so does what cannot be both", async () => {
  for (const args of [["run"], ["explain"], ["chat", "--json"]]) {
    const terminal = new FakeTerminal();
    assert.is(await runProgram(args, terminal.streams), 2, args.join(" "));
    assert.match(terminal.screen, /^qwen3 \w+: .* \(qwen3 \w+ --help explains\)\n$/);
  }
});

test('"-" reads from a terminal too', async () => {
  const terminal = new FakeTerminal();
  const code = runProgram(["chat", "--temperature", "0", "--quiet", "-"], terminal.streams);
  terminal.type("Who are ");
  terminal.type("you?\n");
  terminal.input.end();
  assert.is(await code, 0);
  assert.is(terminal.screen, ANSWER);
});

test("an interrupt while the model is loaded or a text is awaited is exit code 130, without a word", async () => {
  for (const args of [["chat", "hi"], ["run", "-"], ["info"]]) {
    const terminal = new FakeTerminal();
    const code = runProgram(args, terminal.streams);
    terminal.interrupt();
    assert.is(await code, 130, args.join(" "));
    assert.is(terminal.screen, "");
  }
});

test("help is as wide as the terminal", async () => {
  const widest = async (columns: number) => {
    const terminal = new FakeTerminal(columns);
    assert.is(await runProgram(["chat", "--help"], terminal.streams), 0);
    return Math.max(...terminal.screen.split("\n").map((line) => line.length));
  };
  assert.ok((await widest(80)) <= 80);
  assert.ok((await widest(140)) > 100);
});

test("an error's line has its code, or its name, or at least itself", () => {
  assert.is(describe(Object.assign(new Error("no such file"), { code: "ENOENT" })), "ENOENT: no such file");
  assert.is(describe(Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" })), "ENOENT: no such file");
  assert.is(describe(new RangeError("too large")), "RangeError: too large");
  assert.is(describe("odd"), "ERROR: odd");
});

test.run();
