/** What computes a model's steps here: the caller's thread, or a team of threads where that is worth it. */
import type { KvType } from "../backend/backend.ts";
import { ReferenceBackend } from "../backend/reference.ts";
import { type ChosenKernels, chooseKernels, openWasmBackend } from "../backend/wasm/open.ts";
import { Qwen3Error } from "../core/errors.ts";
import { detectHost } from "../core/host.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import { quantizes } from "../model/weight-format.ts";
import { loadWeights } from "../model/weights.ts";
import { type Executor, LocalExecutor } from "./executor.ts";
import type { ModelOptions } from "./model-options.ts";
import { forInstances, forThread, type MemoryPlan, plannedKvPages, SMALL_MODEL_BYTES } from "./plan.ts";
import { type StartThread, threadStarter } from "./threads.ts";

/** @param start starts threads. Default: as the host does */
export async function openExecutor(
  checkpoint: Checkpoint,
  plan: MemoryPlan,
  options: ModelOptions & { readonly kvCache: KvType },
  start?: StartThread,
): Promise<Executor> {
  const { wasm = {}, kvCache } = options;
  const work = {
    isSmall: plan.weightBytes < SMALL_MODEL_BYTES,
    isUnquantized: kvCache !== "int8" && !quantizes(checkpoint.tensors.values(), options),
  };
  const kernels = options.backend === "reference" ? undefined : await chooseKernels(wasm, work);
  if (plan.threads > 1)
    try {
      return await openTeam(checkpoint, plan, options, kernels, start);
    } catch (error) {
      const cannotStart = error instanceof Qwen3Error && error.code === "BACKEND_UNAVAILABLE";
      if (!cannotStart || options.threads !== undefined) throw error; // who asked for threads is told
    }
  const backend = kernels ? openWasmBackend(kernels, wasm, forInstances(plan)) : new ReferenceBackend();
  try {
    const weights = await loadWeights(backend, checkpoint, options);
    return new LocalExecutor(backend, checkpoint.config, weights, kvCache, plannedKvPages(plan, options.maxSequences));
  } catch (error) {
    backend.close();
    throw error;
  }
}

async function openTeam(
  checkpoint: Checkpoint,
  plan: MemoryPlan,
  options: ModelOptions & { readonly kvCache: KvType },
  kernels: ChosenKernels | undefined,
  start: StartThread | undefined,
): Promise<Executor> {
  const { TeamExecutor } = await import("./team.ts"); // small models start sooner without
  const { threads: count } = plan;
  const { maximumBytes, instanceBytes } = options.wasm ?? {};
  const host = detectHost();
  return TeamExecutor.open(checkpoint, {
    ...options,
    start: start ?? (await threadStarter(host)),
    count,
    patient: count <= (await host.processors()),
    kernels,
    limits: { maximumBytes: maximumBytes && maximumBytes / count, instanceBytes },
    planned: forThread(plan, checkpoint.config.num_key_value_heads),
    mostPages: plannedKvPages(plan, options.maxSequences),
  });
}
