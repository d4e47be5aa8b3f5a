/**
 * JSON strings whose value fits an automaton over code points, and bare texts in UTF-8. Tokens may end inside of a character or an
 * escape, so a state is one of the automaton's and what is known of a character that has begun: the interval in which it lies. A character
 * is read as itself, as `\n` and its kin, as `\u` escapes and pairs of them. Half of a surrogate pair is not a character.
 */
import { type CharAutomaton, intervalOf, DEAD as NONE } from "./char-automaton.ts";
import { DEAD, END, type Machine, plain } from "./machine.ts";

/**
 * What has been read of a character: how many bytes or digits are missing (`left`), and which code points, or UTF-16 units of an escape,
 * it can still be. Where it does not matter which, `char` is the state behind it already ("rest" of bytes, "rest digits").
 */
interface Partial {
  readonly kind: "open" | "main" | "bytes" | "rest" | "escape" | "digits" | "rest digits" | "pair" | "pair u" | "trail";
  readonly char: number;
  readonly left: number;
  readonly low: number;
  readonly high: number;
}

/** What stands behind a backslash, and what it means. */
const ESCAPED: ReadonlyMap<number, number> = new Map(
  [...'"\\/bfnrt'].map((c, i) => [c.charCodeAt(0), '"\\/\b\f\n\r\t'.charCodeAt(i)]),
);
/** Control characters, what is not ASCII, and what is escaped for the sake of HTML: first and last by turns. */
const ESCAPABLE = [0, 0x1f, 0x22, 0x22, 0x26, 0x27, 0x3c, 0x3c, 0x3e, 0x3e, 0x5c, 0x5c, 0x7f, 0xffff];
const [FIRST_LEAD, LAST_LEAD, LAST_TRAIL] = [0xd800, 0xdbff, 0xdfff];
const SEVERAL = -2;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const UNKNOWN = -3;

export class StringMachine implements Machine {
  readonly start: number = 0;
  readonly spaced = plain.spaced;
  readonly expects = plain.expects;
  readonly after = plain.after;
  readonly automaton: CharAutomaton;
  /** Of a JSON string, quotes and all, or of the bare text. */
  readonly quoted: boolean;
  readonly #states: Partial[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #rows: Int32Array[] = [];

  /** The automaton's state from which any text leads to an end and back to itself; undefined if it has none. */
  readonly universal: number | undefined;

  /** @param automaton one that is not empty */
  constructor(automaton: CharAutomaton, quoted: boolean) {
    this.automaton = automaton;
    this.quoted = quoted;
    this.universal = universalState(automaton);
    this.#number({ kind: quoted ? "open" : "main", char: 0, left: 0, low: 0, high: 0 });
  }

  next(state: number, byte: number): number {
    const row = this.row(state);
    const known = row[byte]!;
    if (known !== UNKNOWN) return known;
    const next = this.#step(this.#states[state]!, byte);
    row[byte] = next;
    return next;
  }

  /** Transitions by byte as far as `next` was asked. */
  row(state: number): Int32Array {
    this.#rows[state] ??= new Int32Array(256).fill(UNKNOWN);
    return this.#rows[state];
  }

  mayEnd(state: number): boolean {
    return !this.quoted && this.isMain(state) && this.label(state) !== NONE;
  }

