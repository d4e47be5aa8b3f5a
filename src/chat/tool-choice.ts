/** Whether the model may, must or must not call a tool, as what its tokens are held to. */
import { Qwen3Error } from "../core/errors.ts";
import { shown } from "../formats/json.ts";
import type { GrammarSpec } from "../grammar/grammar-spec.ts";
import type { TokenConstraint } from "../sampler/constraint.ts";
import { forbidding, type LogitMask } from "../sampler/mask.ts";
import type { Tool } from "../text/messages.ts";

/** May call, must not, must, or must call one function. */
export type ToolChoice = "auto" | "none" | "required" | { readonly name: string };

export interface ToolOptions {
  readonly tools?: readonly Tool[] | null | undefined;
  readonly toolChoice?: ToolChoice | undefined;
  readonly toolCalls?: boolean | undefined;
  readonly parallelToolCalls?: boolean | undefined;
}

/**
 * The form of an answer that has to call, or may call tools that are `strict`; undefined where calls are left to the model.
 *
 * @throws Qwen3Error ARGUMENT for another choice, and for a call that has to be of no tool
 */
export function toolFormat({
  tools: given,
  toolChoice: choice = "auto",
  toolCalls = true,
  parallelToolCalls: parallel = true,
}: ToolOptions): GrammarSpec | undefined {
  const tools = given ?? [];
  const isKnown = choice === "auto" || choice === "none" || choice === "required" || typeof choice?.name === "string";
  if (!isKnown)
    throw new Qwen3Error("ARGUMENT", `toolChoice is ${shown(choice)}; allowed: "auto", "none", "required", { name: string }`);
  if (choice === "none" || (choice === "auto" && !(toolCalls && tools.some(isStrict)))) return undefined;
  if (!toolCalls) throw new Qwen3Error("ARGUMENT", "toolChoice asks for a call, and toolCalls is false: calls would be text");
  if (tools.length === 0) throw new Qwen3Error("ARGUMENT", "toolChoice asks for a call, and there are no tools");
  return { type: "tool_calls", tools, choice, parallel };
}

function isStrict(tool: Tool): boolean {
  const { strict } = (typeof tool?.function === "object" && tool.function ? tool.function : (tool ?? {})) as { strict?: unknown };
  return strict === true;
}

/** Allows every token but one, always. */
class WithoutToken implements TokenConstraint {
  readonly forced = undefined;
  readonly #id: number;
  readonly #mask: LogitMask;

  constructor(id: number, vocabSize: number) {
    this.#id = id;
    this.#mask = forbidding([id], vocabSize);
  }

  mask(): LogitMask {
    return this.#mask;
  }

  accept(id: number): void {
    if (id === this.#id) throw new Qwen3Error("ARGUMENT", `token ${id} opens a tool call, which toolChoice "none" forbids`);
  }
}

/** What keeps an answer from calling a tool: the token that opens a call is never sampled. */
export function withoutToolCalls(
  tokenizer: { tokenToId(token: string): number | undefined },
  vocabSize: number,
): (() => TokenConstraint) | undefined {
  const opening = tokenizer.tokenToId("<tool_call>");
  return opening === undefined ? undefined : () => new WithoutToken(opening, vocabSize);
}
