/** The pattern engine against the engine's own `RegExp`, on patterns that this test makes. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DEAD, labelOf } from "../../src/grammar/char-automaton.ts";
import { Work } from "../../src/grammar/limits.ts";
import { searchMatch, wholeMatch } from "../../src/grammar/regex-automaton.ts";
import { assertRefused } from "../text/tokenizers.ts";
import { acceptsText } from "./answers.ts";

const matches = (pattern: string, text: string): boolean => labelOf(wholeMatch(pattern, "p", new Work()), text) !== DEAD;
const finds = (pattern: string, text: string): boolean => labelOf(searchMatch(pattern, "p", new Work()), text) !== DEAD;

const atoms = [
  "a",
  "b",
  "c",
  "[ab]",
  "[^a]",
  "[a-c]",
  ".",
  "\\d",
  "\\w",
  "\\s",
  "\\n",
  "\u{1f600}",
  "\\u{1f600}",
  "[\u{1f600}b]",
  "\\.",
  "\\-",
];
const pattern = fc.letrec<{ choice: string; sequence: string; term: string; atom: string }>((tie) => ({
  choice: fc.array(tie("sequence"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("|")),
  sequence: fc.array(tie("term"), { maxLength: 4 }).map((parts) => parts.join("")),
  term: fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(tie("atom"), fc.constantFrom("", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?"))
        .map(([a, q]) => a + q),
    },
    { weight: 1, arbitrary: fc.constantFrom("^", "$") },
  ),
  atom: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(...atoms),
    fc
      .tuple(fc.constantFrom("(", "(?:", "(?<n>"), tie("choice"))
      .map(([open, inner]) => `${open}${inner.replaceAll("?<n>", "?:")})`),
  ),
})).choice;
/** Repetitions of repetitions are written out: long ones would only take time. */
const shortPattern = pattern.filter((source) => source.length <= 30);
const text = fc
  .array(fc.constantFrom("a", "b", "c", "d", "1", " ", "\n", ".", "-", "\u{1f600}", "é"), { maxLength: 6 })
  .map((parts) => parts.join(""));

test("what RegExp finds and matches, this does", () => {
  let found = 0;
  fc.assert(
    fc.property(shortPattern, fc.array(text, { minLength: 8, maxLength: 8 }), (source, texts) => {
      let whole: RegExp;
      try {
        whole = new RegExp(`^(?:${source})$`, "u");
      } catch {
        return; // two groups of one name
      }
      const anywhere = new RegExp(source, "u");
      const [wholes, searches] = [wholeMatch(source, "p", new Work()), searchMatch(source, "p", new Work())];
      for (const given of texts) {
        assert.is(labelOf(wholes, given) !== DEAD, whole.test(given), `${source} matches ${JSON.stringify(given)}`);
        assert.is(labelOf(searches, given) !== DEAD, anywhere.test(given), `${source} is in ${JSON.stringify(given)}`);
        found += Number(whole.test(given));
      }
    }),
    { numRuns: 1000 },
  );
  assert.ok(found > 200, `${found} matches`);
});

