/**
 * JSON strings of any characters, `min` to `max` of them. The reading of characters is one machine for all of these, so that what tokens
 * do inside of a string has to be found out once; here they are counted.
 */
import { DEAD, END, type Machine, plain } from "./machine.ts";
import type { StringMachine } from "./string-machine.ts";

export class PlainStringMachine implements Machine {
  readonly start: number = 0;
  readonly spaced = plain.spaced;
  readonly expects = plain.expects;
  readonly after = plain.after;
  readonly label = plain.label;
  readonly characters: StringMachine;
  readonly min: number;
  readonly max: number;
  /** A state is a count times this, and the characters' state. */
  readonly #stride = 1 << 16;

  /** @param characters reads any JSON string */
  constructor(characters: StringMachine, min: number, max: number) {
    this.characters = characters;
    this.min = min;
    this.max = max;
  }

  next(state: number, byte: number): number {
    const count = this.count(state);
    const character = this.characterState(state);
    const next = this.characters.next(character, byte);
    if (next === END) return count >= this.min ? END : DEAD;
    if (next === DEAD || character === this.characters.start) return next;
    if (!this.characters.isMain(next)) {
      return this.characters.isMain(character) && count >= this.max ? DEAD : count * this.#stride + next;
    }
    if (count >= this.max) return DEAD;
    // Without an upper bound, characters past the lower one need not be told apart.
    return (this.max === Number.POSITIVE_INFINITY && count >= this.min ? count : count + 1) * this.#stride + next;
  }

  mayEnd(): boolean {
    return false;
  }

  /** Characters so far; `min` and more look alike where there is no maximum. */
  count(state: number): number {
    return Math.floor(state / this.#stride);
  }

  characterState(state: number): number {
    return state % this.#stride;
  }
}
