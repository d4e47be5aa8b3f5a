/**
 * Sorts what a model writes into text, reasoning and tool calls, while it writes. Reasoning stands between `<think>` and `</think>`, a
 * tool call between `<tool_call>` and `</tool_call>`; they are told by their token ids, so that text which merely looks the same, because
 * a user asked for it or a tool sent it, is text.
 *
 * The line breaks that Qwen's chat templates put around these tags are not part of what is between them: they are left out here, and
 * the template puts them back when the message becomes history, which then has the very tokens that the model wrote. Whitespace between
 * two calls, or behind the last, is nobody's text.
 *
 * A call is told as it comes, in deltas, and once it is whole. Nothing of it is told before its name is known and its arguments have begun
 * as an object begins, and the brace that ends them only comes when the call is whole. So a call that turns out to be none (its text is
 * then given back as text) has told no arguments that can be parsed.
 */
import { type ParsedToolCall, ToolCallReader } from "./tool-call.ts";

/** A tool call as it comes. The first delta of a call has its id and name; the `arguments` of all, joined, are those of the whole call. */
export interface ToolCallDelta {
  type: "tool_call_delta";
  /** Which call of the answer, counted from 0. */
  index: number;
  id?: string;
  name?: string;
  arguments: string;
}

/** A whole tool call. It follows its deltas. */
export interface WholeToolCall {
  type: "tool_call";
  /** Which call of the answer, counted from 0. Calls that turned out to be none have been counted too. */
  index: number;
  id: string;
  name: string;
  /** JSON text of an object. */
  arguments: string;
}

export type AssistantPart = { type: "text"; text: string } | { type: "reasoning"; text: string } | ToolCallDelta | WholeToolCall;

export interface AssistantParserOptions {
  /** The prompt ended inside of `<think>`. Default false. */
  startsInReasoning?: boolean;
  /** Whether tool calls are told from text. Default true. */
  toolCalls?: boolean;
  /** The id of the tool call with this index. Default `call_0`, `call_1` and so on. */
  callId?: (index: number) => string;
}

/** What is needed of a tokenizer. */
interface Tags {
  tokenToId(token: string): number | undefined;
}

/** Whether a prompt ends inside of `<think>`, so that what the model writes starts as reasoning. */
export function startsInReasoning(prompt: readonly number[], tokenizer: Tags): boolean {
  const opened = tokenizer.tokenToId("<think>");
  const closed = tokenizer.tokenToId("</think>");
  if (opened === undefined || closed === undefined) return false;
  return prompt.lastIndexOf(opened) > prompt.lastIndexOf(closed);
}

/** A call that is being read. */
interface OpenCall {
  readonly reader: ToolCallReader;
  /** From the line break before its tag on: what is given back if it turns out to be none. */
  readonly written: string[];
  /** Once its first delta was told: with the arguments told so far. */
  told: WholeToolCall | undefined;
}

export class AssistantParser {
  private readonly tagOf: ReadonlyMap<number, string>;
  private readonly callId: (index: number) => string;
  private state: "text" | "reasoning" = "text";
  private call: OpenCall | undefined;
  private parts: AssistantPart[] = [];
  private calls = 0;
  /** A line break at the end of text or reasoning, or all whitespace behind a call: it goes if a tag follows. */
  private heldSpace = "";
  private isBehindCall = false;
  /** How many line breaks go if they come next. */
  private breaksToDrop = 0;

  constructor(tokenizer: Tags, options: AssistantParserOptions = {}) {
    const tags = ["<think>", "</think>", ...((options.toolCalls ?? true) ? ["<tool_call>", "</tool_call>"] : [])];
    this.tagOf = new Map(tags.map((tag) => [tokenizer.tokenToId(tag) ?? -1, tag]));
    this.callId = options.callId ?? ((index) => `call_${index}`);
    if (options.startsInReasoning) this.state = "reasoning";
  }

  /** The call of which deltas were told and that is not whole: where the answer was cut off, with its arguments as far as they came. */
  get toldCall(): WholeToolCall | undefined {
    return this.call?.told;
  }

  /**
   * Takes a token and the text that it completed, as a `StreamDecoder` gives it (often empty, when a token ends inside a character).
   *
   * @returns what is known of the message by now: text and reasoning as they come, a tool call in deltas and once it is whole
   */
  push(id: number, text: string): AssistantPart[] {
    const tag = this.tagOf.get(id);
    if (tag === undefined) this.write(text);
    else {
      // The decoder may have given up on earlier bytes at this token, so something may stand before the tag.
      if (text.endsWith(tag)) this.write(text.slice(0, -tag.length));
      this.take(tag);
    }
    return this.takeParts();
  }

