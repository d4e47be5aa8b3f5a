/** The bundled checkpoint as a GGUF file, with its tokenizer and template inside: weights as they are (bf16), or as f16 or q8_0. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bf16ToF32, f32ToF16 } from "../../src/core/dtype.ts";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { nanoPath } from "../paths.ts";
import { f32, ggufFile, type Metadata, TENSOR, type TestGgufTensor, tinyGgufShapes } from "./gguf-file.ts";
import { ggufTokenizer } from "./gguf-tokenizer-file.ts";
import { tinyShapes } from "./safetensors-file.ts";

export type NanoType = "bf16" | "f16" | "q8_0";

const NAMES: ReadonlyMap<string, string> = new Map(
  Object.keys(tinyShapes).map((name, i) => [name, Object.keys(tinyGgufShapes)[i]!]),
);

function ggufName(name: string): string {
  const [, layer] = /^model\.layers\.(\d+)\./.exec(name) ?? [];
  return NAMES.get(name.replace(/layers\.\d+/, "layers.0"))!.replace("blk.0", `blk.${layer}`);
}

export async function nanoMetadata(): Promise<Metadata> {
  const checkpoint = await openCheckpoint(nanoPath);
  await checkpoint.close();
  const { config } = checkpoint;
  const read = (file: string) => readFileSync(join(nanoPath, file), "utf8");
  return {
    "general.architecture": "qwen3",
    "general.name": "nano",
    "qwen3.block_count": config.num_hidden_layers,
    "qwen3.context_length": config.max_position_embeddings,
    "qwen3.embedding_length": config.hidden_size,
    "qwen3.feed_forward_length": config.intermediate_size,
    "qwen3.attention.head_count": config.num_attention_heads,
    "qwen3.attention.head_count_kv": config.num_key_value_heads,
    "qwen3.attention.key_length": config.head_dim,
    "qwen3.attention.value_length": config.head_dim,
    "qwen3.attention.layer_norm_rms_epsilon": f32(config.rms_norm_eps),
    "qwen3.rope.freq_base": f32(config.rope.rope_theta),
    ...ggufTokenizer(read("tokenizer.json"), config.vocab_size, read("chat_template.jinja")),
  };
}

export async function nanoTensors(type: NanoType): Promise<TestGgufTensor[]> {
  const checkpoint = await openCheckpoint(nanoPath);
  const tensors: TestGgufTensor[] = [];
  for (const { name, shape, rows } of checkpoint.tensors.values()) {
    const parts: Uint8Array[] = [];
    for await (const { bytes } of rows()) parts.push(bytes);
    const halves = new Uint16Array(Uint8Array.from(Buffer.concat(parts)).buffer);
    // Vectors are f32 in published files.
    const stored = shape.length === 1 ? "f32" : type;
    tensors.push({ name: ggufName(name), shape, type: TENSOR[stored], data: convert(halves, stored) });
  }
  await checkpoint.close();
  return tensors;
}

function convert(halves: Uint16Array<ArrayBuffer>, type: NanoType | "f32"): Uint8Array {
  if (type === "bf16") return new Uint8Array(halves.buffer);
  const values = Float32Array.from(halves, bf16ToF32);
  if (type === "f32") return new Uint8Array(values.buffer);
  return type === "f16" ? new Uint8Array(Uint16Array.from(values, f32ToF16).buffer) : q8_0(values);
}

/** Blocks of 32: an f16 scale, then codes of a byte. */
function q8_0(values: Float32Array): Uint8Array {
  const out = new DataView(new ArrayBuffer((values.length / 32) * 34));
  for (let block = 0; block < values.length / 32; block++) {
    const of = values.subarray(32 * block, 32 * block + 32);
    const scale = of.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
    out.setUint16(34 * block, f32ToF16(scale), true);
    of.forEach((value, i) => {
      out.setInt8(34 * block + 2 + i, scale === 0 ? 0 : Math.round(value / scale));
    });
  }
  return new Uint8Array(out.buffer);
}

export async function nanoGguf(type: NanoType): Promise<Uint8Array> {
  return ggufFile({ metadata: await nanoMetadata(), tensors: await nanoTensors(type) });
}

/** The same as `count` files. The first one has the metadata. */
export async function nanoSplit(type: NanoType, count: number): Promise<Record<string, Uint8Array>> {
  const tensors = await nanoTensors(type);
  const whole = await nanoMetadata();
  const files: Record<string, Uint8Array> = {};
  for (let i = 0; i < count; i++)
    files[`nano-0000${i + 1}-of-0000${count}.gguf`] = ggufFile({
      metadata: {
        ...(i === 0 && whole),
        "split.no": ["uint16", i],
        "split.count": ["uint16", count],
        "split.tensors.count": ["int32", tensors.length],
      },
      tensors: tensors.filter((_, t) => t % count === i),
    });
  return files;
}
