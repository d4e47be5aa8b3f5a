/** What a grammar may cost, and how it is refused: schemas and patterns come from anybody, so each number is checked before it is used. */
import { Qwen3Error } from "../core/errors.ts";

export const LIMITS = {
  /** Characters of a regular expression, or of a text that is a choice. */
  patternLength: 10_000,
  /** Alternatives of `choice`, and characters of all together. */
  choices: 10_000,
  choicesLength: 100_000,
  /** States of a pattern's nondeterministic automaton: bounded repetition is written out. */
  patternStates: 20_000,
  /** States of one deterministic automaton, and entries of its table. */
  automatonStates: 10_000,
  automatonEntries: 4_000_000,
  /** Levels of a schema, and values in it. */
  schemaDepth: 64,
  schemaValues: 50_000,
  /** Alternatives that anyOf, oneOf and allOf multiply to at one place, and kinds of value in a whole schema. */
  alternatives: 128,
  valueTypes: 10_000,
  /** Steps of one compilation; about a second, in which a server does nothing else. */
  work: 8_000_000,
} as const;

/** What the grammar asks for cannot be kept as a promise: a keyword, a format, an operator. */
export function unsupported(where: string, what: string): never {
  throw new Qwen3Error("GRAMMAR_UNSUPPORTED", `${where}: ${what}`);
}

/** Not what it says it is: no schema, no regular expression. */
export function malformed(where: string, what: string): never {
  throw new Qwen3Error("GRAMMAR_SYNTAX", `${where}: ${what}`);
}

export function tooLarge(where: string, what: string): never {
  throw new Qwen3Error("GRAMMAR_LIMIT", `${where}: ${what}`);
}

/** No text fits. */
export function unsatisfiable(where: string, what: string): never {
  throw new Qwen3Error("GRAMMAR_EMPTY", `${where}: ${what}`);
}

/** Counts the steps of one compilation. */
export class Work {
  #left: number = LIMITS.work;

  spend(steps: number, where: string): void {
    this.#left -= steps;
    if (this.#left < 0) tooLarge(where, `compiling takes more than ${LIMITS.work} steps`);
  }
}