  /**
   * Ends the message.
   *
   * @param text what the decoder still held
   * @param isCut the model did not end it. A call that was told and is not whole is then left as it is (`toldCall`); else it ends as if its
   * closing tag had come.
   */
  flush(text = "", isCut = false): AssistantPart[] {
    const isLeft = isCut && this.call?.told !== undefined && !this.call.reader.isComplete;
    if (!isLeft) {
      this.write(text);
      if (this.call !== undefined) this.endCall(!isCut);
      if (!this.isBehindCall) this.emit(this.heldSpace);
    }
    this.heldSpace = "";
    return this.takeParts();
  }

  private take(tag: string): void {
    if (this.call !== undefined) this.takeInCall(tag, this.call);
    else this.takeInText(tag);
  }

  private takeInCall(tag: string, { reader }: OpenCall): void {
    if (reader.isInString || !tag.endsWith("tool_call>")) this.write(tag);
    else if (tag === "</tool_call>") this.endCall(true, tag);
    else {
      this.endCall(true); // its own tag is missing
      this.openCall(tag);
    }
  }

  private takeInText(tag: string): void {
    switch (`${this.state} ${tag}`) {
      case "text <think>":
        if (!this.isBehindCall) this.emit(this.heldSpace);
        this.enter("reasoning", 1);
        break;
      case "reasoning </think>":
        this.enter("text", 2);
        break;
      case "text <tool_call>":
        this.openCall(tag);
        break;
      default:
        this.write(tag); // it opens or closes nothing
    }
  }

  private enter(state: "text" | "reasoning", breaksToDrop: number): void {
    this.state = state;
    this.breaksToDrop = breaksToDrop;
    this.heldSpace = "";
    this.isBehindCall = false;
  }

  private openCall(tag: string): void {
    this.call = { reader: new ToolCallReader(), written: [this.heldSpace, tag], told: undefined };
    this.enter("text", 0);
  }

  /** @param mayBeMended whether the model ended the call, so that braces may be missing */
  private endCall(mayBeMended: boolean, tag = ""): void {
    const call = this.call!;
    const whole = mayBeMended || call.reader.isComplete ? call.reader.end() : null;
    if (whole === null) {
      call.written.push(tag);
      this.giveBack(call);
    } else {
      const told = this.tell(call, whole, whole.arguments.slice(call.told?.arguments.length ?? 0));
      this.parts.push({ ...told });
      this.call = undefined;
      this.isBehindCall = true;
    }
  }

  private giveBack({ written }: OpenCall): void {
    this.call = undefined;
    this.write(written.join(""));
  }

  private tell(call: OpenCall, { name }: Pick<ParsedToolCall, "name">, text: string): WholeToolCall {
    if (call.told === undefined) {
      const index = this.calls++;
      call.told = { type: "tool_call", index, id: this.callId(index), name, arguments: "" };
      this.parts.push({ type: "tool_call_delta", index, id: call.told.id, name, arguments: "" });
    }
    if (text !== "") this.parts.push({ type: "tool_call_delta", index: call.told.index, arguments: text });
    call.told.arguments += text;
    return call.told;
  }

  private writeCall(call: OpenCall, text: string): void {
    call.written.push(text);
    call.reader.push(text);
    const name = call.reader.begunName;
    if (call.reader.isBroken) this.giveBack(call);
    else if (name !== undefined) this.tell(call, { name }, call.reader.takeArguments());
  }

  private write(text: string): void {
    if (this.call !== undefined) this.writeCall(this.call, text);
    else this.writeText(text);
  }

  private writeText(text: string): void {
    let start = 0;
    while (this.breaksToDrop > 0 && text[start] === "\n") {
      start++;
      this.breaksToDrop--;
    }
    if (start === text.length) return;
    this.breaksToDrop = 0;
    const all = this.heldSpace + text.slice(start);
    this.isBehindCall &&= text.trim() === "";
    this.heldSpace = this.isBehindCall ? all : all.endsWith("\n") ? "\n" : "";
    this.emit(all.slice(0, all.length - this.heldSpace.length));
  }

  private emit(text: string): void {
    if (text !== "") this.parts.push({ type: this.state === "reasoning" ? "reasoning" : "text", text });
  }

  private takeParts(): AssistantPart[] {
    const { parts } = this;
    this.parts = [];
    return parts;
  }
}
