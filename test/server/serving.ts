/** A server on nano, in this process, and how tests ask it. */
import { Qwen3 } from "../../src/index.ts";
import { createServer, type Server, type ServerOptions } from "../../src/server.ts";
import { nanoPath } from "../paths.ts";

export const model = await Qwen3.fromPretrained(nanoPath);
export const chatModel = model.chatModel();

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into field by field
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Json;
}

export class Client {
  readonly server: Server;
  readonly lines: string[] = [];

  constructor(options: ServerOptions = {}) {
    this.server = createServer(chatModel, { servedModelNames: ["nano"], log: (line) => this.lines.push(line), ...options });
  }

  /** @param body what is no string becomes JSON */
  async ask(path: string, body?: unknown, { headers = {}, method }: { headers?: Record<string, string>; method?: string } = {}) {
    const request = new Request(`http://localhost${path}`, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers,
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return read(await this.server.fetch(request));
  }

  chat(body: object): Promise<Answer> {
    return this.ask("/v1/chat/completions", { messages: QUESTION, temperature: 0, ...body });
  }

  complete(body: object): Promise<Answer> {
    return this.ask("/v1/completions", { prompt: "Who are you?", temperature: 0, ...body });
  }
}

export async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  const { status, headers } = response;
  const json = /json/.test(headers.get("content-type") ?? "") ? JSON.parse(text) : undefined;
  return { status, headers, text, json };
}

/** The events of a stream; it must end with `[DONE]`. */
export function eventsOf(text: string): Json[] {
  const data = text.split("\n\n").filter((block) => block.startsWith("data: "));
  if (data.pop() !== "data: [DONE]") throw new Error(`the stream does not end with [DONE]: ${text.slice(-200)}`);
  return data.map((block) => JSON.parse(block.slice("data: ".length)));
}

export const QUESTION = [{ role: "user", content: "Who are you?" }];
export const ANSWER = "I am nano, a tiny teaching model with the Qwen3 architecture and about 5 million parameters.";
/** Nearly every token is as likely as any other: with this seed no end token comes for long. */
export const ENDLESS = { temperature: 100, top_p: 1, top_k: 0, seed: 1 };
export const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
