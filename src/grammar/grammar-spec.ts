/** What an answer has to look like. */
import type { Tool } from "../text/messages.ts";

export type GrammarSpec =
  /** A JSON object, whatever is in it. */
  | { readonly type: "json_object" }
  /** JSON that fulfils a schema: draft 2020-12, as data. What cannot be enforced is refused. */
  | { readonly type: "json_schema"; readonly schema: unknown }
  /** A text that a regular expression (ECMAScript's, with the `u` flag) matches as a whole. */
  | { readonly type: "regex"; readonly pattern: string }
  /** One of these texts. */
  | { readonly type: "choice"; readonly choices: readonly string[] }
  | {
      /** "auto" leaves it to the model whether to call, but not how; a name asks for that function. */
      readonly type: "tool_calls";
      readonly tools: readonly Tool[];
      readonly choice: "auto" | "required" | { readonly name: string };
      /** Whether several calls may follow each other. */
      readonly parallel: boolean;
    };
