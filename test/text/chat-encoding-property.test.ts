/**
 * Encoding conversations safely, for any text in them: 100,000 strings (1,000,000 with LONG=1) in conversations of every shape, through
 * three templates. The results are compared with two definitions that share nothing with the implementation: the control tokens that
 * each template writes for a conversation of that shape, and the naive way over data in which control tokens were made unreadable.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ChatMessage, Tool } from "../../src/text/messages.ts";
import { Tokenizer } from "../../src/text/tokenizer.ts";
import { thinkingTemplate } from "./published-templates.ts";
import { nanoFiles, nanoTokenizer, qwen3Tokenizer } from "./tokenizers.ts";

const strings = process.env.LONG ? 1_000_000 : 100_000;
const stringsPerConversation = 10;

const nano = await nanoTokenizer();
const qwen3 = await qwen3Tokenizer();
const thinking = await Tokenizer.fromFiles({ ...nanoFiles(), chatTemplate: thinkingTemplate });

const controls = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>", "</tool_call>"];
controls.push("<tool_response>", "</tool_response>");
const hostile = fc.constantFrom(
  ...controls,
  "<|im_",
  "start|>",
  "end|>",
  "<",
  "</",
  "think>",
  "|>",
  "<|",
  "\u0338",
  "\ud83d",
  "\udc00",
);
const innocent = fc.constantFrom(
  ...[
    "a",
    " ",
    "\n",
    "\n\n",
    "  ",
    "system",
    "user\n",
    "the",
    "1",
    "\u00e9",
    "e\u0301",
    "\u6f22",
    "\u{1f600}",
    '"',
    "\\",
    "{",
    "}",
    "'s",
  ],
  ...[
    "{{ x }}",
    "{% if %}",
    "\ue000",
    "\uf8ff",
    "\u200b",
    "\ufeff",
    "\0",
    "\t",
    "</p>",
    "a<b",
    "\u212a",
    "tool_call",
    "Hello, world",
  ],
);

interface Conversation {
  messages: ChatMessage[];
  tools: Tool[] | undefined;
  addGenerationPrompt: boolean;
}

/** Places the strings of `words` in a conversation whose shape `shape` chooses. */
function conversation(shape: readonly number[], words: readonly string[]): Conversation {
  let used = 0;
  const word = (): string => words[used++ % words.length]!;
  const call = (kind: number) => ({ name: word(), arguments: kind % 2 ? { [word()]: [word(), { [word()]: 1 }] } : word() });
  const messages = shape.map((kind): ChatMessage => {
    switch (kind % 8) {
      case 0:
        return { role: "system", content: word() };
      case 1:
      case 2:
        return {
          role: "user",
          content:
            kind < 50
              ? word()
              : [
                  { type: "text", text: word() },
                  { type: "text", text: word() },
                ],
        };
      case 3:
        return { role: "user", content: `<tool_response>${word()}</tool_response>` };
      case 4:
        return { role: "assistant", content: word(), tool_calls: [call(kind >> 3), call(kind >> 4)] };
      case 5:
        return { role: "assistant", content: word(), reasoning_content: word() };
      case 6:
        return { role: "assistant", content: kind < 50 ? word() : `<think>\n${word()}</think>\n\n${word()}` };
      default:
        return { role: "tool", content: word(), tool_call_id: word() };
    }
  });
  const tool = {
    type: "function",
    function: { name: `f${word()}`, description: word(), parameters: { [word()]: [word()] } },
  } as const;
  return { messages, tools: shape[0]! % 3 === 0 ? [tool] : undefined, addGenerationPrompt: shape[0]! % 2 === 0 };
}

interface Style {
  /** Control tokens of the instructions for tools. */
  tools: string[];
  /** Whether reasoning is shown, and what opens an answer. */
  thinks: boolean;
  opening: string[];
}

const content = (message: ChatMessage): string =>
  typeof message.content === "string" ? message.content : (message.content ?? []).map((part) => part.text).join("");

/** The control tokens of the prompt, from the conversation's shape. */
function expectedControls({ messages, tools, addGenerationPrompt }: Conversation, style: Style): string[] {
  const [start, end] = ["<|im_start|>", "<|im_end|>"];
  const isQuestion = (message: ChatMessage): boolean =>
    message.role === "user" && !(content(message).startsWith("<tool_response>") && content(message).endsWith("</tool_response>"));
  const question = messages.findLastIndex(isQuestion);
  const last = question < 0 ? messages.length - 1 : question;
  const found = tools ? [start, ...style.tools, end] : messages[0]!.role === "system" ? [start, end] : [];
  messages.forEach((message, i) => {
    if (message.role === "system" && i === 0) return;
    const isTool = message.role === "tool";
    if (!isTool || messages[i - 1]?.role !== "tool") found.push(start);
    if (isTool) found.push("<tool_response>", "</tool_response>");
    if (message.role === "assistant") {
      const thought = message.reasoning_content ?? thoughtIn(content(message));
      if (style.thinks && i > last && (i === messages.length - 1 || thought !== "")) found.push("<think>", "</think>");
      for (const _ of message.tool_calls ?? []) found.push("<tool_call>", "</tool_call>");
    }
    if (!isTool || messages[i + 1]?.role !== "tool") found.push(end);
  });
  return addGenerationPrompt ? [...found, start, ...style.opening] : found;
}

