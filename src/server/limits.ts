/** How much one request, and all together, may ask for. */
export interface ServerLimits {
  /** Bytes of a request's body; counted while it is read. Default 4 MiB. */
  readonly bodyBytes: number;
  /** How long a body may take to come, in milliseconds. Default 60,000. */
  readonly bodyTimeoutMs: number;
  /** How long a stream waits for a reader that takes nothing, in milliseconds. Default 300,000. */
  readonly readerTimeoutMs: number;
  /** Levels of objects and arrays in a body. Default 64. */
  readonly bodyDepth: number;
  /** Bodies that are being read at once. Default 1,024. */
  readonly bodies: number;
  /** Bytes that all of them take. Default 256 MiB. */
  readonly heldBytes: number;
  /** Answers that are computed or wait for it, each choice counted; more get a 429. Default 320. */
  readonly answers: number;
  /** Default 2,048. */
  readonly messages: number;
  /** Default 128. */
  readonly tools: number;
  /** Prompts in one request for completions. Default 128. */
  readonly prompts: number;
  /** Answers to one prompt: `n`, `best_of`. Default 16. */
  readonly choices: number;
  /** Default 20, which is also the most. */
  readonly logprobs: number;
  /** Default 16. */
  readonly stops: number;
  /** Characters of one stop string. Default 1,000. */
  readonly stopLength: number;
  /** Entries of `logit_bias`. Default 1,024. */
  readonly logitBias: number;
  /** Characters of a schema or pattern. Default 262,144. */
  readonly schemaLength: number;
  /** Levels in a schema. Default 32. */
  readonly schemaDepth: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  bodyBytes: 4 * 1024 * 1024,
  bodyTimeoutMs: 60_000,
  readerTimeoutMs: 300_000,
  bodyDepth: 64,
  bodies: 1024,
  heldBytes: 256 * 1024 * 1024,
  answers: 320,
  messages: 2048,
  tools: 128,
  prompts: 128,
  choices: 16,
  logprobs: 20,
  stops: 16,
  stopLength: 1000,
  logitBias: 1024,
  schemaLength: 262_144,
  schemaDepth: 32,
};
