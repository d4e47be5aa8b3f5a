/** The fields that requests for chat and for completions share, under the names of OpenAI and vLLM. */
import type { AnswerOptions } from "../chat/chat-model.ts";
import { invalid } from "./errors.ts";
import { isInteger, type RequestFields, refuse } from "./fields.ts";
import type { ServerLimits } from "./limits.ts";

export interface StreamOptions {
  readonly stream: boolean;
  /** A last chunk that tells the usage. */
  readonly includeUsage: boolean;
}

export function streamOptions(fields: RequestFields): StreamOptions {
  const stream = fields.boolean("stream") ?? false;
  const options = fields.object("stream_options");
  if (options && !stream) throw invalid("stream_options", "stream_options goes with stream: true only");
  return { stream, includeUsage: options?.boolean("include_usage") ?? false };
}

/** @param maxNewTokens as the kind of request reads it; @param logprobs likewise */
export function answerOptions(
  fields: RequestFields,
  { maxNewTokens, logprobs }: { readonly maxNewTokens: number | undefined; readonly logprobs: number | undefined },
  vocabSize: number,
  limits: ServerLimits,
): AnswerOptions {
  const topK = fields.integer("top_k", -1, 2147483647);
  const minNewTokens = fields.integer("min_tokens", 0);
  if (minNewTokens !== undefined && minNewTokens > (maxNewTokens ?? Number.POSITIVE_INFINITY))
    throw invalid("min_tokens", `min_tokens is ${minNewTokens}; allowed: at most max_tokens, which is ${maxNewTokens}`);
  fields.string("user");
  return {
    sampling: {
      temperature: fields.number("temperature", 0, 100),
      topP: fields.number("top_p", 0, 1),
      topK: topK === -1 ? 0 : topK, // as vLLM has it, -1 is off too
      minP: fields.number("min_p", 0, 1),
      presencePenalty: fields.number("presence_penalty", -2, 2),
      frequencyPenalty: fields.number("frequency_penalty", -2, 2),
      repetitionPenalty: fields.number("repetition_penalty", 0.01, 100),
      seed: fields.integer("seed", Number.MIN_SAFE_INTEGER),
      logitBias: logitBias(fields, vocabSize, limits.logitBias),
    },
    maxNewTokens,
    minNewTokens,
    stop: stops(fields, limits),
    stopTokenIds: fields.ids("stop_token_ids", vocabSize, 1024),
    ignoreEos: fields.boolean("ignore_eos"),
    logprobs,
  };
}

function stops(fields: RequestFields, { stops: most, stopLength }: ServerLimits): string[] | undefined {
  const value = fields.value("stop");
  const list = typeof value === "string" ? [value] : fields.array("stop", most);
  return list?.map((stop, i) => {
    const name = typeof value === "string" ? "stop" : `stop[${i}]`;
    if (typeof stop !== "string" || stop === "") return refuse(name, stop, "a string that is not empty");
    if (stop.length > stopLength) throw invalid(name, `${name} has ${stop.length} characters; allowed: at most ${stopLength}`);
    return stop;
  });
}

function logitBias(fields: RequestFields, vocabSize: number, most: number): Map<number, number> | undefined {
  const given = fields.record("logit_bias");
  if (given === undefined) return undefined;
  const entries = Object.entries(given);
  if (entries.length > most)
    throw invalid("logit_bias", `logit_bias has ${entries.length} entries; allowed: at most ${most}`, "array_too_long");
  return new Map(
    entries.map(([key, bias]) => {
      const id = /^\d{1,9}$/.test(key) ? Number(key) : Number.NaN;
      if (!isInteger(id, 0, vocabSize - 1)) return refuse("logit_bias", key, `token ids from 0 to ${vocabSize - 1} as keys`);
      if (typeof bias !== "number" || !(bias >= -100 && bias <= 100))
        return refuse(`logit_bias.${key}`, bias, "a number from -100 to 100");
      return [id, bias];
    }),
  );
}
