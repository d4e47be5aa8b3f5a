/** Safetensors files, and checkpoints of them (MLX and FP8 too), that are wrong in one thing each. */
import type { HostileFile } from "./hostile-gguf.ts";
import {
  jsonFile,
  rawFile,
  safetensorsFile,
  type TestTensor,
  testTensor,
  tinyConfig,
  tinyFiles,
  tinyTensors,
} from "./safetensors-file.ts";

const headed = (header: string | Uint8Array, says: RegExp, data = new Uint8Array(4), length?: bigint): HostileFile => ({
  files: { "config.json": jsonFile(tinyConfig), "model.safetensors": rawFile(header, data, length) },
  code: "CHECKPOINT_HEADER",
  says,
});

const entry = (change: object) => JSON.stringify({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4], ...change } });

/** Quantized to groups of 32 with 4 bits, by a model of one layer and even widths. */
const WIDE = { ...tinyConfig, hidden_size: 32, intermediate_size: 64, num_attention_heads: 2, head_dim: 16, vocab_size: 32 };
const MATRICES: Readonly<Record<string, readonly [rows: number, cols: number]>> = {
  "model.embed_tokens": [32, 32],
  "model.layers.0.self_attn.q_proj": [32, 32],
  "model.layers.0.self_attn.k_proj": [16, 32],
  "model.layers.0.self_attn.v_proj": [16, 32],
  "model.layers.0.self_attn.o_proj": [32, 32],
  "model.layers.0.mlp.gate_proj": [64, 32],
  "model.layers.0.mlp.up_proj": [64, 32],
  "model.layers.0.mlp.down_proj": [32, 64],
};
const VECTORS: Readonly<Record<string, number>> = {
  "model.layers.0.input_layernorm": 32,
  "model.layers.0.self_attn.q_norm": 16,
  "model.layers.0.self_attn.k_norm": 16,
  "model.layers.0.post_attention_layernorm": 32,
  "model.norm": 32,
};

export type Kind = "mlx" | "fp8";

/** Each matrix of one byte a value or half of one, with scales. */
export function quantizedTensors(kind: Kind): TestTensor[] {
  const vectors = Object.entries(VECTORS).map(([name, length]) => testTensor(`${name}.weight`, [length], "BF16", 2));
  const matrices = Object.entries(MATRICES).flatMap(([name, [rows, cols]]) =>
    kind === "mlx"
      ? [
          testTensor(`${name}.weight`, [rows, cols / 8], "U32", 4),
          testTensor(`${name}.scales`, [rows, cols / 32], "BF16", 2),
          testTensor(`${name}.biases`, [rows, cols / 32], "BF16", 2),
        ]
      : name === "model.embed_tokens"
        ? [testTensor(`${name}.weight`, [rows, cols], "BF16", 2)]
        : [testTensor(`${name}.weight`, [rows, cols], "F8_E4M3", 1), testTensor(`${name}.weight_scale_inv`, [1, 1], "F32", 4)],
  );
  return [...vectors, ...matrices];
}

const QUANTIZATION = {
  mlx: { quantization: { group_size: 32, bits: 4 } },
  fp8: { quantization_config: { quant_method: "fp8", fmt: "e4m3", activation_scheme: "dynamic", weight_block_size: [128, 128] } },
};

export function quantizedFiles(kind: Kind, tensors = quantizedTensors(kind), config: object = {}): Record<string, Uint8Array> {
  return {
    "config.json": jsonFile({ ...WIDE, ...QUANTIZATION[kind], ...config }),
    "model.safetensors": safetensorsFile(tensors, { metadata: { format: kind === "mlx" ? "mlx" : "pt" } }),
  };
}

const configured = (kind: Kind, config: object, says: RegExp): HostileFile => ({
  files: quantizedFiles(kind, undefined, config),
  code: "CHECKPOINT_CONFIG",
  says,
});

const altered = (kind: Kind, change: (tensors: TestTensor[]) => TestTensor[], says: RegExp): HostileFile => ({
  files: quantizedFiles(kind, change(quantizedTensors(kind))),
  code: "CHECKPOINT_TENSOR",
  says,
});

