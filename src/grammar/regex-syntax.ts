/**
 * Reads regular expressions as ECMAScript writes them with the `u` flag, which is what JSON Schema asks for, without what is not regular
 * or looks around: back references, lookaheads and word boundaries are refused by name. Lazy quantifiers and groups mean the same set of
 * texts as greedy ones.
 */
import { type CodePoints, complement, union } from "./code-points.ts";
import { LIMITS, malformed, tooLarge, unsupported, type Work } from "./limits.ts";
import { LINE_ENDS, property, shorthand } from "./unicode-classes.ts";

export type Regex =
  | { readonly type: "set"; readonly set: CodePoints }
  | { readonly type: "sequence"; readonly parts: readonly Regex[] }
  | { readonly type: "choice"; readonly options: readonly Regex[] }
  /** At most `max` times; Infinity where there is no bound. */
  | { readonly type: "repeat"; readonly part: Regex; readonly min: number; readonly max: number }
  | { readonly type: "start" }
  | { readonly type: "end" };

/** The sets of `\p{...}` that were asked for, by name. */
export type Properties = Map<string, CodePoints>;

/**
 * @param where names the pattern in errors
 * @param work counts what finding the code points of a property costs
 * @param properties what earlier patterns found; it grows
 * @throws Qwen3Error GRAMMAR_SYNTAX, GRAMMAR_UNSUPPORTED, GRAMMAR_LIMIT
 */
export function parseRegex(pattern: string, where: string, work: Work, properties: Properties = new Map()): Regex {
  if (pattern.length > LIMITS.patternLength)
    tooLarge(where, `a pattern of ${pattern.length} characters; at most ${LIMITS.patternLength} are allowed`);
  return new RegexParser(pattern, where, work, properties).parse();
}

const CONTROL_ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11 };
const MAX_NESTING = 100;
/** What finding the code points of a property costs: all of them are looked at. */
const PROPERTY_STEPS = 300_000;

class RegexParser {
  readonly #characters: readonly string[];
  readonly #where: string;
  readonly #work: Work;
  readonly #properties: Properties;
  #at = 0;
  #depth = 0;

  constructor(pattern: string, where: string, work: Work, properties: Properties) {
    this.#characters = [...pattern];
    this.#where = where;
    this.#work = work;
    this.#properties = properties;
  }

