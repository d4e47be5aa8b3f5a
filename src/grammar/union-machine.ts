/**
 * Several machines at once, while a text may still be read by any of them: anyOf with two objects, say, until a key tells them apart.
 * JSON shows by its brackets and quotes where a value begins and ends, so all of them agree on it, and one stack is enough.
 */
import { DEAD, END, type Ended, type Growth, type Machine, type Place, type Spacing, type Start } from "./machine.ts";

const UNKNOWN = -3;
/** With its row of transitions. */
const STATE_BYTES = 1200;

export class UnionMachine implements Machine {
  readonly start: number = 0;
  readonly #sets: (readonly Place[])[] = [];
  readonly #rows: Int32Array[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #ids = new Map<Machine, number>();
  readonly #expected = new Map<number, Start | undefined>();

  readonly #growth: Growth;

  constructor(growth: Growth) {
    this.#growth = growth;
  }

  /** The places of a state. */
  places(state: number): readonly Place[] {
    return this.#sets[state]!;
  }

  /** All of `places` at once: one place where they are no more than one. */
  placeOf(places: readonly Place[]): Place {
    const flat = places.flatMap((place) => (place.machine === this ? this.places(place.state) : [place]));
    const keyed = new Map(flat.map((place) => [`${this.#idOf(place.machine)}.${place.state}`, place]));
    if (keyed.size === 1) return flat[0]!;
    const key = [...keyed.keys()].sort().join();
    let state = this.#numbers.get(key);
    if (state === undefined) {
      state = this.#add([...keyed.values()]);
      this.#numbers.set(key, state);
    }
    return { machine: this, state };
  }

  next(state: number, byte: number): number {
    this.#rows[state] ??= new Int32Array(256).fill(UNKNOWN);
    const row = this.#rows[state];
    const known = row[byte]!;
    if (known !== UNKNOWN) return known;
    const next = this.#step(state, byte);
    row[byte] = next;
    return next;
  }

  #step(state: number, byte: number): number {
    const nexts: Place[] = [];
    for (const { machine, state: at } of this.places(state)) {
      const next = machine.next(at, byte);
      if (next === END) return END; // the others end with it or not at all
      if (next !== DEAD) nexts.push({ machine, state: next });
    }
    return nexts.length === 0 ? DEAD : this.#state(nexts);
  }

  mayEnd(state: number): boolean {
    return this.places(state).some((place) => place.machine.mayEnd(place.state));
  }

  label(): number {
    return 0;
  }

  /** Those that end in this state, with `byte` or, without one, before whatever comes. */
  ended(state: number, byte: number | undefined): Ended[] {
    return this.places(state).flatMap(({ machine, state: at }) => {
      const ends = byte === undefined ? machine.mayEnd(at) : machine.next(at, byte) === END;
      return ends ? [{ machine, label: machine.label(at) }] : [];
    });
  }

  /** All of them stand at the same place of a value, if they may stand side by side at all. */
  spaced(state: number): Spacing {
    const spacings = this.places(state).map((place) => place.machine.spaced(place.state));
    return spacings.find((spacing) => spacing !== "none") ?? "none";
  }

  expects(state: number): Start | undefined {
    if (!this.#expected.has(state)) this.#expected.set(state, this.#expectation(state));
    return this.#expected.get(state);
  }

  after(state: number, ended: readonly Ended[]): number {
    const nexts = this.places(state).flatMap(({ machine, state: at }) => {
      const expected = machine.expects(at)?.machines;
      const own = ended.filter((end) => expected?.includes(end.machine));
      return own.length === 0 ? [] : [{ machine, state: machine.after(at, own) }];
    });
    return this.#state(nexts);
  }

  #expectation(state: number): Start | undefined {
    const starts = this.places(state).flatMap(({ machine, state: at }) => machine.expects(at) ?? []);
    if (starts.length === 0) return undefined;
    return { machines: starts.flatMap(({ machines }) => machines), place: this.placeOf(starts.map(({ place }) => place)) };
  }

  #state(places: readonly Place[]): number {
    const { machine, state } = this.placeOf(places);
    if (machine === this) return state;
    // A single place has a number here too; whoever moves on replaces it (`single`).
    const key = `=${this.#idOf(machine)}.${state}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#add([{ machine, state }]);
      this.#numbers.set(key, number);
    }
    return number;
  }

  #add(places: readonly Place[]): number {
    this.#growth.bytes += STATE_BYTES + 50 * places.length;
    return this.#sets.push(places) - 1;
  }

  #idOf(machine: Machine): number {
    let id = this.#ids.get(machine);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(machine, id);
    }
    return id;
  }
}