const without = (name: string) => (tensors: TestTensor[]) => tensors.filter((tensor) => tensor.name !== name);
const replaced = (by: TestTensor) => (tensors: TestTensor[]) => tensors.map((tensor) => (tensor.name === by.name ? by : tensor));

const Q = "model.layers.0.self_attn.q_proj";

export const HOSTILE_SAFETENSORS: Readonly<Record<string, HostileFile>> = {
  "seven bytes": {
    ...headed("", /too short/),
    files: { "config.json": jsonFile(tinyConfig), "model.safetensors": new Uint8Array(7) },
  },
  "a header of 2^64 - 1 bytes": headed("{}", /the header says it has 18446744073709551615 bytes/, undefined, 2n ** 64n - 1n),
  "a header of 2^63 bytes": headed("{}", /the header says it has 9223372036854775808/, undefined, 2n ** 63n),
  "a header past the end": headed("{}", /truncated: the header ends at/, undefined, 1000n),
  "a header that is cut": headed(entry({}).slice(0, 20), /ends too early|no end|needed/),
  "no header": headed("", /too early|no JSON/, new Uint8Array(0)),
  "a header that is a list": headed("[]", /an object is needed/, new Uint8Array(0)),
  "a header that is not UTF-8": headed(Uint8Array.of(0x7b, 0xff, 0x7d), /not UTF-8/),
  "a header 100,000 deep": headed(`{"a":${"[".repeat(100_000)}`, /nested deeper than 64/),
  "a key twice": headed(`{"a":${entry({}).slice(5, -1)},"a":${entry({}).slice(5, -1)}}`, /the key "a" stands twice/),
  __proto__: headed('{"__proto__":{}}', /__proto__ is not allowed/),
  "a dtype that is none": headed(entry({ dtype: "F31" }), /dtype is "F31"/),
  "a shape of 2^53": headed(entry({ shape: [2 ** 53] }), /shape is|too large/),
  "a shape whose product overflows": headed(entry({ shape: [2 ** 31, 2 ** 31] }), /too large to count/),
  "a shape of -1": headed(entry({ shape: [-1] }), /shape is/),
  "a shape of 1.5": headed(entry({ shape: [1.5] }), /shape is/),
  "a shape of 9 dimensions": headed(entry({ shape: Array(9).fill(1) }), /at most 8 dimensions/),
  "a shape of 1e999": headed('{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', /too large for a double/),
  "offsets turned round": headed(entry({ data_offsets: [4, 0] }), /begin <= end/),
  "one offset": headed(entry({ data_offsets: [0] }), /begin, end/),
  "an offset past the end": headed(entry({ shape: [2], data_offsets: [0, 8] }), /truncated/),
  "bytes that do not fit the shape": headed(entry({ shape: [2] }), /needs 8 bytes, data_offsets give 4/),
  "a hole": headed(entry({ data_offsets: [4, 8] }), /a hole of 4 bytes/, new Uint8Array(8)),
  "bytes of no tensor": headed(entry({}), /4 bytes behind "a" belong to no tensor/, new Uint8Array(8)),
  "a key that is not known": headed(entry({ extra: 1 }), /extra is 1/),
  "metadata that are numbers": headed('{"__metadata__":{"a":1}}', /a is 1; supported: strings/, new Uint8Array(0)),
  "no config": {
    files: { "model.safetensors": tinyFiles()["model.safetensors"]! },
    code: "CHECKPOINT_FILE",
    says: /config.json is missing/,
  },
  "a tensor that is missing": {
    files: tinyFiles(tinyTensors().slice(1)),
    code: "CHECKPOINT_TENSOR",
    says: /embed_tokens.weight .* is missing/,
  },
  "more values in a header than are allowed": headed(`{"a":[${"1,".repeat(40_000)}1]}`, /more than 32768 values/),
  "shards whose headers are too long together": {
    files: {
      "config.json": jsonFile(tinyConfig),
      "model.safetensors.index.json": jsonFile({ weight_map: { a: "1.safetensors", b: "2.safetensors" } }),
      ...Object.fromEntries(
        ["a", "b"].map((name, i) => [
          `${i + 1}.safetensors`,
          rawFile(
            JSON.stringify({ [name]: { dtype: "U8", shape: [4], data_offsets: [0, 4] } }).padEnd(600_000),
            new Uint8Array(4),
          ),
        ]),
      ),
    },
    code: "CHECKPOINT_HEADER",
    says: /2.safetensors: the header says it has 600000 bytes; at most 1048576 are allowed, for all files together/,
  },
  "an index that leaves the folder": {
    files: { ...tinyFiles(), "model.safetensors.index.json": jsonFile({ weight_map: { a: "../../etc/passwd.safetensors" } }) },
    code: "CHECKPOINT_HEADER",
    says: /names of .safetensors files in the same folder/,
  },
  "MLX: a group of 7": configured("mlx", { quantization: { group_size: 7, bits: 4 } }, /group_size is 7; supported: 32/),
  "MLX: a group of 2^40": configured("mlx", { quantization: { group_size: 2 ** 40, bits: 4 } }, /group_size is 1099511627776/),
  "MLX: 5.5 bits": configured("mlx", { quantization: { group_size: 32, bits: 5.5 } }, /bits is 5\.5; supported: 2/),
  "MLX: 0 bits": configured("mlx", { quantization: { group_size: 32, bits: 0 } }, /bits is 0/),
  "MLX: a text for bits": configured("mlx", { quantization: { group_size: 32, bits: "4" } }, /bits is "4"/),
  "MLX: a quantization that is a list": configured("mlx", { quantization: [4] }, /quantization: an object is needed/),
  "MLX: a mode that is not affine": configured(
    "mlx",
    { quantization: { group_size: 32, bits: 4, mode: "mxfp4" } },
    /mode is "mxfp4"/,
  ),
  "MLX: no scales": altered("mlx", without(`${Q}.scales`), /q_proj\.weight": is u32, but scales of it are missing/),
  "MLX: no biases": altered("mlx", without(`${Q}.biases`), /q_proj\.weight": is u32, but biases of it are missing/),
  "MLX: scales of another shape": altered(
    "mlx",
    replaced(testTensor(`${Q}.scales`, [32, 2], "BF16", 2)),
    /q_proj\.scales": the shape is \[32,2\]/,
  ),
  "MLX: scales of bytes": altered("mlx", replaced(testTensor(`${Q}.scales`, [32, 1], "U8", 1)), /q_proj\.scales": has dtype u8/),
  "MLX: words of floats": altered(
    "mlx",
    replaced(testTensor(`${Q}.weight`, [32, 4], "F32", 4)),
    /has shape \[32,4\]; the configuration asks for \[32,32\]/,
  ),
  "MLX: words for 8 bits": altered(
    "mlx",
    replaced(testTensor(`${Q}.weight`, [32, 8], "U32", 4)),
    /q_proj\.scales": the shape is \[32,1\]; .* needs \[32,2\]/,
  ),
  "FP8: blocks of 7": configured(
    "fp8",
    { quantization_config: { quant_method: "fp8", weight_block_size: [7, 7] } },
    /weight_block_size is \[7,7\]/,
  ),
  "FP8: blocks of 2^53": configured(
    "fp8",
    { quantization_config: { quant_method: "fp8", weight_block_size: [2 ** 53, 1] } },
    /weight_block_size is \[9007199254740992,1\]/,
  ),
  "FP8: another method": configured("fp8", { quantization_config: { quant_method: "gptq", bits: 4 } }, /quant_method is "gptq"/),
  "FP8: e5m2": configured(
    "fp8",
    { quantization_config: { quant_method: "fp8", fmt: "e5m2", weight_block_size: [128, 128] } },
    /fmt is "e5m2"/,
  ),
  "FP8: no scales": altered("fp8", without(`${Q}.weight_scale_inv`), /weight_scale_inv of it are missing/),
  "FP8: scales of another shape": altered(
    "fp8",
    replaced(testTensor(`${Q}.weight_scale_inv`, [2, 1], "F32", 4)),
    /weight_scale_inv": the shape is \[2,1\]/,
  ),
  "FP8: scales of integers": altered(
    "fp8",
    replaced(testTensor(`${Q}.weight_scale_inv`, [1, 1], "I32", 4)),
    /weight_scale_inv": has dtype i32/,
  ),
  "FP8: weights of e5m2": altered("fp8", replaced(testTensor(`${Q}.weight`, [32, 32], "F8_E5M2", 1)), /has dtype f8_e5m2/),
};
