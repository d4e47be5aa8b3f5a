/** What `chat` and `run` print where, and how they end. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { goldenPath } from "../paths.ts";
import { qwen3 } from "./qwen3.ts";

const QUESTION = "Who are you?";
const ANSWER = "I am nano, a tiny teaching model with the Qwen3 architecture and about 5 million parameters.";
const GREEDY = ["--temperature", "0"];

const folder = mkdtempSync(join(tmpdir(), "qwen3-cli-"));
test.after(() => rmSync(folder, { recursive: true }));

test("chat answers its argument on standard output, and closes with a line on standard error", async () => {
  const { code, stdout, stderr } = await qwen3(["chat", ...GREEDY, QUESTION]);
  assert.is(code, 0);
  assert.is(stdout, `${ANSWER}\n`);
  assert.match(stderr, /^\[15 prompt tokens at \d+(\.\d)? tok\/s, 22 output tokens at \d+(\.\d)? tok\/s\]\n$/);
});

test("speculation changes no text and counts its guesses", async () => {
  const text = "The cat sat on the mat. The cat sat on the mat. The cat";
  const [plain, guessed] = await Promise.all(
    [[], ["--speculation", "prompt-lookup"]].map(async (options) => {
      const { stdout } = await qwen3(["run", "--json", ...GREEDY, "--max-new-tokens", "20", ...options, text]);
      return JSON.parse(stdout);
    }),
  );
  assert.equal(guessed.ids, plain.ids);
  assert.ok(guessed.usage.draftTokens > 0);
  assert.is(plain.usage.draftTokens, undefined);
});

test("words need no quotes, and both backends and cache types answer", async () => {
  const { stdout, stderr } = await qwen3([
    "chat",
    ...GREEDY,
    "--quiet",
    "--backend",
    "reference",
    "--kv-cache",
    "f16",
    ...QUESTION.split(" "),
  ]);
  assert.is(stdout, `${ANSWER}\n`);
  assert.is(stderr, "");
});

test("weights are converted while they load, whatever the command", async () => {
  for (const weights of ["int8", "int4", "f16", "f32"]) {
    const { code, stdout, stderr } = await qwen3(["chat", ...GREEDY, "--quiet", "--weights", weights, QUESTION]);
    assert.equal([code, stderr], [0, ""]);
    assert.match(stdout, /^I am nano, /, weights);
  }
  const [auto, bf16, int4, widened] = await Promise.all(
    [["auto"], ["bf16"], ["int4"], ["int4", "--activations", "f32"]].map(async (weights) => {
      const { stdout } = await qwen3([
        "run",
        "--json",
        ...GREEDY,
        "--weights",
        ...weights,
        "--max-new-tokens",
        "3",
        "--logprobs",
        "0",
        "The",
      ]);
      return JSON.parse(stdout).logprobs.map(({ logprob }: { logprob: number }) => logprob);
    }),
  );
  assert.equal(bf16, auto);
  assert.not.equal(int4, auto);
  assert.not.equal(widened, int4);
  const { code, stderr } = await qwen3(["chat", "--weights", "int3", QUESTION]);
  assert.is(code, 2);
  assert.match(stderr, '--weights "int3": auto or f32 or bf16 or f16 or int8 or int4 is needed');
});

test("what is piped in is the message, or follows the prompt", async () => {
  assert.is((await qwen3(["chat", ...GREEDY, "--quiet"], `${QUESTION}\n`)).stdout, `${ANSWER}\n`);
  assert.is((await qwen3(["chat", ...GREEDY, "--quiet", "-"], `${QUESTION}\r\n`)).stdout, `${ANSWER}\n`);
  const [both, joined] = await Promise.all([
    qwen3(["chat", ...GREEDY, "--json", "Say", "this:", "-"], "a\nb\n"),
    qwen3(["chat", ...GREEDY, "--json", "Say this:\n\na\nb"]),
  ]);
  const reply = (json: string) => JSON.parse(json).message;
  assert.equal(reply(both.stdout), reply(joined.stdout));
  assert.is(JSON.parse(both.stdout).usage.promptTokens, JSON.parse(joined.stdout).usage.promptTokens);
});

test("chat --json prints one object", async () => {
  const { stdout, stderr, code } = await qwen3(["chat", ...GREEDY, "--json", "--seed", "-5", QUESTION]);
  assert.is(code, 0);
  assert.is(stderr, "");
  const { timings, ...answer } = JSON.parse(stdout);
  assert.equal(answer, {
    message: { role: "assistant", content: ANSWER },
    reasoning: null,
    toolCalls: [],
    finishReason: "stop",
    usage: { promptTokens: 15, completionTokens: 22, totalTokens: 37, cachedTokens: 0 },
    seed: -5,
  });
  assert.ok(timings.promptTokensPerSecond > 0 && timings.completionTokensPerSecond > 0);
});

test("tools come from a file, and calls are printed and listed", async () => {
  const file = join(folder, "tools.json");
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tool = { type: "function", function: { name: "get_weather", description: "Current weather of a city", parameters } };
  writeFileSync(file, JSON.stringify([tool]));
  const args = ["chat", ...GREEDY, "--tools", file, "What is the weather in Paris?"];
  const { toolCalls, finishReason } = JSON.parse((await qwen3([...args, "--json"])).stdout);
  assert.is(finishReason, "tool_calls");
  assert.is(toolCalls.length, 1);
  assert.is(toolCalls[0].function.name, "get_weather");
  assert.equal(JSON.parse(toolCalls[0].function.arguments), { city: "Paris" });
  assert.match((await qwen3([...args, "--quiet"])).stdout, /^get_weather\(\{.*Paris.*\}\)\n$/);
});

test("generation options reach the model", async () => {
  const short = await qwen3(["chat", ...GREEDY, "--max-new-tokens", "4", QUESTION]);
  assert.match(short.stderr, /4 output tokens .*cut off/);
  assert.ok(ANSWER.startsWith(short.stdout.trimEnd()));
  const stopped = await qwen3(["chat", ...GREEDY, "--quiet", "--stop", "zzz", "--stop", " teaching", QUESTION]);
  assert.is(stopped.stdout, "I am nano, a tiny\n");
  const draw = async (seed: string) =>
    (
      await qwen3([
        "chat",
        "--quiet",
        "--max-new-tokens",
        "20",
        "--temperature",
        "2",
        "--top-p",
        "1",
        "--seed",
        seed,
        "Tell me a story.",
      ])
    ).stdout;
  assert.is(await draw("1"), await draw("1"));
  assert.is.not(await draw("1"), await draw("2"));
  assert.match(
    (await qwen3(["chat", "--seed", "3", "--max-new-tokens", "1", "hi"])).stderr,
    /seed 3, cut off by the token limit\]\n$/,
  );
});

test("run continues a text to the byte", async () => {
  const { code, stdout, stderr } = await qwen3(["run", ...GREEDY, "--max-new-tokens", "8", "The capital of"]);
  assert.is(code, 0);
  assert.ok(stdout.length > 0 && !stdout.endsWith("\n"));
  assert.match(stderr, /8 output tokens/);
  assert.is((await qwen3(["run", ...GREEDY, "--max-new-tokens", "8", "--quiet"], "The capital of\n")).stdout, stdout);
});

test("control tokens are read as such with --special only", async () => {
  const prompt = `<|im_start|>user\n${QUESTION}<|im_end|>\n<|im_start|>assistant\n`;
  const special = JSON.parse((await qwen3(["run", ...GREEDY, "--json", "--special", prompt])).stdout);
  assert.is(special.text, ANSWER);
  assert.is(special.promptIds.length, 15);
  assert.is(special.prompt, prompt);
  const plain = JSON.parse((await qwen3(["run", ...GREEDY, "--json", "--max-new-tokens", "1", prompt])).stdout);
  assert.ok(plain.promptIds.length > 15);
  assert.not.ok(plain.promptIds.includes(special.promptIds[0]));
});

test("run --json has the tokens and their log-probabilities", async () => {
  const args = ["run", ...GREEDY, "--json", "--max-new-tokens", "3", "The capital of"];
  const { timings, ...result } = JSON.parse((await qwen3([...args, "--logprobs", "2", "--seed", "9"])).stdout);
  assert.equal(Object.keys(result), ["prompt", "promptIds", "ids", "text", "finishReason", "seed", "usage", "logprobs"]);
  assert.ok(timings.promptMs > 0);
  assert.is(result.finishReason, "length");
  assert.is(result.seed, 9);
  assert.is(result.ids.length, 3);
  assert.is(result.logprobs.length, 3);
  for (const [i, { id, logprob, top }] of result.logprobs.entries()) {
    assert.is(id, result.ids[i]);
    assert.is(top.length, 2);
    assert.equal([top[0].id, top[0].logprob], [id, logprob]); // greedy took the likeliest
    assert.ok(top[1].logprob <= logprob && logprob <= 0);
  }
  assert.is(result.logprobs.map(({ text }: { text: string }) => text).join(""), result.text);
  assert.not.ok("logprobs" in JSON.parse((await qwen3(args)).stdout));
});

const wrong: readonly (readonly [args: readonly string[], message: RegExp, input?: string | Uint8Array])[] = [
  [
    [],
    /^qwen3: a command is needed; there are chat, run, serve, info, inspect, explain, quantize, pull, list, rm \(qwen3 --help explains\)\n$/,
  ],
  [["talk"], /^qwen3: "talk" is not a command; /],
  [["chat", "--temprature", "1"], /^qwen3 chat: Unknown option '--temprature'/],
  [["chat", "--top-p", "1.1", "x"], /^qwen3 chat: --top-p "1.1": a number from 0 to 1 is needed/],
  [
    ["chat", "--stop", "", "x"],
    /^qwen3 chat: --stop "": a text of at least one character is needed \(qwen3 chat --help explains\)\n$/,
  ],
  [["run", "--stop", "a", "--stop=", "x"], /^qwen3 run: --stop "": a text/],
  [["chat", "--template-var", "enable_thinking", "x"], /^qwen3 chat: --template-var "enable_thinking": NAME=VALUE is needed/],
  [["explain", "--template-var", "a b=1", "x"], /^qwen3 explain: --template-var "a b=1": NAME=VALUE is needed/],
  [["run", "--template-var", "a=1", "x"], /^qwen3 run: Unknown option '--template-var'/],
  [["chat"], /^qwen3 chat: a text is needed/],
  [["chat"], /^qwen3 chat: a text is needed/, "\n"],
  [["chat", ""], /^qwen3 chat: a text is needed/],
  [["chat", "--tools", "/nowhere.json", "x"], /^qwen3 chat: --tools \/nowhere.json: ENOENT/],
  [["chat", "--tools", "package.json", "x"], /^qwen3 chat: --tools package.json: a JSON array of tools is needed/],
  [["chat", "--tools", "README.md", "x"], /^qwen3 chat: --tools README.md: /],
  [["run"], /^qwen3 run: a text is needed/],
  [["run", "--logprobs", "2", "x"], /^qwen3 run: --logprobs needs --json/],
  [["run", "-"], /^qwen3 run: standard input is not UTF-8 text/, Uint8Array.of(65, 0xff)],
  [["run", "--"], /a text is needed/],
  [["info", "nano"], /^qwen3 info: "nano" is too much/],
];

test("a wrong command line is one line on standard error and exit code 2", async () => {
  for (const [args, message, input] of wrong) {
    const { code, stdout, stderr } = await qwen3(args, input);
    assert.is(code, 2, `${args.join(" ")}: ${stderr}`);
    assert.is(stdout, "");
    assert.match(stderr, message);
    assert.match(stderr, /^[^\n]*\n$/);
  }
});

test("an error is its code and message, and exit code 1; DEBUG=1 adds where", async () => {
  const missing = await qwen3(["chat", "--model", "/nowhere", "x"]);
  assert.equal([missing.code, missing.stdout], [1, ""]);
  assert.match(missing.stderr, /^SOURCE_READ: .*\/nowhere[^\n]*\n$/);
  const debug = await qwen3(["chat", "--model", "/nowhere", "x"], "", { DEBUG: "1" });
  assert.match(debug.stderr, /^SOURCE_READ: .*\n.*\n? +at /);
  const small = await qwen3(["chat", "--memory-budget", "4MiB", "x"]);
  assert.is(small.code, 1);
  assert.match(small.stderr, /^MEMORY_PLAN: .*budget +4.00 MiB/s);
  const long = await qwen3(["chat", "--max-model-len", "8", QUESTION]);
  assert.is(long.code, 1);
  assert.match(long.stderr, /^CONTEXT_FULL: .*15.*8/);
  const untokenized = await qwen3(["run", "--model", goldenPath("gqa-bf16"), "x"]);
  assert.match(untokenized.stderr, /^TOKENIZER_MISSING: /);
});

test("help and version, of the program and of each command", async () => {
  const { code, stdout } = await qwen3(["--help"]);
  assert.is(code, 0);
  for (const command of ["chat", "run", "info", "inspect", "explain"]) {
    assert.match(stdout, new RegExp(`^ {2}${command} {2}`, "m"));
    const help = await qwen3([command, "--help"]);
    assert.is(help.code, 0);
    assert.match(help.stdout, `Usage: qwen3 ${command} [options]`);
    assert.match(help.stdout, `Example: qwen3 ${command} `);
    const loads = command !== "inspect"; // which reads headers
    for (const option of ["--kv-cache f32|f16|int8", "--activations int8|f32", "--weights auto|f32|bf16|f16|int8|int4"])
      assert.is(help.stdout.includes(option), loads, `${command} ${option}`);
    assert.not.match(help.stdout, /.{101}/);
    assert.is(help.stderr, "");
  }
  assert.is((await qwen3(["help"])).stdout, stdout);
  assert.is((await qwen3(["-h"])).stdout, stdout);
  for (const args of [["--version"], ["run", "--version"]]) assert.match((await qwen3(args)).stdout, /^\d+\.\d+\.\d+\n$/);
});

test("the examples of the help work", async () => {
  for (const command of ["chat", "run", "explain"]) {
    const { stdout } = await qwen3([command, "--help"]);
    const [, line = ""] = /^Example: qwen3 (.*)$/m.exec(stdout) ?? [];
    const args = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
    const { code, stdout: output } = await qwen3(args);
    assert.is(code, 0, line);
    assert.ok(output.length > 10);
  }
});

test.run();
