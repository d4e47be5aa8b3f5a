/**
 * The same weights as a GGUF file, version 3: for the peers, and for our own reader.
 *
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; names and keys of llama.cpp's `qwen3` architecture.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tokenizerFolder } from "./safetensors-files.ts";
import { type Shape, type TensorSpec, tensorsOf, valuesIn } from "./shapes.ts";
import { bytesOf, type Encoding, encodedPool, normValues, poolBytes } from "./values.ts";

export type GgufQuantization = "q8_0" | "q4_0" | "q4_k_m";
export const GGUF_QUANTIZATIONS: readonly GgufQuantization[] = ["q8_0", "q4_0", "q4_k_m"];
export type GgufFormat = GgufQuantization | "bf16";

const ALIGNMENT = 32;
/** Browsers read no file of 2 GB or more into one buffer; llama.cpp reads parts wherever it reads one file. */
const PART_BYTES = 1.8e9;
const TYPE_IDS = { f32: 0, q4_0: 2, q8_0: 8, q4_k: 12, q6_k: 14, bf16: 30 } as const;
const FILE_TYPES = { q8_0: 7, q4_0: 2, q4_k_m: 15, bf16: 32 } as const;
/** Kinds of values in the metadata. */
const KIND = { u16: 2, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
/** Kinds of tokens. */
const TOKEN = { normal: 1, control: 3, added: 4, unused: 5 } as const;

const int = (bytes: number, value: number): Buffer => {
  const out = Buffer.alloc(bytes);
  if (bytes === 8) out.writeBigUInt64LE(BigInt(value));
  else if (value < 0) out.writeIntLE(value, 0, bytes);
  else out.writeUIntLE(value, 0, bytes);
  return out;
};
const float = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeFloatLE(value);
  return out;
};
const string = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([int(8, bytes.length), bytes]);
};
const entry = (key: string, kind: keyof typeof KIND, value: Buffer) => Buffer.concat([string(key), int(4, KIND[kind]), value]);
const list = (key: string, kind: keyof typeof KIND, items: readonly Buffer[]) =>
  entry(key, "array", Buffer.concat([int(4, KIND[kind]), int(8, items.length), ...items]));
const padding = (bytes: number): number => (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT;

/** @returns the names of the files written: one, or parts as llama.cpp names them */
export function writeGguf(folder: string, shape: Shape, format: GgufFormat): string[] {
  const tensors = tensorsOf(shape).map((spec, index) => {
    const type = typeOf(spec, format, shape);
    const values = valuesIn(spec);
    return { spec, index, type, bytes: type === "f32" ? 4 * values : bytesOf(type, values) };
  });
  const parts = cut(tensors);
  const pools = new Map<Encoding, Uint8Array>();
  for (const { type } of tensors) if (type !== "f32" && !pools.has(type)) pools.set(type, encodedPool(type));
  const metadata = [...architecture(shape, format), ...vocabulary(shape)];
  return parts.map((part, i) => {
    const number = (n: number) => String(n).padStart(5, "0");
    const name = parts.length === 1 ? "model.gguf" : `model-${number(i + 1)}-of-${number(parts.length)}.gguf`;
    const split = [
      entry("split.no", "u16", int(2, i)),
      entry("split.count", "u16", int(2, parts.length)),
      entry("split.tensors.count", "i32", int(4, tensors.length)),
    ];
    writePart(join(folder, name), [...(i === 0 ? metadata : []), ...(parts.length > 1 ? split : [])], part, pools);
    return name;
  });
}

interface PlacedTensor {
  readonly spec: TensorSpec;
  /** Its number among all tensors. */
  readonly index: number;
  readonly type: "f32" | (Encoding & keyof typeof TYPE_IDS);
  readonly bytes: number;
}

/** Of a mix, the embedding is q6_k, and v and down in half of the layers, as llama.cpp chooses them. */
function typeOf({ shape, ggufName }: TensorSpec, format: GgufFormat, model: Shape): PlacedTensor["type"] {
  if (shape.length === 1) return "f32";
  if (format !== "q4_k_m") return format;
  if (ggufName.startsWith("token_embd")) return "q6_k";
  const [, layer = "", part] = ggufName.split(".");
  if (part !== "attn_v" && part !== "ffn_down") return "q4_k";
  const [i, eighth] = [Number(layer), Math.floor(model.num_hidden_layers / 8)];
  return i < eighth || i >= model.num_hidden_layers - 1 - eighth || (i - eighth) % 3 === 2 ? "q6_k" : "q4_k";
}

function cut(tensors: readonly PlacedTensor[]): PlacedTensor[][] {
  const parts: PlacedTensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + tensor.bytes > PART_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(tensor);
    bytes += tensor.bytes;
  }
  return parts;
}

