/** The program of each kind of grammar, with what may stand before it: reasoning. */
import { Qwen3Error } from "../core/errors.ts";
import { shown } from "../formats/json.ts";
import { describe, wellFormed } from "../text/json-data.ts";
import { checkTools, type FunctionTool, type Tool } from "../text/messages.ts";
import { maxTokenId } from "../text/tokenizer-fields.ts";
import { DEAD as NONE, texts } from "./char-automaton.ts";
import type { GrammarSpec } from "./grammar-spec.ts";
import { LIMITS, malformed, tooLarge, unsatisfiable, unsupported, Work } from "./limits.ts";
import type { Growth, Machine, Start } from "./machine.ts";
import { Program, type ProgramState } from "./program.ts";
import { wholeMatch } from "./regex-automaton.ts";
import type { Properties } from "./regex-syntax.ts";
import { SchemaDocument } from "./schema-document.ts";
import { SchemaReader } from "./schema-reader.ts";
import { SchemaTypes } from "./schema-types.ts";
import { SequenceMachine } from "./sequence-machine.ts";
import { StringMachine } from "./string-machine.ts";
import type { Vocabulary } from "./token-trie.ts";
import { UnionMachine } from "./union-machine.ts";
import { ValueType } from "./value-type.ts";

/** What grammars of one vocabulary share. */
export interface Shared {
  readonly vocabulary: Vocabulary;
  /** Reads any JSON string. */
  readonly characters: StringMachine;
  readonly properties: Properties;
}

/** Where an answer begins: at once, inside of reasoning, or, as the model likes, with reasoning. */
export interface Starts {
  readonly answer: number;
  readonly reasoning: number;
  readonly either: number;
}

export interface Compiled {
  readonly program: Program;
  readonly starts: Starts;
}

export class GrammarParts {
  readonly #shared: Shared;
  readonly #growth: Growth;
  readonly #work = new Work();
  readonly #union: UnionMachine;

  constructor(shared: Shared, growth: Growth) {
    this.#shared = shared;
    this.#growth = growth;
    this.#union = new UnionMachine(growth);
  }

