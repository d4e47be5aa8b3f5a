import { SamplerMemory } from "./memory.ts";

/** Which tokens may come next at all, as a grammar or a minimum length decides it. */
export interface LogitMask {
  /** Bit id % 32 of word floor(id / 32) is 1 where the token is allowed; ids beyond the words are not. */
  readonly allowed: Uint32Array;
}

/** A mask that allows every token but `ids`. */
export function forbidding(ids: Iterable<number>, vocabularySize: number): LogitMask {
  const allowed = new Uint32Array(Math.ceil(vocabularySize / 32)).fill(0xffffffff);
  for (const id of ids) allowed[id >>> 5]! &= ~(1 << (id & 31));
  return { allowed };
}

/** What both masks allow; the first alone where that is nothing. */
export function intersection(first: LogitMask, second: LogitMask): LogitMask {
  const allowed = first.allowed.map((word, i) => word & (second.allowed[i] ?? 0));
  return allowed.some((word) => word !== 0) ? { allowed } : first;
}

/** The logits with those of forbidden tokens at minus infinity: the memory's copy, or the same array where there is no mask. */
export function maskLogits(logits: Float32Array, mask: LogitMask | undefined, memory = new SamplerMemory()): Float32Array {
  if (mask === undefined) return logits;
  const masked = memory.copy(logits);
  for (let first = 0; first < masked.length; first += 32) {
    const word = mask.allowed[first >>> 5] ?? 0;
    if (word === 0xffffffff) continue;
    const end = Math.min(first + 32, masked.length);
    for (let id = first; id < end; id++) if (!((word >>> (id & 31)) & 1)) masked[id] = Number.NEGATIVE_INFINITY;
  }
  return masked;
}