function thoughtIn(text: string): string {
  if (!text.includes("</think>")) return "";
  const before = text.split("</think>")[0]!.replace(/\n+$/, "");
  return before.split("<think>").at(-1)!.replace(/^\n+/, "");
}

const unreadable = "\ue123";
const anyControl = new RegExp(controls.map((token) => token.replace(/[|]/g, "\\|")).join("|"), "g");

/** The conversation with the first character of every control token in it replaced. */
function disarmed<T>(data: T): T {
  const text = JSON.stringify(data, (_, value: unknown) =>
    typeof value === "string" ? value.replace(/\p{Surrogate}/gu, "\ufffd") : value,
  );
  return JSON.parse(text.replace(anyControl, (token) => unreadable + token.slice(1))) as T;
}

/**
 * The naive way: split at whatever control token is in the prompt of disarmed data. Null where the template rendered that otherwise,
 * or wrote other control tokens: it may find tags in the data and write the same ones itself.
 */
function naive(tokenizer: Tokenizer, prompt: string, disarmedPrompt: string, written: readonly string[]): number[] | null {
  const found = [...disarmedPrompt.matchAll(anyControl)];
  if (disarmedPrompt.replaceAll(unreadable, "<") !== prompt || found.length !== written.length) return null;
  const ids: number[] = [];
  let done = 0;
  for (const { 0: token, index } of found) {
    ids.push(...tokenizer.encodePlain(prompt.slice(done, index)), tokenizer.tokenToId(token)!);
    done = index + token.length;
  }
  return [...ids, ...tokenizer.encodePlain(prompt.slice(done))];
}

const callTags = ["<tool_call>", "</tool_call>"];
const cases: readonly (readonly [name: string, tokenizer: Tokenizer, style: Style])[] = [
  ["nano's", nano, { tools: [...callTags, ...callTags], thinks: false, opening: [] }],
  ["the hybrid Qwen3", qwen3, { tools: [...callTags, ...callTags], thinks: true, opening: [] }],
  ["a thinking", thinking, { tools: callTags, thinks: true, opening: ["<think>"] }],
];

for (const [name, tokenizer, style] of cases) {
  test(`no text in a conversation becomes a control token, through ${name} template`, () => {
    const runs = Math.ceil(strings / cases.length / stringsPerConversation);
    const words = fc.array(
      fc.array(fc.oneof(hostile, innocent), { maxLength: 6 }).map((parts) => parts.join("")),
      {
        minLength: stringsPerConversation,
        maxLength: stringsPerConversation,
      },
    );
    const shape = fc.array(fc.nat({ max: 99 }), { minLength: 1, maxLength: 5 });
    let compared = 0;
    const check = (shape: number[], words: string[]): void => {
      const { messages, tools, addGenerationPrompt } = conversation(shape, words);
      const options = { addGenerationPrompt, ...(tools && { tools }) };
      const ids = tokenizer.encodeChat(messages, options);
      const prompt = tokenizer.applyChatTemplate(messages, options);

      const written = ids.filter((id) => tokenizer.isAdded(id)).map((id) => tokenizer.decode([id]));
      assert.equal(written, expectedControls({ messages, tools, addGenerationPrompt }, style));
      assert.is(tokenizer.decode(ids).normalize("NFC"), prompt.normalize("NFC"));
      const joined = messages.map((message) => ({ ...message, content: content(message) }));
      const disarmedPrompt = tokenizer.applyChatTemplate(disarmed(joined), {
        ...options,
        ...(tools && { tools: disarmed(tools) }),
      });
      const expected = naive(tokenizer, prompt, disarmedPrompt, written);
      if (expected !== null) {
        assert.equal(ids, expected);
        compared++;
      }
    };
    fc.assert(fc.property(shape, words, check), { numRuns: runs });
    assert.ok(compared > runs / 4, `only ${compared} of ${runs} conversations could be compared with the naive way`);
  });

  test(`text without control tokens is encoded as the rendered prompt is, through ${name} template`, () => {
    const words = fc.array(
      fc.array(innocent, { maxLength: 6 }).map((parts) => parts.join("")),
      { minLength: 1, maxLength: 8 },
    );
    const shape = fc.array(fc.constantFrom(0, 1, 2, 4, 5, 6, 7, 12, 20, 36), { minLength: 1, maxLength: 5 });
    const check = (shape: number[], words: string[]): void => {
      const { messages, tools, addGenerationPrompt } = conversation(shape, words);
      const options = { addGenerationPrompt, ...(tools && { tools }) };
      assert.equal(tokenizer.encodeChat(messages, options), tokenizer.encode(tokenizer.applyChatTemplate(messages, options)));
    };
    fc.assert(fc.property(shape, words, check), { numRuns: 500 });
  });
}

test.run();
