/** Several streams as one, in the order in which their items come. */

/**
 * Starts the first source, and the others once it has given something: they begin with the same prompt, which is then in the cache.
 * Leaving the loop leaves all of them.
 *
 * @returns each item with the number of its source
 */
export async function* merge<T>(sources: readonly AsyncIterable<T>[]): AsyncGenerator<readonly [source: number, item: T], void> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const pending = new Map<number, Promise<readonly [source: number, result: IteratorResult<T>]>>();
  const ask = (source: number) => {
    const next = iterators[source]!.next().then((result) => [source, result] as const);
    next.catch(() => undefined); // told when it is its turn, or never, if another one failed before
    pending.set(source, next);
  };
  let started = 1;
  ask(0);
  try {
    while (pending.size > 0) {
      const [source, { done, value }] = await Promise.race(pending.values());
      for (; started < sources.length; started++) ask(started);
      if (done) {
        pending.delete(source);
        continue;
      }
      yield [source, value];
      ask(source);
    }
  } finally {
    await Promise.all(iterators.map((iterator) => iterator.return?.().catch(() => undefined)));
  }
}
