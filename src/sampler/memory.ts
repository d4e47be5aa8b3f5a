/** What a sampler keeps from token to token, so as not to do it again; results do not depend on it. */
export class SamplerMemory {
  readonly #room: { scratch: Float32Array };
  readonly #counts = new Map<number, number>();
  #counted = 0;

  /** @param room where logits are copied before they are changed; samplers that work one after the other may share it */
  constructor(room: { scratch: Float32Array } = { scratch: new Float32Array() }) {
    this.#room = room;
  }

  /** A copy to change. It lasts until the next one is made; a copy is not copied again. */
  copy(logits: Float32Array): Float32Array {
    if (this.#room.scratch.length !== logits.length) this.#room.scratch = new Float32Array(logits.length);
    if (logits !== this.#room.scratch) this.#room.scratch.set(logits);
    return this.#room.scratch;
  }

  /** How often each id is in `ids`, which only grows from call to call. */
  counts(ids: ArrayLike<number>): ReadonlyMap<number, number> {
    for (; this.#counted < ids.length; this.#counted++) {
      const id = ids[this.#counted]!;
      this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    }
    return this.#counts;
  }
}
