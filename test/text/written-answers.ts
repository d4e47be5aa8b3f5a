/**
 * Answers as models write them, generated from a seed, each with the parts that it has to be parsed into: text with all sorts of
 * characters, tool calls with nested arguments in every notation that JSON allows, calls with mistakes that can be mended, and calls
 * that are none. What is expected is known from how an answer was put together, not from any parser.
 */
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { Random } from "./random.ts";

/** A tag is one token; text is written in any others. */
export type Piece = { readonly tag: string } | { readonly text: string };

export interface ExpectedCall {
  readonly name: string;
  arguments: string;
}

export interface WrittenAnswer {
  readonly pieces: readonly Piece[];
  readonly content: string;
  readonly reasoning: string;
  readonly calls: readonly ExpectedCall[];
}

const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";
// biome-ignore format: a list of words
const FRAGMENTS = [
  "a", "Paris", "the weather", "é", "你好", "🧪", "👩‍👩‍👧", "\u200d", "\u2028", "\ufffd", "\u0000", "\\", '"', "'", "{", "}", "[", "]", ",", ":",
  " ", "\t", "\n", "\r\n", "\\n", "\\u0041", "//", "null", "True", "-1.5e3", OPEN, CLOSE, CLOSE, CLOSE, "<think>", "<|im_end|>",
  '{"name": "x", "arguments": {}}',
];

/** Values in JSON, with what it becomes where something has to be mended. */
interface Notation {
  readonly written: string;
  readonly mended: string;
}

const same = (written: string): Notation => ({ written, mended: written });
const join = (parts: readonly Notation[]): Notation => ({
  written: parts.map(({ written }) => written).join(""),
  mended: parts.map(({ mended }) => mended).join(""),
});

export function writtenAnswers(seed: number, count: number): WrittenAnswer[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => new Writer(random).answer());
}

class Writer {
  readonly #random: Random;
  readonly #pieces: Piece[] = [];
  readonly #calls: ExpectedCall[] = [];
  #content = "";
  #reasoning = "";

  constructor(random: Random) {
    this.#random = random;
  }

  answer(): WrittenAnswer {
    const random = this.#random;
    if (random.chance(0.2)) this.#think();
    if (random.chance(0.6)) this.#say(this.#text(1, 6));
    const calls = random.integer(0, 3);
    for (let i = 0; i < calls; i++) {
      const isFirst = this.#content === "" && this.#calls.length === 0;
      if (random.chance(0.7)) this.#call(isFirst ? "" : "\n");
      else this.#brokenCall();
      if (random.chance(0.15)) this.#say(`\n${this.#text(1, 4)}`);
    }
    if (calls > 0 && random.chance(0.3)) this.#spaceBehindCall();
    return { pieces: this.#pieces, content: this.#content, reasoning: this.#reasoning, calls: this.#calls };
  }

  #think(): void {
    const thought = this.#text(1, 5);
    this.#pieces.push({ tag: "<think>" }, { text: `\n${thought}\n` }, { tag: "</think>" }, { text: "\n\n" });
    this.#reasoning = thought;
  }