function architecture(s: Shape, format: GgufFormat): Buffer[] {
  const count = (key: string, value: number) => entry(`qwen3.${key}`, "u32", int(4, value));
  return [
    entry("general.architecture", "string", string("qwen3")),
    entry("general.name", "string", string("synthetic")),
    entry("general.file_type", "u32", int(4, FILE_TYPES[format])),
    entry("general.quantization_version", "u32", int(4, 2)),
    count("block_count", s.num_hidden_layers),
    count("context_length", s.max_position_embeddings),
    count("embedding_length", s.hidden_size),
    count("feed_forward_length", s.intermediate_size),
    count("attention.head_count", s.num_attention_heads),
    count("attention.head_count_kv", s.num_key_value_heads),
    count("attention.key_length", s.head_dim),
    count("attention.value_length", s.head_dim),
    entry("qwen3.rope.freq_base", "f32", float(s.rope_theta)),
    entry("qwen3.attention.layer_norm_rms_epsilon", "f32", float(1e-6)),
  ];
}

interface TokenizerFile {
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly (string | readonly string[])[] };
  readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
}

/** llama.cpp loads no model without one: Qwen3's own, its unused ids filled up to the model's vocabulary. */
function vocabulary({ vocab_size }: Shape): Buffer[] {
  const { model, added_tokens }: TokenizerFile = JSON.parse(readFileSync(join(tokenizerFolder, "tokenizer.json"), "utf8"));
  const tokens = Array.from({ length: vocab_size }, (_, id) => `[UNUSED${id}]`);
  const kinds = new Array<number>(vocab_size).fill(TOKEN.unused);
  for (const [text, id] of Object.entries(model.vocab)) {
    tokens[id] = text;
    kinds[id] = TOKEN.normal;
  }
  for (const { id, content, special } of added_tokens) {
    tokens[id] = content;
    kinds[id] = special ? TOKEN.control : TOKEN.added;
  }
  const merges = model.merges.map((merge) => string(typeof merge === "string" ? merge : merge.join(" ")));
  return [
    entry("tokenizer.ggml.model", "string", string("gpt2")),
    entry("tokenizer.ggml.pre", "string", string("qwen2")),
    list("tokenizer.ggml.tokens", "string", tokens.map(string)),
    list(
      "tokenizer.ggml.token_type",
      "i32",
      kinds.map((kind) => int(4, kind)),
    ),
    list("tokenizer.ggml.merges", "string", merges),
    entry("tokenizer.ggml.eos_token_id", "u32", int(4, 151_645)),
    entry("tokenizer.ggml.padding_token_id", "u32", int(4, 151_643)),
    entry("tokenizer.ggml.bos_token_id", "u32", int(4, 151_643)),
    entry("tokenizer.ggml.add_bos_token", "bool", int(1, 0)),
  ];
}

function writePart(
  path: string,
  metadata: readonly Buffer[],
  tensors: readonly PlacedTensor[],
  pools: ReadonlyMap<Encoding, Uint8Array>,
): void {
  const infos: Buffer[] = [];
  let offset = 0;
  for (const { spec, type, bytes } of tensors) {
    const extents = spec.shape.toReversed(); // GGUF names the innermost first
    infos.push(string(spec.ggufName), int(4, extents.length), ...extents.map((extent) => int(8, extent)));
    infos.push(int(4, TYPE_IDS[type]), int(8, offset));
    offset += bytes + padding(bytes);
  }
  const head = [Buffer.from("GGUF"), int(4, 3), int(8, tensors.length), int(8, metadata.length), ...metadata, ...infos];
  const header = Buffer.concat(head);
  const file = openSync(path, "w");
  try {
    writeSync(file, header);
    writeSync(file, Buffer.alloc(padding(header.length)));
    for (const { spec, index, type, bytes } of tensors) {
      const values = valuesIn(spec);
      const pieces =
        type === "f32" ? [new Uint8Array(normValues(values, index).buffer)] : poolBytes(pools.get(type)!, type, values, index);
      for (const piece of pieces) writeSync(file, piece);
      writeSync(file, Buffer.alloc(padding(bytes)));
    }
  } finally {
    closeSync(file);
  }
}
