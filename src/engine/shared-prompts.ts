/**
 * Requests that begin at the same time with the same prompt, as several choices of one answer do: one computes it, the others wait and go
 * on with copies of its cache.
 */
import type { EngineSequence } from "./engine-sequence.ts";
import { tokenKey } from "./prefix-cache.ts";

export class SharedPrompts {
  /** By prompt: those for whom it has not been computed yet, the oldest first. */
  readonly #waiting = new Map<string, Set<EngineSequence>>();
  readonly #keys = new Map<EngineSequence, string>();

  add(sequence: EngineSequence): void {
    const { cache, promptIds } = sequence.request;
    if (cache || sequence.scores) return; // goes on with what is its own; wants logits of all
    const key = tokenKey(promptIds);
    this.#keys.set(sequence, key);
    const group = this.#waiting.get(key);
    if (group) group.add(sequence);
    else this.#waiting.set(key, new Set([sequence]));
  }

  /** Those with the same prompt, itself included. */
  of(sequence: EngineSequence): ReadonlySet<EngineSequence> | undefined {
    const key = this.#keys.get(sequence);
    return key === undefined ? undefined : this.#waiting.get(key);
  }

  /** A sequence has its prompt, or has ended. */
  delete(sequence: EngineSequence): void {
    const key = this.#keys.get(sequence);
    if (key === undefined) return;
    this.#keys.delete(sequence);
    const group = this.#waiting.get(key)!;
    group.delete(sequence);
    if (group.size === 0) this.#waiting.delete(key);
  }
}
