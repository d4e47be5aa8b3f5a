/** `POST /v1/chat/completions`: a request's fields to what the model is asked, and its events to OpenAI's answer. */
import type { AnswerFinish, AnswerToken, ChatEvent, ChatModel, ChatRequest } from "../chat/chat-model.ts";
import type { ChatMessage } from "../text/messages.ts";
import type { Answering } from "./answering.ts";
import { textConstraint, toolFields } from "./constraint-fields.ts";
import { ApiError, invalid } from "./errors.ts";
import { RequestFields } from "./fields.ts";
import type { ServerLimits } from "./limits.ts";
import { merge } from "./merge.ts";
import { chatLogprobs, timingsOf, usageOf } from "./response-fields.ts";
import { answerOptions, streamOptions } from "./sampling-fields.ts";
import { chatPrompt } from "./template-fields.ts";

interface ChatFields {
  readonly request: ChatRequest;
  readonly choices: number;
  readonly includeUsage: boolean;
  readonly stream: boolean;
  readonly wantsLogprobs: boolean;
  /** The field that says what the answer has to look like. */
  readonly constraint: string | undefined;
}

export interface AnswerHead {
  readonly id: string;
  /** The name that the model goes by in the answer. */
  readonly modelName: string;
  /** Seconds since 1970. */
  readonly created: number;
}

/** @throws ApiError 400 naming the field that is wrong */
export function chatCompletions(
  body: Record<string, unknown>,
  model: ChatModel,
  limits: ServerLimits,
  head: AnswerHead,
  readsToolCalls = true,
): Answering<readonly [number, ChatEvent]> {
  const fields = readFields(body, model, limits);
  const { choices } = fields;
  const toolCalls = readsToolCalls && fields.request.toolCalls;
  const request: ChatRequest = { ...fields.request, toolCalls, callId: () => `call_${crypto.randomUUID().replaceAll("-", "")}` };
  return {
    sequences: choices,
    stream: fields.stream,
    prompt: "messages",
    constraint: fields.constraint,
    events: (signal) => merge(Array.from({ length: choices }, (_, choice) => model.chat({ ...request, choice, signal }))),
    chunks: (events) => chunks(events, fields, model, head),
    whole: (events) => whole(events, fields, model, head),
  };
}

function readFields(body: Record<string, unknown>, model: ChatModel, limits: ServerLimits): ChatFields {
  const fields = new RequestFields(body);
  const wantsLogprobs = fields.boolean("logprobs") ?? false;
  const top = fields.integer("top_logprobs", 0, limits.logprobs);
  if (top !== undefined && !wantsLogprobs) throw invalid("top_logprobs", "top_logprobs goes with logprobs: true only");
  if (fields.boolean("echo")) throw invalid("echo", "echo makes sense for /v1/completions only", "unsupported");
  const maxTokens = fields.integer("max_tokens", 1);
  const maxNewTokens = fields.integer("max_completion_tokens", 1) ?? maxTokens;
  const options = answerOptions(
    fields,
    { maxNewTokens, logprobs: wantsLogprobs ? (top ?? 0) : undefined },
    model.info.vocabSize,
    limits,
  );
  const tools = toolFields(fields, limits);
  const text = textConstraint(fields, limits);
  if (text && tools.constraint && tools.constraint.param === "tool_choice")
    throw invalid(text.param, `${text.param} and tool_choice exclude each other`);
  const constraint = text ?? tools.constraint;
  const { stream, includeUsage } = streamOptions(fields);
  const messages = fields.array("messages", limits.messages);
  if (!messages) throw new ApiError(400, "messages is missing", { param: "messages", code: "missing_required_parameter" });
  return {
    request: {
      ...chatPrompt(fields, messages as readonly ChatMessage[]),
      ...options,
      tools: tools.tools,
      toolCalls: tools.toolCalls,
      parallelToolCalls: tools.parallelToolCalls,
      constraint: constraint?.spec,
    },
    choices: fields.integer("n", 1, limits.choices) ?? 1,
    includeUsage,
    stream,
    wantsLogprobs,
    constraint: constraint?.param,
  };
}

/** One answer as it becomes known. */
class Choice {
  text = "";
  reasoning = "";
  /** By index; one that turns out to be no call is never whole. */
  readonly #calls = new Map<number, { readonly id: string; readonly name: string; arguments: string; isWhole: boolean }>();
  tokens: AnswerToken[] = [];
  finish: AnswerFinish<string> | undefined;

