/** `qwen3 chat`: answers a prompt, or leads a conversation in the terminal. */
import { readFile } from "node:fs/promises";
import type { ChatMessage, ChatOptions, ChatResult, Qwen3, Tool } from "../index.ts";
import { AnswerWriter, writeAnswer } from "./answer.ts";
import { closingLine } from "./closing-line.ts";
import type { ChatValues } from "./commands.ts";
import { readMessage } from "./input.ts";
import { toGenerateOptions, toTemplateOptions, withModel } from "./model.ts";
import { UsageError } from "./options.ts";
import { withPromptProgress } from "./progress.ts";
import type { Streams } from "./streams.ts";

export async function chat(values: ChatValues, positionals: readonly string[], streams: Streams): Promise<void> {
  const tools = values.tools === undefined ? undefined : await readTools(values.tools);
  const message = await readMessage(positionals, streams);
  if (message === undefined && values.json) throw new UsageError("--json needs a prompt");
  const options: ChatOptions = { ...toGenerateOptions(values), ...toTemplateOptions(values), ...(tools && { tools }) };
  await withModel(values, streams, async (model) => {
    if (message !== undefined) return answerOnce(model, values, options, message, streams);
    const { converse } = await import("./conversation.ts");
    return converse(model, values, options, streams);
  });
}

async function answerOnce(
  model: Qwen3,
  values: ChatValues,
  options: ChatOptions,
  message: string,
  streams: Streams,
): Promise<void> {
  const { stdout, stderr, signal } = streams;
  const messages: ChatMessage[] = [
    ...(values.system === undefined ? [] : [{ role: "system" as const, content: values.system }]),
    { role: "user", content: message },
  ];
  const result = await withPromptProgress(streams, values.quiet, (onPromptProgress) => {
    const answer = model.chat(messages, { ...options, signal, onPromptProgress });
    return values.json ? answer.final() : writeAnswer(answer, new AnswerWriter(streams, values));
  });
  if (values.json) stdout.write(`${JSON.stringify(toJson(result))}\n`);
  else if (!values.quiet) stderr.write(`${closingLine(result, values.temperature !== 0)}\n`);
}

function toJson({ message, finishReason, usage, timings, seed }: ChatResult) {
  return {
    message,
    reasoning: message.reasoning_content ?? null,
    toolCalls: message.tool_calls ?? [],
    finishReason,
    usage,
    timings,
    seed,
  };
}

/** What a tool must look like is for the library to say. */
async function readTools(file: string): Promise<readonly Tool[]> {
  let tools: unknown;
  try {
    tools = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new UsageError(`--tools ${file}: ${(error as Error).message}`);
  }
  if (!Array.isArray(tools)) throw new UsageError(`--tools ${file}: a JSON array of tools is needed`);
  return tools;
}
