/** Constraints and the masks they share. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileGrammar, GrammarCompiler } from "../../src/grammar/compile.ts";
import type { Vocabulary } from "../../src/grammar/token-trie.ts";
import { assertRefused } from "../text/tokenizers.ts";
import { accepts, allowedIds, allows, compiler, nano, random, randomAnswer, STOP } from "./answers.ts";

const person = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
const grammar = compiler.compile({ type: "json_schema", schema: person });

test("stop tokens come where the answer is complete, and only there", () => {
  const constraint = grammar.newConstraint([STOP, STOP + 1]);
  for (const id of nano.encodePlain('{"name": "a", "age": 1}')) {
    assert.not(allows(constraint, STOP));
    assert.not(constraint.complete);
    constraint.accept(id);
  }
  assert.ok(constraint.complete);
  assert.equal(
    allowedIds(constraint),
    [STOP, STOP + 1].sort((a, b) => a - b),
  );
  assert.is(constraint.forced, undefined);
  constraint.accept(STOP);
  assert.equal(
    allowedIds(constraint),
    [STOP, STOP + 1].sort((a, b) => a - b),
  );
});

test("a token that does not fit is refused, and changes nothing", () => {
  const constraint = grammar.newConstraint([STOP]);
  const [bracket] = nano.encodePlain("[");
  for (const id of [bracket!, STOP, -1, 1.5, 10 ** 9])
    assertRefused(() => constraint.accept(id), "ARGUMENT", new RegExp(`token ${id} `));
  assert.ok(accepts(constraint, nano.encodePlain('{"age": 1, "name": ""}')));
});

test("answers share masks, and do not disturb each other", () => {
  const [a, b] = [grammar.newConstraint([STOP]), grammar.newConstraint([STOP])];
  assert.is(a.mask().allowed, b.mask().allowed);
  a.accept(nano.encodePlain("{")[0]!);
  assert.ok(accepts(b, nano.encodePlain('{"name":"b","age":2}')));
  const rest = nano.encodePlain('"name":"a","age":1}');
  assert.ok(accepts(a, rest));
});

test("equal specifications are compiled once", () => {
  const own = new GrammarCompiler(nano);
  const spec = { type: "json_schema", schema: person } as const;
  assert.is(own.compile(spec), own.compile(structuredClone(spec)));
  for (let i = 0; i < 40; i++) own.compile({ type: "choice", choices: [`${i}`] });
  assert.ok(accepts(own.compile(spec).newConstraint([STOP]), nano.encodePlain('{"name":"b","age":2}')));
});

test("stop tokens have to be some", () => {
  for (const ids of [[], [-1], [0.5]]) assertRefused(() => grammar.newConstraint(ids), "ARGUMENT", /stop token/);
  assertRefused(() => grammar.newConstraint([1], { reasoning: "maybe" as never }), "ARGUMENT", /reasoning is maybe/);
});

test("a grammar that has met many states is made anew, and answers go on", () => {
  const names = Array.from({ length: 100 }, (_, i) => `property ${i}`);
  const schema = {
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name, { type: "null" }])),
    additionalProperties: false,
  };
  const many = compiler.compile({ type: "json_schema", schema });
  const first = many.newConstraint([STOP]);
  const next = random(1);
  for (let i = 0; i < 45; i++) {
    const shuffled = names.map((name) => [next(), name] as const).sort((a, b) => a[0] - b[0]);
    const document = JSON.stringify(Object.fromEntries(shuffled.map(([, name]) => [name, null])));
    assert.ok(accepts(many.newConstraint([STOP]), nano.encodePlain(document)));
  }
  assert.ok(accepts(first, nano.encodePlain('{"property 1":null}')));
});

test("a vocabulary that lacks a byte is refused", () => {
  const lacking: Vocabulary = {
    vocabSize: 255,
    tokenBytes: (id) => Uint8Array.of(id),
    tokenToId: () => undefined,
    isAdded: () => false,
  };
  assertRefused(() => compileGrammar({ type: "json_object" }, lacking), "TOKENIZER_FILE", /byte 255/);
  const doubled: Vocabulary = {
    ...lacking,
    vocabSize: 514,
    tokenBytes: (id) => (id < 512 ? Uint8Array.of(id & 255) : new Uint8Array()),
  };
  const constraint = compileGrammar({ type: "choice", choices: ["a"] }, doubled).newConstraint([1]);
  assert.equal(allowedIds(constraint), [97, 256 + 97]);
  const open = compileGrammar({ type: "json_schema", schema: { patternProperties: { "^x": {} } } }, doubled).newConstraint([1]);
  for (const byte of new TextEncoder().encode('{"')) open.accept(byte);
  assert.ok(allowedIds(open).includes(256 + 120));
  assertRefused(
    () => compileGrammar({ type: "tool_calls", tools: [], choice: "auto", parallel: true }, doubled),
    "GRAMMAR_UNSUPPORTED",
    /<tool_call>/,
  );
});

test("a byte takes a bounded number of steps, whatever was read before", () => {
  const most = (text: string): number => {
    const constraint = compiler.compile({ type: "json_schema", schema: {} }).newConstraint([STOP]);
    assert.ok(accepts(constraint, nano.encodePlain(text)));
    return constraint.steps / new TextEncoder().encode(text).length;
  };
  const [short, long] = [20, 4000].map((n) =>
    most(JSON.stringify(Array.from({ length: n }, (_, i) => ({ a: [i, "b".repeat(5)] })))),
  );
  assert.ok(short! < 4 && long! < 4, `${short}, ${long} steps per byte`);
});

test("random answers come to an end, and nothing is ever stuck", () => {
  for (let seed = 0; seed < 30; seed++) {
    const constraint = compiler.compile({ type: "json_object" }).newConstraint([STOP]);
    const text = randomAnswer(constraint, random(seed), 10, 300);
    if (text !== undefined) JSON.parse(text);
  }
});

test.run();
