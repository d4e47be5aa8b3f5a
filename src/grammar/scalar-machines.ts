/** The machines of values without parts, from what a conjunction says of them. */
import { wordMachine } from "./byte-automaton.ts";
import { labelOf, lengths, DEAD as NONE, product, texts } from "./char-automaton.ts";
import { BOOLEAN, type Conjunction, FRACTION, INTEGER, NULL, type NumberBound, STRING, typeOf } from "./conjunction.ts";
import { type Bound, halfway, shortest } from "./decimal.ts";
import type { Work } from "./limits.ts";
import type { Machine } from "./machine.ts";
import { isEmptyRange, type NumberSpec, numberMachine, type Range } from "./number-machine.ts";
import { PlainStringMachine } from "./plain-string-machine.ts";
import { StringMachine } from "./string-machine.ts";

export class ScalarMachines {
  readonly #work: Work;
  readonly #characters: StringMachine;
  /** Equal conditions share a machine. */
  readonly #known = new Map<string, Machine | undefined>();

  /** @param characters reads any JSON string */
  constructor(work: Work, characters: StringMachine) {
    this.#work = work;
    this.#characters = characters;
  }

  /** A machine for each kind of value that fits. */
  of(conjunction: Conjunction, where: string): Machine[] {
    const { values, types } = conjunction;
    if (values) return this.#ofValues(conjunction, where);
    const words = [...(types & NULL ? ["null"] : []), ...(types & BOOLEAN ? ["true", "false"] : [])];
    const machines = [
      this.#words(words, where),
      types & INTEGER ? this.#number(conjunction, where) : undefined,
      types & STRING ? this.#string(conjunction, where) : undefined,
    ];
    return machines.filter((machine) => machine !== undefined);
  }

  #ofValues(conjunction: Conjunction, where: string): Machine[] {
    const fitting = conjunction.values!.map(({ value }) => value).filter((value) => fits(conjunction, value));
    const words = fitting.filter((value) => value === null || typeof value === "boolean").map(String);
    const numbers = fitting.filter((value) => typeof value === "number");
    const strings = fitting.filter((value) => typeof value === "string");
    const notations = numbers.flatMap((value) => notationsOf(value, (conjunction.types & FRACTION) !== 0));
    const machines = [this.#words(words, where), this.#words(notations, where)];
    if (strings.length > 0) machines.push(new StringMachine(texts(strings, NONE, this.#work, where), true));
    return machines.filter((machine) => machine !== undefined);
  }

  #words(words: readonly string[], where: string): Machine | undefined {
    return words.length === 0 ? undefined : this.#once(`words ${words.join()}`, () => wordMachine(words, this.#work, where));
  }

  #string({ texts, minLength, maxLength }: Conjunction, where: string): Machine | undefined {
    if (texts.length === 0) {
      if (minLength > maxLength) return undefined;
      return this.#once(`string ${minLength} ${maxLength}`, () => new PlainStringMachine(this.#characters, minLength, maxLength));
    }
    const isCounted = minLength > 0 || maxLength < Number.POSITIVE_INFINITY;
    const automata = isCounted ? [...texts, lengths(minLength, maxLength, this.#work, where)] : texts;
    const one = automata.length === 1 ? automata[0]! : product(automata, all, true, this.#work, where);
    return one.states === 0 ? undefined : new StringMachine(one, true);
  }

  #number({ types, lower, upper, multipleOf }: Conjunction, where: string): Machine | undefined {
    const integer = (types & FRACTION) === 0;
    const { positive, negative } = signs(lower, upper, integer);
    const spec: NumberSpec = {
      integer,
      multipleOf,
      positive: positive && !isEmptyRange(positive) ? positive : undefined,
      negative: negative && !isEmptyRange(negative) ? negative : undefined,
    };
    return this.#once(`number ${JSON.stringify(spec)}`, () => numberMachine(spec, this.#work, where));
  }

  #once(key: string, make: () => Machine | undefined): Machine | undefined {
    if (!this.#known.has(key)) this.#known.set(key, make());
    return this.#known.get(key);
  }
}

const all = (labels: readonly number[]): number => (labels.includes(NONE) ? NONE : 0);

/** Whether a value without parts fulfils everything but `enum` and `const`. */
function fits({ types, lower, upper, multipleOf, minLength, maxLength, texts }: Conjunction, value: unknown): boolean {
  if (typeof value === "string") {
    const length = [...value].length;
    const isLong = length >= minLength && length <= maxLength;
    return (types & STRING) !== 0 && isLong && texts.every((automaton) => labelOf(automaton, value) !== NONE);
  }
  if (typeof value === "number") {
    const above = !lower || value > lower.value || (value === lower.value && !lower.exclusive);
    const below = !upper || value < upper.value || (value === upper.value && !upper.exclusive);
    return (types & typeOf(value)) !== 0 && above && below && (multipleOf === undefined || value % multipleOf === 0);
  }
  return (value === null || typeof value === "boolean") && (types & typeOf(value)) !== 0;
}

/** How JSON writers put a number; 1 is also 1.0 where a fraction is allowed. */
function notationsOf(value: number, fraction: boolean): string[] {
  const text = JSON.stringify(value);
  if (/^-?[0-9]+$/.test(text)) return fraction ? [text, `${text}.0`] : [text];
  return [text, text.replace(/e([+-])([0-9])$/, "e$10$2")];
}

/** Bounds as ranges of magnitudes, for values from 0 up and below 0. */
function signs(
  lower: NumberBound | undefined,
  upper: NumberBound | undefined,
  integer: boolean,
): { positive: Range | undefined; negative: Range | undefined } {
  const noPositive = upper && (upper.value < 0 || (upper.value === 0 && upper.exclusive));
  const noNegative = lower && lower.value >= 0;
  const isAboveZero = lower && (lower.value > 0 || (lower.value === 0 && lower.exclusive));
  const isBelowZero = upper && (upper.value < 0 || (upper.value === 0 && upper.exclusive));
  return {
    positive: noPositive
      ? undefined
      : { low: isAboveZero ? magnitude(lower, true, integer) : undefined, high: upper && magnitude(upper, false, integer) },
    negative: noNegative
      ? undefined
      : { low: isBelowZero ? magnitude(upper, true, integer) : undefined, high: lower && magnitude(lower, false, integer) },
  };
}

/**
 * A bound of magnitudes. What an exclusive bound keeps out are all texts that are read as its number, up to halfway to the next double.
 *
 * @param outward whether what is allowed is larger
 */
function magnitude({ value, exclusive }: NumberBound, outward: boolean, integer: boolean): Bound {
  const isExact = value === 0 || (integer && Math.abs(value) <= Number.MAX_SAFE_INTEGER);
  return { value: exclusive && !isExact ? halfway(value, outward) : shortest(value), exclusive };
}
