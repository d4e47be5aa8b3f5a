/** What may reach a terminal, and how wide it is there. */
import { Writable } from "node:stream";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { closingLine } from "../../src/cli/closing-line.ts";
import { ProgressLine, withPromptProgress } from "../../src/cli/progress.ts";
import { columnsOf, type Output } from "../../src/cli/streams.ts";
import { escapeControls, safeFor, styleFor } from "../../src/cli/terminal.ts";
import { visibleToken } from "../../src/cli/visible-token.ts";
import { displayWidth, fit, wrap } from "../../src/cli/width.ts";
import { FakeTerminal } from "./fake-terminal.ts";

const pipe: Output = new Writable();
const terminal = () => new FakeTerminal(40);

test("control characters are shown and do not act; newline and tab pass", () => {
  assert.is(escapeControls("a\x1b[2Jb\r\n\tc\x07\x7f\x9b1m\0"), "a\\x1b[2Jb\\x0d\n\tc\\x07\\x7f\\x9b1m\\x00");
  for (let code = 0; code < 0xa0; code++) {
    const acts = code < 0x20 || code >= 0x7f;
    const passes = escapeControls(String.fromCharCode(code)) === String.fromCharCode(code);
    assert.is(passes, !acts || code === 9 || code === 10, `U+${code.toString(16)}`);
  }
  assert.is(escapeControls("naïve 你好 👍🏽"), "naïve 你好 👍🏽");
});

test("a pipe gets the text as it is", () => {
  assert.is(safeFor(pipe, "\x1b[2J"), "\x1b[2J");
  assert.is(safeFor(terminal().output, "\x1b[2J"), "\\x1b[2J");
});

test("emphasis is for terminals whose user wants it", () => {
  const { output } = terminal();
  assert.is(styleFor(output, {}).bold("a"), "\x1b[1ma\x1b[22m");
  assert.is(styleFor(output, {}).dim("a"), "\x1b[2ma\x1b[22m");
  assert.is(styleFor(output, { NO_COLOR: "1" }).bold("a"), "a");
  assert.is(styleFor(output, { NO_COLOR: "" }).bold("a"), "\x1b[1ma\x1b[22m");
  assert.is(styleFor(output, { TERM: "dumb" }).bold("a"), "a");
  assert.is(styleFor(pipe, {}).bold("a"), "a");
});

test("columns are the terminal's", () => {
  assert.is(columnsOf(terminal().output), 40);
  assert.is(columnsOf(pipe), 100);
});

test("wide characters take two columns, combining marks none", () => {
  for (const [text, width] of Object.entries({
    abc: 3,
    你好: 4,
    "e\u0301": 1,
    "👍": 2,
    ｱ: 1,
    Ａ: 2,
    "\u200b": 0,
    한: 2,
    "·⏎→…": 4,
  }))
    assert.is(displayWidth(text), width, text);
});

test("texts are fitted into columns", () => {
  assert.is(fit("abc", 5), "abc  ");
  assert.is(fit("abcdef", 5), "abcd…");
  assert.is(fit("你好吗", 6), "你好吗");
  assert.is(fit("你好吗", 5), "你好…");
  assert.is(fit("你好吗", 4), "你… ");
  assert.equal(wrap("one two three  four", 8), ["one two", "three ", "four"]);
  assert.equal(wrap("longer-than-a-line a", 8), ["longer-than-a-line", "a"]);
  assert.equal(wrap("", 8), []);
});

test("what cannot be seen of a token is made visible", () => {
  assert.is(visibleToken({ id: 0, text: " a\n\tb\x1b" }), "·a⏎→b\\x1b");
  assert.is(visibleToken({ id: 0, text: " \ufffd", bytes: [0x20, 0xc3] }), "·\\xc3");
});

