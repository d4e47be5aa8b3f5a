/** JSON objects: keys in any order, each at most once where the schema names it, until all required ones are there. */
import { type CharAutomaton, DEAD as NONE, relabelled } from "./char-automaton.ts";
import { DEAD, END, type Ended, type Growth, type Machine, type Spacing, type Start } from "./machine.ts";
import { StringMachine } from "./string-machine.ts";

/** An object's keys fall into kinds: the names that the schema knows come first, then the others. */
export interface ObjectShape {
  /** Every key that may occur, labelled by its kind. */
  readonly keys: CharAutomaton;
  readonly values: readonly Start[];
  /** How many kinds are names, which occur once. */
  readonly names: number;
  /** Bit i: name i has to occur. */
  readonly required: bigint;
  readonly min: number;
  readonly max: number;
}

type Phase = "open" | "key" | "colon" | "value" | "next";

interface State {
  readonly phase: Phase;
  readonly seen: bigint;
  /** Properties so far, as far as it matters. */
  readonly count: number;
  /** The kind of the key that was read. */
  readonly kind: number;
}

const STATE_BYTES = 200;
/** Rows of transitions, as many as a key's way takes. */
const KEYS_BYTES = 10_000;
const [OPEN, CLOSE, COLON, COMMA] = [0x7b, 0x7d, 0x3a, 0x2c];

export class ObjectMachine implements Machine {
  readonly start: number;
  readonly #shape: ObjectShape;
  readonly #states: State[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #keys = new Map<string, Start | undefined>();
  readonly #counted: number;
  readonly #growth: Growth;

  constructor(shape: ObjectShape, growth: Growth) {
    this.#shape = shape;
    this.#growth = growth;
    this.#counted = shape.max === Number.POSITIVE_INFINITY ? shape.min : shape.max;
    this.#number({ phase: "next", seen: -1n, count: 0, kind: 0 }); // before the brace
    this.start = 0;
  }

  next(number: number, byte: number): number {
    if (number === this.start) return byte === OPEN ? this.#number({ phase: "open", seen: 0n, count: 0, kind: 0 }) : DEAD;
    const state = this.#states[number]!;
    switch (state.phase) {
      case "open":
        return byte === CLOSE && this.#mayClose(state) ? END : DEAD;
      case "colon":
        return byte === COLON ? this.#number({ ...state, phase: "value" }) : DEAD;
      case "next":
        if (byte === CLOSE) return this.#mayClose(state) ? END : DEAD;
        return byte === COMMA && this.#keyAt(state) ? this.#number({ ...state, phase: "key" }) : DEAD;
      default:
        return DEAD;
    }
  }

  mayEnd(): boolean {
    return false;
  }

  label(): number {
    return 0;
  }

  spaced(number: number): Spacing {
    if (number === this.start) return "none";
    const { phase } = this.#states[number]!;
    return phase === "colon" || phase === "value" ? "spaces" : "lines";
  }

  expects(number: number): Start | undefined {
    if (number === this.start) return undefined;
    const state = this.#states[number]!;
    if (state.phase === "open" || state.phase === "key") return this.#keyAt(state);
    return state.phase === "value" ? this.#shape.values[state.kind] : undefined;
  }

  after(number: number, ended: readonly Ended[]): number {
    const state = this.#states[number]!;
    if (state.phase === "value") return this.#number({ ...state, phase: "next", kind: 0 });
    const { label } = ended[0]!;
    const isName = label < this.#shape.names;
    return this.#number({
      phase: "colon",
      seen: isName ? state.seen | (1n << BigInt(label)) : state.seen,
      count: Math.min(state.count + 1, this.#counted),
      kind: label,
    });
  }

  #number(state: State): number {
    const key = `${state.phase},${state.seen},${state.count},${state.kind}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#states.push(state) - 1;
      this.#growth.bytes += STATE_BYTES;
      this.#numbers.set(key, number);
    }
    return number;
  }

  #mayClose({ seen, count }: State): boolean {
    const { required, min } = this.#shape;
    return (required & ~seen) === 0n && count >= min;
  }

  /** What may be a key now; undefined if none may follow. */
  #keyAt({ seen, count }: State): Start | undefined {
    const { required, max, names, keys, values } = this.#shape;
    const missing = required & ~seen;
    const isFull = max !== Number.POSITIVE_INFINITY && count + ones(missing) >= max;
    const name = `${seen},${isFull}`;
    if (this.#keys.has(name)) return this.#keys.get(name);
    const allowed = values.map((_, kind) => {
      const bit = 1n << BigInt(kind);
      return kind < names ? ((isFull ? missing : ~seen) & bit) !== 0n : !isFull;
    });
    const left = relabelled(keys, (kind) => (allowed[kind] ? kind : NONE));
    const machine = left.states === 0 ? undefined : new StringMachine(left, true);
    const start = machine && { machines: [machine], place: { machine, state: machine.start } };
    this.#keys.set(name, start);
    this.#growth.bytes += left.table.byteLength + KEYS_BYTES;
    return start;
  }
}

function ones(bits: bigint): number {
  let count = 0;
  for (let left = bits; left > 0n; left &= left - 1n) count++;
  return count;
}
