import { Qwen3Error } from "../core/errors.ts";
import type { GenerationConfig } from "../formats/config.ts";

/** Everything that decides, with the logits and the tokens so far, which token is drawn. */
export interface SamplingParams {
  /** Divides logits: below 1 sharper, above 1 flatter; 0 takes the best token (greedy) and no filter applies. 0 to 100. */
  readonly temperature: number;
  /** Only the k best tokens (and those equal to the k-th); 0 is off. */
  readonly topK: number;
  /** Only the best tokens that together hold this much of the probability; 1 is off. 0 to 1. */
  readonly topP: number;
  /** Only tokens at least this much as probable as the best; 0 is off. 0 to 1. */
  readonly minP: number;
  /** Factor on logits of tokens in prompt or answer; 1 is off, above 1 discourages. 0.01 to 100. */
  readonly repetitionPenalty: number;
  /** Taken off logits of tokens in the answer; 0 is off. -2 to 2. */
  readonly presencePenalty: number;
  /** Taken off once per occurrence in the answer; 0 is off. -2 to 2. */
  readonly frequencyPenalty: number;
  /** Added to single tokens' logits. -100 to 100. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** Any safe integer. The same seed, logits and history give the same tokens, on every machine. */
  readonly seed: number;
}

/** What a caller may leave out. `logitBias` may be an object with ids as keys, as in OpenAI's API. */
export type SamplingOptions = {
  readonly [K in keyof Omit<SamplingParams, "logitBias">]?: SamplingParams[K] | undefined;
} & { readonly logitBias?: ReadonlyMap<number, number> | Readonly<Record<string, number>> | undefined };

/** What Qwen recommends for Qwen3 without thinking, where the checkpoint has no `generation_config.json`. */
const RECOMMENDED = { temperature: 0.7, topP: 0.8, topK: 20, minP: 0 };

/**
 * The options, completed by the checkpoint's own defaults and checked. `do_sample: false` in the defaults asks for temperature 0.
 * Without a seed a random one is taken; it stands in the result, so that the answer can be had again.
 *
 * @throws Qwen3Error ARGUMENT naming the parameter, its value and its range
 */
export function resolveSampling(options: SamplingOptions, defaults: Partial<GenerationConfig>): SamplingParams {
  const temperature = defaults.do_sample === false ? 0 : (defaults.temperature ?? RECOMMENDED.temperature);
  return {
    temperature: within("temperature", options.temperature ?? temperature, 0, 100),
    topK: integer("topK", options.topK ?? defaults.top_k ?? RECOMMENDED.topK, 0, 2147483647),
    topP: within("topP", options.topP ?? defaults.top_p ?? RECOMMENDED.topP, 0, 1),
    minP: within("minP", options.minP ?? defaults.min_p ?? RECOMMENDED.minP, 0, 1),
    repetitionPenalty: within("repetitionPenalty", options.repetitionPenalty ?? defaults.repetition_penalty ?? 1, 0.01, 100),
    presencePenalty: within("presencePenalty", options.presencePenalty ?? defaults.presence_penalty ?? 0, -2, 2),
    frequencyPenalty: within("frequencyPenalty", options.frequencyPenalty ?? defaults.frequency_penalty ?? 0, -2, 2),
    logitBias: biases(options.logitBias ?? {}),
    seed: integer("seed", options.seed ?? randomSeed(), Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  };
}

function within(name: string, value: number, low: number, high: number): number {
  if (typeof value === "number" && value >= low && value <= high) return value;
  throw new Qwen3Error("ARGUMENT", `${name} is ${String(value)}; allowed are numbers from ${low} to ${high}`);
}

function integer(name: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new Qwen3Error("ARGUMENT", `${name} is ${String(value)}; allowed are integers from ${low} to ${high}`);
}

function biases(given: ReadonlyMap<number, number> | Readonly<Record<string, number>>): ReadonlyMap<number, number> {
  const entries = given instanceof Map ? [...given] : Object.entries(given);
  return new Map(
    entries.map(([key, bias]) => {
      const id = /^\d+$/.test(String(key)) ? Number(key) : Number.NaN;
      return [integer("logitBias: a token id", id, 0, 2097151), within(`logitBias[${id}]`, bias, -100, 100)];
    }),
  );
}

/** No secret depends on it, and loading `crypto` takes Node 7 ms. */
function randomSeed(): number {
  return Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
}
