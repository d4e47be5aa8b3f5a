/** From a parsed pattern to a deterministic automaton: Thompson's construction, then sets of its states. */
import { alphabetOf, type CharAutomaton, DEAD, explore } from "./char-automaton.ts";
import { ANY, type CodePoints, has } from "./code-points.ts";
import { LIMITS, tooLarge, type Work } from "./limits.ts";
import { type Properties, parseRegex, type Regex } from "./regex-syntax.ts";

/** A state of the nondeterministic automaton: one set of characters leads to `to`, or a free move does, at the start or end of the text only. */
interface Move {
  readonly from: number;
  readonly to: number;
  readonly by: CodePoints | "free" | "start" | "end";
}

/** The texts that match `pattern` as a whole. */
export function wholeMatch(pattern: string, where: string, work: Work, properties?: Properties): CharAutomaton {
  return compile(parseRegex(pattern, where, work, properties), where, work);
}

/** The texts in which `pattern` matches somewhere. */
export function searchMatch(pattern: string, where: string, work: Work, properties?: Properties): CharAutomaton {
  const any: Regex = { type: "repeat", part: { type: "set", set: ANY }, min: 0, max: Number.POSITIVE_INFINITY };
  return compile({ type: "sequence", parts: [any, parseRegex(pattern, where, work, properties)] }, where, work, true);
}

/** @param more whether anything may follow a match */
function compile(regex: Regex, where: string, work: Work, more = false): CharAutomaton {
  const size = sizeOf(regex);
  if (size > LIMITS.patternStates)
    tooLarge(where, `a pattern of ${size} states, repetitions written out; at most ${LIMITS.patternStates} are allowed`);
  const moves: Move[] = [];
  let states = 1;
  const build = (part: Regex, from: number): number => {
    const to = (by: Move["by"], target = states++): number => {
      moves.push({ from, to: target, by });
      return target;
    };
    switch (part.type) {
      case "set":
        return to(part.set);
      case "start":
      case "end":
        return to(part.type);
      case "sequence":
        return part.parts.reduce((at, next) => build(next, at), from);
      case "choice": {
        const end = states++;
        for (const option of part.options) moves.push({ from: build(option, to("free")), to: end, by: "free" });
        return end;
      }
      case "repeat": {
        let at = from;
        for (let i = 0; i < part.min; i++) at = build(part.part, at);
        const end = states++;
        if (part.max === Number.POSITIVE_INFINITY) {
          const loop = states++;
          moves.push({ from: at, to: loop, by: "free" }, { from: build(part.part, loop), to: loop, by: "free" });
          moves.push({ from: loop, to: end, by: "free" });
          return end;
        }
        for (let i = part.min; i < part.max; i++) {
          moves.push({ from: at, to: end, by: "free" });
          at = build(part.part, at);
        }
        moves.push({ from: at, to: end, by: "free" });
        return end;
      }
    }
  };
  const final = build(regex, 0);
  if (more) moves.push({ from: final, to: final, by: ANY });
  return determinise({ final, states, moves, more }, where, work);
}

/** States that building takes, Infinity beyond any limit. */
function sizeOf(regex: Regex): number {
  switch (regex.type) {
    case "sequence":
      return regex.parts.reduce((sum, part) => sum + sizeOf(part), 0);
    case "choice":
      return regex.options.reduce((sum, option) => sum + 1 + sizeOf(option), 1);
    case "repeat":
      return 2 + Math.max(1, sizeOf(regex.part)) * (regex.max === Number.POSITIVE_INFINITY ? regex.min + 1 : regex.max);
    default:
      return 1;
  }
}

interface Nondeterministic {
  readonly states: number;
  readonly moves: readonly Move[];
  readonly final: number;
  readonly more: boolean;
}

function determinise({ final, states, moves, more }: Nondeterministic, where: string, work: Work): CharAutomaton {
  const numbers = new Map<string, number>();
  const sets: CodePoints[] = [];
  const setMoves: { to: number; set: number }[][] = Array.from({ length: states }, () => []);
  for (const { from, to, by } of moves) {
    if (typeof by === "string") continue;
    const key = by.join();
    if (!numbers.has(key)) numbers.set(key, sets.push(by) - 1);
    setMoves[from]!.push({ to, set: numbers.get(key)! });
  }
  const alphabet = alphabetOf(
    sets.flatMap((set) => set.map((codePoint, i) => codePoint + (i % 2))),
    (codePoint) => {
      work.spend(sets.length, where);
      return sets.map((set) => Number(has(set, codePoint))).join("");
    },
  );
  const freeMoves = movesBy(states, moves, "free");
  const startMoves = movesBy(states, moves, "start");
  const endMoves = movesBy(states, moves, "end");
  /** [symbol][set]: whether the set has the symbol's characters. */
  const members = Array.from({ length: alphabet.size }, (_, symbol) => {
    const sample = alphabet.starts[alphabet.classes.indexOf(symbol)]!;
    return sets.map((set) => has(set, sample));
  });

  const closure = (from: Iterable<number>, ...kinds: readonly (readonly number[][])[]): number[] => {
    const reached = new Set(from);
    for (const state of reached) for (const kind of kinds) for (const to of kind[state]!) reached.add(to);
    work.spend(reached.size, where);
    return more && !kinds.includes(endMoves) && reached.has(final) ? [final] : [...reached].sort((a, b) => a - b);
  };
  return explore<{ states: readonly number[]; atStart: boolean }>(
    {
      alphabet,
      start: { states: closure([0], freeMoves, startMoves), atStart: true },
      key: ({ states, atStart }) => `${atStart ? "^" : ""}${states.join()}`,
      next({ states }, _, symbol) {
        const next = new Set<number>();
        for (const state of states) for (const { to, set } of setMoves[state]!) if (members[symbol]![set]) next.add(to);
        work.spend(states.length, where);
        return next.size === 0 ? undefined : { states: closure(next, freeMoves), atStart: false };
      },
      label: ({ states, atStart }) =>
        closure(states, freeMoves, endMoves, ...(atStart ? [startMoves] : [])).includes(final) ? 0 : DEAD,
    },
    work,
    where,
  );
}

function movesBy(states: number, moves: readonly Move[], kind: Move["by"]): number[][] {
  const targets: number[][] = Array.from({ length: states }, () => []);
  for (const { from, to, by } of moves) if (by === kind) targets[from]!.push(to);
  return targets;
}
