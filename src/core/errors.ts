/**
 * Every error that this package throws on purpose: one class, a stable `code` to branch on, and a message that says what was
 * wrong, where, what was got and what is allowed.
 */
export type ErrorCode =
  | "ARGUMENT" // a call's argument is of the wrong type or out of its range
  | "SOURCE_READ" // a file, URL or blob could not be read
  | "HUB_NOT_FOUND" // the hub has no such model, revision or file, or does not show it without a token
  | "HUB_ACCESS" // the hub wants a token, or a licence accepted first
  | "HUB_OFFLINE" // not in the cache, and the hub may not be asked
  | "HUB_FILE" // what the hub sent is not what it announced
  | "STORAGE_FULL" // a disk or a page's storage has no room for what is to be kept
  | "CHECKPOINT_FILE" // a file of the checkpoint is missing or is not what its name says
  | "CHECKPOINT_HEADER" // a header or index of safetensors or GGUF breaks the format
  | "CHECKPOINT_CONFIG" // config.json or GGUF metadata describe something that is not computed here
  | "CHECKPOINT_TENSOR" // a tensor is missing, unexpected, or of the wrong shape or type
  | "TOKENIZER_MISSING" // the checkpoint has no tokenizer and text was asked for
  | "TOKENIZER_FILE" // tokenizer.json or tokenizer_config.json is broken or of an unsupported kind
  | "CHAT_TEMPLATE" // the template is missing, fails, or cannot be rendered safely
  | "CACHE_FILE" // bytes of a saved cache are broken, or of another model
  | "CONTEXT_FULL" // more tokens than the model's or the plan's context
  | "MEMORY_PLAN" // the plan does not fit the budget
  | "MEMORY_FULL" // an allocation failed
  | "QUEUE_FULL" // more requests wait than may
  | "BACKEND_UNAVAILABLE" // the host lacks what a backend needs, or a probe found it computing wrongly
  | "BACKEND_LOST" // a thread that computes has died; the model can only be closed
  | "GRAMMAR_SYNTAX" // no JSON schema, or no regular expression
  | "GRAMMAR_UNSUPPORTED" // a keyword, format or operator that cannot be enforced
  | "GRAMMAR_LIMIT" // a schema or pattern that is too large to compile
  | "GRAMMAR_EMPTY" // no text at all fits
  | "SAMPLER_LOGITS" // logits that cannot be sampled from: NaN, or everything masked
  | "CLOSED"; // the model or cache was closed

export class Qwen3Error extends Error {
  override readonly name = "Qwen3Error";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
