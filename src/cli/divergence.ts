/** How far one model's predictions are from another's, token by token of a text. */
import { exp, log } from "../core/math.ts";
import { type HubOptions, Qwen3, Qwen3Error } from "../index.ts";

export interface Divergence {
  /** Predictions that were compared. */
  readonly tokens: number;
  /** Kullback-Leibler divergence of the second from the first, in nats. */
  readonly mean: number;
  readonly most: number;
  /** Share of tokens for which both find the same token likeliest. */
  readonly sameLikeliest: number;
}

/** A longer text would tell little more, and takes a large model minutes. */
const MOST_TOKENS = 512;
/** Logits of so many tokens are compared at once: 19 MB of a vocabulary of 151,936. */
const CHUNK = 32;

/**
 * Loads both models, each as it runs by default, and closes them.
 *
 * @throws Qwen3Error ARGUMENT for a text without tokens; what loading throws
 */
export async function divergence(
  model: string,
  other: string,
  text: string,
  options: { readonly hub: HubOptions; readonly signal: AbortSignal },
): Promise<Divergence> {
  const load = (location: string) => Qwen3.fromPretrained(location, options);
  const first = await load(model);
  try {
    const ids = first.tokenizer.encode(text).slice(0, Math.min(MOST_TOKENS, first.plan.maxModelLen));
    if (ids.length === 0) throw new Qwen3Error("ARGUMENT", "the text has no tokens to predict");
    const second = await load(other);
    try {
      return await compared(first, second, ids);
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
}

async function compared(first: Qwen3, second: Qwen3, ids: readonly number[]): Promise<Divergence> {
  const caches = [first.newCache(), second.newCache()] as const;
  let [sum, most, same] = [0, 0, 0];
  for (let at = 0; at < ids.length; at += CHUNK) {
    const chunk = ids.slice(at, at + CHUNK);
    const { logits: p } = await first.forward(chunk, { logits: "all", cache: caches[0] });
    const { logits: q } = await second.forward(chunk, { logits: "all", cache: caches[1] });
    const vocab = p!.length / chunk.length;
    for (let t = 0; t < chunk.length; t++) {
      const row = ofRow(p!.subarray(t * vocab, (t + 1) * vocab), q!.subarray(t * vocab, (t + 1) * vocab));
      sum += row.divergence;
      most = Math.max(most, row.divergence);
      if (row.sameLikeliest) same++;
    }
  }
  return { tokens: ids.length, mean: sum / ids.length, most, sameLikeliest: same / ids.length };
}

function ofRow(p: Float32Array, q: Float32Array): { readonly divergence: number; readonly sameLikeliest: boolean } {
  const [a, b] = [normalizer(p), normalizer(q)];
  let divergence = 0;
  for (let i = 0; i < p.length; i++) {
    const logP = p[i]! - a.logTotal;
    divergence += exp(logP) * (logP - (q[i]! - b.logTotal));
  }
  return { divergence: Math.max(0, divergence), sameLikeliest: a.likeliest === b.likeliest };
}

/** Logarithm of the sum of exponentials. */
function normalizer(logits: Float32Array): { readonly logTotal: number; readonly likeliest: number } {
  let likeliest = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[likeliest]!) likeliest = i;
  const largest = logits[likeliest]!;
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += exp(logits[i]! - largest);
  return { logTotal: largest + log(total), likeliest };
}
