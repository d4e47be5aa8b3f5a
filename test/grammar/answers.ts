/** Answers held to a grammar: texts read token by token, and random ones that its masks let through. */
import { createRequire } from "node:module";
import type { AnySchema, ValidateFunction } from "ajv";
import { GrammarCompiler } from "../../src/grammar/compile.ts";
import type { GrammarConstraint } from "../../src/grammar/constraint.ts";
import type { GrammarSpec } from "../../src/grammar/grammar-spec.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { nanoTokenizer } from "../text/tokenizers.ts";

const require = createRequire(import.meta.url);

export const nano = await nanoTokenizer();
export const compiler = new GrammarCompiler(nano);
export const STOP = nano.tokenToId("<|im_end|>")!;

/** What ajv, an independent validator, says of documents. */
export function validator(schema: unknown): ValidateFunction {
  const { default: Ajv } = require("ajv/dist/2020");
  const { default: addFormats } = require("ajv-formats");
  const ajv = new Ajv({ strict: false, allErrors: false, validateSchema: false, ownProperties: true, logger: false });
  addFormats(ajv);
  return ajv.compile(schema as AnySchema);
}

/** Numbers from 0 up to but not 1, the same for the same seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    let mixed = state ^ (state >>> 15);
    mixed = Math.imul(mixed, 0x2c1b3c6d);
    return ((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32;
  };
}

const singles = new Map<number, number>();
for (let id = 0; id < nano.vocabSize; id++) {
  const bytes = nano.isAdded(id) ? [] : nano.tokenBytes(id);
  if (bytes.length === 1) singles.set(bytes[0]!, id);
}

/** The tokens of a text: as the tokenizer has it, byte by byte, and pieces of both. */
export function tokenizations(text: string, tokenizer: Tokenizer = nano): number[][] {
  const bytewise = (part: string): number[] => [...new TextEncoder().encode(part)].map((byte) => singles.get(byte)!);
  const usual = tokenizer.encodePlain(text);
  if (tokenizer !== nano) return [usual];
  const characters = [...text];
  const cut = random(characters.length);
  const mixed: number[] = [];
  for (let at = 0; at < characters.length; ) {
    const length = 1 + Math.floor(cut() * 7);
    const part = characters.slice(at, at + length).join("");
    mixed.push(...(cut() < 0.5 ? bytewise(part) : tokenizer.encodePlain(part)));
    at += length;
  }
  return [usual, bytewise(text), mixed];
}

export function allows(constraint: GrammarConstraint, id: number): boolean {
  return ((constraint.mask().allowed[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0;
}

/** Whether an answer of these tokens may be given, and end there. */
export function accepts(constraint: GrammarConstraint, ids: readonly number[]): boolean {
  for (const id of ids) {
    if (!allows(constraint, id)) return false;
    constraint.accept(id);
  }
  return constraint.complete && allows(constraint, STOP);
}

/** What is said of a text: one answer for all tokenizations, or an error that names them. */
export function acceptsText(spec: GrammarSpec, text: string): boolean {
  const grammar = compiler.compile(spec);
  const verdicts = tokenizations(text).map((ids) => accepts(grammar.newConstraint([STOP]), ids));
  if (new Set(verdicts).size !== 1) throw new Error(`tokenizations of ${text} disagree: ${verdicts}`);
  return verdicts[0]!;
}

export function acceptsJson(schema: unknown, text: string): boolean {
  return acceptsText({ type: "json_schema", schema }, text);
}

export function allowedIds(constraint: GrammarConstraint): number[] {
  const ids: number[] = [];
  constraint.mask().allowed.forEach((word, i) => {
    for (let left = word; left !== 0; left &= left - 1) ids.push(i * 32 + 31 - Math.clz32(left & -left));
  });
  return ids;
}

const CLOSERS = [...'"}]n0:[{,'].map((c) => singles.get(c.charCodeAt(0))!);

/**
 * A random answer: any allowed tokens at first, then those that bring it to an end where there are such.
 *
 * @returns undefined if it has not come to an end after `most` tokens
 */
export function randomAnswer(constraint: GrammarConstraint, next: () => number, soft: number, most: number): string | undefined {
  const ids: number[] = [];
  while (ids.length < most) {
    const allowed = allowedIds(constraint);
    if (allowed.length === 0) throw new Error(`nothing is allowed behind ${JSON.stringify(nano.decode(ids))}`);
    const forced = allowed.length === 1 ? allowed[0] : undefined;
    if (constraint.forced !== forced) throw new Error(`forced is ${constraint.forced}, allowed are ${allowed.slice(0, 5)}`);
    const closing = ids.length >= soft || next() < 0.3;
    if (allowed.includes(STOP) && (closing || allowed.length === 1))
      return new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(ids));
    const closer = closing && next() < 0.9 ? CLOSERS.find((id) => allowed.includes(id)) : undefined;
    const texts = allowed.filter((id) => id !== STOP);
    const id = closer ?? texts[Math.floor(next() * texts.length)]!;
    constraint.accept(id);
    ids.push(id);
  }
  return undefined;
}

function bytesOf(ids: readonly number[]): Uint8Array {
  return Uint8Array.from(ids.flatMap((id) => [...nano.tokenBytes(id)]));
}
