/** What a checkpoint is and what it needs, from its configuration and headers alone. */
import type { KvType } from "../backend/backend.ts";
import { Qwen3Error } from "../core/errors.ts";
import { detectHost } from "../core/host.ts";
import { type EncodingCost, encodingCosts } from "../engine/encoding-costs.ts";
import { planOptions } from "../engine/model-options.ts";
import { type MemoryPlan, memoryPlan } from "../engine/plan.ts";
import { tokenizerOrReason } from "../engine/tokenizer-files.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import { encodingName } from "../formats/encoding.ts";
import type { ModelConfig, WeightType } from "../index.ts";
import { resolveSampling, type SamplingParams } from "../sampler/params.ts";
import type { InfoValues } from "./commands.ts";
import { toModelOptions } from "./model.ts";

/** What `info --json` prints. */
export interface Info {
  readonly model: string;
  readonly architecture: ModelConfig;
  /** Values in all tensors; a tied lm_head counts once. */
  readonly parameters: number;
  readonly tensors: number;
  readonly dtypes: readonly string[];
  /** What matrices take, by how they are stored. */
  readonly encodings: readonly EncodingCost[];
  readonly storedBytes: number;
  readonly tokenizer: { readonly tokens: number } | null;
  /** Why the one that is there cannot be used. */
  readonly tokenizerProblem?: string;
  readonly sampling: Omit<SamplingParams, "seed" | "logitBias">;
  readonly stopTokens: readonly { readonly id: number; readonly text?: string }[];
  readonly memory: {
    readonly backend: string;
    readonly weights: WeightType;
    readonly kvCache: KvType;
    readonly machineBytes: number | null;
    readonly plan: MemoryPlan;
    readonly fits: boolean;
    /** Why it does not fit; empty where it does. */
    readonly exceeds: readonly Limit[];
    readonly contexts: readonly ContextNeed[];
  };
}

/** What a plan can be too much for: the positions that the model knows, or the memory budget. */
export type Limit = "max_position_embeddings" | "memory_budget";

/** What the model would take at some context. */
export interface ContextNeed {
  readonly context: number;
  readonly kvCache: KvType;
  readonly totalBytes: number;
  readonly fits: boolean;
}

const CONTEXTS: readonly number[] = [4096, 32_768, 262_144];

export async function checkpointInfo(checkpoint: Checkpoint, values: InfoValues): Promise<Info> {
  const { config, generationConfig, tensors } = checkpoint;
  const found = await tokenizerOrReason(checkpoint);
  const tokenizer = found instanceof Qwen3Error ? undefined : found;
  const { seed: _, logitBias: __, ...sampling } = resolveSampling({ seed: 0 }, generationConfig);
  const stored = [...tensors.values()];
  return {
    model: checkpoint.name,
    architecture: config,
    parameters: stored.reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0),
    tensors: tensors.size,
    dtypes: [...new Set(stored.map(({ encoding }) => encodingName(encoding)))],
    encodings: encodingCosts(checkpoint, await planOptions(checkpoint, toModelOptions(values))),
    storedBytes: checkpoint.tensorBytes,
    tokenizer: tokenizer ? { tokens: tokenizer.vocabSize } : null,
    ...(found instanceof Qwen3Error && found.code === "TOKENIZER_FILE" && { tokenizerProblem: found.message }),
    sampling,
    stopTokens: generationConfig.eos_token_id.map((id) => ({ id, ...(tokenizer && { text: tokenizer.decode([id]) }) })),
    memory: await memoryOf(checkpoint, values),
  };
}

async function memoryOf(checkpoint: Checkpoint, values: InfoValues): Promise<Info["memory"]> {
  const options = await planOptions(checkpoint, toModelOptions(values));
  const longest = checkpoint.config.max_position_embeddings;
  const need = (context: number, kvCache: KvType): ContextNeed => {
    const plan = memoryPlan(checkpoint, { ...options, kvCache, maxModelLen: context });
    return { context, kvCache, totalBytes: plan.totalBytes, fits: exceededBy(plan, longest).length === 0 };
  };
  const contexts = [...new Set([...CONTEXTS.filter((context) => context < longest), longest])];
  const plan = memoryPlan(checkpoint, options);
  const exceeds = exceededBy(plan, longest);
  const machineBytes = (await detectHost().totalMemoryBytes()) ?? null;
  return {
    backend: options.backend,
    weights: options.weights,
    kvCache: options.kvCache,
    machineBytes,
    plan,
    fits: exceeds.length === 0,
    exceeds,
    contexts: contexts.flatMap((context) => [need(context, "f16"), need(context, "int8")]),
  };
}

function exceededBy(plan: MemoryPlan, longest: number): Limit[] {
  const limits: Limit[] = [];
  if (plan.maxModelLen > longest) limits.push("max_position_embeddings");
  // Without a length asked for, a budget that has no room for any cache gives a context of no tokens.
  if (plan.maxModelLen < 1 || plan.totalBytes > plan.budgetBytes) limits.push("memory_budget");
  return limits;
}
