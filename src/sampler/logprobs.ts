import { Qwen3Error } from "../core/errors.ts";
import { log, sumOfExps } from "../core/math.ts";
import { checkLogits } from "./logits.ts";
import { best } from "./ranking.ts";

export interface TokenLogprob {
  readonly id: number;
  /** Natural logarithm of the probability, -Infinity where that is 0. */
  readonly logprob: number;
}

export interface Logprobs {
  readonly logprob: number;
  /** The likeliest tokens, best first; equal ones by ascending id. */
  readonly top: readonly TokenLogprob[];
}

/**
 * The log-probability of a token and of the `top` likeliest, by the model's raw logits: before penalties, bias, mask, temperature
 * and filters. So they say what the model thinks, not how likely the draw was, and do not depend on the sampling parameters.
 *
 * @throws Qwen3Error ARGUMENT for an id or `top` outside the vocabulary, SAMPLER_LOGITS for logits without a distribution
 */
export function logprobs(logits: Float32Array, id: number, top: number): Logprobs {
  checkLogits(logits, "logits");
  if (!(Number.isInteger(id) && id >= 0 && id < logits.length))
    throw new Qwen3Error("ARGUMENT", `logprobs: there is no token ${id}; ids are 0 to ${logits.length - 1}`);
  if (!(Number.isInteger(top) && top >= 0 && top <= logits.length))
    throw new Qwen3Error("ARGUMENT", `logprobs: top is ${top}; allowed are integers from 0 to ${logits.length}`);
  const ranked = best(logits, Math.max(1, top));
  // log softmax = logit - (largest + log of the sum of exp(logit - largest)): the largest term is 1, so nothing overflows.
  const largest = logits[ranked[0]!]!;
  const logSum = log(sumOfExps(logits, largest));
  const logprob = (token: number) => logits[token]! - largest - logSum;
  return { logprob: logprob(id), top: Array.from(ranked.subarray(0, top), (token) => ({ id: token, logprob: logprob(token) })) };
}
