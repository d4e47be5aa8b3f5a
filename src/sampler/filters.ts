/**
 * Stages that choose between tokens: temperature makes weights of logits; top-k, top-p and min-p drop the tail of the ranking.
 * Sums run in one fixed order (ascending id, or the ranking), in f64 with our own exp: the same bits on every engine.
 */
import { exp } from "../core/math.ts";
import { atLeastKth, best } from "./ranking.ts";

/** The tokens still in the running, by ascending id. */
export interface Candidates {
  /** Absent while it is the whole vocabulary: entry i is then token i. */
  readonly ids?: Int32Array;
  readonly logits: Float32Array;
  /** Probabilities but for a common factor: exp((logit - largest) / temperature), so the largest has 1. */
  readonly weights: Float64Array;
}

/** The token of entry `index`. */
export const idAt = (candidates: Candidates, index: number): number => candidates.ids?.[index] ?? index;

/** The sum of the weights by ascending id: what makes probabilities of them. */
export function totalWeight(candidates: Candidates): number {
  let total = 0;
  for (const weight of candidates.weights) total += weight;
  return total;
}

/**
 * Ids (ascending) of the k best tokens and of all that equal the k-th; undefined, for all, where k is 0 or the vocabulary is smaller.
 * It looks at logits before the division by the temperature: the quotients, in f64, are in the same order.
 *
 * @param bounds see `atLeastKth`
 */
export function topK(logits: Float32Array, k: number, bounds?: Float32Array): Int32Array | undefined {
  if (k === 0 || k >= logits.length) return undefined;
  return new Int32Array(atLeastKth(logits, k, bounds).filter((id) => logits[id]! > Number.NEGATIVE_INFINITY));
}

/** The weights of `ids` (all, if undefined) at a temperature above 0. */
export function weigh(logits: Float32Array, ids: Int32Array | undefined, temperature: number): Candidates {
  const kept = ids ? gather(logits, ids, new Float32Array(ids.length)) : logits;
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < kept.length; i++) if (kept[i]! > largest) largest = kept[i]!;
  const weights = new Float64Array(kept.length);
  for (let i = 0; i < kept.length; i++) weights[i] = exp((kept[i]! - largest) / temperature);
  return ids ? { ids, logits: kept, weights } : { logits: kept, weights };
}

/** Temperature 0: the best token alone, of equal ones the lowest id. */
export function greedy(logits: Float32Array, bounds?: Float32Array): Candidates {
  const [id = 0] = atLeastKth(logits, 1, bounds);
  return weigh(logits, Int32Array.of(id), 1);
}

/**
 * The shortest start of the ranking that holds at least `p` of the probability, never less than one token. Where the cut falls
 * between equal tokens, those with the higher ids stay: so it falls out of the ascending sort of Hugging Face `TopPLogitsWarper`.
 * Source: "The Curious Case of Neural Text Degeneration" (arXiv:1904.09751) section 3.1.
 */
export function topP(candidates: Candidates, p: number): Candidates {
  if (p >= 1) return candidates;
  const goal = p * totalWeight(candidates);
  // Nearly always a few hundred tokens hold enough: rank no more than needed, and everything only for a flat distribution.
  for (let n = 256; ; n *= 32) {
    const ranked = best(candidates.logits, n, "descending");
    let length = 0;
    let mass = 0;
    do mass += candidates.weights[ranked[length++]!]!;
    while (mass < goal && length < ranked.length);
    if (mass >= goal || ranked.length === candidates.logits.length) return keep(candidates, ranked.subarray(0, length).sort());
  }
}

/** Tokens at least `p` times as probable as the best. Source: arXiv:2407.01082. */
export function minP(candidates: Candidates, p: number): Candidates {
  if (p <= 0) return candidates;
  const kept: number[] = [];
  for (let i = 0; i < candidates.weights.length; i++) if (candidates.weights[i]! >= p) kept.push(i);
  return keep(candidates, new Int32Array(kept));
}

/** The entries at `indices`, which ascend; the same object where that is all of them. */
function keep(candidates: Candidates, indices: Int32Array): Candidates {
  const { ids, logits, weights } = candidates;
  if (indices.length === weights.length) return candidates;
  return {
    ids: ids ? gather(ids, indices, new Int32Array(indices.length)) : indices,
    logits: gather(logits, indices, new Float32Array(indices.length)),
    weights: gather(weights, indices, new Float64Array(indices.length)),
  };
}

function gather<T extends Int32Array | Float32Array | Float64Array>(values: T, indices: Int32Array, into: T): T {
  for (let i = 0; i < indices.length; i++) into[i] = values[indices[i]!]!;
  return into;
}