  parse(): Regex {
    const regex = this.#choice();
    if (this.#at < this.#characters.length) this.#fail("a ) that nothing opened");
    return regex;
  }

  #choice(): Regex {
    if (++this.#depth > MAX_NESTING) tooLarge(this.#where, `groups are nested deeper than ${MAX_NESTING}`);
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    this.#depth--;
    return options.length === 1 ? options[0]! : { type: "choice", options };
  }

  #sequence(): Regex {
    const parts: Regex[] = [];
    for (let c = this.#peek(); c !== undefined && c !== "|" && c !== ")"; c = this.#peek()) parts.push(this.#term());
    return parts.length === 1 ? parts[0]! : { type: "sequence", parts };
  }

  #term(): Regex {
    const isAnchor = this.#peek() === "^" || this.#peek() === "$";
    const atom = this.#atom();
    const bounds = this.#quantifier();
    if (!bounds) return atom;
    if (isAnchor) this.#fail("a quantifier behind an anchor");
    this.#take("?");
    if (this.#quantifier()) this.#fail("two quantifiers in a row");
    return { type: "repeat", part: atom, ...bounds };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take("?")) return { min: 0, max: 1 };
    if (!this.#take("{")) return undefined;
    const min = this.#count();
    const max = this.#take(",") ? (this.#peek() === "}" ? Number.POSITIVE_INFINITY : this.#count()) : min;
    if (!this.#take("}")) this.#fail("a } is missing behind {");
    if (max < min) this.#fail(`{${min},${max}} has its bounds the wrong way round`);
    return { min, max };
  }

  #count(): number {
    let digits = "";
    for (let c = this.#peek(); c !== undefined && /^[0-9]$/.test(c); c = this.#peek()) digits += this.#next();
    if (digits === "") this.#fail("a number is missing behind {");
    const count = Number(digits);
    if (count > LIMITS.patternStates)
      tooLarge(this.#where, `a repetition of ${digits}; at most ${LIMITS.patternStates} are allowed`);
    return count;
  }

  #atom(): Regex {
    const c = this.#next();
    switch (c) {
      case "^":
        return { type: "start" };
      case "$":
        return { type: "end" };
      case ".":
        return { type: "set", set: complement(LINE_ENDS) };
      case "(":
        return this.#group();
      case "[":
        return { type: "set", set: this.#class() };
      case "\\":
        return { type: "set", set: this.#escape(false) };
      case "*":
      case "+":
      case "?":
      case "{":
        return this.#fail(`${c} has nothing to repeat`);
      default:
        return { type: "set", set: single(c.codePointAt(0)!) };
    }
  }

  #group(): Regex {
    if (this.#take("?")) {
      const kind = this.#next();
      if (kind === "<" && this.#peek() !== "=" && this.#peek() !== "!") {
        while (this.#next() !== ">");
      } else if (kind !== ":") {
        const what = "=!<".includes(kind) ? "looking around" : "flags and other kinds of groups";
        unsupported(this.#where, `${what} in a pattern, at character ${this.#at}`);
      }
    }
    const inner = this.#choice();
    if (!this.#take(")")) this.#fail("a ( is not closed");
    return inner;
  }

  #class(): CodePoints {
    const negated = this.#take("^");
    const sets: CodePoints[] = [];
    while (!this.#take("]")) {
      const set = this.#classAtom();
      if (this.#peek() === "-" && this.#characters[this.#at + 1] !== "]" && this.#at + 1 < this.#characters.length) {
        this.#next();
        const last = this.#classAtom();
        if (!isSingle(set) || !isSingle(last)) this.#fail("a range between classes");
        if (last[0]! < set[0]!) this.#fail("a range that ends before it starts");
        sets.push(union([set[0]!, last[0]!]));
      } else sets.push(set);
    }
    const all = union(...sets);
    return negated ? complement(all) : all;
  }

  #classAtom(): CodePoints {
    const c = this.#next();
    return c === "\\" ? this.#escape(true) : single(c.codePointAt(0)!);
  }

  #escape(inClass: boolean): CodePoints {
    const c = this.#next();
    const named = shorthand(c);
    if (named && "dwsDWS".includes(c)) return named;
    if (c === "p" || c === "P") return this.#property(c === "P");
    if (c === "b" && inClass) return single(8);
    if (c === "b" || c === "B") unsupported(this.#where, `\\${c}, a word boundary, in a pattern`);
    if (/^[1-9k]$/.test(c)) unsupported(this.#where, `\\${c}, a back reference, in a pattern`);
    if (c === "0") return single(0);
    if (c === "c") return single(this.#next().charCodeAt(0) % 32);
    if (c === "x") return single(this.#hex(2));
    if (c === "u") return single(this.#unicode());
    const control = CONTROL_ESCAPES[c];
    if (control !== undefined) return single(control);
    if (/^[A-Za-z]$/.test(c)) unsupported(this.#where, `\\${c} in a pattern`);
    return single(c.codePointAt(0)!);
  }

  #property(negated: boolean): CodePoints {
    if (!this.#take("{")) this.#fail("a { is missing behind \\p");
    let name = "";
    for (let c = this.#next(); c !== "}"; c = this.#next()) name += c;
    if (!this.#properties.has(name)) this.#work.spend(PROPERTY_STEPS, this.#where);
    const set =
      this.#properties.get(name) ?? property(name) ?? unsupported(this.#where, `\\p{${name.slice(0, 50)}} in a pattern`);
    this.#properties.set(name, set);
    return negated ? complement(set) : set;
  }

  #unicode(): number {
    if (!this.#take("{")) {
      const unit = this.#hex(4);
      const isLead = unit >= 0xd800 && unit < 0xdc00;
      if (!isLead || this.#peek() !== "\\" || this.#characters[this.#at + 1] !== "u") return unit;
      this.#at += 2;
      const trail = this.#hex(4);
      if (trail < 0xdc00 || trail > 0xdfff) this.#fail("half of a surrogate pair");
      return 0x10000 + ((unit - 0xd800) << 10) + (trail - 0xdc00);
    }
    let digits = "";
    for (let c = this.#next(); c !== "}"; c = this.#next()) digits += c;
    const codePoint = /^[0-9a-fA-F]{1,6}$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
    if (!(codePoint <= 0x10ffff)) this.#fail("\\u{...} with what is no code point");
    return codePoint;
  }

  #hex(length: number): number {
    const digits = this.#characters.slice(this.#at, this.#at + length).join("");
    if (digits.length !== length || !/^[0-9a-fA-F]+$/.test(digits)) this.#fail(`${length} hexadecimal digits are needed`);
    this.#at += length;
    return Number.parseInt(digits, 16);
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #next(): string {
    return this.#characters[this.#at++] ?? this.#fail("the pattern ends too early");
  }

  #take(c: string): boolean {
    if (this.#peek() !== c) return false;
    this.#at++;
    return true;
  }

  #fail(problem: string): never {
    return malformed(this.#where, `${problem} (at character ${Math.min(this.#at, this.#characters.length)} of the pattern)`);
  }
}

/** Half of a surrogate pair is no character: the set is empty. */
const single = (codePoint: number): CodePoints => union([codePoint, codePoint]);
const isSingle = (set: CodePoints): boolean => set.length === 2 && set[0] === set[1];