  /** @returns what OpenAI's `delta` is to say of the event, if anything */
  take(event: ChatEvent): Record<string, unknown> | undefined {
    switch (event.type) {
      case "token":
        this.tokens.push(event.token);
        return undefined;
      case "text":
        this.text += event.text;
        return { content: event.text };
      case "reasoning":
        this.reasoning += event.text;
        return { reasoning_content: event.text };
      case "tool_call_delta": {
        const { index, id = "", name = "", arguments: text } = event;
        const told = this.#calls.get(index);
        if (told) told.arguments += text;
        else this.#calls.set(index, { id, name, arguments: text, isWhole: false });
        return { tool_calls: [told ? { index, function: { arguments: text } } : { index, ...toolCall(event.id, name, text) }] };
      }
      case "tool_call":
        this.#calls.set(event.index, { ...event, isWhole: true });
        return undefined; // its deltas have told it
      case "finish":
        this.finish = event;
        return {};
    }
  }

  /** The calls of the whole answer. One in which the answer was cut off is told as far as it came. */
  get calls(): object[] {
    const all = [...this.#calls.values()];
    const isCut = this.finish?.finishReason === "length";
    const told = all.filter(({ isWhole }, i) => isWhole || (isCut && i === all.length - 1));
    return told.map(({ id, name, arguments: text }) => toolCall(id, name, text));
  }
}

function toolCall(id: string | undefined, name: string, text: string) {
  return { id, type: "function", function: { name, arguments: text } };
}

async function* chunks(
  events: AsyncIterable<readonly [number, ChatEvent]>,
  { choices: count, includeUsage, wantsLogprobs }: ChatFields,
  model: ChatModel,
  { id, modelName, created }: AnswerHead,
): AsyncGenerator<object, void> {
  const choices = Array.from({ length: count }, () => new Choice());
  const opened = new Set<number>();
  const chunk = (parts: object) => ({ id, object: "chat.completion.chunk", created, model: modelName, ...parts });
  const usage = includeUsage ? { usage: null } : {};
  for await (const [index, event] of events) {
    const choice = choices[index]!;
    const delta = choice.take(event);
    if (delta === undefined) continue;
    if (!opened.has(index)) {
      opened.add(index);
      yield chunk({ choices: [{ index, delta: { role: "assistant", content: "" }, finish_reason: null }], ...usage });
    }
    const logprobs = wantsLogprobs ? { logprobs: { content: await chatLogprobs(model, choice.tokens) } } : {};
    choice.tokens = [];
    const finished = choice.finish !== undefined;
    const last = finished && !includeUsage && choices.every(({ finish }) => finish);
    const timings = last ? { timings: timingsOf(finishesOf(choices)) } : {};
    yield chunk({
      choices: [{ index, delta, ...logprobs, finish_reason: choice.finish?.finishReason ?? null }],
      ...usage,
      ...timings,
    });
  }
  const finishes = finishesOf(choices);
  if (includeUsage) yield chunk({ choices: [], usage: usageOf(finishes, count), timings: timingsOf(finishes) });
}

async function whole(
  events: AsyncIterable<readonly [number, ChatEvent]>,
  { choices: count, wantsLogprobs }: ChatFields,
  model: ChatModel,
  { id, modelName, created }: AnswerHead,
): Promise<object> {
  const choices = Array.from({ length: count }, () => new Choice());
  for await (const [index, event] of events) choices[index]!.take(event);
  const finishes = finishesOf(choices);
  return {
    id,
    object: "chat.completion",
    created,
    model: modelName,
    choices: await Promise.all(
      choices.map(async ({ text, reasoning, calls, tokens, finish }, index) => ({
        index,
        message: {
          role: "assistant",
          content: text === "" && calls.length > 0 ? null : text,
          refusal: null,
          ...(reasoning !== "" && { reasoning_content: reasoning }),
          ...(calls.length > 0 && { tool_calls: calls }),
        },
        logprobs: wantsLogprobs ? { content: await chatLogprobs(model, tokens), refusal: null } : null,
        finish_reason: finish?.finishReason ?? null,
      })),
    ),
    usage: usageOf(finishes, count),
    timings: timingsOf(finishes),
  };
}

const finishesOf = (choices: readonly Choice[]) => choices.flatMap(({ finish }) => (finish ? [finish] : []));
