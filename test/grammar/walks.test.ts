/** Whatever the masks let through is valid, and what is valid is let through: random answers to random schemas, and ajv as the judge. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3Error } from "../../src/core/errors.ts";
import type { Grammar } from "../../src/grammar/compile.ts";
import { acceptsJson, compiler, random, randomAnswer, STOP, validator } from "./answers.ts";
import { formats } from "./formats.ts";
import { randomSchema } from "./random-schema.ts";
import { SCHEMA_CASES } from "./schema-cases.ts";

/** LONG=1 looks at many more. */
const RUNS = process.env.LONG ? 5000 : 250;

/** The grammar of a schema, or why there is none. */
function compiled(schema: unknown): Grammar | Qwen3Error {
  try {
    return compiler.compile({ type: "json_schema", schema });
  } catch (error) {
    if (error instanceof Qwen3Error && ["GRAMMAR_UNSUPPORTED", "GRAMMAR_EMPTY", "GRAMMAR_LIMIT"].includes(error.code))
      return error;
    throw error;
  }
}

test("random answers to the schemas of the cases are valid", () => {
  const unfinished: string[] = [];
  for (const { name, schema } of SCHEMA_CASES) {
    const grammar = compiled(schema) as Grammar;
    const validate = validator(schema);
    let finished = 0;
    for (let seed = 0; seed < 12; seed++) {
      const text = randomAnswer(grammar.newConstraint([STOP]), random(seed * 977 + 1), seed * 4, 400);
      if (text === undefined) continue;
      finished++;
      assert.ok(validate(JSON.parse(text)), `${text} for ${JSON.stringify(schema)}`);
    }
    if (finished === 0) unfinished.push(name);
  }
  assert.ok(unfinished.length < 8, `no answer came to an end: ${unfinished}`); // chance does not find what a pattern looks for
});

test("random answers to random schemas are valid, and so are their other formats let through", () => {
  const counts = { answers: 0, refused: 0, documents: 0 };
  fc.assert(
    fc.property(randomSchema, fc.nat(), (schema, seed) => {
      const grammar = compiled(schema);
      if (grammar instanceof Qwen3Error) {
        counts.refused++;
        return;
      }
      const validate = validator(schema);
      const next = random(seed);
      for (let i = 0; i < 3; i++) {
        const text = randomAnswer(grammar.newConstraint([STOP]), next, i * 10, 150);
        if (text === undefined) continue;
        counts.answers++;
        const document = JSON.parse(text);
        assert.ok(validate(document), `${text} for ${JSON.stringify(schema)}`);
        // Numbers that JSON.stringify writes in a notation that bounds do not take, and keys that came twice, are told apart here.
        for (const other of formats(document))
          if (!/[0-9]e|[0-9]{17}/.test(other)) {
            counts.documents++;
            assert.ok(acceptsJson(schema, other), `${other} for ${JSON.stringify(schema)}`);
          }
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(counts.answers > RUNS / 2 && counts.documents > RUNS, JSON.stringify(counts));
});

test("documents that are changed a little are let through exactly if they are still valid", () => {
  const counts = { valid: 0, invalid: 0 };
  const pool: unknown[] = [
    null,
    true,
    0,
    1,
    -3,
    12.75,
    150,
    "",
    "a",
    "ab",
    "abcabc",
    "xx12",
    "2024-01-31",
    "\u6f22",
    [],
    [1],
    {},
    { a: 1 },
    { name: "a", b: [] },
  ];
  fc.assert(
    fc.property(randomSchema, fc.nat(), (schema, seed) => {
      const grammar = compiled(schema);
      if (grammar instanceof Qwen3Error) return;
      const validate = validator(schema);
      const next = random(seed);
      const text = randomAnswer(grammar.newConstraint([STOP]), next, 5, 150);
      const documents = [...pool];
      if (text !== undefined) for (let i = 0; i < 6; i++) documents.push(changed(JSON.parse(text), next, pool));
      for (const document of documents) {
        const written = JSON.stringify(document);
        if (/[0-9]e|[0-9]{17}/.test(written)) continue;
        const isValid = validate(document) as boolean;
        counts[isValid ? "valid" : "invalid"]++;
        assert.is(acceptsJson(schema, written), isValid, `${written} for ${JSON.stringify(schema)}`);
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(counts.valid > RUNS && counts.invalid > RUNS, JSON.stringify(counts));
});

/** The document with one part replaced, left out or doubled. */
function changed(document: unknown, next: () => number, pool: readonly unknown[]): unknown {
  const other = pool[Math.floor(next() * pool.length)];
  if (typeof document !== "object" || document === null || next() < 0.2) return other;
  if (Array.isArray(document)) {
    const at = Math.floor(next() * (document.length + 1));
    const inner = at < document.length && next() < 0.5 ? changed(document[at], next, pool) : other;
    return next() < 0.3 ? document.toSpliced(at, 1) : document.toSpliced(at, next() < 0.5 ? 1 : 0, inner);
  }
  const keys = [...Object.keys(document), "a", "b", "other"];
  const key = keys[Math.floor(next() * keys.length)]!;
  const { [key]: value, ...rest } = document as Record<string, unknown>;
  if (next() < 0.3) return rest;
  return { ...rest, [key]: value !== undefined && next() < 0.5 ? changed(value, next, pool) : other };
}

test.run();