  compile(spec: GrammarSpec): Compiled {
    const states = this.#states(spec);
    const [opening, closing] = ["<think>", "</think>"].map((tag) => this.#shared.vocabulary.tokenToId(tag));
    const [reasoning, between, either] = [states.length, states.length + 1, states.length + 2];
    const breaks = new StringMachine(wholeMatch("\\n{0,2}", "line breaks", this.#work), false);
    const all: ProgramState[] = [
      ...states,
      { free: true, tokens: new Map(closing === undefined ? [] : [[closing, between]]) },
      { expects: startOf(breaks), next: 0 },
      {
        ...states[0],
        tokens: new Map([...(states[0]!.tokens ?? []), ...(opening === undefined ? [] : [[opening, reasoning] as const])]),
      },
    ];
    return { program: new Program(all, 0), starts: { answer: 0, reasoning, either } };
  }

  /** The first one is where the answer begins. */
  #states(spec: GrammarSpec): ProgramState[] {
    const only = (expects: Start): ProgramState[] => [{ expects, next: 1 }, { final: true }];
    switch (spec.type) {
      case "json_object":
        return only(this.#schema({ type: "object" }, "#"));
      case "json_schema":
        return only(this.#schema(spec.schema, "#"));
      case "regex":
        return only(this.#regex(spec.pattern));
      case "choice":
        return only(this.#choice(spec.choices));
      case "tool_calls":
        return this.#toolCalls(spec);
      default:
        return unsupported("grammar", `${shown((spec as { type: unknown }).type)} is no type of grammar`);
    }
  }

  #schema(schema: unknown, where: string): ValueType {
    const document = new SchemaDocument(schema, where);
    const reader = new SchemaReader(document, this.#work, this.#shared.properties);
    return new SchemaTypes(reader, this.#union, this.#shared.characters, this.#growth).compile(document.root);
  }

  #regex(pattern: unknown): Start {
    if (typeof pattern !== "string") return malformed("regex", `${describe(pattern)} is not a pattern; it must be a string`);
    const automaton = wholeMatch(pattern, "regex", this.#work, this.#shared.properties);
    if (automaton.states === 0) unsatisfiable("regex", "no text matches the pattern");
    return startOf(new StringMachine(automaton, false));
  }

  #choice(choices: readonly string[]): Start {
    if (!Array.isArray(choices) || choices.length === 0 || choices.some((choice) => typeof choice !== "string"))
      malformed("choice", "the choices must be an array of strings, not empty");
    const length = choices.reduce((sum, choice) => sum + choice.length, 0);
    if (choices.length > LIMITS.choices || length > LIMITS.choicesLength)
      tooLarge(
        "choice",
        `${choices.length} choices of ${length} characters; at most ${LIMITS.choices} of ${LIMITS.choicesLength} are allowed`,
      );
    return startOf(
      new StringMachine(texts([...new Set(choices.map((choice) => wellFormed(choice)))], NONE, this.#work, "choice"), false),
    );
  }

  #toolCalls(spec: Extract<GrammarSpec, { type: "tool_calls" }>): ProgramState[] {
    const { choice, parallel } = spec;
    const { vocabulary } = this.#shared;
    const [opening, closing] = ["<tool_call>", "</tool_call>"].map((tag) => vocabulary.tokenToId(tag));
    if (opening === undefined || closing === undefined)
      unsupported("tool_calls", "the tokenizer has no <tool_call> and </tool_call> tokens");
    checkTools(spec.tools);
    const tools = spec.tools.map(functionOf).filter(({ name }) => typeof choice === "string" || name === choice.name);
    if (tools.length === 0)
      malformed("tool_calls", typeof choice === "string" ? "there are no tools" : `no tool is called ${shown(choice.name)}`);
    const calls = tools.map((tool, i) => this.#call(tool, choice === "auto" ? tool.strict === true : tool.strict !== false, i));
    const call = new ValueType(() => calls, this.#union);
    const between = startOf(new StringMachine(texts(["\n"], NONE, this.#work, "line break"), false));
    const open: ProgramState = { tokens: new Map([[opening!, 1]]) };
    const thinking = ["<think>", "</think>"].flatMap((tag) => vocabulary.tokenToId(tag) ?? []);
    return [
      choice === "auto"
        ? { free: true, final: true, tokens: new Map([[opening!, 1], ...thinking.map((id) => [id, 0] as const)]) }
        : open,
      { expects: call, next: 2 },
      { tokens: new Map([[closing!, 3]]) },
      parallel ? { final: true, expects: between, next: 4 } : { final: true },
      open,
    ];
  }

  /** What stands between the tags of one function's call. */
  #call({ name, parameters }: FunctionTool, isStrict: boolean, index: number): Machine {
    const where = `tools[${index}].parameters`;
    const schema = isStrict && parameters ? { allOf: [{ type: "object" }, parameters] } : { type: "object" };
    return new SequenceMachine([`\n{"name": ${JSON.stringify(name)}, "arguments": `, this.#schema(schema, where), "}\n"]);
  }
}

function startOf(machine: Machine): Start {
  return { machines: [machine], place: { machine, state: machine.start } };
}

function functionOf(tool: Tool): FunctionTool {
  return (tool.function ?? tool) as FunctionTool;
}

/** @throws Qwen3Error ARGUMENT for stop tokens that are none */
export function checkStopIds(stopIds: Iterable<number>, vocabSize: number): number[] {
  const ids = [...new Set(stopIds)];
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id > maxTokenId);
  if (wrong !== undefined) throw new Qwen3Error("ARGUMENT", `stop token ${wrong} is no token id; allowed: 0..${vocabSize - 1}`);
  if (ids.length === 0) throw new Qwen3Error("ARGUMENT", "a grammar needs a stop token, or its answers could not end");
  return ids;
}