  /** Text that neither begins nor ends with whitespace, so that it is the same wherever it stands. */
  #text(least: number, most: number): string {
    return `I${this.#words(least, most)}.`;
  }

  #words(least: number, most: number): string {
    return Array.from({ length: this.#random.integer(least, most) }, () => this.#random.from(FRAGMENTS)).join("");
  }

  #say(text: string): void {
    this.#pieces.push({ text });
    this.#content += text;
  }

  /** Whitespace behind a call is nobody's, but behind text it is the text's. */
  #spaceBehindCall(): void {
    const last = this.#pieces.at(-1)!;
    if ("tag" in last && last.tag === CLOSE && this.#isBehindCall)
      this.#pieces.push({ text: this.#random.from(["\n", " \n\n"]) });
  }

  #isBehindCall = false;

  #call(before: string): void {
    const random = this.#random;
    const name = random.from(["get_weather", "f", "naïve.name", "调用", "a b"]);
    const notedName = join(this.#string(name, false));
    const object = this.#object(0);
    const mayMend = random.chance(0.2);
    const noted = random.chance(0.15) ? encoded(object) : object;
    const space = () => same(this.#space());
    const fields = [
      [same('"name"'), space(), same(":"), space(), notedName],
      [same('"arguments"'), space(), same(":"), space(), noted],
    ];
    if (random.chance(0.2)) fields.push([same('"id":'), space(), this.#value(1)]);
    if (random.chance(0.3)) fields.reverse();
    const between = fields.flatMap((field, i) => (i === 0 ? field : [same(","), space(), ...field]));
    const trailing = mayMend && random.chance(0.5) ? "," : "";
    const missing = mayMend && trailing === "";
    const braces = missing ? random.from(["", "}}", "}} }"]) : `${trailing}${this.#space()}}`;
    const { written } = join([same(`{${this.#space()}`), ...between, same(braces)]);
    this.#write(before, `\n${written}\n`);
    this.#calls.push({ name, arguments: object.mended });
    this.#isBehindCall = true;
  }

  #write(before: string, body: string, closed = true): void {
    if (before !== "") this.#pieces.push({ text: before });
    this.#pieces.push({ tag: OPEN }, ...withTagsAsTokens(body, this.#random));
    if (closed) this.#pieces.push({ tag: CLOSE });
  }

  /** Something between the tags that can be no call: its text is the answer's, tags and all. */
  #brokenCall(): void {
    const body = this.#random.from([
      "f(1)",
      "",
      "[]",
      '"f"',
      "{}",
      '{"name": "f"}',
      '{"arguments": {}}',
      '{"name": "", "arguments": {}}',
      '{"name": 5, "arguments": {}}',
      '{"name": "f", "arguments": []}',
      '{"name": "f", "arguments": null}',
      '{"name": "f", "arguments": ""}',
      '{"name": "f", "arguments": "[]"}',
      '{"name": "f", "arguments": "{\\"a\\": 1"}',
      "{'name': 'f', 'arguments': {}}",
      `{"name": "f", "arguments": {'a': 1}}`,
      '{"name": "f", "arguments": {"a": "b\\\'c"}}',
      '{"name": "f", "arguments": {"a": "say "hi""}}',
      '{"name": "f", "arguments": {"a": 01}}',
      '{"name": "f", "arguments": {"a": }}',
      '{"name": "f", "arguments": {"a" 1}}',
      '{"name": "f", "arguments": {"a": undefined}}',
      '{"name": "f", "arguments": {}, "name": "g"}',
      '{"name": "f", "arguments": {"a": 1}, "arguments": {}}',
      '{"name": "f", "arguments": {"a": [1}}',
      '{"name": "f", "arguments": {"a": "b',
      '{"name": "f", "arguments": {"a":',
      '{"name": "f", "arguments": {}} {}',
      '{"name": "f", "arguments": {"x": "y"}} so.',
      `{"name": "f", "arguments": ${'{"a":'.repeat(120)}`,
    ]);
    this.#write("", `\n${body}\n`);
    this.#content += `${OPEN}\n${body}\n${CLOSE}`;
    this.#isBehindCall = false;
  }

  #space(): string {
    return this.#random.from(["", "", " ", " ", "\n  ", "\t", "\r\n"]);
  }

  #object(depth: number): Notation {
    return this.#enclosed("{", "}", depth, () => [
      ...this.#string(this.#words(0, 2), true),
      same(this.#space()),
      same(":"),
      same(this.#space()),
    ]);
  }

  #enclosed(open: string, close: string, depth: number, before: () => Notation[]): Notation {
    const random = this.#random;
    const count = random.integer(0, depth > 2 ? 1 : 3);
    const parts = [same(open), same(this.#space())];
    for (let i = 0; i < count; i++) {
      if (i > 0) parts.push(same(","), same(this.#space()));
      parts.push(...before(), this.#value(depth + 1), same(this.#space()));
    }
    if (count > 0 && random.chance(0.05)) parts.push({ written: ",", mended: "" }, same(this.#space()));
    return join([...parts, same(close)]);
  }

  #value(depth: number): Notation {
    const random = this.#random;
    switch (random.integer(0, depth > 3 ? 3 : 6)) {
      case 0:
        return same(random.from(["0", "-0", "12", "-1.5", "1e3", "6.02E+23", "0.1e-7", "9007199254740993"]));
      case 1:
        return same(random.from(["true", "false", "null"]));
      case 2:
        return random.chance(0.8)
          ? same('""')
          : random.from([
              { written: "True", mended: "true" },
              { written: "False", mended: "false" },
              { written: "None", mended: "null" },
            ]);
      case 3:
      case 4:
        return join(this.#string(this.#words(0, 5), true));
      case 5:
        return this.#object(depth);
      default:
        return this.#enclosed("[", "]", depth, () => []);
    }
  }

  /** A string in one of the notations that it has; control characters may stand bare where `mayMend`. */
  #string(text: string, mayMend: boolean): Notation[] {
    const units = text.split("").map((unit): Notation => {
      const short = JSON.stringify(unit).slice(1, -1);
      const escaped = `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
      if (unit < " ") {
        // A line break would end the string if a tag followed: that is the parser's reading of a string without an end.
        if (mayMend && unit !== "\n" && this.#random.chance(0.3)) return { written: unit, mended: short };
        return same(this.#random.from([short, escaped]));
      }
      return same(this.#random.chance(0.05) ? escaped : unit === "/" && this.#random.chance(0.3) ? "\\/" : short);
    });
    return [same('"'), ...units, same('"')];
  }
}

/** A notation as the text of a JSON string. */
function encoded({ written, mended }: Notation): Notation {
  return { written: JSON.stringify(written), mended };
}

/** Text in which some tags are the tokens. */
function withTagsAsTokens(text: string, random: Random): Piece[] {
  return text
    .split(/(<\/?(?:tool_call|think)>)/)
    .map((piece, i) => (i % 2 === 1 && random.chance(0.5) ? { tag: piece } : { text: piece }));
}

/** The tokens of an answer: each text whole, cut at random, or byte by byte. */
export function tokensOf(
  { pieces }: WrittenAnswer,
  tokenizer: Tokenizer,
  how: "whole" | "cut" | "bytes",
  random: Random,
): number[] {
  return pieces.flatMap((piece) => {
    if ("tag" in piece) return [tokenizer.tokenToId(piece.tag)!];
    if (how === "whole") return tokenizer.encodePlain(piece.text);
    if (how === "cut") return cut(piece.text, random).flatMap((text) => tokenizer.encodePlain(text));
    return Array.from(new TextEncoder().encode(piece.text), (byte) => byteToken(tokenizer, byte));
  });
}

function cut(text: string, random: Random): string[] {
  return (
    text.match(/[\s\S]/gu)?.reduce<string[]>((pieces, character) => {
      if (pieces.length === 0 || random.chance(0.4)) pieces.push(character);
      else pieces[pieces.length - 1] += character;
      return pieces;
    }, []) ?? []
  );
}

const byteTokens = new WeakMap<Tokenizer, Map<number, number>>();

/** The token of a single byte: byte-level vocabularies have one for each. */
function byteToken(tokenizer: Tokenizer, byte: number): number {
  let tokens = byteTokens.get(tokenizer);
  if (tokens === undefined) {
    tokens = new Map();
    for (let id = 0; id < 512; id++) {
      const bytes = tokenizer.tokenBytes(id);
      if (bytes.length === 1) tokens.set(bytes[0]!, id);
    }
    byteTokens.set(tokenizer, tokens);
  }
  const token = tokens.get(byte);
  if (token === undefined) throw new Error(`no token for byte ${byte}`);
  return token;
}
