/** The line that closes an answer: how much was read and written, and how fast. */
import type { ChatFinishReason, Timings, Usage } from "../index.ts";

export interface Finished {
  readonly finishReason: ChatFinishReason;
  readonly usage: Usage;
  readonly timings?: Timings;
  readonly seed: number;
}

const ENDINGS: Partial<Record<ChatFinishReason, string>> = {
  length: "cut off by the token limit",
  abort: "stopped",
};

/** @param drawn whether random numbers were drawn: without them the seed says nothing */
export function closingLine({ finishReason, usage, timings, seed }: Finished, drawn = true): string {
  const { promptTokens, completionTokens, cachedTokens, draftTokens, acceptedTokens } = usage;
  const prompt = `${count(promptTokens, "prompt token")}${cachedTokens > 0 ? ` (${cachedTokens} of them known)` : ""}`;
  const parts = [
    prompt + rate(timings?.promptTokensPerSecond),
    count(completionTokens, "output token") + rate(timings?.completionTokensPerSecond),
    draftTokens === undefined ? undefined : `${acceptedTokens} of ${count(draftTokens, "guess", "es")} right`,
    drawn ? `seed ${seed}` : undefined,
    ENDINGS[finishReason],
  ];
  return `[${parts.filter((part) => part !== undefined).join(", ")}]`;
}

function count(tokens: number, what: string, plural = "s"): string {
  return `${tokens} ${what}${tokens === 1 ? "" : plural}`;
}

/** Nothing where no time was measured: the first token of an answer comes with its prompt. */
function rate(tokensPerSecond = 0): string {
  if (tokensPerSecond === 0) return "";
  return ` at ${tokensPerSecond.toFixed(tokensPerSecond < 100 ? 1 : 0)} tok/s`;
}
