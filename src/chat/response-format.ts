/** Answers in a form: what the caller asks for becomes what the engine holds the answer to. */
import { Qwen3Error } from "../core/errors.ts";
import type { GenerateOptions } from "../engine/generate.ts";
import type { LocalModel } from "../engine/local-model.ts";
import { type Grammar, GrammarCompiler, type Reasoning } from "../grammar/compile.ts";
import type { GrammarSpec } from "../grammar/grammar-spec.ts";

/** Grammars for one model. It is made with the first one, which goes through the whole vocabulary. */
export class ResponseFormats {
  readonly #model: LocalModel;
  #compiler: GrammarCompiler | undefined;

  constructor(model: LocalModel) {
    this.#model = model;
  }

  compile(spec: GrammarSpec): Grammar {
    this.#compiler ??= new GrammarCompiler(this.#model.tokenizer);
    return this.#compiler.compile(spec);
  }

  /** The options with a constraint that `spec`, if there is one, asks for. */
  apply<Options extends GenerateOptions>(
    options: Options,
    spec: GrammarSpec | undefined,
    reasoning: Reasoning = "none",
  ): Options {
    if (spec === undefined) return options;
    if (options.constraint)
      throw new Qwen3Error("ARGUMENT", "responseFormat and constraint are both given; allowed is one of them");
    const grammar = this.compile(spec);
    const stopIds = [...this.#model.generationConfig.eos_token_id, ...(options.stopTokenIds ?? [])];
    return { ...options, constraint: () => grammar.newConstraint(stopIds, { reasoning }) };
  }
}
