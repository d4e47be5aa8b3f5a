/**
 * From logits to the next token: penalties, bias and mask on the logits, then temperature and filters, then one counted random
 * number. `sample` and `stages` run the same lines; the latter looks on.
 */
import { uniform } from "../core/random.ts";
import { type Candidates, greedy, idAt, minP, topK, topP, totalWeight, weigh } from "./filters.ts";
import { checkLogits } from "./logits.ts";
import { type LogitMask, maskLogits } from "./mask.ts";
import type { SamplerMemory } from "./memory.ts";
import type { SamplingParams } from "./params.ts";
import { biasLogits, frequencyAndPresencePenalty, repetitionPenalty } from "./penalties.ts";

/** What the next token may depend on besides logits and parameters. */
export interface SampleContext {
  /** Token ids of the prompt. */
  readonly prompt: ArrayLike<number>;
  /** Token ids of the answer so far. */
  readonly generated: ArrayLike<number>;
  /** Which of several answers to one prompt this is, from 0. */
  readonly choice: number;
  /** Number of the drawn token in its sequence: with seed and choice it decides the random number, and nothing else does. */
  readonly position: number;
  readonly mask?: LogitMask | undefined;
  /** The largest of every `MAXIMA_COLUMNS` logits, NaN where one is, to save time (`Backend.blockMaxima`). */
  readonly maxima?: Float32Array | undefined;
  /** The sequence's, to save time. */
  readonly memory?: SamplerMemory | undefined;
}

/** In the order in which they act. */
export const STAGE_NAMES = [
  "repetition_penalty",
  "frequency_and_presence_penalty",
  "logit_bias",
  "mask",
  "temperature",
  "top_k",
  "top_p",
  "min_p",
] as const;
export type StageName = (typeof STAGE_NAMES)[number];

/** Called after each stage that is not neutral. */
export type ObserveStage = (name: StageName, after: Candidates) => void;

/**
 * The id of the next token.
 *
 * @param logits [vocabulary] f32, as the model gave them; they are not changed
 * @throws Qwen3Error SAMPLER_LOGITS for NaN, +Infinity, or no token left; ARGUMENT for a bias on a token that does not exist
 */
export function sample(logits: Float32Array, params: SamplingParams, context: SampleContext): number {
  const candidates = remaining(logits, params, context);
  return draw(candidates, uniform(params.seed, context.choice, context.position));
}

/** What is left to draw from after all stages. */
export function remaining(
  logits: Float32Array,
  params: SamplingParams,
  context: SampleContext,
  observe?: ObserveStage,
): Candidates {
  const { maxima } = context;
  checkLogits(logits, "the model's logits", maxima);
  const adjusted = adjust(logits, params, context, observe);
  const bounds = adjusted === logits || onlyLowers(params) ? maxima : undefined;
  const { temperature } = params;
  if (temperature === 0) {
    const best = greedy(adjusted, bounds);
    requireDistribution(best, adjusted);
    observe?.("temperature", best);
    return best;
  }
  const ids = topK(adjusted, params.topK, bounds);
  const candidates = weigh(adjusted, ids, temperature);
  requireDistribution(candidates, adjusted);
  if (temperature !== 1) observe?.("temperature", weigh(adjusted, undefined, temperature));
  if (ids) observe?.("top_k", candidates);
  const nucleus = topP(candidates, params.topP);
  if (nucleus !== candidates) observe?.("top_p", nucleus);
  const probable = minP(nucleus, params.minP);
  if (probable !== nucleus) observe?.("min_p", probable);
  return probable;
}

/** Whether no stage that changes logits makes one larger, so that what was the largest of some is a bound of theirs still. */
function onlyLowers({ repetitionPenalty, frequencyPenalty, presencePenalty, logitBias }: SamplingParams): boolean {
  const lowered = repetitionPenalty >= 1 && frequencyPenalty >= 0 && presencePenalty >= 0;
  return lowered && [...logitBias.values()].every((bias) => bias <= 0);
}

/** The best candidate has the weight 1, unless the stages before made it infinite or left none. */
function requireDistribution(candidates: Candidates, adjusted: Float32Array): void {
  if (!candidates.weights.includes(1)) checkLogits(adjusted, "logits after penalties, bias and mask");
}

/** The stages that change logits: a new array, or the same one where all are neutral. */
function adjust(logits: Float32Array, params: SamplingParams, context: SampleContext, observe?: ObserveStage): Float32Array {
  const { prompt, generated, mask } = context;
  const memory = observe ? undefined : context.memory; // who looks on compares each stage with the one before
  const { repetitionPenalty: repetition, frequencyPenalty: frequency, presencePenalty: presence } = params;
  let current = logits;
  const take = (name: StageName, next: Float32Array) => {
    if (next !== current) observe?.(name, weigh(next, undefined, 1));
    current = next;
  };
  take("repetition_penalty", repetitionPenalty(current, repetition, prompt, generated, memory));
  take("frequency_and_presence_penalty", frequencyAndPresencePenalty(current, frequency, presence, generated, memory));
  take("logit_bias", biasLogits(current, params.logitBias, memory));
  take("mask", maskLogits(current, mask, memory));
  return current;
}

/** The token in whose share of the whole, laid end to end by ascending id, `u` (0 up to but not 1) falls. */
export function draw(candidates: Candidates, u: number): number {
  const { weights } = candidates;
  const target = u * totalWeight(candidates);
  let index = 0;
  let reached = weights[0]!;
  while (reached <= target && index < weights.length - 1) reached += weights[++index]!;
  return idAt(candidates, index);
}
