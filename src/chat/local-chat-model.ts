/** A loaded checkpoint as a `ChatModel`. */
import type { GenerateOptions, SampledToken, Timings, Usage } from "../engine/generate.ts";
import type { PromptToken } from "../engine/generate-options.ts";
import type { LocalModel } from "../engine/local-model.ts";
import { generateText } from "../engine/text-generation.ts";
import { chat, encodeChat } from "./chat.ts";
import type {
  AnswerFinish,
  AnswerOptions,
  AnswerToken,
  ChatEvent,
  ChatModel,
  ChatModelInfo,
  ChatModelStats,
  ChatPrompt,
  ChatRequest,
  CompletionEvent,
  CompletionRequest,
  TokenizeOptions,
} from "./chat-model.ts";
import { ResponseFormats } from "./response-format.ts";

export class LocalChatModel implements ChatModel {
  readonly info: ChatModelInfo;
  readonly #model: LocalModel;
  readonly #formats: ResponseFormats;

  constructor(model: LocalModel, formats = new ResponseFormats(model)) {
    const { name, config, plan } = model;
    this.info = { name: folderOf(name), maxModelLen: plan.maxModelLen, vocabSize: config.vocab_size };
    this.#model = model;
    this.#formats = formats;
  }

  async *chat(request: ChatRequest): AsyncGenerator<ChatEvent, void> {
    const { messages, toolCalls, parallelToolCalls, callId } = request;
    const answering = { toolCalls, parallelToolCalls, callId, tokens: true, responseFormat: request.constraint };
    const options = { ...toTemplate(request), ...this.#options(request), ...answering };
    const parts = chat(this.#model, messages, options, this.#formats);
    for await (const part of parts) {
      if (part.type === "token") yield { type: "token", token: toToken(part.token) };
      else if (part.type === "finish") yield finish({ ...part, reason: part.finishReason });
      else yield part;
    }
  }

  async *complete(request: CompletionRequest): AsyncGenerator<CompletionEvent, void> {
    const { promptIds, promptLogprobs } = request;
    const plain = { ...this.#options(request), skipSpecialTokens: !request.specialTokens };
    const options = this.#formats.apply(plain, request.constraint);
    const tokens: AnswerToken[] = promptIds.slice(0, 1).map((id) => ({ id })); // nothing stands before the first
    const onPromptLogprobs = ({ id, logprobs }: PromptToken) => void tokens.push({ id, ...logprobs });
    const scoring = promptLogprobs === undefined ? {} : { promptLogprobs, onPromptLogprobs };
    const answer = generateText(this.#model, [promptIds], { ...options, ...scoring }, ([result]) => result!);
    let told = promptLogprobs === undefined;
    for await (const part of answer) {
      if (!told) yield { type: "prompt", tokens };
      told = true;
      yield { type: "token", token: toToken(part), text: part.text };
    }
    if (!told) yield { type: "prompt", tokens };
    const { finishReason, ...result } = await answer.final();
    yield finish({ ...result, reason: finishReason });
  }

  async applyTemplate(prompt: ChatPrompt): Promise<{ text: string; ids: readonly number[] }> {
    const options = toTemplate(prompt);
    const ids = encodeChat(this.#model, prompt.messages, options);
    const addGenerationPrompt = options.addGenerationPrompt ?? !options.continueFinalMessage;
    return { text: this.#model.tokenizer.applyChatTemplate(prompt.messages, { ...options, addGenerationPrompt }), ids };
  }

  async tokenize(text: string, { parseSpecial = false, addSpecialTokens = false }: TokenizeOptions = {}): Promise<number[]> {
    const { tokenizer } = this.#model;
    const { before, after } = tokenizer.surrounding;
    const ids = parseSpecial ? tokenizer.encode(text) : tokenizer.encodePlain(text);
    return addSpecialTokens ? [...before, ...ids, ...after] : ids;
  }

  async detokenize(ids: readonly number[]): Promise<string> {
    return this.#model.tokenizer.decode(ids);
  }

  async tokenBytes(ids: readonly number[]): Promise<Uint8Array[]> {
    return ids.map((id) => this.#model.tokenizer.tokenBytes(id));
  }

  stats(): ChatModelStats {
    return this.#model.statistics;
  }

  #options(request: AnswerOptions): GenerateOptions {
    const { sampling, maxNewTokens, minNewTokens, stop, stopTokenIds, ignoreEos, logprobs, choice, signal } = request;
    const limits = { maxNewTokens, minNewTokens, stop, stopTokenIds, ignoreEos };
    return { ...sampling, ...limits, logprobs, choice, signal, timings: true };
  }
}

function finish<Reason extends string>(result: {
  readonly reason: Reason | "abort";
  readonly usage: Usage;
  readonly seed: number;
  readonly timings?: Timings;
}): AnswerFinish<Exclude<Reason, "abort">> {
  const { usage, seed, timings = { promptMs: 0, completionMs: 0 } } = result;
  // What is aborted throws the signal's reason and what fails its error: neither gets here.
  const finishReason = result.reason as Exclude<Reason, "abort">;
  return { type: "finish", finishReason, usage, timings, seed };
}

/** The last part of a path or URL: where a checkpoint lies is nobody's business. */
function folderOf(location: string): string {
  return /([^/\\]+)[/\\]*$/.exec(location)?.[1] ?? "model";
}

function toTemplate({ tools, templateVariables, addGenerationPrompt, continueFinalMessage }: ChatPrompt) {
  return {
    tools,
    ...(templateVariables && { kwargs: templateVariables }),
    ...(addGenerationPrompt !== undefined && { addGenerationPrompt }),
    ...(continueFinalMessage !== undefined && { continueFinalMessage }),
  };
}

function toToken({ id, logprobs }: SampledToken): AnswerToken {
  return logprobs ? { id, logprob: logprobs.logprob, top: logprobs.top } : { id };
}
