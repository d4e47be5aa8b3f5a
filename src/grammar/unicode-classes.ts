/** Classes of characters that patterns name: `\d`, `\w`, `\s`, and `\p{...}` from the tables that the engine has. */
import { type CodePoints, complement, LAST_CODE_POINT, union } from "./code-points.ts";

export const DIGITS: CodePoints = [0x30, 0x39];
export const WORD: CodePoints = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
/** ECMAScript's WhiteSpace and LineTerminator. */
export const SPACE: CodePoints = union(
  [0x09, 0x0d, 0x20, 0x20, 0xa0, 0xa0, 0x1680, 0x1680],
  [0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff],
);
/** What `.` does not match. */
export const LINE_ENDS: CodePoints = [0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029];

const GENERAL =
  "L LC Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co Cn " +
  "Letter Cased_Letter Uppercase_Letter Lowercase_Letter Titlecase_Letter Modifier_Letter Other_Letter Mark Number " +
  "Decimal_Number Letter_Number Other_Number Punctuation Symbol Math_Symbol Currency_Symbol Separator Space_Separator Other Control";
const BINARY = "ASCII Any Alphabetic Uppercase Lowercase White_Space Emoji Emoji_Presentation Ideographic ID_Start ID_Continue";
const SCRIPTS =
  "Latin Greek Cyrillic Armenian Hebrew Arabic Devanagari Bengali Tamil Telugu Thai Georgian Hangul Hiragana Katakana Han Common";

/** The pattern, which is ours, that matches the class called `name`: undefined for names that are not known here. */
function propertyPattern(name: string): RegExp | undefined {
  const { key = "", value = "" } = /^(?:(?<key>\w+)=)?(?<value>\w+)$/.exec(name)?.groups ?? {};
  const among = (list: string): boolean => list.split(" ").includes(value);
  if (key === "" && among(BINARY)) return new RegExp(`\\p{${value}}+`, "gu");
  if (["", "gc", "General_Category"].includes(key) && among(GENERAL)) return new RegExp(`\\p{General_Category=${value}}+`, "gu");
  if (["sc", "Script"].includes(key) && among(SCRIPTS)) return new RegExp(`\\p{Script=${value}}+`, "gu");
  return undefined;
}

/** The code points of `\p{name}`, found in a text of all of them; some 20 ms. */
export function property(name: string): CodePoints | undefined {
  const pattern = propertyPattern(name);
  if (!pattern) return undefined;
  let all = "";
  for (let first = 0; first <= LAST_CODE_POINT; first += 0x1000)
    all += String.fromCodePoint(...Array.from({ length: 0x1000 }, (_, i) => first + i).filter((c) => c < 0xd800 || c > 0xdfff));
  const ranges: number[] = [];
  for (const [run] of all.matchAll(pattern)) {
    const lastUnit = run.charCodeAt(run.length - 1);
    ranges.push(run.codePointAt(0)!, run.codePointAt(run.length - (lastUnit >= 0xdc00 && lastUnit <= 0xdfff ? 2 : 1))!);
  }
  return union(ranges);
}

/** The class of `\d` and its kin, by letter. */
export function shorthand(letter: string): CodePoints | undefined {
  const set = { d: DIGITS, w: WORD, s: SPACE }[letter.toLowerCase()];
  return set && (letter === letter.toUpperCase() ? complement(set) : set);
}
