/**
 * A model as whatever serves it sees it: conversations and texts in, events out. `LocalChatModel` is one around a loaded checkpoint; one
 * that asks another machine needs nothing but this. No tensor, cache or thread shows here, and every answer is one sequence: several
 * answers to one prompt are several calls, told apart by `choice`.
 */
import type { EngineStatistics } from "../engine/engine-statistics.ts";
import type { GrammarSpec } from "../grammar/grammar-spec.ts";
import type { SamplingOptions } from "../sampler/params.ts";
import type { AssistantPart } from "../text/assistant-parser.ts";
import type { ChatMessage, Tool } from "../text/messages.ts";

export interface ChatModel {
  readonly info: ChatModelInfo;
  /** Answers a conversation. Leaving the loop, or the signal, stops the work within one step. Errors: Qwen3Error, the signal's reason. */
  chat(request: ChatRequest): AsyncIterable<ChatEvent>;
  /** Continues a text. Ends and errors as `chat`. */
  complete(request: CompletionRequest): AsyncIterable<CompletionEvent>;
  /** The prompt of a conversation, as `chat` would feed it. */
  applyTemplate(prompt: ChatPrompt): Promise<{ readonly text: string; readonly ids: readonly number[] }>;
  tokenize(text: string, options?: TokenizeOptions): Promise<number[]>;
  detokenize(ids: readonly number[]): Promise<string>;
  /** The bytes that each token stands for; none for ids that no token has. */
  tokenBytes(ids: readonly number[]): Promise<Uint8Array[]>;
  /** How busy it is at this moment. */
  stats(): ChatModelStats;
}

export interface ChatModelInfo {
  /** What the model is called where nothing else was said: the checkpoint's folder. */
  readonly name: string;
  /** Longest prompt and answer together, in tokens. */
  readonly maxModelLen: number;
  /** Ids are below it. */
  readonly vocabSize: number;
}

/** How busy the model is: what every engine can tell. */
export type ChatModelStats = Omit<EngineStatistics, "computedTokens" | "generatedTokens" | "stepBudget">;

/** A conversation as the checkpoint's own template is to write it. No request brings a template. */
export interface ChatPrompt {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly Tool[] | undefined;
  /** Variables of the template, such as `enable_thinking`. */
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
  /** Default: unless `continueFinalMessage`. */
  readonly addGenerationPrompt?: boolean | undefined;
  readonly continueFinalMessage?: boolean | undefined;
}

/** What the two kinds of request have in common. What is left out is as the checkpoint's generation_config.json has it. */
export interface AnswerOptions {
  readonly sampling?: SamplingOptions | undefined;
  readonly maxNewTokens?: number | undefined;
  readonly minNewTokens?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  readonly stopTokenIds?: readonly number[] | undefined;
  readonly ignoreEos?: boolean | undefined;
  /** How many of the likeliest tokens to tell with each token; none are told where it is left out. */
  readonly logprobs?: number | undefined;
  /** Which answer to the same prompt this is, from 0; the same seed gives each its own draws. */
  readonly choice?: number | undefined;
  /** What the answer has to look like. Errors: Qwen3Error, which names what is not supported. */
  readonly constraint?: ConstraintSpec | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ChatRequest extends ChatPrompt, AnswerOptions {
  /** Whether `<tool_call>` blocks are read as calls, or left as text. Default true. */
  readonly toolCalls?: boolean | undefined;
  /** Whether an answer may have several calls. Default true; else it ends with its first one. */
  readonly parallelToolCalls?: boolean | undefined;
  /** The id of the answer's call with this index. Default `call_0` and so on, counted through the conversation: unique in it alone. */
  readonly callId?: ((index: number) => string) | undefined;
}

export interface CompletionRequest extends AnswerOptions {
  readonly promptIds: readonly number[];
  /** Also the log-probability of every token of the prompt, and of this many likeliest ones beside it. */
  readonly promptLogprobs?: number | undefined;
  /** Whether control tokens are part of the text. Default false. */
  readonly specialTokens?: boolean | undefined;
}

export interface TokenizeOptions {
  /** Whether control tokens that are written in the text count as such. Default false: they are text. */
  readonly parseSpecial?: boolean | undefined;
  /** Put those around it that the checkpoint's post-processor asks for. Default false. */
  readonly addSpecialTokens?: boolean | undefined;
}

/** What an answer has to look like. */
export type ConstraintSpec = GrammarSpec;

export interface AnswerToken {
  readonly id: number;
  /** Natural logarithm of its probability by the raw logits, where it was asked for; not for the first token of a prompt. */
  readonly logprob?: number | undefined;
  /** The likeliest tokens, best first. */
  readonly top?: readonly { readonly id: number; readonly logprob: number }[] | undefined;
}

export interface AnswerTimings {
  readonly promptMs: number;
  readonly completionMs: number;
}

export interface AnswerUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens that were in the cache already. */
  readonly cachedTokens: number;
}

/** The last event of every answer. */
export interface AnswerFinish<Reason extends string> {
  readonly type: "finish";
  readonly finishReason: Reason;
  readonly usage: AnswerUsage;
  readonly timings: AnswerTimings;
  /** The seed that repeats the answer. */
  readonly seed: number;
}

/** A sampled token, control tokens included, comes before the parts that it completes. */
export type ChatEvent =
  | { readonly type: "token"; readonly token: AnswerToken }
  | AssistantPart
  | AnswerFinish<"stop" | "length" | "tool_calls">;

export type CompletionEvent =
  /** First, where log-probabilities of the prompt were asked for. */
  | { readonly type: "prompt"; readonly tokens: readonly AnswerToken[] }
  | { readonly type: "token"; readonly token: AnswerToken; readonly text: string }
  | AnswerFinish<"stop" | "length">;
