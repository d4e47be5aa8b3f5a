/** What computes a model's steps here: the caller's thread, or a team of threads where that is worth it. */
import type { KvType } from "../backend/backend.ts";
import { ReferenceBackend } from "../backend/reference.ts";
import { chooseKernels, openWasmBackend } from "../backend/wasm/backend.ts";
import { detectHost } from "../core/host.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import { loadWeights } from "../model/weights.ts";
import { type Executor, LocalExecutor } from "./executor.ts";
import type { ModelOptions } from "./local-model.ts";
import { forInstances, forThread, type MemoryPlan, mostKvPages } from "./plan.ts";
import { threadStarter } from "./threads.ts";

/** Smaller models answer sooner than threads have started. */
export const LEAST_THREADED_BYTES = 64 * 1024 * 1024;

export async function openExecutor(
  checkpoint: Checkpoint,
  plan: MemoryPlan,
  options: ModelOptions & { readonly kvCache: KvType },
): Promise<Executor> {
  const { wasm = {}, kvCache } = options;
  const kernels = options.backend === "reference" ? undefined : await chooseKernels(wasm);
  const processors = await detectHost().processors();
  const kvHeads = checkpoint.config.num_key_value_heads;
  const count = options.threads ?? (worthThreads(plan, options) ? Math.min(processors, kvHeads) : 1);
  const start = count > 1 ? await threadStarter() : undefined;
  if (start) {
    const { TeamExecutor } = await import("./team.ts"); // small models start sooner without
    return TeamExecutor.open(checkpoint, {
      ...options,
      start,
      count,
      patient: count <= processors,
      kernels,
      limits: { maximumBytes: wasm.maximumBytes && wasm.maximumBytes / count, instanceBytes: wasm.instanceBytes },
      planned: forThread(plan, kvHeads, count),
      mostPages: mostKvPages(plan),
    });
  }
  const backend = kernels ? openWasmBackend(kernels, wasm, forInstances(plan)) : new ReferenceBackend();
  try {
    const weights = await loadWeights(backend, checkpoint, options);
    return new LocalExecutor(backend, checkpoint.config, weights, kvCache, mostKvPages(plan));
  } catch (error) {
    backend.close();
    throw error;
  }
}

function worthThreads({ weightBytes }: MemoryPlan, { backend }: ModelOptions): boolean {
  return backend !== "reference" && weightBytes >= LEAST_THREADED_BYTES;
}