test("classes are those of Unicode", () => {
  const properties = new Map();
  for (const name of ["L", "Lu", "Nd", "P", "Script=Han", "sc=Greek", "Alphabetic", "gc=Sm", "Any", "ASCII", "Emoji"])
    for (const kind of ["p", "P"]) {
      const automaton = wholeMatch(`\\${kind}{${name}}`, "p", new Work(), properties);
      const expected = new RegExp(`^\\${kind}{${name}}$`, "u");
      for (const character of [
        "a",
        "A",
        "é",
        "\u6f22",
        "\u03b1",
        "5",
        "\u0664",
        "!",
        "+",
        " ",
        "\u{1f600}",
        "\u{20000}",
        "\0",
        "\u{10ffff}",
      ])
        assert.is(
          labelOf(automaton, character) !== DEAD,
          expected.test(character),
          `${kind} ${name} ${JSON.stringify(character)}`,
        );
    }
  for (const shorthand of ["\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "."]) {
    const automaton = wholeMatch(shorthand, "p", new Work());
    const expected = new RegExp(`^${shorthand}$`, "u");
    for (let code = 0; code < 0x3100; code++) {
      const character = String.fromCharCode(code);
      if ((labelOf(automaton, character) !== DEAD) !== expected.test(character)) assert.unreachable(`${shorthand} ${code}`);
    }
  }
});

test("escapes and anchors", () => {
  for (const [source, given] of [
    ["\\x41\\u0042\\cJ\\0\\t\\v\\f\\r\\/", "AB\n\0\t\v\f\r/"],
    ["[\\b\\]\\-x]+", "\b]-x"],
    ["\\ud83d\\ude00", "\u{1f600}"],
    ["[^]+", "a\n"],
    ["]}", "]}"],
    ["a{2}", "aa"],
    ["(?<year>\\d)", "7"],
  ] as const)
    assert.ok(matches(source, given), source);
  assert.not(matches("[]", ""));
  assert.not(matches("a^b", "ab"));
  assert.not(matches("a$b", "ab"));
  assert.ok(matches("^^a$$", "a"));
  assert.ok(finds("^$|b", ""));
  assert.ok(finds("a|^b", "ca"));
  assert.not(finds("a$|^b", "cab"));
});

test("what is not regular, or no pattern, is refused by name", () => {
  const refused: [string, "GRAMMAR_UNSUPPORTED" | "GRAMMAR_SYNTAX", RegExp][] = [
    ["(?=a)", "GRAMMAR_UNSUPPORTED", /looking around.*character 3/],
    ["(?!a)", "GRAMMAR_UNSUPPORTED", /looking around/],
    ["(?<=a)b", "GRAMMAR_UNSUPPORTED", /looking around/],
    ["(?i)a", "GRAMMAR_UNSUPPORTED", /flags/],
    ["(a)\\1", "GRAMMAR_UNSUPPORTED", /back reference/],
    ["\\ba", "GRAMMAR_UNSUPPORTED", /word boundary/],
    ["\\Aa", "GRAMMAR_UNSUPPORTED", /\\A/],
    ["\\p{Klingon}", "GRAMMAR_UNSUPPORTED", /\\p\{Klingon\}/],
    ["a)", "GRAMMAR_SYNTAX", /nothing opened/],
    ["(a", "GRAMMAR_SYNTAX", /not closed/],
    ["[a", "GRAMMAR_SYNTAX", /too early/],
    ["[z-a]", "GRAMMAR_SYNTAX", /ends before/],
    ["[\\d-z]", "GRAMMAR_SYNTAX", /between classes/],
    ["a{2,1}", "GRAMMAR_SYNTAX", /wrong way round/],
    ["a{,2}", "GRAMMAR_SYNTAX", /number is missing/],
    ["a{2", "GRAMMAR_SYNTAX", /\} is missing/],
    ["*a", "GRAMMAR_SYNTAX", /nothing to repeat/],
    ["a**", "GRAMMAR_SYNTAX", /two quantifiers/],
    ["^*", "GRAMMAR_SYNTAX", /anchor/],
    ["\\u{110000}", "GRAMMAR_SYNTAX", /no code point/],
    ["\\xg0", "GRAMMAR_SYNTAX", /hexadecimal/],
    ["\\pL", "GRAMMAR_SYNTAX", /\{ is missing/],
    ["\\ud83d\\u0041", "GRAMMAR_SYNTAX", /surrogate/],
  ];
  for (const [source, code, message] of refused) assertRefused(() => wholeMatch(source, "p", new Work()), code, message);
});

test("what would blow up is refused before it does", () => {
  const refused = [
    "a".repeat(10_001),
    "(a{1000}){1000}",
    "a{99999}",
    "(?:a|b)*a(?:a|b){20}",
    "(".repeat(200),
    "(((){20000}){20000}){20000}",
    "(?:[a-z]{1,100}x?){1,200}",
  ];
  for (const source of refused) assertRefused(() => wholeMatch(source, "p", new Work()), "GRAMMAR_LIMIT", /p: /);
});

test("reading is linear: a step for each byte", () => {
  // Patterns on which engines that backtrack take exponential time.
  for (const source of ["(a*)*b", "(a|a)*b", "(a|aa)+c", "^(([a-z])+.)+[A-Z]([a-z])+$"])
    assert.not(finds(source, "a".repeat(20_000)));
  assert.ok(matches("(x+x+)+y", `${"x".repeat(20_000)}y`));
});

test("a pattern holds a whole answer, a choice is one of its texts", () => {
  const spec = { type: "regex", pattern: "\\\\boxed\\{[0-9é\u6f22]+\\}\n?" } as const;
  for (const given of ["\\boxed{12}", "\\boxed{é\u6f22}\n"]) assert.ok(acceptsText(spec, given), given);
  for (const given of ["\\boxed{}", " \\boxed{1}", "\\boxed{1}x", ""]) assert.not(acceptsText(spec, given), given);
  const choice = { type: "choice", choices: ["yes", "yes, please", "\u6f22", ""] } as const;
  for (const given of ["yes", "yes, please", "\u6f22", ""]) assert.ok(acceptsText(choice, given), given);
  for (const given of ["ye", "yes,", "no"]) assert.not(acceptsText(choice, given), given);
});

test.run();