  label(state: number): number {
    return this.automaton.labels[this.#states[state]!.char]!;
  }

  /** Between two characters. */
  isMain(state: number): boolean {
    return this.#states[state]!.kind === "main";
  }

  /** The automaton's state, that of the character before one that has begun. */
  charState(state: number): number {
    return this.#states[state]!.char;
  }

  /** Between two characters, in a state of the automaton. */
  mainAt(char: number): number {
    return this.#number({ kind: "main", char, left: 0, low: 0, high: 0 });
  }

  #number(partial: Partial): number {
    const { kind, char, left, low, high } = partial;
    const key = `${kind},${char},${left},${low},${high}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#states.push(partial) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  #step(partial: Partial, byte: number): number {
    const { kind, char, left, low } = partial;
    switch (kind) {
      case "open":
        return byte === QUOTE ? this.mainAt(char) : DEAD;
      case "main":
        return this.#begin(char, byte);
      case "rest":
        return byte >= 0x80 && byte <= 0xbf ? this.#rest(kind, char, left - 1) : DEAD;
      case "bytes": {
        if (byte < 0x80 || byte > 0xbf) return DEAD;
        const span = 1 << (6 * (left - 1));
        const from = low - (low % (64 * span)) + (byte & 63) * span;
        return this.#narrow(char, left - 1, Math.max(low, from), Math.min(partial.high, from + span - 1));
      }
      case "escape": {
        if (byte === 0x75) return this.#digits(char, 4, 0, 0xffff);
        const codePoint = ESCAPED.get(byte);
        return codePoint === undefined ? DEAD : this.#narrow(char, 0, codePoint, codePoint);
      }
      case "pair":
        return byte === BACKSLASH ? this.#number({ ...partial, kind: "pair u" }) : DEAD;
      case "pair u":
        return byte === 0x75 ? this.#number({ ...partial, kind: "trail", left: 4 }) : DEAD;
    }
    const digit = hexDigit(byte);
    if (digit < 0) return DEAD;
    if (kind === "rest digits") return this.#rest(kind, char, left - 1);
    if (kind === "trail") return this.#trail(partial, digit);
    const span = 1 << (4 * (left - 1));
    return this.#digits(char, left - 1, low + digit * span, low + (digit + 1) * span - 1);
  }

  /** A character's first byte, or the end. */
  #begin(char: number, byte: number): number {
    if (this.quoted) {
      if (byte === QUOTE) return this.automaton.labels[char] === NONE ? DEAD : END;
      if (byte === BACKSLASH) {
        return this.#hasEscape(char) ? this.#number({ kind: "escape", char, left: 0, low: 0, high: 0 }) : DEAD;
      }
      if (byte < 0x20) return DEAD;
    }
    if (byte < 0x80) return this.#narrow(char, 0, byte, byte);
    if (byte >= 0xc2 && byte <= 0xdf) return this.#narrow(char, 1, (byte & 31) << 6, ((byte & 31) << 6) + 0x3f);
    if (byte >= 0xe0 && byte <= 0xef) {
      const first = (byte & 15) << 12;
      return this.#narrow(char, 2, Math.max(first, 0x800), byte === 0xed ? 0xd7ff : first + 0xfff);
    }
    if (byte >= 0xf0 && byte <= 0xf4) {
      const first = (byte & 7) << 18;
      return this.#narrow(char, 3, Math.max(first, 0x10000), Math.min(first + 0x3ffff, 0x10ffff));
    }
    return DEAD;
  }

  /** After a byte of a character that lies in an interval. */
  #narrow(char: number, left: number, low: number, high: number): number {
    if (low > high) return DEAD;
    const target = this.#targets(char, low, high);
    if (target === NONE) return DEAD;
    if (target !== SEVERAL && high - low + 1 === 1 << (6 * left)) return this.#rest("rest", target, left);
    return this.#number({ kind: "bytes", char, left, low, high });
  }

  /** After a digit of `\u`: the unit is a character, or the first half of a pair. */
  #digits(char: number, left: number, low: number, high: number): number {
    const isPair = low <= LAST_LEAD && high >= FIRST_LEAD;
    const target = this.#unitTargets(char, low, high);
    if (!isPair) {
      if (target === NONE) return DEAD;
      if (target !== SEVERAL) return this.#rest("rest digits", target, left);
    } else {
      const first = 0x10000 + ((Math.max(low, FIRST_LEAD) - FIRST_LEAD) << 10);
      const last = 0x10000 + ((Math.min(high, LAST_LEAD) - FIRST_LEAD) << 10) + 0x3ff;
      if (target === NONE && this.#targets(char, first, last) === NONE) return DEAD;
      if (left === 0) return this.#number({ kind: "pair", char, left, low: first, high: last });
    }
    return this.#number({ kind: "digits", char, left, low, high });
  }

  /** A digit of a pair's second half, DC00 to DFFF: ten of its bits are the code point's last. */
  #trail({ char, left, low }: Partial, digit: number): number {
    if (left === 4) return digit === 0xd ? this.#number({ kind: "trail", char, left: 3, low, high: low + 0x3ff }) : DEAD;
    if (left === 3 && digit < 0xc) return DEAD;
    const span = 1 << (4 * (left - 1));
    const from = low + (left === 3 ? digit - 0xc : digit) * span;
    const high = from + span - 1;
    const target = this.#targets(char, from, high);
    if (target === NONE) return DEAD;
    if (target !== SEVERAL) return this.#rest("rest digits", target, left - 1);
    return this.#number({ kind: "trail", char, left: left - 1, low: from, high });
  }

  #rest(kind: "rest" | "rest digits", char: number, left: number): number {
    return left === 0 ? this.mainAt(char) : this.#number({ kind, char, left, low: 0, high: 0 });
  }

  #hasEscape(char: number): boolean {
    for (const codePoint of ESCAPED.values()) if (this.#targets(char, codePoint, codePoint) !== NONE) return true;
    return this.#unitTargets(char, 0, 0xffff) !== NONE || this.#targets(char, 0x10000, 0x10ffff) !== NONE;
  }

  /**
   * The same for what `\u` may write: where it matters which text it is, only characters that writers of JSON escape, or the word `red`
   * could be spelled in dozens of ways.
   */
  #unitTargets(char: number, low: number, high: number): number {
    if (char === this.universal) return this.#targets(char, low, high);
    let found: number | undefined;
    let covered = 0;
    for (let i = 0; i < ESCAPABLE.length; i += 2) {
      const [first, last] = [Math.max(low, ESCAPABLE[i]!), Math.min(high, ESCAPABLE[i + 1]!)];
      if (first > last) continue;
      const target = this.#targets(char, first, last);
      covered += last - first + 1;
      found ??= target;
      if (found !== target) return SEVERAL;
    }
    if (found === undefined || found === NONE) return NONE;
    return covered === high - low + 1 ? found : SEVERAL;
  }

  /** The state behind every character of an interval (surrogates are none): NONE where no character fits, SEVERAL where it depends. */
  #targets(char: number, low: number, high: number): number {
    const { starts, classes, table, size } = this.automaton;
    let found: number | undefined;
    for (let i = intervalOf(this.automaton, low); i < starts.length && starts[i]! <= high; i++) {
      const end = (starts[i + 1] ?? 0x110000) - 1;
      const isSurrogates = Math.max(starts[i]!, low) >= FIRST_LEAD && Math.min(end, high) <= LAST_TRAIL;
      const target = isSurrogates ? NONE : table[char * size + classes[i]!]!;
      found ??= target;
      if (found !== target) return SEVERAL;
    }
    return found ?? NONE;
  }
}

function universalState({ states, size, table, labels, starts, classes }: CharAutomaton): number | undefined {
  const symbols = [...new Set(classes.filter((_, i) => starts[i]! < FIRST_LEAD || starts[i]! > LAST_TRAIL))];
  for (let state = 0; state < states; state++)
    if (labels[state] !== NONE && symbols.every((symbol) => table[state * size + symbol] === state)) return state;
  return undefined;
}

/** A hexadecimal digit's value, -1 for other bytes. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
