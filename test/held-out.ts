/** How well nano predicts dialogues that it was not trained on, and how far one way to hold its weights is from another. */
import { readFileSync } from "node:fs";
import type { ChatMessage, Tokenizer, Tool } from "../src/index.ts";
import { goldenPath } from "./paths.ts";

export interface Dialogue {
  readonly ids: readonly number[];
  /** Indices of `ids` that the assistant wrote: what the model was trained to predict. */
  readonly answers: readonly number[];
}

/** The first `count` held-out dialogues (weights/nano/dataset.py wrote them, with another seed and split than for training). */
export function heldOutDialogues(tokenizer: Tokenizer, count: number): Dialogue[] {
  const opening = tokenizer.encode("<|im_start|>assistant\n");
  const [end] = tokenizer.encode("<|im_end|>");
  const lines = readFileSync(goldenPath("held-out.jsonl"), "utf8").trimEnd().split("\n").slice(0, count);
  return lines.map((line) => {
    const { messages, tools } = JSON.parse(line) as { messages: ChatMessage[]; tools?: Tool[] };
    const ids = tokenizer.encodeChat(messages, { tools });
    const answers: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      if (!opening.every((id, j) => ids[i + j] === id)) continue;
      for (i += opening.length; i < ids.length; i++) {
        answers.push(i);
        if (ids[i] === end) break;
      }
    }
    return { ids, answers };
  });
}

/** Log-probabilities of all tokens at each answer token's place: [answers, vocab]. */
export async function answerLogprobs(
  { ids, answers }: Dialogue,
  forward: (ids: readonly number[]) => Promise<Float32Array>,
): Promise<Float32Array[]> {
  const logits = await forward(ids);
  const vocab = logits.length / ids.length;
  return answers.map((at) => logSoftmax(logits.subarray((at - 1) * vocab, at * vocab)));
}

function logSoftmax(logits: Float32Array): Float32Array {
  const largest = logits.reduce((most, value) => Math.max(most, value));
  const total = logits.reduce((sum, value) => sum + Math.exp(value - largest), 0);
  return logits.map((value) => value - largest - Math.log(total));
}

export interface Comparison {
  readonly tokens: number;
  readonly perplexity: number;
  /** Kullback-Leibler divergence from the exact model's distribution, per token, in nats. */
  readonly meanKl: number;
  readonly kl99: number;
  /** Share of tokens for which both models find the same token likeliest. */
  readonly sameTop: number;
}

/** @param exact log-probabilities of the model that is compared with, by dialogue */
export function compare(
  dialogues: readonly Dialogue[],
  exact: readonly (readonly Float32Array[])[],
  own: readonly (readonly Float32Array[])[],
): Comparison {
  let [surprise, same] = [0, 0];
  const divergences: number[] = [];
  for (const [d, { ids, answers }] of dialogues.entries())
    for (const [i, at] of answers.entries()) {
      const [p, q] = [exact[d]![i]!, own[d]![i]!];
      surprise -= q[ids[at]!]!;
      divergences.push(p.reduce((sum, value, id) => sum + Math.exp(value) * (value - q[id]!), 0));
      same += Number(p.indexOf(Math.max(...p)) === q.indexOf(Math.max(...q)));
    }
  divergences.sort((a, b) => a - b);
  const tokens = divergences.length;
  return {
    tokens,
    perplexity: Math.exp(surprise / tokens),
    meanKl: divergences.reduce((sum, value) => sum + value, 0) / tokens,
    kl99: divergences[Math.floor(0.99 * tokens)]!,
    sameTop: same / tokens,
  };
}
