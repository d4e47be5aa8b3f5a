/** How fast a count grows: over the last few seconds, so that a pause is seen and a single moment is not taken for the whole. */
const WINDOW_MS = 5_000;
const SHORTEST_MS = 500;

export class Speed {
  readonly #now: () => number;
  #points: { readonly at: number; readonly count: number }[] = [];

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Per second; undefined as long as there is too little to tell. */
  after(count: number): number | undefined {
    const at = this.#now();
    const last = this.#points.at(-1);
    if (!last || at - last.at >= 100) this.#points.push({ at, count }); // calls come by the thousand
    while (this.#points.length > 2 && at - this.#points[1]!.at >= WINDOW_MS) this.#points.shift();
    const first = this.#points[0]!;
    if (at - first.at < SHORTEST_MS || count <= first.count) return undefined;
    return ((count - first.count) * 1000) / (at - first.at);
  }
}
