/**
 * qwen3.ts: Qwen3 language models on any JavaScript runtime. The whole public API.
 *
 * Start with `Qwen3.fromPretrained(location, options)`. Everything that fails on purpose throws a `Qwen3Error` with a stable `code`.
 */
export type { KvType } from "./backend/backend.ts";
export type { ChatFinish, ChatFinishReason, ChatOptions, ChatPart, ChatResult, TokenPart } from "./chat/chat.ts";
export type { ChatModel } from "./chat/chat-model.ts";
export { Qwen3 } from "./chat/pretrained.ts";
export type { ToolChoice } from "./chat/tool-choice.ts";
export { type ErrorCode, Qwen3Error } from "./core/errors.ts";
export type { EngineStatistics } from "./engine/engine-statistics.ts";
export type { FinishReason, GenerateOptions, LogitsProcessor, SampledToken, Timings, Usage } from "./engine/generate.ts";
export type { ForwardOptions, ForwardResult } from "./engine/local-model.ts";
export type { ModelOptions } from "./engine/model-options.ts";
export type { PartStream } from "./engine/part-stream.ts";
export { formatBytes, type MemoryPlan } from "./engine/plan.ts";
export type { SequenceCache } from "./engine/sequence-cache.ts";
export type { Speculation } from "./engine/speculation.ts";
export type { GeneratedPart, GenerationResult, TextGenerateOptions } from "./engine/text-generation.ts";
export type { GenerationConfig, ModelConfig } from "./formats/config.ts";
export type { CheckpointLocation } from "./formats/location.ts";
export { type ByteSource, blobSource, bytesSource, type CheckpointSource, memoryFolder } from "./formats/source.ts";
export type { Grammar, Reasoning } from "./grammar/compile.ts";
export type { GrammarSpec } from "./grammar/grammar-spec.ts";
export type { CachedModel, CachedRevision, HubCache } from "./hub/cache.ts";
export { cachedModels, pullModel, removeModel } from "./hub/models.ts";
export type { Pulled, PullOptions, PullProgress } from "./hub/pull.ts";
export type { HubOptions } from "./hub/settings.ts";
export { type Quantized, type QuantizedMatrix, type QuantizeOptions, quantizeCheckpoint } from "./model/quantize-checkpoint.ts";
export type { TraceTensor } from "./model/trace.ts";
export type { ActivationType, WeightType } from "./model/weight-format.ts";
export type { LoadProgress } from "./model/weights.ts";
export type { TokenConstraint } from "./sampler/constraint.ts";
export type { Logprobs } from "./sampler/logprobs.ts";
export type { LogitMask } from "./sampler/mask.ts";
export type { SamplingOptions } from "./sampler/params.ts";
export type { AssistantPart, ToolCallDelta, WholeToolCall } from "./text/assistant-parser.ts";
export type { ChatMessage, Tool, ToolCall } from "./text/messages.ts";
export type { StreamDecoder } from "./text/stream-decoder.ts";
export type { ChatTemplateOptions, EncodeOptions, Tokenizer } from "./text/tokenizer.ts";
