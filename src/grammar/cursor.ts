/** A place in the whole grammar: the machine that reads, its state, and below it those that wait. */
import { DEAD, END, type Ended, type Growth, type Machine, type Place } from "./machine.ts";
import { UnionMachine } from "./union-machine.ts";

const STACK_BYTES = 300;

/** A machine that waits for what was begun on top of it. Equal stacks are one object, so that what is known of one is found again. */
export class Waiting {
  readonly machine: Machine;
  readonly state: number;
  readonly below: Waiting | undefined;
  /** How many wait below. */
  readonly depth: number;
  readonly #above = new Map<Machine, Map<number, Waiting>>();
  readonly #growth: Growth;

  constructor(place: Place, below: Waiting | undefined, growth: Growth) {
    this.machine = place.machine;
    this.state = place.state;
    this.below = below;
    this.depth = below ? below.depth + 1 : 0;
    this.#growth = growth;
    growth.bytes += STACK_BYTES;
  }

  /** The stack with one more machine that waits. */
  push(place: Place): Waiting {
    let states = this.#above.get(place.machine);
    if (!states) {
      states = new Map();
      this.#above.set(place.machine, states);
    }
    let found = states.get(place.state);
    if (!found) {
      found = new Waiting(place, this, this.#growth);
      states.set(place.state, found);
    }
    return found;
  }
}

const [TAB, LINE_FEED, RETURN, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
const isSpace = (byte: number): boolean => byte === SPACE || byte === LINE_FEED || byte === TAB || byte === RETURN;
/** Spaces, or tabs, for each level. */
export const MAX_INDENT = 8;
/** States of white space: how many spaces so far (at most 2), a carriage return, or a line break and how much behind it. */
const [MAX_SPACES, AFTER_RETURN, AFTER_BREAK] = [2, 3, 4];

/**
 * The state after one more byte of white space, or DEAD: a space or two, or a line break with its indentation, never without end.
 *
 * @param indent how much may stand behind a line break; undefined where none may be
 */
function spaceAfter(space: number, byte: number, indent: number | undefined): number {
  if (space >= AFTER_BREAK) return (byte === SPACE || byte === TAB) && space < AFTER_BREAK + (indent ?? 0) ? space + 1 : DEAD;
  if (byte === LINE_FEED) return indent === undefined ? DEAD : AFTER_BREAK;
  if (space === AFTER_RETURN) return DEAD;
  if (byte === RETURN) return indent === undefined ? DEAD : AFTER_RETURN;
  return byte === SPACE && space < MAX_SPACES ? space + 1 : DEAD;
}

export class Cursor implements Place {
  machine: Machine;
  state: number;
  /** White space since the last other byte. */
  space = 0;
  below: Waiting;
  /** Steps that all of its reading took; each is a transition of a table. */
  steps = 0;

  constructor(place: Place, below: Waiting) {
    this.machine = place.machine;
    this.state = place.state;
    this.below = below;
  }

  /** Puts it where another one is. */
  moveTo({ machine, state, space, below }: Pick<Cursor, "machine" | "state" | "space" | "below">): void {
    this.machine = machine;
    this.state = state;
    this.space = space;
    this.below = below;
  }

  /** Reads a byte. @returns false if it does not fit; the cursor is then of no more use */
  read(byte: number): boolean {
    for (;;) {
      this.steps++;
      const { machine, state } = this;
      const spacing = isSpace(byte) ? machine.spaced(state) : "none";
      if (spacing !== "none") {
        this.space = spaceAfter(this.space, byte, spacing === "lines" ? MAX_INDENT * this.below.depth : undefined);
        return this.space !== DEAD;
      }
      if (this.space === AFTER_RETURN) return false;
      const next = machine.next(state, byte);
      if (next >= 0) {
        this.space = 0;
        this.#place(machine, next);
        return true;
      }
      if (next === END) {
        this.#leave(byte);
        return true;
      }
      const expected = machine.expects(state);
      if (expected) {
        this.below = this.below.push({ machine, state });
        this.#place(expected.place.machine, expected.place.state);
        this.space = 0;
      } else if (machine.mayEnd(state)) this.#leave(undefined);
      else return false;
    }
  }

  /** Goes on where the value has ended that may end here. @returns false if it may not */
  finish(): boolean {
    const { machine, state } = this;
    if (machine.mayEnd(state)) {
      this.#leave(undefined);
      return true;
    }
    const { place } = machine.expects(state) ?? {};
    if (!place?.machine.mayEnd(place.state)) return false;
    this.below = this.below.push({ machine, state });
    this.#place(place.machine, place.state);
    this.#leave(undefined);
    return true;
  }

  /** Goes on behind a string, from the state before its closing quote. */
  leaveString(): void {
    this.#leave(0x22);
  }

  /** The value has ended with `byte`, or before the next one. */
  #leave(byte: number | undefined): void {
    const { machine, state, below } = this;
    const ended: readonly Ended[] =
      machine instanceof UnionMachine ? machine.ended(state, byte) : [{ machine, label: machine.label(state) }];
    this.below = below.below!;
    this.space = 0;
    this.#place(below.machine, below.machine.after(below.state, ended));
  }

  #place(machine: Machine, state: number): void {
    const places = machine instanceof UnionMachine ? machine.places(state) : undefined;
    const only = places?.length === 1 ? places[0]! : undefined;
    this.machine = only?.machine ?? machine;
    this.state = only?.state ?? state;
  }
}
