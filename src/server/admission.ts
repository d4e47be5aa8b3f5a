/** How many answers are under way, and no more than there may be. */
import { ApiError } from "./errors.ts";

export class Admission {
  readonly #most: number;
  #answers = 0;
  #draining = false;
  #idle: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  get answers(): number {
    return this.#answers;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /**
   * Takes places for `count` answers.
   *
   * @returns gives them back; further calls change nothing
   * @throws ApiError 429 where there is no room now, 400 where there never is, 503 once the server drains
   */
  enter(count: number): () => void {
    if (this.#draining) throw new ApiError(503, "the server is shutting down", { code: "shutting_down", retryAfter: 5 });
    if (count > this.#most)
      throw new ApiError(400, `the request asks for ${count} answers; the server takes ${this.#most} at once`, {
        param: "n",
        code: "too_many_answers",
      });
    if (this.#answers + count > this.#most)
      throw new ApiError(429, "the server has as much to do as it takes; try again", {
        code: "rate_limit_exceeded",
        retryAfter: 1,
      });
    this.#answers += count;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#answers -= count;
      if (this.#answers === 0) for (const resolve of this.#idle.splice(0)) resolve();
    };
  }

  /** Takes no more. Settles when the last answer has ended. */
  drain(): Promise<void> {
    this.#draining = true;
    if (this.#answers === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }
}
