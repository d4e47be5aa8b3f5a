/**
 * A checkpoint, loaded into a backend: what runs the forward pass for everything above.
 */
import { KvCache, KvPool } from "../backend/kv-pages.ts";
import { Qwen3Error } from "../core/errors.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import type { GenerationConfig, ModelConfig } from "../formats/config.ts";
import type { CheckpointLocation } from "../formats/location.ts";
import { openModel } from "../hub/open-model.ts";
import { appendTrace, type TraceTensor } from "../model/trace.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { Engine } from "./engine.ts";
import type { EngineStatistics } from "./engine-statistics.ts";
import type { Executor } from "./executor.ts";
import { kvTypeOf, type ModelOptions, planOptions, requireModelOptions } from "./model-options.ts";
import { openExecutor } from "./open-executor.ts";
import {
  DEFAULT_BATCHED_TOKENS,
  DEFAULT_SEQUENCES,
  type MemoryPlan,
  memoryPlan,
  mostKvBytes,
  plannedKvPages,
  requireFit,
} from "./plan.ts";
import { Runner, type RunOptions } from "./runner.ts";
import { SavedCaches } from "./saved-caches.ts";
import { SequenceCache } from "./sequence-cache.ts";
import { StepQueue } from "./step.ts";
import { tokenizerOrReason } from "./tokenizer-files.ts";

export interface ForwardOptions {
  /** "last" (default): [vocab] of the last token; "all": [tokens, vocab]; "none". */
  readonly logits?: "last" | "all" | "none" | undefined;
  /** Also the last hidden state, after the final norm: [tokens, hidden_size]. */
  readonly hidden?: boolean | undefined;
  /** Collects every stage of the forward pass under its checkpoint name. */
  readonly trace?: boolean | undefined;
  /** Called for every stage of every step of at most `maxBatchedTokens` tokens; for lm_head once per 32 rows. */
  readonly onTrace?: ((name: string, tensor: TraceTensor) => void) | undefined;
  /** Goes on where this cache ends, and leaves the tokens in it. */
  readonly cache?: SequenceCache | undefined;
  /** Absolute position of the first token; only for an empty cache. Default 0. */
  readonly position?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timings?: boolean | undefined;
}

export interface ForwardResult {
  readonly logits?: Float32Array;
  readonly hidden?: Float32Array;
  readonly trace?: ReadonlyMap<string, TraceTensor>;
  readonly timings?: { readonly ms: number; readonly tokensPerSecond: number };
}

export class LocalModel {
  readonly name: string;
  readonly config: ModelConfig;
  readonly generationConfig: GenerationConfig;
  readonly plan: MemoryPlan;
  /** The checkpoint's tokenizer, or why there is none. */
  readonly #tokenizer: Tokenizer | Qwen3Error;
  /** @internal: this and the pool */
  readonly executor: Executor;
  readonly kvPool: KvPool;
  readonly #runner: Runner;
  readonly #engine: Engine;
  readonly #saved: SavedCaches;
  readonly #caches = new Set<SequenceCache>();
  #closed = false;

