/**
 * `chat`: messages in, parts of the assistant's answer out: reasoning, text and tool calls as they come, then why it ended.
 */
import { Qwen3Error } from "../core/errors.ts";
import {
  Batch,
  type FinishReason,
  type Follower,
  type GenerateOptions,
  type SampledToken,
  type Timings,
  type Usage,
} from "../engine/generate.ts";
import type { LocalModel } from "../engine/local-model.ts";
import { PartStream } from "../engine/part-stream.ts";
import type { Reasoning } from "../grammar/compile.ts";
import type { GrammarSpec } from "../grammar/grammar-spec.ts";
import { AssistantParser, type AssistantPart, startsInReasoning, type WholeToolCall } from "../text/assistant-parser.ts";
import type { ChatMessage } from "../text/messages.ts";
import { StopStrings } from "../text/stop-strings.ts";
import type { ChatTemplateOptions } from "../text/tokenizer.ts";
import type { ResponseFormats } from "./response-format.ts";
import { type ToolChoice, toolFormat, withoutToolCalls } from "./tool-choice.ts";

export interface ChatOptions extends GenerateOptions, ChatTemplateOptions {
  /**
   * What the answer has to look like: JSON by a schema, a pattern, one of several texts, tool calls. Reasoning that the prompt has begun comes
   * before it, and with `enable_thinking: true` in `kwargs` reasoning may. What cannot be enforced is refused: GRAMMAR_UNSUPPORTED, by name.
   */
  readonly responseFormat?: GrammarSpec | undefined;
  /** Also a part for each sampled token, control tokens included, before the parts that it completes. Default false. */
  readonly tokens?: boolean | undefined;
  /** Whether tool calls are told from text. Default true. */
  readonly toolCalls?: boolean | undefined;
  /**
   * Whether the model may call a tool ("auto", the default), must not ("none": it still reads about them, and the token that opens a call
   * is never sampled), must ("required"), or must call one function. Calls that have to be made, and those of tools with `strict: true`, are
   * held to the tools' schemas; what of a schema cannot be enforced is refused: GRAMMAR_UNSUPPORTED, by name.
   */
  readonly toolChoice?: ToolChoice | undefined;
  /** Whether an answer may have several tool calls. Default true; else it ends with its first one. */
  readonly parallelToolCalls?: boolean | undefined;
  /** The id of the answer's tool call with this index. Default `call_0` and so on, counted through the conversation. */
  readonly callId?: ((index: number) => string) | undefined;
}

export type ChatFinishReason = FinishReason | "tool_calls";

export interface ChatFinish {
  readonly finishReason: ChatFinishReason;
  readonly usage: Usage;
  /** The seed that repeats this answer. */
  readonly seed: number;
  readonly timings?: Timings;
}

export type ChatPart = AssistantPart | TokenPart | ({ readonly type: "finish" } & ChatFinish);

export interface TokenPart {
  readonly type: "token";
  readonly token: SampledToken;
}

export interface ChatResult extends ChatFinish {
  /** The answer as a message: append it to the conversation for the next turn. With `continueFinalMessage`: what was added to the last one. */
  readonly message: ChatMessage;
  /** Where they were asked for: of every sampled token, control tokens included. */
  readonly logprobs?: readonly SampledToken[];
}

/** The ids that `chat` feeds: the conversation through the template, with control tokens only where the template wrote them. */
export function encodeChat(model: LocalModel, messages: readonly ChatMessage[], options: ChatTemplateOptions): number[] {
  const addGenerationPrompt = options.addGenerationPrompt ?? !options.continueFinalMessage;
  return model.tokenizer.encodeChat(messages, { ...options, addGenerationPrompt });
}

export function chat(
  model: LocalModel,
  messages: readonly ChatMessage[],
  options: ChatOptions,
  formats: ResponseFormats,
): PartStream<ChatPart, ChatResult> {
  const ids = encodeChat(model, messages, options);
  const mayReason = options.kwargs?.enable_thinking === true ? "optional" : "none";
  const reasoning = startsInReasoning(ids, model.tokenizer) ? "open" : mayReason;
  const batch = new Batch(model, [ids], heldTo(options, reasoning, model, formats));
  const sequence = batch.sequences[0]!;
  const parser = newParser(model, ids, messages, options);
  const said: AssistantPart[] = [];
  const sampled: SampledToken[] = [];

  const finish = (): ChatFinish => {
    const ended = sequence.finishReason ?? "abort";
    const called = ended === "stop" && said.some((part) => part.type === "tool_call");
    return {
      finishReason: called ? "tool_calls" : ended,
      usage: batch.usage(sequence),
      seed: batch.sampling.seed,
      ...(options.timings && { timings: batch.timings() }),
    };
  };
  const parts = async function* (): AsyncGenerator<ChatPart, void> {
    for await (const part of batch.parts(() => chatFollower(model, parser, options, sampled))) {
      if (part.type !== "token") said.push(part);
      yield part;
    }
    yield { type: "finish", ...finish() };
  };
  return new PartStream(parts(), () => {
    batch.requireSuccess();
    return {
      message: toMessage(said, parser.toldCall),
      ...finish(),
      ...(options.logprobs !== undefined && { logprobs: sampled }),
    };
  });
}

