/** What cannot be kept as a promise is refused, by name and place; nothing is ignored that would have a meaning. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ErrorCode } from "../../src/core/errors.ts";
import type { GrammarSpec } from "../../src/grammar/grammar-spec.ts";
import { assertRefused } from "../text/tokenizers.ts";
import { acceptsJson, compiler } from "./answers.ts";

const nested = (depth: number, inside: unknown): unknown => (depth === 0 ? inside : { items: nested(depth - 1, inside) });
/** Each is looked for among all code points. */
const MANY_CLASSES =
  "L LC Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co Cn".split(" ");
const cyclic: Record<string, unknown> = {};
cyclic.items = cyclic;

const REFUSED: readonly (readonly [schema: unknown, code: ErrorCode, message: RegExp])[] = [
  [{ not: { type: "null" } }, "GRAMMAR_UNSUPPORTED", /#\/not: the keyword "not"/],
  [{ properties: { "a/b": { if: {} } } }, "GRAMMAR_UNSUPPORTED", /#\/properties\/a~1b\/if/],
  [{ uniqueItems: true }, "GRAMMAR_UNSUPPORTED", /#\/uniqueItems/],
  [{ contains: {} }, "GRAMMAR_UNSUPPORTED", /contains/],
  [{ dependentRequired: {} }, "GRAMMAR_UNSUPPORTED", /dependentRequired/],
  [{ propertyNames: {} }, "GRAMMAR_UNSUPPORTED", /propertyNames/],
  [{ unevaluatedProperties: false }, "GRAMMAR_UNSUPPORTED", /unevaluatedProperties/],
  [{ $dynamicRef: "#a" }, "GRAMMAR_UNSUPPORTED", /dynamicRef/],
  [{ nullable: true }, "GRAMMAR_UNSUPPORTED", /nullable/],
  [{ maximun: 3 }, "GRAMMAR_UNSUPPORTED", /maximun/],
  [{ format: "ipv6" }, "GRAMMAR_UNSUPPORTED", /#\/format: "ipv6".*date-time/],
  [{ multipleOf: 0.01 }, "GRAMMAR_UNSUPPORTED", /multipleOf/],
  [{ allOf: [{ multipleOf: 999 }, { multipleOf: 1000 }] }, "GRAMMAR_UNSUPPORTED", /multipleOf/],
  [{ oneOf: [{ type: "integer" }, { type: "number" }] }, "GRAMMAR_UNSUPPORTED", /#\/oneOf: two of its schemas/],
  [{ oneOf: [{ properties: { a: { const: 1 } } }, { properties: { a: { const: 2 } } }] }, "GRAMMAR_UNSUPPORTED", /oneOf/],
  [{ $ref: "https://example.com/other" }, "GRAMMAR_UNSUPPORTED", /nothing is fetched/],
  [{ $ref: "#nowhere" }, "GRAMMAR_UNSUPPORTED", /#nowhere/],
  [{ $schema: "http://json-schema.org/draft-04/schema#" }, "GRAMMAR_UNSUPPORTED", /\$schema/],
  [{ minProperties: 2 }, "GRAMMAR_UNSUPPORTED", /minProperties/],
  [{ items: [{}] }, "GRAMMAR_UNSUPPORTED", /prefixItems/],
  [{ pattern: "(?=a)" }, "GRAMMAR_UNSUPPORTED", /#\/pattern: looking around/],
  [{ patternProperties: { "(?=a)": {} } }, "GRAMMAR_UNSUPPORTED", /patternProperties/],
  [undefined, "GRAMMAR_SYNTAX", /undefined/],
  ["string", "GRAMMAR_SYNTAX", /a string is not a schema/],
  [[], "GRAMMAR_SYNTAX", /an array is not a schema/],
  [{ type: "text" }, "GRAMMAR_SYNTAX", /#\/type: "text"/],
  [{ properties: [] }, "GRAMMAR_SYNTAX", /#\/properties/],
  [{ properties: { a: 1 } }, "GRAMMAR_SYNTAX", /#\/properties\/a: a number/],
  [{ required: "a" }, "GRAMMAR_SYNTAX", /required/],
  [{ enum: 1 }, "GRAMMAR_SYNTAX", /enum/],
  [{ minimum: "1" }, "GRAMMAR_SYNTAX", /#\/minimum: it is a string/],
  [{ minLength: -1 }, "GRAMMAR_SYNTAX", /minLength/],
  [{ maxItems: 1.5 }, "GRAMMAR_SYNTAX", /maxItems/],
  [{ multipleOf: 0 }, "GRAMMAR_SYNTAX", /greater than 0/],
  [{ anyOf: [] }, "GRAMMAR_SYNTAX", /anyOf/],
  [{ allOf: {} }, "GRAMMAR_SYNTAX", /allOf/],
  [{ prefixItems: {} }, "GRAMMAR_SYNTAX", /prefixItems/],
  [{ pattern: "(" }, "GRAMMAR_SYNTAX", /#\/pattern/],
  [{ pattern: 1 }, "GRAMMAR_SYNTAX", /pattern/],
  [{ format: 1 }, "GRAMMAR_SYNTAX", /format/],
  [{ $ref: 1 }, "GRAMMAR_SYNTAX", /ref/],
  [{ $ref: "#/$defs/a" }, "GRAMMAR_SYNTAX", /nothing is where it points to/],
  [{ $ref: "#/%zz" }, "GRAMMAR_SYNTAX", /% escape/],
  [{ $ref: "#/$defs/a", $defs: { a: 1 } }, "GRAMMAR_SYNTAX", /a number is not a schema/],
  [{ $id: 1 }, "GRAMMAR_SYNTAX", /\$id/],
  [{ $anchor: 1 }, "GRAMMAR_SYNTAX", /\$anchor/],
  [{ $ref: "#" }, "GRAMMAR_SYNTAX", /without end/],
  [{ anyOf: [{ type: "null" }, { $ref: "#" }] }, "GRAMMAR_SYNTAX", /without end/],
  [{ const: () => 1 }, "GRAMMAR_SYNTAX", /a function/],
  [{ const: 1n }, "GRAMMAR_SYNTAX", /a bigint/],
  [cyclic, "GRAMMAR_LIMIT", /deeper than 64/],
  [nested(100, {}), "GRAMMAR_LIMIT", /deeper than 64/],
  [{ enum: Array.from({ length: 60_000 }, (_, i) => i) }, "GRAMMAR_LIMIT", /values/],
  [
    { allOf: Array.from({ length: 12 }, (_, i) => ({ anyOf: [{ minLength: i }, { maxLength: i }] })) },
    "GRAMMAR_LIMIT",
    /alternatives/,
  ],
  [{ anyOf: Array.from({ length: 129 }, (_, i) => ({ properties: { [`a${i}`]: {} } })) }, "GRAMMAR_LIMIT", /128 alternatives/],
  [{ pattern: "^(a|b)*a(a|b){30}$" }, "GRAMMAR_LIMIT", /#\/pattern/],
  [{ pattern: "a", maxLength: 100_000 }, "GRAMMAR_LIMIT", /states/],
  [
    {
      anyOf: Array.from({ length: 100 }, (_, i) => ({
        properties: Object.fromEntries(Array.from("abcdef", (key, k) => [key, { type: "number", minimum: 6 * i + k }])),
      })),
    },
    "GRAMMAR_LIMIT",
    /8000000 steps/,
  ],
  [false, "GRAMMAR_EMPTY", /no value/],
  [{ type: "string", enum: [1] }, "GRAMMAR_EMPTY", /no value/],
  [{ type: [] }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "integer", minimum: 1.2, maximum: 1.8 }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "string", minLength: 3, maxLength: 2 }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "string", pattern: "a^" }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "string", allOf: [{ pattern: "^a" }, { pattern: "^b" }] }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "array", items: false, minItems: 1 }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "array", prefixItems: [{}, false], minItems: 2 }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "object", properties: { a: false }, required: ["a"] }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "object", required: ["a", "b"], maxProperties: 1 }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "object", properties: { a: {} }, additionalProperties: false, minProperties: 2 }, "GRAMMAR_EMPTY", /no value/],
  [{ type: "object", properties: { next: { $ref: "#" } }, required: ["next"] }, "GRAMMAR_EMPTY", /no value/],
];

for (const [schema, code, message] of REFUSED) {
  test(`${code} ${message}`, () => {
    assertRefused(() => compiler.compile({ type: "json_schema", schema }), code, message);
  });
}

test("what cannot be inside of a schema is left out rather than waited for", () => {
  const schema = {
    type: "object",
    properties: { a: { $ref: "#/$defs/endless" }, b: { type: "null" }, c: false },
    additionalProperties: false,
    $defs: { endless: { type: "object", properties: { x: { $ref: "#/$defs/endless" } }, required: ["x"] } },
  };
  assert.ok(acceptsJson(schema, '{"b":null}'));
  assert.not(acceptsJson(schema, '{"a":{}}'));
});

const tool = { name: "f", parameters: { type: "object" } };
const SPECS: readonly (readonly [spec: unknown, code: ErrorCode, message: RegExp])[] = [
  [{ type: "yaml" }, "GRAMMAR_UNSUPPORTED", /yaml/],
  [{ type: "regex" }, "GRAMMAR_SYNTAX", /regex: undefined/],
  [{ type: "regex", pattern: "a^" }, "GRAMMAR_EMPTY", /regex/],
  [{ type: "choice", choices: [] }, "GRAMMAR_SYNTAX", /choice/],
  [{ type: "choice", choices: "a" }, "GRAMMAR_SYNTAX", /choice/],
  [{ type: "choice", choices: [1] }, "GRAMMAR_SYNTAX", /choice/],
  [{ type: "regex", pattern: MANY_CLASSES.map((name) => `\\p{${name}}`).join("") }, "GRAMMAR_LIMIT", /8000000 steps/],
  [{ type: "choice", choices: Array.from({ length: 10_001 }, (_, i) => `${i}`) }, "GRAMMAR_LIMIT", /10001 choices/],
  [{ type: "tool_calls", tools: [], choice: "required", parallel: false }, "GRAMMAR_SYNTAX", /no tools/],
  [{ type: "tool_calls", tools: [tool], choice: { name: "g" }, parallel: false }, "GRAMMAR_SYNTAX", /no tool is called "g"/],
  [
    { type: "tool_calls", tools: [{ ...tool, parameters: { not: {} } }], choice: "required", parallel: false },
    "GRAMMAR_UNSUPPORTED",
    /tools\[0\]\.parameters.*not/,
  ],
  [{ type: "tool_calls", tools: {}, choice: "auto", parallel: true }, "ARGUMENT", /tools/],
];
for (const [spec, code, message] of SPECS) {
  test(`a grammar: ${code} ${message}`, () => {
    assertRefused(() => compiler.compile(spec as GrammarSpec), code, message);
  });
}

test.run();
