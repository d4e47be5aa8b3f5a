/** What the bits of keys and values depend on: entries of one origin are those that another model of the same origin would compute. */
import { ARITHMETIC, type KvType } from "../backend/backend.ts";
import type { Checkpoint } from "../formats/checkpoint.ts";
import type { ModelConfig } from "../formats/config.ts";
import { encodingName } from "../formats/encoding.ts";
import { type ActivationType, quantizes, type WeightOptions } from "../model/weight-format.ts";

export interface CacheOrigin {
  readonly arithmetic: number;
  readonly config: ComputedConfig;
  /** What weights are held as: encodings as stored, joined by "+", or the type that all become. */
  readonly weights: string;
  readonly activations: ActivationType;
  readonly kvCache: KvType;
  /** What the model computes: the bits of the first numbers of the last hidden state of `PROBE_TOKENS` tokens. */
  readonly probe: readonly number[];
}

/** The configuration without what only ends answers. */
type ComputedConfig = Omit<ModelConfig, "eos_token_id" | "bos_token_id">;

/** Attention over one token would not depend on the query and the key. */
const PROBE_TOKENS = 3;
const PROBE_NUMBERS = 16;

/**
 * Weights are told apart by what they compute: in the hidden state of a few tokens the whole of every layer takes part, and its bits are
 * the same on every machine. A digest of files would say less, for other files may hold the same weights, and files would have to be read
 * once more. Not seen are embeddings of other tokens than those few, where nothing else of the weights is different.
 *
 * @param compute gives the last hidden states of tokens, [tokens, hidden_size]
 */
export async function cacheOrigin(
  { config, tensors }: Pick<Checkpoint, "config" | "tensors">,
  options: WeightOptions & { readonly kvCache: KvType },
  compute: (ids: readonly number[]) => Promise<Float32Array>,
): Promise<CacheOrigin> {
  const { weights = "auto", activations = "int8", kvCache } = options;
  const { eos_token_id: _, bos_token_id: __, ...computed } = config;
  const stored = new Set(Array.from(tensors.values(), ({ encoding }) => encodingName(encoding)));
  const last = config.vocab_size - 1;
  const hidden = await compute(Array.from({ length: PROBE_TOKENS }, (_, i) => Math.floor((i * last) / (PROBE_TOKENS - 1))));
  const numbers = hidden.slice(-config.hidden_size).subarray(0, PROBE_NUMBERS);
  return {
    arithmetic: ARITHMETIC,
    config: computed,
    weights: weights === "auto" ? [...stored].sort().join("+") : weights,
    activations: quantizes(tensors.values(), options) ? activations : "f32",
    kvCache,
    probe: Array.from(new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length)),
  };
}
