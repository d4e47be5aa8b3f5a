/**
 * What reads one value, one key, or one object byte by byte. Machines stand on a stack: where a value is expected, the machine of that
 * value begins on top, and when it has ended the one below goes on. No state of any machine is a dead end.
 */
export const DEAD = -1;
/** The value ends with this byte. */
export const END = -2;

export interface Machine {
  /** Where it begins. */
  readonly start: number;
  /** The state after a byte, END, or DEAD: also where something else begins with this byte (`expects`) or the value has ended before it. */
  next(state: number, byte: number): number;
  /** Whether the value may be over without a further byte. */
  mayEnd(state: number): boolean;
  /** What the value that ends in this state, or with a byte behind it, was: a string's label, 0 elsewhere. */
  label(state: number): number;
  /** Whether white space may stand here: spaces, or line breaks too. */
  spaced(state: number): Spacing;
  /** What begins here, unless `next` takes the byte. */
  expects(state: number): Start | undefined;
  /** The state behind what was expected. */
  after(state: number, ended: readonly Ended[]): number;
}

export type Spacing = "none" | "spaces" | "lines";

/** Where on the way a machine is. */
export interface Place {
  readonly machine: Machine;
  readonly state: number;
}

/** One of `machines` begins, whichever fits; `place` is all of them at once. */
export interface Start {
  readonly machines: readonly Machine[];
  readonly place: Place;
}

export interface Ended {
  readonly machine: Machine;
  readonly label: number;
}

/** The answers of a machine whose values have no parts. */
export const plain = {
  spaced: (): Spacing => "none",
  expects: (): undefined => undefined,
  after: (): number => DEAD,
  label: (): number => 0,
};

/** About how much memory the states take that were met so far: a grammar that has grown too large is made anew. */
export interface Growth {
  bytes: number;
}
