/**
 * Numbers within bounds, decided on their text: digits are compared with the bound's while they come. Two notations are read: digits with
 * at most 24 before and 24 behind the point, and `d.ddde±dd`, one digit before the point that is not 0 (without bounds, any mantissa). So
 * every number that is let through is a finite double, and a model cannot write digits for ever. Integers are written as digits alone.
 */
import { type ByteMachine, byteMachine } from "./byte-automaton.ts";
import { type Bound, compare, type Decimal, scientific } from "./decimal.ts";
import type { Work } from "./limits.ts";

/** A range of magnitudes. */
export interface Range {
  readonly low?: Bound | undefined;
  readonly high?: Bound | undefined;
}

export interface NumberSpec {
  readonly integer: boolean;
  /** The values are its multiples, which are integers. */
  readonly multipleOf: number | undefined;
  /** Magnitudes of the values from 0 up, and of those below 0; undefined where there are none. */
  readonly positive: Range | undefined;
  readonly negative: Range | undefined;
}

const MAX_DIGITS = 24;
/** Fewer with multipleOf: readers divide doubles, which are exact up to here. */
const MAX_DIGITS_DIVIDED = 15;
const MAX_EXPONENT = 99;

/** How a text compares with a bound so far; `undefined` bounds are not compared. */
type Order = -1 | 0 | 1;

interface State {
  readonly phase: "start" | "sign" | "zero" | "int" | "point" | "frac" | "e" | "e sign" | "exponent" | "end";
  readonly negative: boolean;
  /** Digits of the present phase. */
  readonly digits: number;
  readonly scientific: boolean;
  /** Compared with low, high, and with the first digits of both in scientific notation. */
  readonly orders: readonly Order[];
  readonly remainder: number;
  /** The exponents that are allowed, and the one so far. */
  readonly from: number;
  readonly to: number;
  readonly exponent: number;
  readonly exponentSign: number;
}

const BYTES = [..."-0123456789.eE+"].map((c) => c.charCodeAt(0));

export function numberMachine(spec: NumberSpec, work: Work, where: string): ByteMachine | undefined {
  const sides = [spec.positive, spec.negative].map((range) => range && new Side(range, spec));
  const start: State = {
    phase: "start",
    negative: false,
    digits: 0,
    scientific: false,
    orders: [],
    remainder: 0,
    from: 0,
    to: 0,
    exponent: 0,
    exponentSign: 1,
  };
  return byteMachine<State>(
    {
      start,
      bytes: BYTES,
      key: (s) =>
        `${s.phase},${s.negative},${s.digits},${s.scientific},${s.orders.join()},${s.remainder},${s.from},${s.to},${s.exponent},${s.exponentSign}`,
      next(state, byte) {
        if (state.phase === "start" && byte === 0x2d) return { ...state, phase: "sign", negative: true };
        return sides[Number(state.negative)]?.next(state, byte);
      },
      accepts: (state) => sides[Number(state.negative)]?.accepts(state) ?? false,
    },
    work,
    where,
  );
}

/** The values of one sign. */
class Side {
  readonly #spec: NumberSpec;
  readonly #low: Bound | undefined;
  readonly #high: Bound | undefined;
  /** What the four orders compare with. */
  readonly #decimals: readonly (Decimal | undefined)[];
  readonly #exponents: readonly (number | undefined)[];
  readonly #maxDigits: number;

  constructor({ low, high }: Range, spec: NumberSpec) {
    this.#spec = spec;
    this.#low = low;
    this.#high = high;
    const parts = [low, high].map((bound) => (bound && !isZero(bound.value) ? scientific(bound.value) : undefined));
    this.#decimals = [low?.value, high?.value, parts[0]?.mantissa, parts[1]?.mantissa];
    this.#exponents = parts.map((part) => part?.exponent);
    this.#maxDigits = spec.multipleOf === undefined ? MAX_DIGITS : MAX_DIGITS_DIVIDED;
  }

