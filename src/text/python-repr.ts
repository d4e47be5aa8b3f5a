/**
 * How Python writes values: `str`, which is what `{{ x }}`, `x ~ y` and `x | string` mean in chat templates, and `repr`, which it uses
 * for what is inside of lists and mappings. Text with stand-ins in it is quoted like the text that it reads as.
 * Source: Python's documentation, "Text Sequence Type - str" and `repr`.
 */
import type { Value } from "./jinja.ts";
import type { Reading } from "./python-strings.ts";

/**
 * Of any text that a template makes, in code units: some sixteen for each of the 1,010,000 tokens of the longest context of a Qwen3
 * model, when English has about four.
 */
export const maxLength = 1 << 24;

/** Counts what is written: lists that share their parts can be far larger written out than in memory. */
export function lengthLimit(): (length: number) => void {
  let left = maxLength;
  return (length) => {
    left -= length;
    if (left < 0) throw new Error(`it makes a string longer than ${maxLength}`);
  };
}

/** str(value) */
export function pythonStr(value: Value, reading: Reading): string {
  if (value.type === "StringValue") return value.value as string;
  if (value.type === "UndefinedValue") return ""; // as Jinja has it
  const spend = lengthLimit();

  const quote = (text: string): string => {
    spend(text.length + 2);
    return quoted(text, reading);
  };
  const items = (values: readonly Value[]): string => values.map(repr).join(", ");

  function repr({ type, value }: Value): string {
    spend(4);
    switch (type) {
      case "StringValue":
        return quote(value as string);
      case "BooleanValue":
        return value ? "True" : "False";
      case "NullValue":
        return "None";
      case "UndefinedValue":
        return "Undefined";
      case "IntegerValue":
        return pythonNumber(value as number, false);
      case "FloatValue":
        return pythonNumber(value as number, true);
      case "ArrayValue":
        return `[${items(value as Value[])}]`;
      case "TupleValue": // of two items or more: the library reads no others
        return `(${items(value as Value[])})`;
      case "FunctionValue":
        throw new Error("a function cannot be written");
      default: // mappings
        return `{${[...(value as Map<string, Value>)].map(([key, item]) => `${quote(key)}: ${repr(item)}`).join(", ")}}`;
    }
  }
  return repr(value);
}

/**
 * A number in the shortest digits that read back the same, which both languages write. Python's floats show that they are floats, and
 * turn to exponents, of at least two digits, below 1e-4 and from 1e16 on.
 */
export function pythonNumber(value: number, isFloat: boolean): string {
  const size = Math.abs(value);
  const exponent = isFloat && size !== 0 && (size < 1e-4 || size >= 1e16) && Number.isFinite(value);
  const text = Object.is(value, -0) && isFloat ? "-0" : exponent ? value.toExponential() : String(value);
  return isFloat && /^-?\d+$/.test(text) ? `${text}.0` : text.replace(/e([+-])(\d)$/, "e$10$2");
}

/** `text` with everything in it changed that reads as something that `pattern` finds. */
export function changeText(text: string, reading: Reading, pattern: RegExp, change: (found: string) => string): string {
  let changed = "";
  let done = 0;
  for (const { 0: found, index } of reading.read(text).matchAll(pattern)) {
    changed += text.slice(done, index) + change(found);
    done = index + found.length;
  }
  return changed + text.slice(done);
}

/** What str.isprintable refuses, and the backslash. */
const unprintable = /\\|(?! )[\p{C}\p{Z}]/gu;
const unprintableOrQuote = /'|\\|(?! )[\p{C}\p{Z}]/gu;
const shortEscapes: Readonly<Record<string, string>> = { "\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** In single quotes, unless only these are in the text. */
function quoted(text: string, reading: Reading): string {
  const letters = reading.read(text);
  const quote = letters.includes("'") && !letters.includes('"') ? '"' : "'";
  return quote + changeText(text, reading, quote === '"' ? unprintable : unprintableOrQuote, escapeCharacter) + quote;
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  const hex = (digits: number): string => code.toString(16).padStart(digits, "0");
  const long = code < 0x100 ? `\\x${hex(2)}` : code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
  return shortEscapes[character] ?? long;
}
