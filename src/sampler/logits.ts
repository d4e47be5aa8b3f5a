import { Qwen3Error } from "../core/errors.ts";
import { MAX_VOCABULARY } from "./ranking.ts";

/**
 * Refuses logits that no distribution can be made of.
 *
 * @param what what they are, for the message
 * @param maxima the largest of every few of them, NaN where one is
 * @throws Qwen3Error SAMPLER_LOGITS for NaN or +Infinity anywhere, or -Infinity everywhere
 */
export function checkLogits(logits: Float32Array, what: string, maxima: Float32Array = logits): void {
  if (logits.length === 0 || logits.length > MAX_VOCABULARY)
    throw new Qwen3Error("SAMPLER_LOGITS", `${what}: ${logits.length} of them; allowed are 1 to ${MAX_VOCABULARY}`);
  if (allFinite(maxima)) return;
  let finite = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (!(logit < Number.POSITIVE_INFINITY))
      // NaN fails every comparison
      throw new Qwen3Error("SAMPLER_LOGITS", `${what}: ${logit} at token ${id}; allowed are finite numbers and -Infinity`);
    if (logit > Number.NEGATIVE_INFINITY) finite++;
  }
  if (finite === 0)
    throw new Qwen3Error("SAMPLER_LOGITS", `${what}: all ${logits.length} are -Infinity, so no token can be chosen`);
}

/** Four by four, which takes a third of the time: x - x is 0 for a finite x, and NaN for any other. */
function allFinite(x: Float32Array): boolean {
  const whole = x.length - (x.length % 4);
  let zero = 0;
  for (let i = 0; i < whole; i += 4)
    zero += x[i]! - x[i]! + (x[i + 1]! - x[i + 1]!) + (x[i + 2]! - x[i + 2]!) + (x[i + 3]! - x[i + 3]!);
  for (let i = whole; i < x.length; i++) zero += x[i]! - x[i]!;
  return zero === 0;
}
