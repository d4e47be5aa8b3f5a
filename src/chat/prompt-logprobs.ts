/** What a model thinks of a text that stands already: how likely each of its tokens was, given those before it. */
import type { LocalModel } from "../engine/local-model.ts";
import type { SequenceCache } from "../engine/sequence-cache.ts";
import { logprobs } from "../sampler/logprobs.ts";
import type { AnswerToken } from "./chat-model.ts";

/** Tokens whose logits are held at once: with 151,936 of them, 19 MB. */
const ROWS = 32;

/**
 * The forward pass over `ids`, in pieces, and of every piece the log-probabilities alone are kept.
 *
 * @param top   how many of the likeliest tokens to tell with each
 * @param cache an empty one, which the tokens stay in
 * @returns one for each id; the first has no probability, since nothing stands before it
 */
export async function promptLogprobs(
  model: LocalModel,
  ids: readonly number[],
  { top, cache, signal }: { top: number; cache: SequenceCache; signal?: AbortSignal | undefined },
): Promise<AnswerToken[]> {
  const tokens: AnswerToken[] = [{ id: ids[0]! }];
  const vocabSize = model.config.vocab_size;
  for (let from = 0; from < ids.length; from += ROWS) {
    const piece = ids.slice(from, from + ROWS);
    const { logits } = await model.forward(piece, { cache, logits: "all", signal });
    for (let row = 0; row < piece.length && tokens.length < ids.length; row++) {
      const id = ids[tokens.length]!;
      tokens.push({ id, ...logprobs(logits!.subarray(row * vocabSize, (row + 1) * vocabSize), id, top) });
    }
  }
  return tokens;
}
