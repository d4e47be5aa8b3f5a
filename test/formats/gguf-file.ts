/** Builds GGUF files byte by byte: right ones, and broken ones that no writer would make. */

const utf8 = new TextEncoder();

export const TYPES = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
};
export const TENSOR = { f32: 0, f16: 1, q4_0: 2, q8_0: 8, q4_k: 12, bf16: 30 };

/** Bytes one after the other; a number is never checked, and a length may be a lie. */
export class Bytes {
  #bytes = new Uint8Array(1024);
  length = 0;

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  u8(value: number): this {
    return this.raw(Uint8Array.of(value));
  }

  u32(value: number): this {
    const view = this.#more(4);
    view.setUint32(0, value, true);
    return this;
  }

  f32(value: number): this {
    this.#more(4).setFloat32(0, value, true);
    return this;
  }

  u64(value: number | bigint): this {
    this.#more(8).setBigUint64(0, BigInt(value), true);
    return this;
  }

  text(value: string | Uint8Array, length?: number | bigint): this {
    const bytes = typeof value === "string" ? utf8.encode(value) : value;
    return this.u64(length ?? bytes.length).raw(bytes);
  }

  pad(alignment: number): this {
    return this.raw(new Uint8Array((alignment - (this.length % alignment)) % alignment));
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  #more(count: number): DataView {
    this.#room(count);
    this.length += count;
    return new DataView(this.#bytes.buffer, this.length - count, count);
  }

  #room(count: number): void {
    if (this.length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.length + count));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** A metadata value with its type, or a function that writes type and value itself. */
export type Value = readonly [type: keyof typeof TYPES, value: unknown] | ((out: Bytes) => void);

/** Texts, whole numbers (uint32), true and false as they are; everything else with its type. */
export type Metadata = Readonly<Record<string, string | number | boolean | Value>>;

export const strings =
  (values: readonly string[]): Value =>
  (out) => {
    out.u32(TYPES.array).u32(TYPES.string).u64(values.length);
    for (const value of values) out.text(value);
  };
export const int32s =
  (values: readonly number[]): Value =>
  (out) => {
    out.u32(TYPES.array).u32(TYPES.int32).u64(values.length);
    for (const value of values) out.u32(value);
  };
export const f32 = (value: number): Value => ["float32", value];

const SHORT = { string: "string", boolean: "bool", number: "uint32" } as const;

export function writeValue(out: Bytes, given: Metadata[string]): void {
  if (typeof given === "function") {
    given(out);
    return;
  }
  const typed: Value = typeof given === "object" ? given : [SHORT[typeof given as keyof typeof SHORT], given];
  const [type, value] = typed;
  out.u32(TYPES[type]);
  if (type === "string") out.text(value as string);
  else if (type === "float32") out.f32(value as number);
  else if (type === "float64") out.raw(new Uint8Array(Float64Array.of(value as number).buffer));
  else {
    const bytes = /8$|bool/.test(type) ? 1 : type.endsWith("16") ? 2 : type.endsWith("32") ? 4 : 8;
    const whole = new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, BigInt(value as number))).buffer);
    out.raw(whole.subarray(0, bytes));
  }
}

export interface TestGgufTensor {
  readonly name: string | Uint8Array;
  /** Slowest first, as everywhere but in the file. */
  readonly shape: readonly (number | bigint)[];
  readonly type: number;
  /** Its bytes, or how many zeros. */
  readonly data: Uint8Array | number;
  /** Where the file says it lies; by default where it does. */
  readonly offset?: number | bigint;
}

export interface TestGguf {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly keyCount?: number | bigint;
  readonly metadata?: Metadata;
  readonly tensors?: readonly TestGgufTensor[];
  /** Of the data; what the metadata say of it is in `metadata`. */
  readonly alignment?: number;
}

export function ggufFile(file: TestGguf): Uint8Array {
  const { metadata = {}, tensors = [], alignment = 32 } = file;
  const out = new Bytes();
  out.raw(utf8.encode(file.magic ?? "GGUF")).u32(file.version ?? 3);
  out.u64(file.tensorCount ?? tensors.length).u64(file.keyCount ?? Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    out.text(key);
    writeValue(out, value);
  }
  const data = new Bytes();
  for (const tensor of tensors) {
    out.text(tensor.name).u32(tensor.shape.length);
    for (const extent of [...tensor.shape].reverse()) out.u64(extent);
    out.u32(tensor.type).u64(tensor.offset ?? data.length);
    data.raw(typeof tensor.data === "number" ? new Uint8Array(tensor.data) : tensor.data).pad(alignment);
  }
  return tensors.length > 0 ? out.pad(alignment).raw(data.done()).done() : out.done();
}

/** One layer, two heads of four, tied, all in f32: the checkpoint `tinyConfig` of safetensors-file.ts. */
export const tinyMetadata = {
  "general.architecture": "qwen3",
  "general.name": "tiny",
  "qwen3.block_count": 1,
  "qwen3.context_length": 64,
  "qwen3.embedding_length": 6,
  "qwen3.feed_forward_length": 10,
  "qwen3.attention.head_count": 2,
  "qwen3.attention.head_count_kv": 1,
  "qwen3.attention.key_length": 4,
  "qwen3.attention.value_length": 4,
  "qwen3.attention.layer_norm_rms_epsilon": f32(1e-6),
  "qwen3.rope.freq_base": f32(10000),
  "tokenizer.ggml.eos_token_id": 3,
} as const satisfies Metadata;

/** Written out by hand: the names and shapes of the tensors of `tinyMetadata`. */
export const tinyGgufShapes: Readonly<Record<string, readonly number[]>> = {
  "token_embd.weight": [11, 6],
  "blk.0.attn_norm.weight": [6],
  "blk.0.attn_q.weight": [8, 6],
  "blk.0.attn_k.weight": [4, 6],
  "blk.0.attn_v.weight": [4, 6],
  "blk.0.attn_q_norm.weight": [4],
  "blk.0.attn_k_norm.weight": [4],
  "blk.0.attn_output.weight": [6, 8],
  "blk.0.ffn_norm.weight": [6],
  "blk.0.ffn_gate.weight": [10, 6],
  "blk.0.ffn_up.weight": [10, 6],
  "blk.0.ffn_down.weight": [6, 10],
  "output_norm.weight": [6],
};

export function f32Tensor(name: string, shape: readonly number[]): TestGgufTensor {
  const bytes = shape.reduce((product, extent) => product * extent, 4);
  const seed = [...name].reduce((sum, c) => (31 * sum + c.charCodeAt(0)) % 251, 7);
  return { name, shape, type: TENSOR.f32, data: Uint8Array.from({ length: bytes }, (_, i) => (seed + 37 * i) % 256) };
}

export const tinyGgufTensors = (): TestGgufTensor[] =>
  Object.entries(tinyGgufShapes).map(([name, shape]) => f32Tensor(name, shape));

export const tinyGguf = (changes: TestGguf = {}): Uint8Array =>
  ggufFile({ tensors: tinyGgufTensors(), ...changes, metadata: { ...tinyMetadata, ...changes.metadata } });
