/** One request to a server under load, by Node's own client: each on a connection of its own, which is gone when it ends. */
import { type ClientRequest, type IncomingMessage, request } from "node:http";

export interface Asked {
  readonly status: number;
  readonly body: string;
  /** Milliseconds to the first byte of the body, and to the last. */
  readonly firstMs: number;
  readonly ms: number;
}

export interface AskOptions {
  /** Called with the body as far as it came; true leaves. */
  readonly leave?: (body: string) => boolean;
  readonly timeoutMs?: number;
}

/** @returns undefined where it left */
export function ask(url: string, body?: object, { leave, timeoutMs = 120_000 }: AskOptions = {}): Promise<Asked | undefined> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    let made: ClientRequest;
    const timer = setTimeout(() => made.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const end = (result: Asked | undefined) => {
      clearTimeout(timer);
      resolve(result);
    };
    const read = (response: IncomingMessage) => {
      let text = "";
      let firstMs = 0;
      response.setEncoding("utf8").on("data", (piece: string) => {
        if (text === "") firstMs = performance.now() - begun;
        text += piece;
        if (!leave?.(text)) return;
        made.destroy();
        end(undefined);
      });
      response.on("end", () => end({ status: response.statusCode ?? 0, body: text, firstMs, ms: performance.now() - begun }));
      response.on("error", reject);
    };
    const headers = { "content-type": "application/json" };
    made = request(url, { method: body ? "POST" : "GET", headers, agent: false }, read);
    made.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    made.end(body && JSON.stringify(body));
  });
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The text of a streamed chat; an error where it does not end as one does. */
export function streamedText({ status, body }: Asked): string {
  if (status !== 200 || !body.endsWith("data: [DONE]\n\n")) throw new Error(`${status}: ${body.slice(-200)}`);
  const events = body.split("\n\n").filter((line) => line.startsWith("data: {"));
  return events.map((line) => JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "").join("");
}

/** The `share` quantile. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
