/**
 * Strict JSON (RFC 8259) for files that nobody vouches for. `JSON.parse` takes the last of two equal keys, so that two programs
 * can read one file differently; here duplicate keys, `__proto__`, byte order marks, broken UTF-8 and deep nesting are errors.
 */
import type { ErrorCode } from "../core/errors.ts";
import { Qwen3Error } from "../core/errors.ts";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** Without a prototype: its keys are the file's and nothing else. */
export interface JsonObject {
  readonly [key: string]: Json;
}

const MAX_DEPTH = 64;
/** Values, those inside of others too, that the header of a checkpoint or its config.json may have: twice what 32B of MLX has. */
export const HEADER_VALUES = 32_768;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERALS: readonly (readonly [string, Json])[] = [
  ["null", null],
  ["true", true],
  ["false", false],
];
const NO_ESCAPE = /^(?:[^\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*(\\.)/su;

/**
 * @param what where the bytes are from, for messages
 * @param code the code of the errors
 * @param mostValues how many values there may be: each takes some hundred bytes in memory, and two in the text
 */
export function parseJson(bytes: Uint8Array, what: string, code: ErrorCode, mostValues = Number.POSITIVE_INFINITY): Json {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new Qwen3Error(code, `${what}: not UTF-8`, { cause });
  }
  return new Parser(text, what, code, mostValues).document();
}

/** A value as messages show it: JSON on one line, cut where it gets long, without characters that could steer a terminal. */
export function shown(value: unknown): string {
  const written = typeof value === "bigint" ? String(value) : JSON.stringify(value);
  const text = typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : (written ?? String(value));
  const cut = text.length > 100 ? `${text.slice(0, 96)} ...` : text;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

class Parser {
  readonly #text: string;
  readonly #what: string;
  readonly #code: ErrorCode;
  readonly #mostValues: number;
  #values = 0;
  #at = 0;

  constructor(text: string, what: string, code: ErrorCode, mostValues: number) {
    this.#text = text;
    this.#what = what;
    this.#code = code;
    this.#mostValues = mostValues;
  }

  document(): Json {
    if (this.#text.startsWith("\ufeff")) this.#fail("a byte order mark is not allowed in JSON");
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail("something follows the value");
    return value;
  }

  #value(depth: number): Json {
    if (++this.#values > this.#mostValues) this.#fail(`more than ${this.#mostValues} values`);
    this.#space();
    const first = this.#text[this.#at];
    if (first === "{" || first === "[") {
      if (depth === MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH} levels`);
      return first === "{" ? this.#object(depth + 1) : this.#array(depth + 1);
    }
    if (first === '"') return this.#string();
    if (first !== undefined && first >= "0" && first <= "9") return this.#digits() ?? this.#number();
    for (const [word, value] of LITERALS) if (this.#take(word)) return value;
    return this.#number();
  }

  #object(depth: number): JsonObject {
    const object: { [key: string]: Json } = Object.create(null);
    this.#at++;
    this.#space();
    if (this.#take("}")) return object;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail("a key in double quotes is needed");
      const key = this.#string();
      if (key === "__proto__") this.#fail("__proto__ is not allowed as a key");
      if (key in object) this.#fail(`the key ${shown(key)} stands twice in one object`);
      this.#space();
      if (!this.#take(":")) this.#fail("a colon is needed after a key");
      object[key] = this.#value(depth);
      this.#space();
    } while (this.#take(","));
    if (!this.#take("}")) this.#fail("a comma or a closing brace is needed");
    return object;
  }

  #array(depth: number): Json[] {
    const array: Json[] = [];
    this.#at++;
    this.#space();
    if (this.#take("]")) return array;
    do {
      array.push(this.#value(depth));
      this.#space();
    } while (this.#take(","));
    if (!this.#take("]")) this.#fail("a comma or a closing bracket is needed");
    return array;
  }

  #string(): string {
    const start = ++this.#at;
    let escaped = false;
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c === 0x22) break;
      if (Number.isNaN(c)) this.#fail("a string has no end");
      if (c < 0x20) this.#fail("a control character in a string");
      if (c === 0x5c) {
        escaped = true;
        this.#at++; // whatever is escaped, also a quote, belongs to the string
      }
      this.#at++;
    }
    const raw = this.#text.slice(start, this.#at++);
    return escaped ? this.#unescape(raw) : raw;
  }

  #unescape(raw: string): string {
    let text: string;
    try {
      text = JSON.parse(`"${raw}"`); // quotes and control characters in it are found by now
    } catch {
      return this.#fail(`${shown(NO_ESCAPE.exec(raw)?.[1] ?? raw)} is not an escape`);
    }
    if (/\p{Surrogate}/u.test(text)) this.#fail("half of a surrogate pair in a string"); // the u flag takes pairs as one
    return text;
  }

  /** A number of nothing but 1 to 15 digits, as headers have them by the hundred thousand. */
  #digits(): number | undefined {
    let at = this.#at;
    let value = 0;
    for (let c = this.#text.charCodeAt(at); c >= 0x30 && c <= 0x39; c = this.#text.charCodeAt(++at))
      value = value * 10 + c - 0x30;
    const length = at - this.#at;
    const isRest = ".eE".includes(this.#text[at] || " ");
    if (length > 15 || isRest || (length > 1 && this.#text[this.#at] === "0")) return undefined;
    this.#at = at;
    return value;
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (!match) this.#fail(this.#at < this.#text.length ? "no JSON value starts here" : "the text ends too early");
    this.#at = NUMBER.lastIndex;
    const value = Number(match[0]);
    if (!Number.isFinite(value)) this.#fail("a number too large for a double");
    return value;
  }

  #space(): void {
    for (let c = this.#text.charCodeAt(this.#at); c === 0x20 || (c >= 9 && c <= 13 && c !== 11 && c !== 12); )
      c = this.#text.charCodeAt(++this.#at);
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #fail(problem: string): never {
    throw new Qwen3Error(this.#code, `${this.#what}: ${problem} (at character ${this.#at})`);
  }
}
