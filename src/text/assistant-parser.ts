/**
 * Sorts what a model writes into text, reasoning and tool calls, while it writes. Reasoning stands between `<think>` and `</think>`, a
 * tool call between `<tool_call>` and `</tool_call>`; they are told by their token ids, so that text which merely looks the same, because
 * a user asked for it or a tool sent it, is text.
 *
 * The line breaks that Qwen's chat templates put around these tags are not part of what is between them: they are left out here, and
 * the template puts them back when the message becomes history, which then has the very tokens that the model wrote.
 */
import { parseToolCall } from "./tool-call.ts";

export type AssistantPart =
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string }
  | { type: "tool_call"; id: string; name: string; arguments: string };

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

export class AssistantParser {
  private readonly tagOf: ReadonlyMap<number, string>;
  private readonly callId: (index: number) => string;
  private state: "text" | "reasoning" | "call";
  private parts: AssistantPart[] = [];
  private calls = 0;
  /** A line break at the end of text or reasoning: it goes if a tag follows. */
  private heldBreak = "";
  /** How many line breaks go if they come next. */
  private breaksToDrop = 0;
  /** The present call's text from its opening tag on, and the line break that was dropped before it. */
  private call: string[] = [];

  constructor(tokenizer: Tags, options: AssistantParserOptions = {}) {
    const tags = ["<think>", "</think>", ...((options.toolCalls ?? true) ? ["<tool_call>", "</tool_call>"] : [])];
    this.tagOf = new Map(tags.map((tag) => [tokenizer.tokenToId(tag) ?? -1, tag]));
    this.callId = options.callId ?? ((index) => `call_${index}`);
    this.state = options.startsInReasoning ? "reasoning" : "text";
  }

  /**
   * Takes a token and the text that it completed, as a `StreamDecoder` gives it (often empty, when a token ends inside a character).
   *
   * @returns what is known of the message by now: text and reasoning as they come, a tool call once it is complete
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

  /** Ends the message. `text` is what the decoder still held. A call that is not complete is given back as text. */
  flush(text = ""): AssistantPart[] {
    this.write(text);
    if (this.state === "call") this.giveUpCall();
    this.emit(this.heldBreak);
    this.heldBreak = "";
    return this.takeParts();
  }

  private take(tag: string): void {
    switch (`${this.state} ${tag}`) {
      case "text <think>":
        this.emit(this.heldBreak);
        this.enter("reasoning", 1);
        break;
      case "reasoning </think>":
        this.enter("text", 2);
        break;
      case "call <tool_call>": // the one before was never closed
        this.giveUpCall();
        this.openCall(tag);
        break;
      case "text <tool_call>":
        this.openCall(tag);
        break;
      case "call </tool_call>":
        this.closeCall(tag);
        break;
      default:
        this.write(tag); // it opens or closes nothing
    }
  }

  private enter(state: "text" | "reasoning" | "call", breaksToDrop: number): void {
    this.state = state;
    this.breaksToDrop = breaksToDrop;
    this.heldBreak = "";
  }

  private openCall(tag: string): void {
    this.call = [this.heldBreak, tag];
    this.enter("call", 0);
  }

  private closeCall(tag: string): void {
    const parsed = parseToolCall(this.call.slice(2).join(""));
    if (parsed !== null) {
      this.parts.push({ type: "tool_call", id: this.callId(this.calls++), ...parsed });
      this.enter("text", 0);
    } else {
      this.call.push(tag);
      this.giveUpCall();
    }
  }

  private giveUpCall(): void {
    const text = this.call.join("");
    this.enter("text", 0);
    this.write(text);
  }

  private write(text: string): void {
    if (this.state === "call") {
      this.call.push(text);
      return;
    }
    let start = 0;
    while (this.breaksToDrop > 0 && text[start] === "\n") {
      start++;
      this.breaksToDrop--;
    }
    if (start === text.length) return;
    this.breaksToDrop = 0;
    const all = this.heldBreak + text.slice(start);
    this.heldBreak = all.endsWith("\n") ? "\n" : "";
    this.emit(all.slice(0, all.length - this.heldBreak.length));
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
