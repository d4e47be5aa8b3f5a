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

export async function openExecutor(
  checkpoint: Checkpoint,
  plan: MemoryPlan,
  options: ModelOptions & { readonly kvCache: KvType },
): Promise<Executor> {
  const { wasm = {}, kvCache } = options;
  const kernels = options.backend === "reference" ? undefined : await chooseKernels(wasm);
  if (plan.threads > 1) {
    const { TeamExecutor } = await import("./team.ts"); // small models start sooner without
    const host = detectHost();
    return TeamExecutor.open(checkpoint, {
      ...options,
      start: await threadStarter(host),
      count: plan.threads,
      patient: plan.threads <= (await host.processors()),
      kernels,
      limits: { maximumBytes: wasm.maximumBytes && wasm.maximumBytes / plan.threads, instanceBytes: wasm.instanceBytes },
      planned: forThread(plan, checkpoint.config.num_key_value_heads),
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
