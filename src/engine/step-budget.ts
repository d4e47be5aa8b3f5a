/**
 * How many tokens a step may have while answers are under way, so that it takes about a quarter of a second: measured by the steps that
 * were done, on this machine, with this model. How prompts are cut never shows in results, so neither does a clock.
 */
import { PAGE_TOKENS } from "../backend/backend.ts";

export class StepBudget {
  readonly #most: number;
  readonly #targetMs: number;
  #msPerToken: number | undefined;

  /** @param most tokens that a step ever has */
  constructor(most: number, targetMs: number) {
    this.#most = most;
    this.#targetMs = targetMs;
  }

  /** At least a page, so that prompts move on any machine; no more than that before anything was measured. */
  get tokens(): number {
    const tokens = this.#msPerToken === undefined ? 0 : Math.floor(this.#targetMs / this.#msPerToken);
    return Math.min(this.#most, Math.max(PAGE_TOKENS, tokens));
  }

  /** Takes note of a step. What a token costs in a step of few says nothing about steps of many, which share the reading of weights. */
  measured(tokens: number, ms: number): void {
    if (tokens < Math.min(PAGE_TOKENS, this.#most) || !(ms > 0)) return;
    const now = ms / tokens;
    // A step that others slowed down moves the mean by a quarter.
    this.#msPerToken = this.#msPerToken === undefined ? now : this.#msPerToken + (now - this.#msPerToken) / 4;
  }
}