  next(state: State, byte: number): State | undefined {
    const digit = byte - 0x30;
    const isDigit = digit >= 0 && digit <= 9;
    const { phase, digits } = state;
    switch (phase) {
      case "start":
      case "sign":
        if (!isDigit) return undefined;
        return digit === 0 ? this.#endInt({ ...state, phase: "zero", orders: [0, 0, 0, 0] }, 0) : this.#firstDigit(state, digit);
      case "zero":
        return byte === 0x2e && !this.#spec.integer ? { ...state, phase: "point", digits: 0 } : this.#exponent(state, byte);
      case "int":
        if (isDigit) return digits < this.#maxDigits ? this.#intDigit(state, digit) : undefined;
        if (byte === 0x2e && !this.#spec.integer) return { ...this.#endInt(state, digits), phase: "point", digits: 0 };
        return this.#exponent(this.#endInt(state, digits), byte);
      case "point":
      case "frac":
        if (isDigit) return digits < MAX_DIGITS ? this.#fracDigit(state, digit) : undefined;
        return phase === "frac" ? this.#exponent(state, byte) : undefined;
      case "e":
        if (byte === 0x2b || byte === 0x2d) return { ...state, phase: "e sign", exponentSign: byte === 0x2d ? -1 : 1 };
        return isDigit ? this.#exponentDigit(state, digit) : undefined;
      case "e sign":
      case "exponent":
        return isDigit && digits < 2 ? this.#exponentDigit(state, digit) : undefined;
      default:
        return undefined;
    }
  }

  accepts(state: State): boolean {
    const { phase, orders, digits } = state;
    if (phase === "end") return true;
    if (phase === "exponent") return this.#exponentFits(state);
    if (phase !== "zero" && phase !== "int" && phase !== "frac") return false;
    if (state.remainder !== 0) return false;
    const whole = phase === "int" ? this.#endInt(state, digits).orders : orders;
    const behind = phase === "frac" ? digits : 0;
    const order = (i: number): number => this.#final(whole[i]!, this.#decimals[i], behind);
    return within(this.#low, order(0), 1) && within(this.#high, order(1), -1);
  }

  #firstDigit(state: State, digit: number): State {
    return this.#intDigit({ ...state, phase: "int", digits: 0, scientific: !this.#spec.integer, orders: [0, 0, 0, 0] }, digit);
  }

  #intDigit(state: State, digit: number): State {
    const at = state.digits;
    const orders = state.orders.map((order, i) => {
      const bound = this.#decimals[i]?.int[at];
      return order === 0 && bound !== undefined ? orderOf(digit, bound) : order;
    });
    const remainder = (state.remainder * 10 + digit) % (this.#spec.multipleOf ?? 1);
    return {
      ...state,
      digits: at + 1,
      scientific: state.scientific && at === 0,
      orders: this.#needed(orders, at === 0),
      remainder,
    };
  }

  /** The digits before the point are all there: more or fewer of them than the bound has decide. */
  #endInt(state: State, count: number): State {
    const orders = state.orders.map((order, i): Order => {
      const length = this.#decimals[i]?.int.length;
      if (length === undefined || count === length) return order;
      return count < length ? -1 : 1;
    });
    return { ...state, orders };
  }

  #fracDigit(state: State, digit: number): State {
    const at = state.digits;
    const orders = state.orders.map((order, i): Order => {
      const decimal = this.#decimals[i];
      return order === 0 && decimal ? orderOf(digit, decimal.frac[at] ?? "0") : order;
    });
    return { ...state, phase: "frac", digits: at + 1, orders };
  }

  /** Orders of scientific notation are forgotten where it is not possible, so that states are the same. */
  #needed(orders: readonly Order[], isScientific: boolean): readonly Order[] {
    return isScientific ? orders : [orders[0]!, orders[1]!, 0, 0];
  }

  #exponent(state: State, byte: number): State | undefined {
    if ((byte !== 0x65 && byte !== 0x45) || this.#spec.integer) return undefined;
    const isFree = !this.#low && !this.#high;
    if (!isFree && !state.scientific) return undefined;
    let [from, to] = [-MAX_EXPONENT, MAX_EXPONENT];
    const behind = state.phase === "frac" ? state.digits : 0;
    const [low, high] = this.#exponents;
    const fits = (bound: Bound | undefined, i: number, side: number) =>
      within(bound, this.#final(state.orders[i]!, this.#decimals[i], behind), side);
    if (low !== undefined) from = Math.max(from, fits(this.#low, 2, 1) ? low : low + 1);
    if (high !== undefined) to = Math.min(to, fits(this.#high, 3, -1) ? high : high - 1);
    else if (this.#high) return undefined; // up to zero, and the mantissa is not
    if (from > to) return undefined;
    return { ...state, phase: "e", digits: 0, scientific: false, orders: [], from, to, exponent: 0 };
  }

  #exponentDigit(state: State, digit: number): State | undefined {
    const next: State = { ...state, phase: "exponent", digits: state.digits + 1, exponent: state.exponent * 10 + digit };
    if (next.digits < 2) return next;
    return this.#exponentFits(next)
      ? { ...next, phase: "end", digits: 0, from: 0, to: 0, exponent: 0, exponentSign: 1 }
      : undefined;
  }

  #exponentFits({ exponent, exponentSign, from, to }: State): boolean {
    return exponent * exponentSign >= from && exponent * exponentSign <= to;
  }

  /** The order once the text has ended: equal so far is less where the bound has further digits. */
  #final(order: Order, decimal: Decimal | undefined, behind: number): Order {
    return order === 0 && decimal && behind < decimal.frac.length ? -1 : order;
  }
}

const isZero = ({ int, frac }: Decimal): boolean => int === "" && frac === "";

function orderOf(digit: number, bound: string): Order {
  const other = bound.charCodeAt(0) - 0x30;
  return digit < other ? -1 : digit > other ? 1 : 0;
}

/** Whether an order is on the right side of a bound: `side` 1 for a lower one. */
function within(bound: Bound | undefined, order: number, side: number): boolean {
  return bound === undefined || order === side || (order === 0 && !bound.exclusive);
}

/** Whether a range holds anything. */
export function isEmptyRange({ low, high }: Range): boolean {
  if (!low || !high) return false;
  const order = compare(low.value, high.value);
  return order > 0 || (order === 0 && (low.exclusive || high.exclusive));
}
