/** Grammars that hold answers to a form: compiled once, shared by all answers that have to look so. */
import { Qwen3Error } from "../core/errors.ts";
import { ANY } from "./code-points.ts";
import { GrammarConstraint } from "./constraint.ts";
import { Cursor, Waiting } from "./cursor.ts";
import { type Compiled, checkStopIds, GrammarParts, type Shared } from "./grammar-parts.ts";
import type { GrammarSpec } from "./grammar-spec.ts";
import type { Growth } from "./machine.ts";
import { StringMachine } from "./string-machine.ts";
import { StringWalks } from "./string-walk.ts";
import { TokenMasks } from "./token-masks.ts";
import { TokenTrie, type Vocabulary } from "./token-trie.ts";

/** Bytes of masks that are kept, for all grammars of one tokenizer. */
const MASK_BYTES = 64 << 20;
/** Bytes of states that a grammar may have met before it is made anew. */
const GRAMMAR_BYTES = 32 << 20;
/** Compiled grammars that are kept, and characters of what they were compiled from. */
const KEPT_GRAMMARS = 32;
const KEPT_LENGTH = 100_000;

/** What the constraint may let the model do first: nothing but answer; go on with reasoning, since the prompt ends inside; either. */
export type Reasoning = "none" | "open" | "optional";

export interface Grammar {
  /**
   * Holds one answer to the grammar.
   *
   * @param stopIds allowed where the answer is complete, and nowhere else
   */
  newConstraint(stopIds: Iterable<number>, options?: { readonly reasoning?: Reasoning }): GrammarConstraint;
}

/** Compiles grammars for one tokenizer. It is worth keeping: what it finds out about the vocabulary (half a second) serves all of them. */
export class GrammarCompiler {
  readonly #vocabulary: Vocabulary;
  readonly #kept = new Map<string, Grammar>();
  #parts: { shared: Shared; masks: TokenMasks } | undefined;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /**
   * @throws Qwen3Error GRAMMAR_UNSUPPORTED for what cannot be enforced, by name and place; GRAMMAR_SYNTAX for what is no schema or
   * pattern; GRAMMAR_EMPTY where no text fits; GRAMMAR_LIMIT for what is too large
   */
  compile(spec: GrammarSpec): Grammar {
    let key: string | undefined;
    try {
      key = JSON.stringify(spec);
    } catch {
      key = undefined; // the compilation says what is wrong
    }
    const known = key === undefined ? undefined : this.#kept.get(key);
    const grammar = known ?? this.#compile(spec);
    if (key !== undefined && key.length <= KEPT_LENGTH) {
      this.#kept.delete(key);
      this.#kept.set(key, grammar); // last in the order
      for (const oldest of this.#kept.keys()) if (this.#kept.size > KEPT_GRAMMARS) this.#kept.delete(oldest);
    }
    return grammar;
  }

  #compile(spec: GrammarSpec): Grammar {
    this.#parts ??= partsOf(this.#vocabulary);
    const { shared, masks } = this.#parts;
    const vocabulary = this.#vocabulary;
    const build = (): { compiled: Compiled; base: Waiting; growth: Growth } => {
      const growth = { bytes: 0 };
      const compiled = new GrammarParts(shared, growth).compile(spec);
      const base = new Waiting({ machine: compiled.program, state: 0 }, undefined, growth);
      growth.bytes = 0; // of what comes
      return { compiled, base, growth };
    };
    let built = build();
    return {
      newConstraint(stopIds, { reasoning = "none" } = {}) {
        const ids = checkStopIds(stopIds, vocabulary.vocabSize);
        if (built.growth.bytes > GRAMMAR_BYTES) built = build();
        const { program, starts } = built.compiled;
        const state = { none: starts.answer, open: starts.reasoning, optional: starts.either }[reasoning];
        if (state === undefined) throw new Qwen3Error("ARGUMENT", `reasoning is ${reasoning}; allowed: none, open, optional`);
        return new GrammarConstraint(
          { program, masks, vocabulary, stopIds: ids },
          new Cursor({ machine: program, state }, built.base),
        );
      },
    };
  }
}

/** One grammar for one tokenizer; `GrammarCompiler` is for several. */
export function compileGrammar(spec: GrammarSpec, vocabulary: Vocabulary): Grammar {
  return new GrammarCompiler(vocabulary).compile(spec);
}

function partsOf(vocabulary: Vocabulary): { shared: Shared; masks: TokenMasks } {
  const anyText = {
    starts: [0],
    classes: [0],
    size: 1,
    states: 1,
    table: Int32Array.of(0),
    labels: Int32Array.of(0),
  };
  const characters = new StringMachine(anyText, true);
  const masks = new TokenMasks(new StringWalks(new TokenTrie(vocabulary), characters), MASK_BYTES);
  return { shared: { vocabulary, characters, properties: new Map([["Any", ANY]]) }, masks };
}
