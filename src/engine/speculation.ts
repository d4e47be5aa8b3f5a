/**
 * Prompt lookup: guesses what comes next by what followed the same words before, in the prompt or in the answer. A guess costs a place
 * in a step; whether it is right is for the sampler to say, so it never changes the output.
 *
 * Source: Saxena, "Prompt Lookup Decoding" (github.com/apoorvumang/prompt-lookup-decoding), 2023; lossless verification of drafts after
 * Leviathan et al., "Fast Inference from Transformers via Speculative Decoding" (arXiv:2211.17192). Here the draws are counted by
 * position, so that a draft is kept exactly where it is the token that plain decoding draws.
 */
import { Qwen3Error } from "../core/errors.ts";

export interface Speculation {
  readonly type: "prompt-lookup";
  /** How many tokens must have stood there before in the same order. 1 to 8, default 3. */
  readonly ngram?: number | undefined;
  /** The most tokens that are guessed at once. 1 to 31, default 7. */
  readonly maxDraft?: number | undefined;
}

export interface SpeculationParams {
  readonly ngram: number;
  readonly maxDraft: number;
}

/** The options, completed. Errors: ARGUMENT. */
export function resolveSpeculation({ type, ngram = 3, maxDraft = 7 }: Speculation): SpeculationParams {
  if (type !== "prompt-lookup") throw new Qwen3Error("ARGUMENT", `speculation.type is ${String(type)}; allowed: "prompt-lookup"`);
  const within = (name: string, value: number, most: number) => {
    if (Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw new Qwen3Error("ARGUMENT", `speculation.${name} is ${String(value)}; allowed: an integer in 1..${most}`);
  };
  return { ngram: within("ngram", ngram, 8), maxDraft: within("maxDraft", maxDraft, 31) };
}

/** All tokens of one sequence, and where each run of n of them was last seen: constant work per token. */
export class PromptLookup {
  readonly #n: number;
  readonly #ids: number[] = [];
  /** By the hash of n tokens in a row: the number of the token behind them, where they were last seen. */
  readonly #behind = new Map<number, number>();
  /** The number of the token that followed when the last n tokens were seen before. */
  #match: number | undefined;

  constructor(ngram: number) {
    this.#n = ngram;
  }

  get length(): number {
    return this.#ids.length;
  }

  push(id: number): void {
    const ids = this.#ids;
    ids.push(id);
    if (ids.length < this.#n) return;
    let hash = 0;
    for (let i = ids.length - this.#n; i < ids.length; i++) hash = Math.imul(hash ^ ids[i]!, 0x9e3779b1) ^ (hash >>> 15);
    const before = this.#behind.get(hash);
    this.#match = before !== undefined && this.#endsLike(before) ? before : undefined;
    this.#behind.set(hash, ids.length);
  }

  /** At most `most` tokens that may come next; none where the last n are new. */
  draft(most: number): number[] {
    const draft: number[] = [];
    if (this.#match === undefined) return draft;
    // Past the end it goes on with the draft itself: a text that repeats itself goes on repeating.
    for (let at = this.#match; draft.length < most; at++) draft.push(this.#ids[at] ?? draft[at - this.#ids.length]!);
    return draft;
  }

  /** Whether the n tokens before number `behind` are the last n: hashes may be equal by chance. */
  #endsLike(behind: number): boolean {
    const ids = this.#ids;
    for (let i = 1; i <= this.#n; i++) if (ids[behind - i] !== ids[ids.length - i]) return false;
    return true;
  }
}
