import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3Error } from "../../src/core/errors.ts";
import { type Json, parseJson, shown } from "../../src/formats/json.ts";
import { refused } from "./refused.ts";

const utf8 = new TextEncoder();
const parse = (text: string): Json => parseJson(utf8.encode(text), "file.json", "CHECKPOINT_FILE");
/** With ordinary prototypes, for comparison; keys and values as they are. */
const plain = (value: Json): unknown => JSON.parse(JSON.stringify(value));

test("what JSON.parse reads is read the same", () => {
  for (const text of [
    "null",
    " true\n",
    "\t[ ]\r",
    "{ }",
    "-0.5e-3",
    "0",
    "1E+2",
    "5000000.0",
    '"\\u00e9\\n\\"\\\\\\/\\b\\f\\r\\t\\ud83d\\ude00 é😀"',
    '{"a":{"b":[1,[2,{"c":null}],false]},"":"","constructor":1,"toString":2}',
    '[1,2 , 3\n,"x"]',
    '"\u007f\u2028"',
  ])
    assert.equal(plain(parse(text)), JSON.parse(text), text);
});

test("property: every JSON text is read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.integer({ min: 0, max: 3 }), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      if (text.includes("__proto__")) return;
      assert.equal(plain(parse(text)), JSON.parse(text));
    }),
    { numRuns: 500 },
  );
});

test("property: what JSON.parse refuses is refused, whatever was changed in a good text", () => {
  const good = '{"a":[1,-2.5e3,{"b":"\\u0041\\n"}],"c":true,"d":null}';
  const change = fc.record({
    at: fc.nat(good.length - 1),
    by: fc.constantFrom("", '"', "\\", "{", "]", ",", "0", "x", "\n", " "),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      let text = good;
      for (const { at, by } of changes) text = text.slice(0, at) + by + text.slice(at + 1);
      let expected: unknown;
      try {
        expected = JSON.parse(text);
      } catch {
        assert.throws(
          () => parse(text),
          (error: unknown) => error instanceof Qwen3Error,
          text,
        );
        return;
      }
      try {
        assert.equal(plain(parse(text)), expected, text);
      } catch (error) {
        assert.match(String(error), "stands twice", text); // the only thing that JSON.parse lets pass here
      }
    }),
    { numRuns: 2000 },
  );
});

test("objects have no prototype", () => {
  const value = parse('{"a":{}}') as { a: object };
  assert.is(Object.getPrototypeOf(value), null);
  assert.is(Object.getPrototypeOf(value.a), null);
});

const broken: readonly (readonly [text: string, says: string])[] = [
  ["", "ends too early"],
  ["  ", "ends too early"],
  ["\ufeff{}", "byte order mark"],
  ["{} x", "something follows the value"],
  ["{}{}", "something follows the value"],
  ["nullx", "something follows the value"],
  ['{"a":1,"a":2}', 'the key "a" stands twice'],
  ['{"a":1,"\\u0061":2}', 'the key "a" stands twice'],
  ['[{"b":{"__proto__":1}}]', "__proto__ is not allowed"],
  ['{"__pro\\u0074o__":1}', "__proto__ is not allowed"],
  ["{a:1}", "a key in double quotes"],
  ["{'a':1}", "a key in double quotes"],
  ['{"a":1,}', "a key in double quotes"],
  ['{"a" 1}', "a colon"],
  ['{"a":1 "b":2}', "a comma or a closing brace"],
  ['{"a":1', "a comma or a closing brace"],
  ["[1 2]", "a comma or a closing bracket"],
  ["[1,]", "no JSON value starts here"],
  ["[", "ends too early"],
  ["NaN", "no JSON value starts here"],
  ["-Infinity", "no JSON value starts here"],
  ["+1", "no JSON value starts here"],
  [".5", "no JSON value starts here"],
  ["01", "something follows the value"],
  ["1.", "something follows the value"],
  ["1e400", "too large for a double"],
  ["// comment\n1", "no JSON value starts here"],
  ["\u00a01", "no JSON value starts here"],
  ["\v1", "no JSON value starts here"],
  ['"a', "a string has no end"],
  ['"a\\', "a string has no end"],
  ['"a\\"', "a string has no end"],
  ['"\n"', "a control character"],
  ['"\\x41"', "is not an escape"],
  ['"\\u12g4"', "is not an escape"],
  ['"\\ud800"', "half of a surrogate pair"],
  ['"\\udc00\\ud800"', "half of a surrogate pair"],
  [`${"[".repeat(65)}${"]".repeat(65)}`, "nested deeper than 64"],
  ["[".repeat(1_000_000), "nested deeper than 64"],
  ['{"a":'.repeat(100_000), "nested deeper than 64"],
];
for (const [text, says] of broken)
  test(`refused: ${shown(text)}`, () => refused("CHECKPOINT_FILE", ["file.json: ", says, "at character"], () => parse(text)));

test("as many values are read as are allowed", async () => {
  const read = (text: string) => parseJson(utf8.encode(text), "x", "CHECKPOINT_HEADER", 5);
  assert.equal(plain(read('[1,{"a":[2]}]')), [1, { a: [2] }]);
  await refused("CHECKPOINT_HEADER", ["x: more than 5 values (at character 11)"], () => read('[1,{"a":[2,3]}]'));
});

test("64 levels are read", () => {
  assert.ok(parse(`${"[".repeat(64)}1${"]".repeat(64)}`));
  assert.ok(parse(`${'{"a":'.repeat(64)}1${"}".repeat(64)}`));
});

test("what is not UTF-8 is refused", async () => {
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0x22, 0xc3, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0xc0, 0x80],
  ])
    await refused("CHECKPOINT_HEADER", ["x: not UTF-8"], () => parseJson(Uint8Array.from(bytes), "x", "CHECKPOINT_HEADER"));
});

test("shown: on one line, short, and harmless to a terminal", () => {
  assert.is(shown("a\nb"), '"a\\nb"');
  assert.is(shown([1, null, "x"]), '[1,null,"x"]');
  assert.is(shown(undefined), "undefined");
  assert.is(shown("\u009b31m\u202e\u2028é"), '"\\u{9b}31m\\u{202e}\\u{2028}é"');
  assert.ok(shown("x".repeat(1_000_000)).length <= 100);
  assert.ok(shown(Array(10_000).fill(1)).length <= 100);
});

test.run();
