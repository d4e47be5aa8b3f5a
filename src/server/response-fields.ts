/** What both kinds of answers tell beside the text: usage, timings, and tokens as text and bytes. */
import type { AnswerFinish, AnswerTimings, AnswerToken, AnswerUsage, ChatModel } from "../chat/chat-model.ts";

type Finish = AnswerFinish<string>;

/** Of all answers to one request; a prompt counts once, however many answers it has. */
export function usageOf(finishes: readonly Finish[], choices: number) {
  const sum = (of: (usage: AnswerUsage) => number, every = 1) =>
    finishes.reduce((total, { usage }, i) => total + (i % every === 0 ? of(usage) : 0), 0);
  const prompt = sum((usage) => usage.promptTokens, choices);
  const completion = sum((usage) => usage.completionTokens);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: sum((usage) => usage.cachedTokens, choices) },
  };
}

/** llama.cpp's figures of the first answer. */
export function timingsOf([finish]: readonly Finish[]) {
  if (!finish) return undefined;
  const { usage, timings } = finish;
  const computed = usage.promptTokens - usage.cachedTokens;
  const { promptMs, completionMs }: AnswerTimings = timings;
  const each = (ms: number, tokens: number) => (tokens > 0 ? ms / tokens : 0);
  const perSecond = (ms: number, tokens: number) => (ms > 0 ? (tokens * 1000) / ms : 0);
  return {
    cache_n: usage.cachedTokens,
    prompt_n: computed,
    prompt_ms: promptMs,
    prompt_per_token_ms: each(promptMs, computed),
    prompt_per_second: perSecond(promptMs, computed),
    predicted_n: usage.completionTokens,
    predicted_ms: completionMs,
    predicted_per_token_ms: each(completionMs, usage.completionTokens),
    predicted_per_second: perSecond(completionMs, usage.completionTokens),
  };
}

/** The least log-probability that is told; JSON has no minus infinity. */
const LEAST = -9999;
const finite = (logprob: number): number => Math.max(LEAST, logprob);

/** A token's own bytes as text. Bytes that are no whole characters are told as such, so that every token is told apart. */
function tokenText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
  }
}

/** Bytes of all tokens that are to be told, asked for at once. */
async function bytesOf(model: ChatModel, tokens: readonly AnswerToken[]): Promise<ReadonlyMap<number, Uint8Array>> {
  const ids = [...new Set(tokens.flatMap(({ id, top = [] }) => [id, ...top.map((one) => one.id)]))];
  const bytes = await model.tokenBytes(ids);
  return new Map(ids.map((id, i) => [id, bytes[i]!]));
}

/** `logprobs.content` of a chat answer. */
export async function chatLogprobs(model: ChatModel, tokens: readonly AnswerToken[]) {
  const bytes = await bytesOf(model, tokens);
  const entry = (id: number, logprob: number) => {
    const own = bytes.get(id) ?? new Uint8Array();
    return { token: new TextDecoder("utf-8", { ignoreBOM: true }).decode(own), logprob: finite(logprob), bytes: [...own] };
  };
  return tokens.map(({ id, logprob = LEAST, top = [] }) => ({
    ...entry(id, logprob),
    top_logprobs: top.map((one) => entry(one.id, one.logprob)),
  }));
}

export interface CompletionLogprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[];
  readonly text_offset: number[];
}

/** `logprobs` of a completion. @param offset of the first token in the text, in code points as Python counts them */
export async function completionLogprobs(
  model: ChatModel,
  tokens: readonly AnswerToken[],
  top: number,
  offset: number,
): Promise<CompletionLogprobs> {
  const bytes = await bytesOf(model, tokens);
  const text = (id: number) => tokenText(bytes.get(id) ?? new Uint8Array());
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let at = offset;
  const offsets = tokens.map(({ id }) => {
    const start = at;
    at += [...decoder.decode(bytes.get(id) ?? new Uint8Array(), { stream: true })].length;
    return start;
  });
  return {
    tokens: tokens.map(({ id }) => text(id)),
    token_logprobs: tokens.map(({ logprob }) => (logprob === undefined ? null : finite(logprob))),
    top_logprobs: tokens.map((token) => (token.top && top > 0 ? likeliest(token, text) : null)),
    text_offset: offsets,
  };
}

/** The likeliest tokens, best first, and the chosen one beside them, as OpenAI does. Of equal texts the likelier one stands. */
function likeliest({ id, logprob = LEAST, top = [] }: AnswerToken, text: (id: number) => string): Record<string, number> {
  const told = new Map<string, number>();
  for (const one of [...top, { id, logprob }]) if (!told.has(text(one.id))) told.set(text(one.id), finite(one.logprob));
  return Object.fromEntries(told);
}
