/** What a server can be told. */
import type { ServerLimits } from "./limits.ts";

export interface ServerOptions {
  /** Names that clients may ask for; the first is told. Default: the checkpoint's folder. */
  readonly servedModelNames?: readonly string[] | undefined;
  /** Keys, one of which every request must bring, those for the page and `/health` excepted. Default: none is needed. */
  readonly apiKeys?: readonly string[] | undefined;
  /** Host names under which the server answers, "*" for any, "<address>" for IP addresses. Default: those of the machine itself (localhost, 127.0.0.1, [::1]). */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Origins of pages that may ask, "*" for any. Default: none but the server's own. */
  readonly allowedOrigins?: readonly string[] | undefined;
  readonly limits?: Partial<ServerLimits> | undefined;
  /** False leaves `<tool_call>` blocks in the text. Default true. */
  readonly toolCalls?: boolean | undefined;
  /** Takes a line for each request. Default: nobody does. */
  readonly log?: ((line: string) => void) | undefined;
  /** Whether lines have the request's body too, prompts included. Default false. */
  readonly logBodies?: boolean | undefined;
  /** A stream that is silent for this long gets a comment, in milliseconds. Default 10,000. */
  readonly keepAliveMs?: number | undefined;
  /** What `/version` tells. */
  readonly version?: string | undefined;
}