  private constructor(
    checkpoint: Checkpoint,
    executor: Executor,
    options: ModelOptions,
    plan: MemoryPlan,
    tokenizer: Tokenizer | Qwen3Error,
  ) {
    const { maxBatchedTokens = DEFAULT_BATCHED_TOKENS, maxSequences = DEFAULT_SEQUENCES } = options;
    this.config = checkpoint.config;
    this.generationConfig = checkpoint.generationConfig;
    this.plan = plan;
    this.#tokenizer = tokenizer;
    this.kvPool = new KvPool(executor.store, mostKvBytes(plan), plannedKvPages(plan, maxSequences));
    this.name = checkpoint.name;
    this.executor = executor;
    const queue = new StepQueue();
    this.#runner = new Runner(executor, checkpoint.config, maxBatchedTokens, queue);
    this.#saved = new SavedCaches(
      checkpoint,
      { ...options, kvCache: kvTypeOf(checkpoint, options) },
      this.kvPool,
      this.#runner,
      queue,
    );
    const vocabSize = checkpoint.config.vocab_size;
    const { maxWaiting, prefixCache } = options;
    const engineOptions = { maxBatchedTokens, maxSequences, maxWaiting, prefixCache, vocabSize };
    this.#engine = new Engine(executor, this.kvPool, engineOptions, queue);
  }

  static async load(location: CheckpointLocation, options: ModelOptions = {}): Promise<LocalModel> {
    const { signal } = options;
    requireModelOptions(options);
    const checkpoint = await openModel(location, { hub: options.hub, signal });
    try {
      const plan = memoryPlan(checkpoint, await planOptions(checkpoint, options));
      requireFit(plan, checkpoint.config);
      options.onPlan?.(plan);
      const tokenizing = tokenizerOrReason(checkpoint); // while weights are being read
      tokenizing.catch(() => undefined); // told where it is needed
      const executor = await openExecutor(checkpoint, plan, { ...options, kvCache: kvTypeOf(checkpoint, options) });
      try {
        return new LocalModel(checkpoint, executor, options, plan, await tokenizing);
      } catch (error) {
        await executor.close();
        throw error;
      }
    } finally {
      await checkpoint.close();
    }
  }

  /** Errors: TOKENIZER_MISSING where the checkpoint has none, TOKENIZER_FILE where it is broken or of a kind that is not supported. */
  get tokenizer(): Tokenizer {
    if (this.#tokenizer instanceof Qwen3Error) throw this.#tokenizer;
    return this.#tokenizer;
  }

  get tokenizerIfAny(): Tokenizer | undefined {
    return this.#tokenizer instanceof Qwen3Error ? undefined : this.#tokenizer;
  }

  /** One line about what computes: backend, build of the kernels. */
  get description(): string {
    return this.executor.description;
  }

  get bytesInUse(): number {
    return this.executor.bytesInUse;
  }

  newCache(): SequenceCache {
    this.#requireOpen();
    const cache = new SequenceCache(new KvCache(this.kvPool), {
      closed: (closed) => this.#caches.delete(closed),
      forked: (fork) => this.#caches.add(fork),
      save: (saved) => this.#saved.save(saved),
    });
    this.#caches.add(cache);
    return cache;
  }

  /** A cache with what another one had when it was saved. Errors: CACHE_FILE, CONTEXT_FULL, MEMORY_FULL, CLOSED. */
  async restoreCache(bytes: Uint8Array): Promise<SequenceCache> {
    const cache = this.newCache();
    try {
      await this.#saved.restore(bytes, cache, this.plan.maxModelLen);
      return cache;
    } catch (error) {
      cache.close();
      throw error;
    }
  }

  async forward(prompt: readonly number[], options: ForwardOptions = {}): Promise<ForwardResult> {
    this.#requireOpen();
    const { logits = "last", hidden = false, position } = options;
    if (!["last", "all", "none"].includes(logits))
      throw new Qwen3Error("ARGUMENT", `logits is ${logits}; allowed: "last", "all", "none"`);
    const ids = [...prompt]; // the caller may go on to change theirs
    const cache = options.cache ?? this.newCache();
    const release = cache.acquire();
    try {
      this.requirePrompt(ids, { cache, position });
      if (position !== undefined) cache.kv.start = position;
      const trace = options.trace ? new Map<string, TraceTensor>() : undefined;
      const onTrace: RunOptions["onTrace"] =
        trace || options.onTrace
          ? (name, tensor) => {
              if (trace) appendTrace(trace, name, tensor);
              options.onTrace?.(name, tensor);
            }
          : undefined;
      const begun = performance.now();
      const [result] = await this.#runner.run([{ cache, ids, logits, hidden }], { signal: options.signal, onTrace });
      const ms = performance.now() - begun;
      return {
        ...result,
        ...(trace && { trace }),
        ...(options.timings && { timings: { ms, tokensPerSecond: (ids.length * 1000) / ms } }),
      };
    } finally {
      release();
      if (!options.cache) cache.close();
    }
  }

  /** What generates, for all calls together. */
  get engine(): Engine {
    this.#requireOpen();
    return this.#engine;
  }

  /** How busy it is, and what its generations have come to. */
  get statistics(): EngineStatistics {
    return this.engine.statistics;
  }

  /** Throws unless `ids` are tokens of this model and, behind what the cache holds, within the context. */
  requirePrompt(
    ids: readonly number[],
    { cache, position, which = "the prompt" }: { cache?: SequenceCache; position?: number | undefined; which?: string } = {},
  ): void {
    const { vocab_size, max_position_embeddings } = this.config;
    if (ids.length === 0) throw new Qwen3Error("ARGUMENT", `${which} is empty; at least one token is needed`);
    for (let i = 0; i < ids.length; i++)
      if (!Number.isInteger(ids[i]) || ids[i]! < 0 || ids[i]! >= vocab_size)
        throw new Qwen3Error("ARGUMENT", `token ${i} of ${which} is ${ids[i]}; allowed: 0..${vocab_size - 1}`);
    const length = (cache?.length ?? 0) + ids.length;
    const { maxModelLen } = this.plan;
    if (length > maxModelLen) {
      const behind = cache && cache.length > 0 ? ` behind ${cache.length} in the cache` : "";
      throw new Qwen3Error("CONTEXT_FULL", `${which} has ${ids.length} tokens${behind}; maxModelLen is ${maxModelLen}`);
    }
    const end = (cache && cache.length > 0 ? cache.position : (position ?? cache?.position ?? 0)) + ids.length;
    if (end > max_position_embeddings)
      throw new Qwen3Error(
        "CONTEXT_FULL",
        `the last token would stand at position ${end - 1}; the model knows 0..${max_position_embeddings - 1}`,
      );
  }

  /** Frees weights and caches. Calls after it fail with CLOSED. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#engine.close();
    for (const cache of [...this.#caches]) cache.close();
    await this.executor.close();
  }

  #requireOpen(): void {
    if (this.#closed) throw new Qwen3Error("CLOSED", `${this.name} was closed`);
  }
}
