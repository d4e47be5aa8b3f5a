/**
 * Reads what a model writes between `<tool_call>` and `</tool_call>`, `{"name": "...", "arguments": {...}}`, while it comes.
 *
 * The keys may stand in any order, and others beside them. Arguments are an object, or a string that holds the JSON of one, which is then
 * decoded; their text is what the model wrote, whitespace and order of keys included, with what `JsonScanner` mends. Closing braces that
 * are missing before the closing tag are added, and those too many are left out. Whatever else is wrong breaks the call: another
 * shape, a key twice, no name or no arguments, anything behind the object.
 */
import { wellFormed } from "./json-data.ts";
import { isSpace, JsonScanner } from "./json-scanner.ts";

export interface ParsedToolCall {
  name: string;
  /** JSON text of an object. */
  arguments: string;
}

/** The call that `text` describes, null if it describes none. */
export function parseToolCall(text: string): ParsedToolCall | null {
  const reader = new ToolCallReader();
  reader.push(text);
  return reader.end();
}

export class ToolCallReader {
  readonly #scanner = new JsonScanner();
  /** What is being read at the first level of the object. */
  #slot: "key" | "name" | "arguments" | "encoded" | "other" = "other";
  readonly #keys = new Set<string>();
  #key = "";
  /** The present key or name as JSON, as far as it came. */
  #string = "";
  #name: string | undefined;
  /** The object that a string of arguments holds. */
  readonly #decoded = new DecodedObject();
  /** Arguments that were taken, and those that are ready to be. */
  readonly #taken: string[] = [];
  #ready = "";
  #argumentsHaveEnded = false;
  #isBroken = false;
  #lastUnit = "";

  /** Nothing that comes can make this a call. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Inside of a string a tag is but text. (Behind a bare line break, which JSON has no place for, it is a tag: the string lacks its end.) */
  get isInString(): boolean {
    const { state } = this.#scanner;
    return (state === "string" || state === "key string") && this.#lastUnit !== "\n";
  }

  /** The name, once it is known and the arguments have begun as an object begins. */
  get begunName(): string | undefined {
    const begun = this.#argumentsHaveEnded || (this.#slot === "encoded" ? this.#decoded.hasBegun : this.#hasBegun);
    return begun ? this.#name : undefined;
  }

  /** Whether the object is complete, so that only the tag is missing. */
  get isComplete(): boolean {
    return this.#scanner.state === "end" && !this.#isBroken && this.#name !== undefined && this.#argumentsHaveEnded;
  }

  push(text: string): void {
    for (let i = 0; i < text.length && !this.#isBroken; i++) {
      this.#lastUnit = text[i]!;
      this.#take(this.#lastUnit);
    }
  }

  /** What became certain of the arguments since the last time, without the brace that ends them: it belongs to a whole call. */
  takeArguments(): string {
    const isLast = this.#argumentsHaveEnded || this.#decoded.isComplete;
    const end = this.#ready.length - (isLast ? 1 : 0);
    const text = this.#ready.slice(0, end);
    this.#ready = this.#ready.slice(end);
    if (text !== "") this.#taken.push(text);
    return text;
  }

  /** The tag has come: the whole call, null if it is broken. */
  end(): ParsedToolCall | null {
    if (this.#scanner.state !== "end" && !this.#isBroken) {
      const missing = this.#scanner.complete();
      if (missing !== undefined && this.#slot === "arguments") this.#endArguments(missing.slice(0, -1));
    }
    return this.isComplete ? { name: this.#name!, arguments: this.#taken.join("") + this.#ready } : null;
  }

  get #hasBegun(): boolean {
    return this.#slot === "arguments" && !(this.#scanner.depth === 2 && this.#scanner.state === "first key");
  }

  #take(unit: string): void {
    const { state, depth } = this.#scanner;
    if (state === "end" ? !isSpace(unit) && unit !== "}" : depth === 0 && !isSpace(unit) && unit !== "{") this.#isBroken = true;
    if (state === "end" || this.#isBroken) return;
    const text = this.#scanner.take(unit);
    if (this.#scanner.state === "broken") this.#isBroken = true;
    else if (depth === 1 && state.endsWith(" key") && unit === '"') this.#beginKey();
    else if (depth === 1 && state === "value" && !isSpace(unit)) this.#beginValue(unit);
    else this.#goOn(text);
  }

  #beginKey(): void {
    this.#slot = "key";
    this.#string = '"';
  }

  #beginValue(unit: string): void {
    if (this.#key === "name") {
      this.#slot = "name";
      this.#string = unit;
      this.#isBroken = unit !== '"';
    } else if (this.#key === "arguments") {
      this.#slot = unit === '"' ? "encoded" : "arguments";
      this.#isBroken = unit !== '"' && unit !== "{";
      if (unit === "{") this.#ready = unit;
    }
  }

  /** @param text certain by now, of what is being read */
  #goOn(text: string): void {
    const { state, depth } = this.#scanner;
    const hasEnded = depth === 1 && (state === "after" || state === "colon");
    switch (this.#slot) {
      case "key":
      case "name":
        this.#string += text;
        if (hasEnded) this.#endString();
        break;
      case "arguments":
        if (hasEnded) this.#endArguments(text);
        else this.#ready += text;
        break;
      case "encoded":
        if (!hasEnded) this.#ready += this.#decoded.push(text);
        if (hasEnded && this.#decoded.isComplete) this.#endArguments("");
        else if (hasEnded || this.#decoded.isBroken) this.#isBroken = true;
        break;
      case "other":
        break;
    }
  }

  #endString(): void {
    const text = wellFormed(JSON.parse(this.#string) as string);
    if (this.#slot === "name") {
      this.#name = text;
      this.#isBroken = text === "";
    } else {
      this.#key = text;
      this.#isBroken = this.#keys.has(text); // twice: it is unclear what was meant
      this.#keys.add(text);
    }
    this.#slot = "other";
  }

  #endArguments(text: string): void {
    this.#slot = "other";
    this.#ready += text;
    this.#argumentsHaveEnded = true;
  }
}

/** The JSON of an object inside of a JSON string. */
class DecodedObject {
  readonly #scanner = new JsonScanner();
  #isBroken = false;
  /** The first half of a surrogate pair: each half may be an escape. */
  #half = "";

  get isBroken(): boolean {
    return this.#isBroken || this.#scanner.state === "broken";
  }

  get isComplete(): boolean {
    return this.#scanner.state === "end" && !this.#isBroken;
  }

  /** More than its first brace is certain. */
  get hasBegun(): boolean {
    return this.#scanner.depth > 1 || !["value", "first key"].includes(this.#scanner.state);
  }

  /** @param json of the string's inside: a unit, a whole escape, or nothing */
  push(json: string): string {
    if (json === "") return "";
    const unit = json.startsWith("\\") ? (JSON.parse(`"${json}"`) as string) : json;
    const units = this.#half + unit;
    this.#half = unit >= "\ud800" && unit <= "\udbff" ? unit : "";
    const known = wellFormed(units.slice(0, units.length - this.#half.length));
    let certain = "";
    for (let i = 0; i < known.length; i++) certain += this.#take(known[i]!);
    return certain;
  }

  #take(unit: string): string {
    const { depth } = this.#scanner;
    if (depth === 0 && isSpace(unit)) return ""; // around the object
    if (depth === 0 && (unit !== "{" || this.isComplete)) this.#isBroken = true;
    return this.#isBroken ? "" : this.#scanner.take(unit);
  }
}