test("progress is one line that is written over, not before 300 ms, and taken away", () => {
  const { output } = terminal();
  const screen: string[] = [];
  output._write = (chunk, _encoding, done) => {
    screen.push(String(chunk));
    done();
  };
  let now = 0;
  const progress = new ProgressLine(output, "a/\x1bmodel/with/a/very/long/name", () => now);
  const at = (time: number, loadedBytes: number) => {
    now = time;
    progress.update({ loadedBytes, totalBytes: 8_000_000_000, tensor: "t" });
  };
  at(299, 1);
  progress.clear();
  assert.equal(screen, []);
  at(300, 2_000_000_000);
  at(399, 3_000_000_000);
  at(400, 7_999_999_999);
  progress.clear();
  progress.clear();
  assert.equal(screen, [
    "\r 25%  2000.0 of 8000.0 MB  a/\\x1bmodel…\x1b[K",
    "\r 99%  8000.0 of 8000.0 MB  a/\\x1bmodel…\x1b[K",
    "\r\x1b[K",
  ]);
});

test("a model that takes a while to load says once what memory it will take", () => {
  const { output } = terminal();
  const screen: string[] = [];
  output._write = (chunk, _encoding, done) => {
    screen.push(String(chunk));
    done();
  };
  let now = 0;
  const progress = new ProgressLine(output, "m", () => now);
  const plan = { weightBytes: 2 ** 31, kvBytes: 2 ** 29, maxModelLen: 4096, activationBytes: 2 ** 24, budgetBytes: 2 ** 33 };
  progress.plan({ ...plan, threads: 1, kvBytesPerToken: 131072, totalBytes: 0, largestContext: 0 });
  for (now of [100, 300, 500]) progress.update({ loadedBytes: 1, totalBytes: 2, tensor: "t" });
  progress.clear();
  assert.is(screen.length, 4);
  assert.is(screen[0], "memory: weights 2.00 GiB, KV cache 512 MiB for 4096 tokens, activations 16.0 MiB; budget 8.00 GiB\n");
});

test("a prompt's progress goes with its last token, or with an error", async () => {
  const { output } = terminal();
  const screen: string[] = [];
  output._write = (chunk, _encoding, done) => {
    screen.push(String(chunk));
    done();
  };
  let now = 0;
  const progress = new ProgressLine(output, "prompt", () => now);
  now = 400;
  progress.tokens({ computedTokens: 64, totalTokens: 128 });
  progress.tokens({ computedTokens: 128, totalTokens: 128 });
  assert.equal(screen, ["\r 50%  64 of 128 tokens  prompt\x1b[K", "\r\x1b[K"]);
  assert.is(await withPromptProgress({ stderr: output }, true, async (onPromptProgress) => onPromptProgress), undefined);
  assert.type(await withPromptProgress({ stderr: output }, false, async (onPromptProgress) => onPromptProgress), "function");
});

test("the closing line counts tokens and says how fast they came", () => {
  const usage = { promptTokens: 15, completionTokens: 22, totalTokens: 37, cachedTokens: 0 };
  const timings = { promptMs: 10, completionMs: 100, promptTokensPerSecond: 1500.4, completionTokensPerSecond: 21.04 };
  assert.is(
    closingLine({ finishReason: "stop", usage, timings, seed: 5 }),
    "[15 prompt tokens at 1500 tok/s, 22 output tokens at 21.0 tok/s, seed 5]",
  );
  assert.is(
    closingLine({ finishReason: "length", usage: { ...usage, completionTokens: 1, cachedTokens: 3 }, seed: 5 }),
    "[15 prompt tokens (3 of them known), 1 output token, seed 5, cut off by the token limit]",
  );
  assert.is(
    closingLine({ finishReason: "stop", usage: { ...usage, draftTokens: 14, acceptedTokens: 9 }, seed: 5 }),
    "[15 prompt tokens, 22 output tokens, 9 of 14 guesses right, seed 5]",
  );
  assert.is(closingLine({ finishReason: "abort", usage, seed: 5 }, false), "[15 prompt tokens, 22 output tokens, stopped]");
});

test.run();
