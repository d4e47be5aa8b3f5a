/** Holds one answer to a grammar: the tokens that may come, and where the answer is. */
import { Qwen3Error } from "../core/errors.ts";
import type { TokenConstraint } from "../sampler/constraint.ts";
import type { LogitMask } from "../sampler/mask.ts";
import type { Cursor } from "./cursor.ts";
import type { Program } from "./program.ts";
import type { TokenMask, TokenMasks } from "./token-masks.ts";
import { setBit, type Vocabulary } from "./token-trie.ts";

export interface ConstraintParts {
  readonly program: Program;
  readonly masks: TokenMasks;
  readonly vocabulary: Vocabulary;
  readonly stopIds: readonly number[];
}

export class GrammarConstraint implements TokenConstraint {
  readonly #parts: ConstraintParts;
  readonly #cursor: Cursor;
  /** Where the answer is, as a mask that other answers share, and with the stop tokens. */
  #shared: TokenMask | undefined;
  #mask: LogitMask | undefined;
  #ended = false;

  /** @param cursor at the start of the answer; it moves */
  constructor(parts: ConstraintParts, cursor: Cursor) {
    this.#parts = parts;
    this.#cursor = cursor;
  }

  mask(): LogitMask {
    this.#mask ??= this.#withStops();
    return this.#mask;
  }

  get forced(): number | undefined {
    const { final, only, isEmpty } = this.#here();
    const { stopIds } = this.#parts;
    if (this.#ended) return stopIds.length === 1 ? stopIds[0] : undefined;
    if (!final) return only;
    return isEmpty && stopIds.length === 1 ? stopIds[0] : undefined;
  }

  /** Whether the answer may end here. */
  get complete(): boolean {
    return this.#here().final;
  }

  /** Transitions that reading the answer so far took. */
  get steps(): number {
    return this.#cursor.steps;
  }

  accept(id: number): void {
    if (this.#ended || !this.#allows(id)) {
      if (this.#isStop(id)) {
        this.#ended = true;
        this.#mask = undefined;
        return;
      }
      throw new Qwen3Error("ARGUMENT", `token ${id} does not fit the grammar at this place`);
    }
    this.#move(id);
    this.#shared = undefined;
    this.#mask = undefined;
  }

  #allows(id: number): boolean {
    const { allowed } = this.#here();
    return Number.isInteger(id) && id >= 0 && ((allowed[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0;
  }

  #isStop(id: number): boolean {
    return this.#parts.stopIds.includes(id) && (this.#ended || this.#here().final);
  }

  #move(id: number): void {
    const { program, vocabulary } = this.#parts;
    if (vocabulary.isAdded(id)) {
      while (this.#cursor.machine !== program || program.at(this.#cursor.state).expects) if (!this.#cursor.finish()) break;
      this.#cursor.state = program.at(this.#cursor.state).tokens!.get(id)!;
      return;
    }
    for (const byte of vocabulary.tokenBytes(id))
      if (!this.#cursor.read(byte)) throw new Error(`the mask allowed token ${id}, which does not fit`);
  }

  #here(): TokenMask {
    this.#shared ??= this.#parts.masks.at(this.#cursor, this.#parts.program);
    return this.#shared;
  }

  #withStops(): LogitMask {
    const { allowed, final } = this.#here();
    if (!final && !this.#ended) return { allowed };
    const { stopIds } = this.#parts;
    const words = stopIds.reduce((length, id) => Math.max(length, (id >>> 5) + 1), allowed.length);
    const own = new Uint32Array(words);
    if (!this.#ended) own.set(allowed);
    for (const id of stopIds) setBit(own, id);
    return { allowed: own };
  }
}
