/** Machines for what is read byte by byte and has no parts: words such as `true`, numbers, fixed texts. */
import { LIMITS, tooLarge, type Work } from "./limits.ts";
import { DEAD, type Machine, plain } from "./machine.ts";

/** How the states of such a machine are found: as keys, each with what follows by byte. */
export interface ByteExploration<State> {
  readonly start: State;
  /** The bytes that occur at all. */
  readonly bytes: readonly number[];
  key(state: State): string;
  next(state: State, byte: number): State | undefined;
  accepts(state: State): boolean;
}

/** A table of transitions. No byte ends such a value by itself: a digit may follow `12`, and something else reads on behind `true`. */
export class ByteMachine implements Machine {
  readonly start: number = 0;
  readonly spaced = plain.spaced;
  readonly expects = plain.expects;
  readonly after = plain.after;
  readonly label = plain.label;
  readonly #columns: Int8Array;
  readonly #width: number;
  readonly #table: Int32Array;
  readonly #accepts: Uint8Array;

  constructor(columns: Int8Array, width: number, table: Int32Array, accepts: Uint8Array) {
    this.#columns = columns;
    this.#width = width;
    this.#table = table;
    this.#accepts = accepts;
  }

  next(state: number, byte: number): number {
    const column = this.#columns[byte]!;
    return column < 0 ? DEAD : this.#table[state * this.#width + column]!;
  }

  mayEnd(state: number): boolean {
    return this.#accepts[state] === 1;
  }
}

/** What finding one transition costs, in steps of other automata, whose states are plain numbers. */
const STEP = 8;

/** @returns undefined if no text fits */
export function byteMachine<State>(exploration: ByteExploration<State>, work: Work, where: string): ByteMachine | undefined {
  const { start, bytes, key, next, accepts } = exploration;
  const states = [start];
  const numbers = new Map([[key(start), 0]]);
  const rows: number[][] = [];
  for (let i = 0; i < states.length; i++) {
    work.spend(STEP * bytes.length, where);
    rows.push(
      bytes.map((byte) => {
        const target = next(states[i]!, byte);
        if (target === undefined) return DEAD;
        const name = key(target);
        if (!numbers.has(name)) numbers.set(name, states.push(target) - 1);
        return numbers.get(name)!;
      }),
    );
    if (states.length > LIMITS.automatonStates) tooLarge(where, `an automaton of more than ${LIMITS.automatonStates} states`);
  }
  const accepting = Uint8Array.from(states, (state) => Number(accepts(state)));
  return assemble(bytes, rows, accepting);
}

/** The table without states that cannot reach an end. */
function assemble(bytes: readonly number[], rows: readonly number[][], accepting: Uint8Array): ByteMachine | undefined {
  const alive = Uint8Array.from(accepting);
  const sources: number[][] = rows.map(() => []);
  rows.forEach((row, from) => {
    for (const to of row) if (to !== DEAD) sources[to]!.push(from);
  });
  const queue = [...rows.keys()].filter((state) => alive[state]);
  for (let state = queue.pop(); state !== undefined; state = queue.pop())
    for (const from of sources[state]!)
      if (!alive[from]) {
        alive[from] = 1;
        queue.push(from);
      }
  if (!alive[0]) return undefined;
  const columns = new Int8Array(256).fill(-1);
  bytes.forEach((byte, column) => {
    columns[byte] = column;
  });
  const table = new Int32Array(rows.length * bytes.length);
  rows.forEach((row, from) => {
    row.forEach((to, column) => {
      table[from * bytes.length + column] = to === DEAD || !alive[to] ? DEAD : to;
    });
  });
  return new ByteMachine(columns, bytes.length, table, accepting);
}

/** One of several words of ASCII. */
export function wordMachine(words: readonly string[], work: Work, where: string): ByteMachine | undefined {
  const whole = new Set(words);
  const prefixes = new Set(words.flatMap((word) => [...word].map((_, i) => word.slice(0, i + 1))));
  const bytes = [...new Set(words.join(""))].map((c) => c.charCodeAt(0));
  return byteMachine<string>(
    {
      start: "",
      bytes,
      key: (prefix) => prefix,
      next(prefix, byte) {
        const longer = prefix + String.fromCharCode(byte);
        return prefixes.has(longer) ? longer : undefined;
      },
      accepts: (prefix) => whole.has(prefix),
    },
    work,
    where,
  );
}
