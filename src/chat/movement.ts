/** Whether answers that somebody waits for move on. */
export class Movement {
  readonly #now: () => number;
  /** Since when each waiting reader has waited, in milliseconds of the clock. */
  readonly #waiting = new Set<{ readonly since: number }>();
  #last = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Something was computed. */
  moved(): void {
    this.#last = this.#now();
  }

  /** How long somebody has waited while nothing was computed. */
  stalledMs(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { since } of this.#waiting) oldest = Math.min(oldest, since);
    return this.#waiting.size === 0 ? 0 : this.#now() - Math.max(oldest, this.#last);
  }

  /** The same parts; notes for how long each is waited for. */
  async *watch<Part>(parts: AsyncIterable<Part>): AsyncGenerator<Part, void> {
    const iterator = parts[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.#waitFor(iterator.next());
        if (done) return;
        yield value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  async #waitFor<T>(result: Promise<T>): Promise<T> {
    const wait = { since: this.#now() };
    this.#waiting.add(wait);
    try {
      return await result;
    } finally {
      this.#waiting.delete(wait);
      this.moved();
    }
  }
}
