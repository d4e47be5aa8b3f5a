/** The conversation in the terminal, with a model that says what it is told to, and with nano. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ChatValues } from "../../src/cli/commands.ts";
import { converse } from "../../src/cli/conversation.ts";
import { PartStream } from "../../src/engine/part-stream.ts";
import { type ChatMessage, type ChatOptions, type ChatPart, type ChatResult, Qwen3, Qwen3Error } from "../../src/index.ts";
import { nanoPath } from "../paths.ts";
import { FakeTerminal, KEYS } from "./fake-terminal.ts";

/** What the model does when it is asked; "wait" waits until it is stopped. */
type Script = readonly (ChatPart | "wait" | Error)[];

const say = (text: string): ChatPart => ({ type: "text", text });

function scripted(scripts: readonly Script[]) {
  const asked: ChatMessage[][] = [];
  let truncated = 0;
  const chat = (messages: readonly ChatMessage[], { signal }: ChatOptions) => {
    const script = scripts[asked.length] ?? [];
    asked.push([...messages]);
    if (script[0] instanceof Error) throw script[0];
    const said: ChatPart[] = [];
    async function* parts(): AsyncGenerator<ChatPart, void> {
      for (const part of script) {
        if (part instanceof Error) throw part;
        if (part === "wait") await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
        else {
          said.push(part);
          yield part;
        }
      }
    }
    const result = (): ChatResult => {
      const calls = said.flatMap((part) => (part.type === "tool_call" ? [{ id: part.id, function: part }] : []));
      const usage = { promptTokens: 1, completionTokens: said.length, totalTokens: 1 + said.length, cachedTokens: 0 };
      return {
        message: {
          role: "assistant",
          content: said.map((part) => (part.type === "text" ? part.text : "")).join(""),
          ...(calls.length > 0 && { tool_calls: calls }),
        },
        finishReason: calls.length > 0 ? "tool_calls" : signal?.aborted ? "abort" : "stop",
        usage,
        seed: 7,
      };
    };
    return new PartStream<ChatPart, ChatResult>(parts(), result);
  };
  const newCache = () => ({ truncate: () => truncated++ });
  const model = { chat, newCache, description: "a script", plan: { maxModelLen: 99 } } as unknown as Qwen3;
  return { model, asked, truncations: () => truncated };
}

function begin(model: Qwen3, values: ChatValues = {}, options: ChatOptions = {}) {
  const terminal = new FakeTerminal(200);
  return { terminal, done: converse(model, values, options, terminal.streams) };
}

async function enter(terminal: FakeTerminal, text: string): Promise<void> {
  await terminal.shows("> ");
  terminal.type(text + KEYS.enter);
}

test("a conversation: greeting, answers, what was said before, the end", async () => {
  const { model, asked } = scripted([[say("Hello"), say(" you.")], [say("Good.")]]);
  const { terminal, done } = begin(model, { system: "Be kind." });
  await terminal.shows("a script, context 99 tokens");
  await enter(terminal, "hi");
  await terminal.shows("Hello you.\n");
  await terminal.shows("[1 prompt token, 2 output tokens, seed 7]\n");
  await enter(terminal, "and?");
  await terminal.shows("Good.\n");
  await enter(terminal, "/exit");
  await done;
  const system = { role: "system", content: "Be kind." };
  const first = { role: "user", content: "hi" };
  assert.equal(asked, [
    [system, first],
    [system, first, { role: "assistant", content: "Hello you." }, { role: "user", content: "and?" }],
  ]);
});

test("--quiet leaves the prompt and the answers", async () => {
  const { model } = scripted([[say("Hello.")]]);
  const { terminal, done } = begin(model, { quiet: true });
  await enter(terminal, "hi");
  await terminal.shows("Hello.\n");
  await terminal.shows("> ");
  terminal.type(KEYS.ctrlD);
  await done;
  assert.not.match(terminal.screen, "context");
  assert.not.match(terminal.screen, "token");
});

test("Ctrl-C stops the answer and keeps what was said of it", async () => {
  const { model, asked } = scripted([[say("One, two"), "wait", say("never")], [say("three")]]);
  const { terminal, done } = begin(model);
  await enter(terminal, "count");
  await terminal.shows("One, two");
  terminal.type(KEYS.ctrlC);
  await terminal.shows("\n[1 prompt token, 1 output token, seed 7, stopped]");
  await enter(terminal, "go on");
  await terminal.shows("three");
  await enter(terminal, "/exit");
  await done;
  assert.equal(
    asked[1]!.map(({ content }) => content),
    ["count", "One, two", "go on"],
  );
});

