/** `POST /v1/completions`: texts or token ids, continued as they are, without the chat template. */
import type { AnswerFinish, AnswerToken, ChatModel, CompletionEvent, CompletionRequest } from "../chat/chat-model.ts";
import type { Answering } from "./answering.ts";
import type { AnswerHead } from "./chat-completions.ts";
import { textConstraint } from "./constraint-fields.ts";
import { ApiError, invalid } from "./errors.ts";
import { isInteger, RequestFields, refuse } from "./fields.ts";
import type { ServerLimits } from "./limits.ts";
import { merge } from "./merge.ts";
import { type CompletionLogprobs, completionLogprobs, timingsOf, usageOf } from "./response-fields.ts";
import { answerOptions, streamOptions } from "./sampling-fields.ts";

/** vLLM's and OpenAI's. */
const DEFAULT_MAX_TOKENS = 16;

interface CompletionFields {
  readonly request: Omit<CompletionRequest, "promptIds">;
  readonly prompts: readonly { readonly ids: readonly number[]; readonly text: string }[];
  /** Answers that are made of each prompt, and how many of them are told: the likeliest. */
  readonly made: number;
  readonly told: number;
  readonly echo: boolean;
  readonly logprobs: number | undefined;
  readonly includeUsage: boolean;
  readonly stream: boolean;
  /** The field that says what the answer has to look like. */
  readonly constraint: string | undefined;
}

/** @throws ApiError 400 naming the field that is wrong */
export async function completions(
  body: Record<string, unknown>,
  model: ChatModel,
  limits: ServerLimits,
  head: AnswerHead,
): Promise<Answering<readonly [number, CompletionEvent]>> {
  const fields = await readFields(body, model, limits);
  const { request, prompts, made } = fields;
  return {
    sequences: prompts.length * made,
    stream: fields.stream,
    prompt: "prompt",
    constraint: fields.constraint,
    events: (signal) =>
      merge(
        prompts.flatMap(({ ids: promptIds }) =>
          Array.from({ length: made }, (_, choice) => model.complete({ ...request, promptIds, choice, signal })),
        ),
      ),
    chunks: (events) => chunks(events, fields, model, head),
    whole: (events) => whole(events, fields, model, head),
  };
}

async function readFields(body: Record<string, unknown>, model: ChatModel, limits: ServerLimits): Promise<CompletionFields> {
  const fields = new RequestFields(body);
  const { vocabSize } = model.info;
  if (fields.string("suffix"))
    throw invalid("suffix", "suffix is not supported: Qwen3 models continue a text, they do not fill in", "unsupported");
  const logprobs = fields.integer("logprobs", 0, limits.logprobs);
  const echo = fields.boolean("echo") ?? false;
  const told = fields.integer("n", 1, limits.choices) ?? 1;
  const made = fields.integer("best_of", told, limits.choices) ?? told;
  const { stream, includeUsage } = streamOptions(fields);
  if (stream && made > told) throw invalid("best_of", "best_of above n cannot be streamed: the best is known at the end");
  const maxNewTokens = fields.integer("max_tokens", 0) ?? DEFAULT_MAX_TOKENS;
  if (maxNewTokens === 0 && !echo) throw invalid("max_tokens", "max_tokens is 0; allowed: at least 1, or 0 with echo");
  const options = answerOptions(fields, { maxNewTokens, logprobs }, vocabSize, limits);
  const specialTokens = fields.boolean("skip_special_tokens") === false;
  const constraint = textConstraint(fields, limits);
  return {
    request: {
      ...options,
      // Without log-probabilities nothing says which answer is the best.
      ...(made > told && logprobs === undefined && { logprobs: 0 }),
      ...(echo && logprobs !== undefined && { promptLogprobs: logprobs }),
      specialTokens,
      constraint: constraint?.spec,
    },
    constraint: constraint?.param,
    prompts: await readPrompts(fields, model, limits),
    made,
    told,
    echo,
    logprobs,
    includeUsage,
    stream,
  };
}

async function readPrompts(fields: RequestFields, model: ChatModel, limits: ServerLimits): Promise<CompletionFields["prompts"]> {
  const { vocabSize, maxModelLen } = model.info;
  const parseSpecial = fields.boolean("parse_special");
  const addSpecialTokens = fields.boolean("add_special_tokens");
  const value = fields.value("prompt");
  if (value === undefined) throw new ApiError(400, "prompt is missing", { param: "prompt", code: "missing_required_parameter" });
  const isIds = Array.isArray(value) && typeof value[0] === "number";
  const list = typeof value === "string" || isIds ? [value] : fields.array("prompt", limits.prompts)!;
  if (list.length === 0) throw invalid("prompt", "prompt is empty; at least one is needed");
  const prompts: { ids: readonly number[]; text: string }[] = [];
  for (const [i, prompt] of list.entries()) {
    const name = list.length > 1 ? `prompt[${i}]` : "prompt";
    const ids =
      typeof prompt === "string"
        ? await model.tokenize(prompt, { parseSpecial, addSpecialTokens })
        : idsOf(prompt, name, vocabSize);
    if (ids.length === 0) throw invalid(name, `${name} is empty; at least one token is needed`);
    if (ids.length > maxModelLen)
      throw invalid(name, `${name} has ${ids.length} tokens; the model takes ${maxModelLen}`, "context_length_exceeded");
    prompts.push({ ids, text: typeof prompt === "string" ? prompt : "" });
  }
  return prompts;
}

