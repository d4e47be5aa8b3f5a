/**
 * Stages that change single logits by what was said before, or by request. Each gives a new array (the memory's copy, if there is a
 * memory), or the same one where it is neutral. Arithmetic is f32, as in PyTorch. Ids past the vocabulary are ignored in histories: they cannot be generated.
 */
import { Qwen3Error } from "../core/errors.ts";
import { SamplerMemory } from "./memory.ts";

const { fround } = Math;

/**
 * Divides positive and multiplies negative logits of every token seen so far by `penalty`; above 1 it makes them less likely.
 * Source: CTRL (arXiv:1909.05858) section 4.1, in the form of Hugging Face `RepetitionPenaltyLogitsProcessor`.
 */
export function repetitionPenalty(
  logits: Float32Array,
  penalty: number,
  prompt: ArrayLike<number>,
  generated: ArrayLike<number>,
  memory = new SamplerMemory(),
): Float32Array {
  if (penalty === 1 || prompt.length + generated.length === 0) return logits;
  const factor = fround(penalty);
  const penalised = memory.copy(logits);
  for (const ids of [prompt, generated])
    for (let i = 0; i < ids.length; i++) {
      const logit = logits[ids[i]!]; // from the untouched array, so that a token seen twice is penalised once
      if (logit !== undefined) penalised[ids[i]!] = logit < 0 ? logit * factor : logit / factor;
    }
  return penalised;
}

/**
 * Takes `frequency` for each time a token was generated, and `presence` once, off its logit. The prompt does not count.
 * Source: OpenAI API reference, "Frequency and presence penalties".
 */
export function frequencyAndPresencePenalty(
  logits: Float32Array,
  frequency: number,
  presence: number,
  generated: ArrayLike<number>,
  memory = new SamplerMemory(),
): Float32Array {
  if ((frequency === 0 && presence === 0) || generated.length === 0) return logits;
  const penalised = memory.copy(logits);
  for (const [id, count] of memory.counts(generated))
    if (id < logits.length) penalised[id] = logits[id]! - fround(frequency * count + presence);
  return penalised;
}

/**
 * Adds a number of the caller's to single logits.
 *
 * @throws Qwen3Error ARGUMENT for an id that is not in the vocabulary
 */
export function biasLogits(logits: Float32Array, bias: ReadonlyMap<number, number>, memory = new SamplerMemory()): Float32Array {
  if (bias.size === 0) return logits;
  const biased = memory.copy(logits);
  for (const [id, value] of bias) {
    if (logits[id] === undefined)
      throw new Qwen3Error("ARGUMENT", `logitBias: there is no token ${id}; ids are 0 to ${logits.length - 1}`);
    biased[id] = logits[id] + fround(value);
  }
  return biased;
}
