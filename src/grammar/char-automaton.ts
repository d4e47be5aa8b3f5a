/**
 * Deterministic automata over code points. Every state of one can still reach an end, so that whoever follows its transitions never gets
 * stuck. Work is linear in the text; what a pattern may blow up to is limited when it is compiled.
 */
import { LAST_CODE_POINT } from "./code-points.ts";
import { LIMITS, tooLarge, type Work } from "./limits.ts";

export const DEAD = -1;

/** The code points, cut into intervals that no automaton tells apart: interval i begins at `starts[i]` and belongs to class `classes[i]`. */
export interface Alphabet {
  readonly starts: readonly number[];
  readonly classes: readonly number[];
  readonly size: number;
}

export interface CharAutomaton extends Alphabet {
  /** [states, size]: the state after a character of a class, or DEAD. State 0 is where it begins; without states nothing fits. */
  readonly table: Int32Array;
  readonly states: number;
  /** [states]: what a text that ends in a state is, from 0; DEAD where none may end. */
  readonly labels: Int32Array;
}

/** The interval in which a code point lies. */
export function intervalOf({ starts }: Alphabet, codePoint: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= codePoint) low = middle;
    else high = middle;
  }
  return low;
}

export function nextState(automaton: CharAutomaton, state: number, codePoint: number): number {
  return automaton.table[state * automaton.size + automaton.classes[intervalOf(automaton, codePoint)]!]!;
}

/** What a text is, or DEAD if it does not fit. */
export function labelOf(automaton: CharAutomaton, text: string): number {
  let state = automaton.states > 0 ? 0 : DEAD;
  for (const character of text) {
    if (state === DEAD) return DEAD;
    state = nextState(automaton, state, character.codePointAt(0)!);
  }
  return state === DEAD ? DEAD : automaton.labels[state]!;
}

/** An alphabet that tells apart what any of `signatures` does: each gives a code point's class in one view of them. */
export function alphabetOf(starts: Iterable<number>, signature: (codePoint: number) => string): Alphabet {
  const sorted = [...new Set([0, ...starts])].filter((start) => start <= LAST_CODE_POINT).sort((a, b) => a - b);
  const known = new Map<string, number>();
  const classes = sorted.map((start) => {
    const key = signature(start);
    if (!known.has(key)) known.set(key, known.size);
    return known.get(key)!;
  });
  const kept = sorted.filter((_, i) => i === 0 || classes[i] !== classes[i - 1]);
  return { starts: kept, classes: classes.filter((c, i) => i === 0 || c !== classes[i - 1]), size: known.size };
}

/** How `explore` finds the states of an automaton: as keys, each with its transitions by class and its label. */
export interface Exploration<State> {
  readonly alphabet: Alphabet;
  readonly start: State | undefined;
  key(state: State): string;
  next(state: State, sample: number, symbol: number): State | undefined;
  label(state: State): number;
}

/** Builds the automaton of all states that can be reached, and from which an end can be. */
export function explore<State>(
  { alphabet, start, key, next, label }: Exploration<State>,
  work: Work,
  where: string,
): CharAutomaton {
  const { size, starts, classes } = alphabet;
  const samples = Array.from({ length: size }, (_, symbol) => starts[classes.indexOf(symbol)]!);
  const states: State[] = start === undefined ? [] : [start];
  const numbers = new Map(states.map((state) => [key(state), 0]));
  const rows: Int32Array[] = [];
  for (let i = 0; i < states.length; i++) {
    work.spend(size, where);
    const row = new Int32Array(size).fill(DEAD);
    for (let symbol = 0; symbol < size; symbol++) {
      const target = next(states[i]!, samples[symbol]!, symbol);
      if (target === undefined) continue;
      const name = key(target);
      let number = numbers.get(name);
      if (number === undefined) {
        number = states.length;
        numbers.set(name, number);
        states.push(target);
      }
      row[symbol] = number;
    }
    rows.push(row);
    if (states.length > LIMITS.automatonStates || states.length * size > LIMITS.automatonEntries)
      tooLarge(where, `a pattern of more than ${LIMITS.automatonStates} states, or ${LIMITS.automatonEntries} transitions`);
  }
  return trimmed(alphabet, rows, states.map(label));
}

/** The same texts with other labels, without those that get DEAD. */
export function relabelled(automaton: CharAutomaton, rename: (label: number) => number): CharAutomaton {
  const { states, size, table, labels } = automaton;
  const rows = Array.from({ length: states }, (_, state) => table.subarray(state * size, (state + 1) * size));
  return trimmed(
    automaton,
    rows,
    Array.from(labels, (label) => (label === DEAD ? DEAD : rename(label))),
  );
}

