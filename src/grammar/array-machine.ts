/** JSON arrays: a type for each of the first items, one for the rest. */
import { DEAD, END, type Machine, type Spacing, type Start } from "./machine.ts";

export interface ArrayShape {
  readonly prefix: readonly Start[];
  /** Undefined where no item may follow the prefix. */
  readonly rest: Start | undefined;
  readonly min: number;
  readonly max: number;
}

const [OPEN, CLOSE, COMMA] = [0x5b, 0x5d, 0x2c];
/** A state is 3 times the number of items that are complete, and where it stands among them. */
const [BEFORE_FIRST, BEFORE, BEHIND] = [0, 1, 2];

export class ArrayMachine implements Machine {
  readonly start: number = -1;
  readonly #shape: ArrayShape;
  /** Items past this many are not counted. */
  readonly #counted: number;

  constructor(shape: ArrayShape) {
    this.#shape = shape;
    const { prefix, min, max } = shape;
    this.#counted = max === Number.POSITIVE_INFINITY ? Math.max(prefix.length, min) : max;
  }

  next(state: number, byte: number): number {
    if (state === this.start) return byte === OPEN ? BEFORE_FIRST : DEAD;
    const [items, where] = [Math.floor(state / 3), state % 3];
    if (byte === CLOSE && where !== BEFORE) return items >= this.#shape.min ? END : DEAD;
    return byte === COMMA && where === BEHIND && this.#item(items) ? items * 3 + BEFORE : DEAD;
  }

  mayEnd(): boolean {
    return false;
  }

  label(): number {
    return 0;
  }

  spaced(state: number): Spacing {
    return state === this.start ? "none" : "lines";
  }

  expects(state: number): Start | undefined {
    return state === this.start || state % 3 === BEHIND ? undefined : this.#item(Math.floor(state / 3));
  }

  after(state: number): number {
    return Math.min(Math.floor(state / 3) + 1, this.#counted) * 3 + BEHIND;
  }

  #item(index: number): Start | undefined {
    const { prefix, rest, max } = this.#shape;
    return index < max ? (prefix[index] ?? rest) : undefined;
  }
}
