/**
 * Follows a JSON value (RFC 8259) that comes in pieces, and says after each character what of the value is certain: that text is valid
 * JSON as far as it goes. Mistakes that language models make and that can be meant in one way only are mended on the way: a comma behind
 * the last item is left out, `True`, `False` and `None` become `true`, `false` and `null`, and line breaks, tabs and other control
 * characters inside of a string become escapes. All else that is not JSON breaks the value for good. Nothing is ever reordered, and
 * whitespace stays as it is.
 */

/** What may come next: `first` and `next` items of an array or keys of an object, what follows a key or an item, or the rest of a text. */
export type ScannerState =
  | "value"
  | "first value"
  | "next value"
  | "first key"
  | "next key"
  | "colon"
  | "after"
  | "key string"
  | "string"
  | "word"
  | "end"
  | "broken";

/** Enough for any arguments that a schema describes, and no deeper than messages may carry them back. */
const MAX_DEPTH = 100;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const ESCAPE = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})$/;
const ESCAPE_SO_FAR = /^\\(?:u[0-9a-fA-F]{0,3})?$/;

export class JsonScanner {
  #state: ScannerState = "value";
  /** The braces and brackets that are open. */
  readonly #open: ("{" | "[")[] = [];
  /** A comma and the space behind it, an escape, or a number or literal: kept until it is known what it is. */
  #held = "";

  get state(): ScannerState {
    return this.#state;
  }

  /** How many objects and arrays are open. */
  get depth(): number {
    return this.#open.length;
  }

  /**
   * Takes one UTF-16 unit.
   *
   * @returns the text that became certain; "" also where the value broke (`state` tells). Whoever goes on after the end breaks it.
   */
  take(unit: string): string {
    if (this.#state === "string" || this.#state === "key string") return this.#inString(unit);
    if (this.#state === "word") {
      if (isWordUnit(unit)) return this.#hold(unit);
      const word = this.#endWord();
      return word === undefined ? this.#break() : word + this.take(unit);
    }
    if (isSpace(unit) && this.#state !== "end" && this.#state !== "broken") return this.#held === "" ? unit : this.#hold(unit);
    const before = this.#held;
    this.#held = "";
    if (unit === "}" || unit === "]") return this.#close(unit, before);
    if (unit === "," && this.#state === "after") {
      this.#state = this.#open.at(-1) === "{" ? "next key" : "next value";
      return this.#hold(unit);
    }
    const text = this.#begin(unit);
    return this.#state === "broken" ? "" : before + text;
  }

  /** Ends the value: what its missing braces and brackets are, undefined if that is not all that is missing. */
  complete(): string | undefined {
    const word = this.#state === "word" ? this.#endWord() : "";
    if (word === undefined || this.#state !== "after") return undefined;
    const closers = this.#open.map((opener) => (opener === "{" ? "}" : "]"));
    this.#open.length = 0;
    this.#state = "end";
    return word + closers.reverse().join("");
  }

  #begin(unit: string): string {
    switch (this.#state) {
      case "first key":
      case "next key":
        if (unit !== '"') return this.#break();
        this.#state = "key string";
        return unit;
      case "colon":
        if (unit !== ":") return this.#break();
        this.#state = "value";
        return unit;
      case "value":
      case "first value":
      case "next value":
        return this.#beginValue(unit);
      default:
        return this.#break();
    }
  }

  #beginValue(unit: string): string {
    if (unit === '"') this.#state = "string";
    else if (unit === "{" || unit === "[") {
      if (this.#open.length === MAX_DEPTH) return this.#break();
      this.#open.push(unit);
      this.#state = unit === "{" ? "first key" : "first value";
    } else if (isWordUnit(unit)) {
      this.#state = "word";
      return this.#hold(unit);
    } else return this.#break();
    return unit;
  }

  #close(unit: "}" | "]", before: string): string {
    const opener = unit === "}" ? "{" : "[";
    const kind = unit === "}" ? "key" : "value";
    const fits = this.#state === "after" || this.#state === `first ${kind}` || this.#state === `next ${kind}`;
    if (!fits || this.#open.at(-1) !== opener) return this.#break();
    this.#open.pop();
    this.#afterValue();
    return before.slice(1) + unit; // without the comma, if there was one
  }

  #inString(unit: string): string {
    if (this.#held !== "") {
      this.#held += unit;
      if (ESCAPE_SO_FAR.test(this.#held)) return "";
      const whole = this.#held;
      this.#held = "";
      return ESCAPE.test(whole) ? whole : this.#break();
    }
    if (unit === "\\") return this.#hold(unit);
    if (unit === '"') {
      if (this.#state === "key string") this.#state = "colon";
      else this.#afterValue();
      return unit;
    }
    return unit < " " ? JSON.stringify(unit).slice(1, -1) : unit;
  }

  #endWord(): string | undefined {
    const word = this.#held;
    this.#held = "";
    this.#afterValue();
    if (word === "true" || word === "True") return "true";
    if (word === "false" || word === "False") return "false";
    if (word === "null" || word === "None") return "null";
    return NUMBER.test(word) ? word : undefined;
  }

  #afterValue(): void {
    this.#state = this.#open.length === 0 ? "end" : "after";
  }

  #hold(unit: string): string {
    this.#held += unit;
    return "";
  }

  #break(): string {
    this.#state = "broken";
    this.#held = "";
    return "";
  }
}

export function isSpace(unit: string): boolean {
  return unit === " " || unit === "\n" || unit === "\r" || unit === "\t";
}

/** What numbers and literals are written with. */
function isWordUnit(unit: string): boolean {
  return (unit >= "0" && unit <= "9") || (unit >= "a" && unit <= "z") || (unit >= "A" && unit <= "Z") || "+-.".includes(unit);
}
