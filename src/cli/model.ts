/** Options of the command line as the library takes them, and loading a model with them. */
import { type ChatTemplateOptions, type GenerateOptions, type ModelOptions, Qwen3, type SamplingOptions } from "../index.ts";
import type { generationOptions, modelOptions, samplingOptions } from "./commands.ts";
import type { Values } from "./options.ts";
import { bundledModel } from "./package.ts";
import { ProgressLine } from "./progress.ts";
import type { Streams } from "./streams.ts";

type ModelValues = Values<typeof modelOptions>;
type SamplingValues = Values<typeof samplingOptions>;

export function toModelOptions(values: ModelValues): ModelOptions {
  return {
    backend: values.backend,
    wasm: { build: values["wasm-build"] },
    weights: values.weights,
    activations: values.activations,
    kvCache: values["kv-cache"],
    maxModelLen: values["max-model-len"],
    threads: values.threads,
    memoryBudgetBytes: values["memory-budget"],
    hub: { revision: values.revision, stream: values["no-download"] },
  };
}

export function toSamplingOptions(values: SamplingValues): SamplingOptions {
  return {
    temperature: values.temperature,
    topP: values["top-p"],
    topK: values["top-k"],
    minP: values["min-p"],
    presencePenalty: values["presence-penalty"],
    frequencyPenalty: values["frequency-penalty"],
    repetitionPenalty: values["repetition-penalty"],
    seed: values.seed,
  };
}

export function toGenerateOptions(values: SamplingValues & Values<typeof generationOptions>): GenerateOptions {
  return {
    ...toSamplingOptions(values),
    maxNewTokens: values["max-new-tokens"],
    stop: values.stop,
    speculation: values.speculation && { type: values.speculation },
    timings: true,
  };
}

export function toTemplateOptions({
  "template-var": kwargs,
}: {
  readonly "template-var"?: Readonly<Record<string, unknown>>;
}): ChatTemplateOptions {
  return kwargs === undefined ? {} : { kwargs };
}

export function modelLocation(values: ModelValues): string {
  return values.model ?? bundledModel();
}

/** Loads the model, lets `use` have it, and closes it. Loading that takes a while is shown on a terminal's standard error. */
export async function withModel<T>(
  values: ModelValues & { readonly quiet?: boolean },
  { stderr, signal }: Streams,
  use: (model: Qwen3) => Promise<T>,
): Promise<T> {
  const location = modelLocation(values);
  const progress = stderr.isTTY && !values.quiet ? new ProgressLine(stderr, location) : undefined;
  let model: Qwen3;
  const options = toModelOptions(values);
  try {
    model = await Qwen3.fromPretrained(location, {
      ...options,
      hub: { ...options.hub, onProgress: progress?.download },
      onPlan: progress?.plan,
      onProgress: progress?.update,
      signal,
    });
  } finally {
    progress?.clear();
  }
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}