/** A cache that one answer has to itself until it has ended, and a model that takes its time to stop. */
function slowToStop() {
  let inUse = false;
  const problems: string[] = [];
  const events: string[] = [];
  const requireFree = (what: string) => {
    if (inUse) problems.push(what);
    events.push(what);
  };
  const chat = (messages: readonly ChatMessage[], { signal }: ChatOptions) => {
    const { content } = messages.at(-1)!;
    requireFree(`chat ${content}`);
    async function* parts(): AsyncGenerator<ChatPart, void> {
      inUse = true;
      try {
        yield say(`Answer to ${content}`);
        if (content !== "short") await new Promise((resolve) => signal!.addEventListener("abort", resolve));
        await new Promise((resolve) => setTimeout(resolve, 60)); // a step that is under way is ended first
        signal!.throwIfAborted();
      } finally {
        inUse = false;
        events.push("ended");
      }
    }
    const usage = { promptTokens: 1, completionTokens: 1, totalTokens: 2, cachedTokens: 0 };
    const message: ChatMessage = { role: "assistant", content: "Answer" };
    return new PartStream<ChatPart, ChatResult>(parts(), () => ({ message, finishReason: "abort", usage, seed: 7 }));
  };
  const newCache = () => ({ truncate: () => requireFree("truncate"), close: () => requireFree("close") });
  const model = { chat, newCache, description: "a script", plan: { maxModelLen: 99 } } as unknown as Qwen3;
  return { model, problems, events };
}

test("nothing touches the cache before the running answer has ended, whatever is typed meanwhile", async () => {
  const { model, problems, events } = slowToStop();
  const { terminal, done } = begin(model);
  await enter(terminal, "short");
  await terminal.shows("Answer to short");
  terminal.type(`/reset${KEYS.enter}`); // typed ahead
  await terminal.shows("forgotten");
  await enter(terminal, "long");
  await terminal.shows("Answer to long");
  terminal.type(KEYS.ctrlC);
  await new Promise((resolve) => setTimeout(resolve, 5));
  terminal.type(`/reset${KEYS.enter}`); // while it stops
  await terminal.shows("forgotten");
  await enter(terminal, "longer");
  await terminal.shows("Answer to longer");
  terminal.interrupt();
  await rejection(done);
  assert.equal(problems, []);
  const turn = (content: string) => [`chat ${content}`, "ended"];
  assert.equal(events, [...turn("short"), "truncate", ...turn("long"), "truncate", ...turn("longer")]);
});

