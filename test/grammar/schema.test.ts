/** Documents are let through exactly if they are valid, however they are formatted and cut into tokens. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { acceptsJson, validator } from "./answers.ts";
import { formats } from "./formats.ts";
import { SCHEMA_CASES } from "./schema-cases.ts";

for (const { name, schema, documents } of SCHEMA_CASES) {
  test(name, () => {
    const validate = validator(schema);
    const verdicts = new Set<boolean>();
    for (const document of documents) {
      const isValid = validate(document);
      verdicts.add(isValid);
      for (const text of formats(document))
        assert.is(acceptsJson(schema, text), isValid, `${text} for ${JSON.stringify(schema)}`);
    }
    assert.ok(verdicts.has(true) && (verdicts.size === 2 || name === "anything"), "documents of both kinds");
  });
}

test("what is no JSON is never let through", () => {
  for (const text of [
    "",
    " ",
    "{",
    "[1,]",
    '{"a":1,}',
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "nul",
    "'a'",
    '"a',
    '"\\x"',
    '"\\ud800"',
    '"\n"',
    "{}{}",
    "[1 2]",
    '{"a" 1}',
    "1 ",
    " 1",
    "{} ",
  ])
    assert.is(acceptsJson({}, text), false, text);
});

test("escapes are read as what they mean", () => {
  const schema = { type: "string", minLength: 1, maxLength: 1 };
  for (const text of ['"\\u0041"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\n"', '"\\/"', '"\u{1f600}"'])
    assert.ok(acceptsJson(schema, text), text);
  for (const text of ['"\\u0041b"', '"\\ud83d"', '"\\ude00"', '"\\ud83d\\u0041"', '"\\ud83dx"', '""'])
    assert.not(acceptsJson(schema, text), text);
  assert.ok(acceptsJson({ enum: ["a\u{1f600}<\u007f"] }, '"a\\ud83d\\ude00\\u003c\\u007F"'));
  assert.not(acceptsJson({ enum: ["a\u{1f600}"] }, '"\\u0061\\ud83d\\ude01"'));
  assert.ok(acceptsJson({ properties: { aéc: { type: "null" } }, additionalProperties: false }, '{"a\\u00e9c":null}'));
  assert.ok(acceptsJson({ pattern: "^[\u{10000}-\u{10ffff}]$" }, '"\\udbff\\udfff"'));
  assert.not(acceptsJson({ pattern: "^[\u{10000}-\u{1ffff}]$" }, '"\\udbff\\udfff"'));
});

test("where it matters which text it is, what nobody escapes is not escaped", () => {
  assert.not(acceptsJson({ enum: ["red"] }, '"\\u0072ed"'));
  assert.not(acceptsJson({ pattern: "^[a-z]+$" }, '"\\u0061"'));
  assert.not(acceptsJson({ properties: { a: {} } }, '{"\\u0061":1}'));
  assert.ok(acceptsJson({ pattern: "^a" }, '"a\\u0061"'));
});

test("a key that the schema names comes once", () => {
  const schema = { type: "object", properties: { a: { type: "integer" } } };
  assert.ok(acceptsJson(schema, '{"a":1,"b":2,"b":3}'));
  assert.not(acceptsJson(schema, '{"a":1,"a":2}'));
  assert.not(acceptsJson(schema, '{"a":1,"\\u0061":2}'));
});

test("a key that JavaScript treats in its own way is a key", () => {
  const schema = JSON.parse(
    '{"type":"object","properties":{"__proto__":{"type":"integer"}},"required":["__proto__"],"additionalProperties":false}',
  );
  assert.ok(acceptsJson(schema, '{"__proto__":1}'));
  for (const text of ["{}", '{"__proto__":"a"}', '{"constructor":1}']) assert.not(acceptsJson(schema, text));
});

test("white space is bounded", () => {
  for (const gap of ["", " ", "  ", "\n", "\r\n", " \n  ", `\n${" ".repeat(8)}`, "\n\t\t"])
    assert.ok(acceptsJson({ type: "array" }, `[${gap}1${gap},${gap}2${gap}]`), JSON.stringify(gap));
  for (const gap of ["   ", "\n\n", "\t", "\r", `\n${" ".repeat(9)}`, "\u00a0", "\f"])
    assert.not(acceptsJson({ type: "array" }, `[${gap}1]`), JSON.stringify(gap));
  assert.ok(acceptsJson({}, `[[\n${" ".repeat(16)}{\n${" ".repeat(24)}"a" : 1}]]`));
  assert.not(acceptsJson({}, `[[\n${" ".repeat(17)}1]]`));
  for (const text of ['{"a":\n1}', '{"a"\n:1}']) assert.not(acceptsJson({}, text));
});

test("numbers have notations, and ends", () => {
  const number = { type: "number" };
  for (const text of ["-0", "0.0", "1.50", "1E5", "1e+05", "12.5e-3", "9".repeat(24), `0.${"1".repeat(24)}`])
    assert.ok(acceptsJson(number, text), text);
  for (const text of ["9".repeat(25), `0.${"1".repeat(25)}`, "1e100", "1e", "1.e1", "-"])
    assert.not(acceptsJson(number, text), text);
  assert.ok(acceptsJson({ minimum: 5 }, "1.25e1"));
  assert.ok(acceptsJson({ minimum: 5 }, "1.25E+01"));
  assert.not(acceptsJson({ minimum: 5 }, "1.25e0"));
  assert.ok(acceptsJson({ const: 1 }, "1.0"));
  assert.not(acceptsJson({ type: "integer" }, "1.0"));
  assert.ok(acceptsJson({ enum: [1e-7] }, "1e-07"));
});

test.run();
