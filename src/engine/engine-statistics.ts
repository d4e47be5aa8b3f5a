/** How busy an engine is, and what it has done since it was made. */
export interface EngineStatistics {
  /** Requests that have no pages at this moment, and those that have. */
  readonly waiting: number;
  readonly running: number;
  /** Pages of the KV cache that somebody holds, those kept for later requests alone, and how many there may be of both. */
  readonly usedPages: number;
  readonly keptPages: number;
  readonly mostPages: number;
  /** Prompt tokens of requests that have started, and those of them that were found in the prefix cache. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Tokens that steps have computed, guesses and what was computed again included; tokens that were drawn. */
  readonly computedTokens: number;
  readonly generatedTokens: number;
  /** How often a request had to give up its pages. */
  readonly preemptions: number;
  readonly steps: number;
  /** What the last step took; 0 before the first. */
  readonly lastStepMs: number;
  /** Tokens that a step has at most while answers are under way. */
  readonly stepBudget: number;
  /** For how long work that somebody waits for has seen no step end. 0 where there is none. */
  readonly stalledMs: number;
}