test("nano is stopped, forgets, and answers again", async () => {
  const model = await Qwen3.fromPretrained(nanoPath);
  const { terminal, done } = begin(model, {}, { temperature: 0, ignoreEos: true });
  for (const _ of [1, 2]) {
    await enter(terminal, "Who are you?");
    await terminal.shows("I am nano");
    terminal.type(KEYS.ctrlC);
    const line = await terminal.shows("stopped]");
    assert.match(line, /\[15 prompt tokens, /); // neither remembered nor known: the conversation was forgotten
    await enter(terminal, "/reset");
    await terminal.shows("forgotten");
  }
  await enter(terminal, "/exit");
  await done;
  assert.not.match(terminal.screen, "ARGUMENT");
  await model.close();
});

test("a question that was stopped before its answer began is taken back", async () => {
  const { model, asked } = scripted([["wait"], [say("yes")]]);
  const { terminal, done } = begin(model);
  await enter(terminal, "first");
  await terminal.shows("first");
  await new Promise((resolve) => setTimeout(resolve, 60));
  terminal.type(KEYS.ctrlC);
  await terminal.shows("stopped");
  await enter(terminal, "second");
  await terminal.shows("yes");
  await enter(terminal, "/exit");
  await done;
  assert.equal(asked[1], [{ role: "user", content: "second" }]);
});

test("the model cannot steer the terminal", async () => {
  const { model } = scripted([[say("\x1b]0;owned\x07\x1b[2J\rok\n\tdone\n")]]);
  const { terminal, done } = begin(model);
  await enter(terminal, "hi");
  await terminal.shows("\\x1b]0;owned\\x07\\x1b[2J\\x0dok\n\tdone\n[");
  await enter(terminal, "/exit");
  await done;
});

test("commands", async () => {
  const { model, asked, truncations } = scripted([[say("a")], [say("b")], [say("c")], [say("d")]]);
  const { terminal, done } = begin(model);
  await enter(terminal, "/system");
  await terminal.shows("There is no system message.");
  await enter(terminal, "one");
  await terminal.shows("a\n");
  await enter(terminal, "/system Be brief.");
  await terminal.shows("System message: Be brief.");
  await enter(terminal, "two");
  await terminal.shows("b\n");
  await enter(terminal, "/reset");
  await terminal.shows("forgotten");
  await enter(terminal, "/help");
  await terminal.shows("/reset ");
  await enter(terminal, "/nothing at all");
  await terminal.shows("/nothing is no command; /help lists them.");
  await enter(terminal, "/usr/bin/env");
  await terminal.shows("/usr/bin/env is no command");
  await enter(terminal, "//etc is a folder");
  await terminal.shows("c\n");
  await enter(terminal, "/system -");
  await terminal.shows("There is no system message.");
  await enter(terminal, "three");
  await terminal.shows("d\n");
  await enter(terminal, "/tool 5");
  await terminal.shows("The model has not called a tool.");
  await enter(terminal, "/exit");
  await done;
  assert.is(truncations(), 1);
  assert.equal(
    asked.map((messages) => messages.map(({ content }) => content)),
    [["one"], ["Be brief.", "one", "a", "two"], ["Be brief.", "/etc is a folder"], ["/etc is a folder", "c", "three"]],
  );
});

test("pasted lines are a message, also if they begin with a slash", async () => {
  const { model, asked } = scripted([[say("a")], [say("b")]]);
  const { terminal, done } = begin(model);
  await enter(terminal, "/* a comment */\rcode();");
  await terminal.shows("a\n");
  await enter(terminal, "/system One.\rTwo.");
  await terminal.shows("System message: One.\nTwo.");
  await enter(terminal, "/");
  await terminal.shows("b\n");
  await enter(terminal, "/exit");
  await done;
  assert.is(asked[0]![0]!.content, "/* a comment */\ncode();");
  assert.equal([asked[1]![0]!.content, asked[1]!.at(-1)!.content], ["One.\nTwo.", "/"]);
});

test("tools: calls are shown, results are typed in, and the model goes on with the last", async () => {
  const call = (id: string): ChatPart => ({
    type: "tool_call",
    index: id === "a" ? 0 : 1,
    id,
    name: "weather",
    arguments: `{"city":"${id}"}`,
  });
  const { model, asked } = scripted([
    [{ type: "reasoning", text: "Hm." }, say("Let me see."), call("a"), call("b")],
    [say("Sunny.")],
  ]);
  const { terminal, done } = begin(model);
  await enter(terminal, "weather?");
  await terminal.shows('Hm.\nLet me see.\nweather({"city":"a"})\nweather({"city":"b"})\n');
  await terminal.shows("The model waits for a result: /tool TEXT gives it.");
  await enter(terminal, "/tool 20 degrees");
  await terminal.shows("1 more of the calls wait");
  await enter(terminal, "/tool 30 degrees");
  await terminal.shows("Sunny.");
  await enter(terminal, "/exit");
  await done;
  assert.equal(asked[1]!.slice(2), [
    { role: "tool", content: "20 degrees", tool_call_id: "a" },
    { role: "tool", content: "30 degrees", tool_call_id: "b" },
  ]);
});

test("an error in a turn is told, and the conversation goes on as it was", async () => {
  const { model, asked } = scripted([
    [new Qwen3Error("CONTEXT_FULL", "too long")],
    [say("a"), new Qwen3Error("ARGUMENT", "odd")],
    [say("ok")],
  ]);
  const { terminal, done } = begin(model);
  await enter(terminal, "long");
  await terminal.shows("CONTEXT_FULL: too long (/reset makes room)");
  await enter(terminal, "odd");
  await terminal.shows("a\nARGUMENT: odd\n");
  await enter(terminal, "short");
  await terminal.shows("ok");
  await enter(terminal, "/exit");
  await done;
  assert.equal(asked[2], [{ role: "user", content: "short" }]);
});

const rejection = async (promise: Promise<unknown>): Promise<Error> => {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  return assert.unreachable() as never;
};

test("an error that is a bug ends it, and the terminal is given back", async () => {
  const { model } = scripted([[new TypeError("a bug")]]);
  const { terminal, done } = begin(model);
  await enter(terminal, "hi");
  assert.is((await rejection(done)).message, "a bug");
  assert.match(terminal.screen, "\x1b[?2004l");
});

test("a signal from outside ends it, at the prompt and during an answer", async () => {
  const atPrompt = begin(scripted([]).model);
  await atPrompt.terminal.shows("> ");
  atPrompt.terminal.interrupt();
  assert.is((await rejection(atPrompt.done)).name, "AbortError");
  const answering = begin(scripted([[say("a"), "wait"]]).model);
  await enter(answering.terminal, "hi");
  await answering.terminal.shows("a");
  answering.terminal.interrupt();
  assert.is((await rejection(answering.done)).name, "AbortError");
  assert.match(answering.terminal.screen, "\x1b[?2004l");
});

test("nano remembers, and its second turn computes only what is new", async () => {
  const model = await Qwen3.fromPretrained(nanoPath);
  const { terminal, done } = begin(model, {}, { temperature: 0, timings: true });
  await enter(terminal, "Who are you?");
  await terminal.shows("I am nano, a tiny teaching model with the Qwen3 architecture and about 5 million parameters.\n");
  await terminal.shows("[15 prompt tokens at ");
  await terminal.shows("22 output tokens at ");
  await enter(terminal, "What is the capital of France?");
  await terminal.shows("The capital of France is Paris.\n");
  const line = await terminal.shows("output tokens");
  const [, prompt, known] = /\[(\d+) prompt tokens \((\d+) of them known\)/.exec(line)!.map(Number);
  assert.is(known, 15 + 22 - 1); // the end token was sampled and not run
  assert.ok(prompt! > known!);
  await enter(terminal, "/exit");
  await done;
  await model.close();
});

test.run();