/** The options with the constraint that the form of the answer and the choice of tools ask for. */
function heldTo(options: ChatOptions, reasoning: Reasoning, model: LocalModel, formats: ResponseFormats): GenerateOptions {
  const calls = toolFormat(options);
  const { responseFormat, toolChoice = "auto", constraint } = options;
  if (calls && toolChoice !== "auto" && (responseFormat || constraint))
    throw new Qwen3Error("ARGUMENT", "toolChoice asks for a call beside responseFormat or constraint; allowed is one of them");
  const held = formats.apply(options, responseFormat ?? (constraint ? undefined : calls), reasoning);
  if (toolChoice !== "none" || held.constraint) return held;
  return { ...held, constraint: withoutToolCalls(model.tokenizer, model.config.vocab_size) };
}

function newParser(
  { tokenizer }: LocalModel,
  promptIds: readonly number[],
  messages: readonly ChatMessage[],
  { toolCalls = true, toolChoice, callId }: ChatOptions,
): AssistantParser {
  // Calls are numbered through the conversation: clients match results to calls by id, whatever the turn.
  const earlier = messages.reduce((count, { tool_calls }) => count + (tool_calls?.length ?? 0), 0);
  return new AssistantParser(tokenizer, {
    startsInReasoning: startsInReasoning(promptIds, tokenizer),
    toolCalls: toolCalls && toolChoice !== "none",
    callId: callId ?? ((index) => `call_${earlier + index}`),
  });
}

/** Decodes, parses, and looks for stop strings in what the user is to read (not in reasoning, not inside tool calls). */
function chatFollower(
  model: LocalModel,
  parser: AssistantParser,
  options: ChatOptions,
  sampled: SampledToken[],
): Follower<AssistantPart | TokenPart> {
  const decoder = model.tokenizer.newDecoder({ skipSpecialTokens: true });
  const { parallelToolCalls = true } = options;
  const matcher = new StopStrings(options.stop === undefined ? [] : [options.stop].flat());
  let tokens = 0;

  /** Text parts through the matcher; what it holds back comes out before a part of another kind. */
  const visible = (parts: readonly AssistantPart[]): { parts: AssistantPart[]; stop: boolean } => {
    const out: AssistantPart[] = [];
    for (const part of parts) {
      if (part.type !== "text") {
        pushText(out, matcher.flush());
        out.push(part);
        if (part.type === "tool_call" && !parallelToolCalls) return { parts: out, stop: true };
        continue;
      }
      const { text, stop } = matcher.push(part.text);
      pushText(out, text);
      if (stop !== undefined) return { parts: out, stop: true };
    }
    return { parts: out, stop: false };
  };

  /** Of one token. */
  const push: Follower<AssistantPart>["push"] = (token, ends) => {
    const { id } = token;
    sampled.push(token);
    const early = ++tokens <= (options.minNewTokens ?? 0);
    const parsed = parser.push(id, decoder.push(id));
    if (ends) parsed.push(...parser.flush(decoder.flush(), ends === "length"));
    if (early) return { parts: parsed, stop: false };
    const { parts, stop } = visible(parsed);
    if (ends && !stop) pushText(parts, matcher.flush());
    return { parts, stop };
  };
  if (!options.tokens) return { push };
  return {
    push(token, ends) {
      const { parts, stop } = push(token, ends);
      return { parts: [{ type: "token", token }, ...parts], stop };
    },
  };
}

function pushText(parts: AssistantPart[], text: string): void {
  if (text !== "") parts.push({ type: "text", text });
}

/** @param cut the call in the middle of which the answer was cut off */
function toMessage(parts: readonly AssistantPart[], cut: WholeToolCall | undefined): ChatMessage {
  const joined = (type: "text" | "reasoning") => parts.map((part) => (part.type === type ? part.text : "")).join("");
  const calls = [...parts.filter((part) => part.type === "tool_call"), ...(cut ? [cut] : [])];
  const reasoning = joined("reasoning");
  return {
    role: "assistant",
    content: joined("text"),
    ...(reasoning !== "" && { reasoning_content: reasoning }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, arguments: text }) => ({ id, type: "function", function: { name, arguments: text } })),
    }),
  };
}