/** Leaves out states from which no end can be reached. */
function trimmed(alphabet: Alphabet, rows: readonly Int32Array[], labels: readonly number[]): CharAutomaton {
  const alive = new Uint8Array(rows.length);
  const sources: number[][] = rows.map(() => []);
  rows.forEach((row, from) => {
    for (const to of new Set(row)) if (to !== DEAD) sources[to]!.push(from);
  });
  const queue: number[] = [];
  labels.forEach((label, state) => {
    if (label === DEAD) return;
    alive[state] = 1;
    queue.push(state);
  });
  for (let state = queue.pop(); state !== undefined; state = queue.pop())
    for (const from of sources[state]!) {
      if (alive[from]) continue;
      alive[from] = 1;
      queue.push(from);
    }
  const { starts, classes, size } = alphabet;
  if (!alive[0]) return { starts, classes, size, states: 0, table: new Int32Array(), labels: new Int32Array() };
  const renamed = new Int32Array(rows.length).fill(DEAD);
  let states = 0;
  for (let state = 0; state < rows.length; state++) if (alive[state]) renamed[state] = states++;
  const table = new Int32Array(states * size);
  const kept = new Int32Array(states);
  rows.forEach((row, from) => {
    const state = renamed[from]!;
    if (state === DEAD) return;
    kept[state] = labels[from]!;
    row.forEach((to, symbol) => {
      table[state * size + symbol] = to === DEAD ? DEAD : renamed[to]!;
    });
  });
  return { starts, classes, size, states, table, labels: kept };
}

/**
 * Follows several automata at once.
 *
 * @param label what a text is by what each of them says, DEAD for one that does not fit
 * @param all whether a text has to fit all of them, so that one that left the path ends it
 */
export function product(
  automata: readonly CharAutomaton[],
  label: (labels: readonly number[]) => number,
  all: boolean,
  work: Work,
  where: string,
): CharAutomaton {
  const alphabet = alphabetOf(
    automata.flatMap(({ starts }) => starts),
    (codePoint) => automata.map((a) => a.classes[intervalOf(a, codePoint)]).join(),
  );
  const start = automata.map(({ states }) => (states > 0 ? 0 : DEAD));
  return explore<readonly number[]>(
    {
      alphabet,
      start: all && start.includes(DEAD) ? undefined : start,
      key: (states) => states.join(),
      next(states, sample) {
        const next = states.map((state, i) => (state === DEAD ? DEAD : nextState(automata[i]!, state, sample)));
        return (all ? next.includes(DEAD) : next.every((state) => state === DEAD)) ? undefined : next;
      },
      label: (states) => label(states.map((state, i) => (state === DEAD ? DEAD : automata[i]!.labels[state]!))),
    },
    work,
    where,
  );
}

/** Texts of `min` to `max` characters. */
export function lengths(min: number, max: number, work: Work, where: string): CharAutomaton {
  const last = max === Number.POSITIVE_INFINITY ? min : max;
  return explore<number>(
    {
      alphabet: { starts: [0], classes: [0], size: 1 },
      start: min <= max ? 0 : undefined,
      key: String,
      next: (length) => (length < last ? length + 1 : max === Number.POSITIVE_INFINITY ? length : undefined),
      label: (length) => (length >= min ? 0 : DEAD),
    },
    work,
    where,
  );
}

/** The texts of a list, each labelled by its place in it; and any other text, labelled `other` where that is not DEAD. */
export function texts(list: readonly string[], other: number, work: Work, where: string): CharAutomaton {
  const codePoints = new Set(list.flatMap((text) => [...text].map((c) => c.codePointAt(0)!)));
  const alphabet = alphabetOf(
    [...codePoints].flatMap((c) => [c, c + 1]),
    (c) => (codePoints.has(c) ? String(c) : ""),
  );
  interface Node {
    readonly number: number;
    label: number;
    readonly next: Map<number, Node>;
  }
  let count = 0;
  const node = (): Node => ({ number: count++, label: other, next: new Map() });
  const [root, rest] = [node(), node()];
  list.forEach((text, i) => {
    let at = root;
    for (const character of text) {
      const codePoint = character.codePointAt(0)!;
      if (!at.next.has(codePoint)) at.next.set(codePoint, node());
      at = at.next.get(codePoint)!;
    }
    at.label = i;
  });
  return explore<Node>(
    {
      alphabet,
      start: root,
      key: ({ number }) => String(number),
      next: ({ next }, sample) => (codePoints.has(sample) ? next.get(sample) : undefined) ?? (other === DEAD ? undefined : rest),
      label: ({ label }) => label,
    },
    work,
    where,
  );
}
