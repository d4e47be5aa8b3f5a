/** What a command is, as help and parser know it, and the options that all of them have. */
import { flag, type Options } from "./options.ts";

export interface Command<O extends Options = Options> {
  readonly name: string;
  /** Behind `qwen3 name [options]`. */
  readonly positional: string;
  readonly summary: string;
  readonly details: string;
  readonly example: string;
  /** For the help, by heading. */
  readonly sections: Readonly<Record<string, Options>>;
  readonly options: O;
}

export const generalOptions = {
  help: flag("Print this help."),
  version: flag("Print the version."),
};

export const json = { json: flag("Print one JSON object instead of text.") };
export const quiet = { quiet: flag("No progress and no closing line on standard error.") };

/** Puts a command together; its options are those of all sections. */
export function command<const S extends Readonly<Record<string, Options>>>(
  description: Omit<Command, "sections" | "options">,
  sections: S,
): Command<UnionToIntersection<S[keyof S]> & Options> {
  const options = Object.assign({}, ...Object.values(sections)) as UnionToIntersection<S[keyof S]> & Options;
  return { ...description, sections, options };
}
type UnionToIntersection<U> = (U extends unknown ? (of: U) => void : never) extends (of: infer I) => void ? I : never;