function idsOf(prompt: unknown, name: string, vocabSize: number): number[] {
  if (!Array.isArray(prompt)) return refuse(name, prompt, "a string, token ids, or an array of such");
  return prompt.map((id, i) =>
    isInteger(id, 0, vocabSize - 1) ? id + 0 : refuse(`${name}[${i}]`, id, `a token id from 0 to ${vocabSize - 1}`),
  );
}

/** One answer as it becomes known. */
class Choice {
  text = "";
  tokens: AnswerToken[] = [];
  finish: AnswerFinish<string> | undefined;
  /** Code points before the first of `tokens`. */
  offset = 0;
  logprobSum = 0;
  count = 0;

  take(event: CompletionEvent): void {
    if (event.type === "finish") this.finish = event;
    else if (event.type === "prompt")
      this.tokens = [...event.tokens]; // the first event; too many to pass as arguments
    else {
      this.text += event.text;
      this.tokens.push(event.token);
      this.logprobSum += event.token.logprob ?? 0;
      this.count++;
    }
  }

  get mean(): number {
    return this.count > 0 ? this.logprobSum / this.count : Number.NEGATIVE_INFINITY;
  }
}

/** The prompt as text, where it is to come before the answer. */
async function echoes({ prompts, echo }: CompletionFields, model: ChatModel): Promise<string[]> {
  return Promise.all(prompts.map(async ({ ids, text }) => (echo ? text || model.detokenize(ids) : "")));
}

async function* chunks(
  events: AsyncIterable<readonly [number, CompletionEvent]>,
  fields: CompletionFields,
  model: ChatModel,
  { id, modelName, created }: AnswerHead,
): AsyncGenerator<object, void> {
  const { prompts, made, logprobs: top, includeUsage } = fields;
  const before = await echoes(fields, model);
  const choices = Array.from({ length: prompts.length * made }, () => new Choice());
  const opened = new Set<number>();
  const chunk = (parts: object) => ({ id, object: "text_completion", created, model: modelName, ...parts });
  for await (const [index, event] of events) {
    const choice = choices[index]!;
    choice.take(event);
    if (event.type === "prompt") continue; // told with the first token
    const text = (opened.has(index) ? "" : before[Math.floor(index / made)]!) + (event.type === "token" ? event.text : "");
    opened.add(index);
    if (text === "" && event.type === "token") continue; // its log-probabilities come with the text that it begins
    const logprobs: CompletionLogprobs | null =
      top === undefined ? null : await completionLogprobs(model, choice.tokens, top, choice.offset);
    choice.offset += [...text].length;
    choice.tokens = [];
    const finish_reason = choice.finish?.finishReason ?? null;
    yield chunk({ choices: [{ index, text, logprobs, finish_reason }], ...(includeUsage && { usage: null }) });
  }
  const finishes = finishesOf(choices);
  if (includeUsage) yield chunk({ choices: [], usage: usageOf(finishes, made), timings: timingsOf(finishes) });
}

async function whole(
  events: AsyncIterable<readonly [number, CompletionEvent]>,
  fields: CompletionFields,
  model: ChatModel,
  { id, modelName, created }: AnswerHead,
): Promise<object> {
  const { prompts, made, told, logprobs: top } = fields;
  const before = await echoes(fields, model);
  const choices = Array.from({ length: prompts.length * made }, () => new Choice());
  for await (const [index, event] of events) choices[index]!.take(event);
  const finishes = finishesOf(choices);
  const best = prompts.flatMap((_, i) => {
    const own = choices.slice(i * made, (i + 1) * made);
    const ranked = made > told ? own.sort((a, b) => b.mean - a.mean) : own;
    return ranked.slice(0, told).map((choice) => ({ choice, text: before[i]! + choice.text }));
  });
  return {
    id,
    object: "text_completion",
    created,
    model: modelName,
    choices: await Promise.all(
      best.map(async ({ choice, text }, index) => ({
        index,
        text,
        logprobs: top === undefined ? null : await completionLogprobs(model, choice.tokens, top, 0),
        finish_reason: choice.finish?.finishReason ?? null,
      })),
    ),
    usage: usageOf(finishes, made),
    timings: timingsOf(finishes),
  };
}

const finishesOf = (choices: readonly Choice[]) => choices.flatMap(({ finish }) => (finish ? [finish] : []));
