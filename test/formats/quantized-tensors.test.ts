/** MLX and FP8 checkpoints: codes bit for bit those of mlx, parts wherever they lie, and what does not fit is refused. */
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { e4m3ToF32 } from "../../src/core/dtype.ts";
import { type Checkpoint, type CheckpointTensor, openCheckpoint } from "../../src/formats/checkpoint.ts";
import { dequantizeRows } from "../../src/formats/decode.ts";
import { type AffineEncoding, cutParts, encodingName, rowBytes } from "../../src/formats/encoding.ts";
import { parseQuantizationConfig } from "../../src/formats/quantization-config.ts";
import { memoryFolder } from "../../src/formats/source.ts";
import { refused } from "./refused.ts";
import { jsonFile, safetensorsFile, type TestTensor, testTensor, tinyConfig } from "./safetensors-file.ts";

const same = (a: Float32Array, b: Float32Array) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

interface Vectors {
  readonly rows: number;
  readonly cols: number;
  readonly cases: readonly (Omit<AffineEncoding, "type"> & { readonly parts: readonly string[]; readonly values: string })[];
}

test("affine codes of 2 to 8 bits have the values that mlx gives them", () => {
  const { rows, cols, cases } = JSON.parse(
    readFileSync(new URL("../../../test/formats/mlx/vectors.json", import.meta.url), "utf8"),
  ) as Vectors;
  assert.equal([...new Set(cases.map(({ bits }) => bits))], [2, 3, 4, 5, 6, 8]);
  for (const { bits, group, scales, parts, values } of cases) {
    const encoding = { type: "affine", bits, group, scales } as const;
    const slice = Uint8Array.from(parts.flatMap((part) => [...bytesOf(part)]));
    assert.is(slice.length, rows * rowBytes(encoding, cols), encodingName(encoding));
    const actual = dequantizeRows(encoding, cutParts(encoding, cols, slice, rows), rows, cols);
    const expected = new Float32Array(bytesOf(values).buffer);
    assert.is(actual.length, expected.length);
    for (const [i, value] of actual.entries())
      if (!Object.is(value + 0, expected[i]! + 0)) assert.is(value, expected[i], `${encodingName(encoding)}, value ${i}`);
  }
});

/** Widths that groups of 32 divide. */
const config = { ...tinyConfig, hidden_size: 64, intermediate_size: 160, num_attention_heads: 8, head_dim: 16 };
const shapes: Readonly<Record<string, readonly number[]>> = {
  "model.embed_tokens": [11, 64],
  "model.layers.0.input_layernorm": [64],
  "model.layers.0.self_attn.q_proj": [128, 64],
  "model.layers.0.self_attn.k_proj": [16, 64],
  "model.layers.0.self_attn.v_proj": [16, 64],
  "model.layers.0.self_attn.q_norm": [16],
  "model.layers.0.self_attn.k_norm": [16],
  "model.layers.0.self_attn.o_proj": [64, 128],
  "model.layers.0.post_attention_layernorm": [64],
  "model.layers.0.mlp.gate_proj": [160, 64],
  "model.layers.0.mlp.up_proj": [160, 64],
  "model.layers.0.mlp.down_proj": [64, 160],
  "model.norm": [64],
};
const DOWN = "model.layers.0.mlp.down_proj";
const mlxSettings = { group_size: 32, bits: 4 };
const fp8Settings = { quant_method: "fp8", fmt: "e4m3", weight_block_size: [128, 128], activation_scheme: "dynamic" };

/** Finite bf16 numbers around 1. */
const levels = (name: string, shape: readonly number[], dtype = "BF16"): TestTensor => {
  const tensor = testTensor(name, shape, dtype, dtype === "F32" ? 4 : 2);
  const values = tensor.data.map((byte, i) => (i % (dtype === "F32" ? 4 : 2) === (dtype === "F32" ? 3 : 1) ? 0x3f : byte));
  return { ...tensor, data: values };
};

function mlxTensors(bits = 4, group = 32, except: readonly string[] = []): TestTensor[] {
  return Object.entries(shapes).flatMap(([module, shape]) => {
    const [rows = 0, cols] = shape;
    if (cols === undefined || except.includes(module)) return [levels(`${module}.weight`, shape)];
    return [
      testTensor(`${module}.weight`, [rows, (cols * bits) / 32], "U32", 4),
      levels(`${module}.scales`, [rows, cols / group]),
      levels(`${module}.biases`, [rows, cols / group]),
    ];
  });
}

function fp8Tensors(scales = "F32"): TestTensor[] {
  return Object.entries(shapes).flatMap(([module, shape]) => {
    const [rows = 0, cols] = shape;
    if (cols === undefined || module === "model.embed_tokens") return [levels(`${module}.weight`, shape)];
    return [
      testTensor(`${module}.weight`, shape, "F8_E4M3", 1),
      levels(`${module}.weight_scale_inv`, [Math.ceil(rows / 128), Math.ceil(cols / 128)], scales),
    ];
  });
}

type Files = Record<string, Uint8Array>;
const files = (tensors: readonly TestTensor[], more: object): Files => ({
  "config.json": jsonFile({ ...config, ...more }),
  "model.safetensors": safetensorsFile(tensors),
});
const open = (tensors: readonly TestTensor[], more: object): Promise<Checkpoint> =>
  openCheckpoint(memoryFolder("quantized", files(tensors, more)));
const mlx = { quantization: mlxSettings, quantization_config: mlxSettings };

async function values(tensor: CheckpointTensor, sliceBytes?: number): Promise<Float32Array> {
  const [rows = 0, cols = 0] = tensor.shape;
  const out = new Float32Array(rows * cols);
  for await (const { firstRow, bytes } of tensor.rows(sliceBytes === undefined ? {} : { sliceBytes })) {
    const count = bytes.length / rowBytes(tensor.encoding, cols);
    out.set(
      dequantizeRows(tensor.encoding, cutParts(tensor.encoding, cols, bytes, count), count, cols, firstRow),
      firstRow * cols,
    );
  }
  return out;
}

test("MLX: encodings, overrides of single modules, and modules that are not quantized", async () => {
  const { tensors } = await open(mlxTensors(), mlx);
  assert.equal(tensors.get(`${DOWN}.weight`)!.shape, [64, 160]);
  assert.equal(tensors.get(`${DOWN}.weight`)!.encoding, { type: "affine", bits: 4, group: 32, scales: "bf16" });
  assert.equal(tensors.get("model.norm.weight")!.encoding, { type: "bf16" });
  assert.is(tensors.size, Object.keys(shapes).length);

  const mixed = mlxTensors(4, 32, ["model.embed_tokens"]).filter(({ name }) => !name.startsWith(DOWN));
  const own = mlxTensors(8, 32).filter(({ name }) => name.startsWith(DOWN));
  const { tensors: others } = await open([...mixed, ...own], {
    quantization: { ...mlxSettings, mode: "affine", [DOWN]: { bits: 8 }, "model.embed_tokens": false },
  });
  assert.equal(others.get(`${DOWN}.weight`)!.encoding, { type: "affine", bits: 8, group: 32, scales: "bf16" });
  assert.equal(others.get("model.embed_tokens.weight")!.encoding, { type: "bf16" });
  for (const bits of [2, 3, 5, 6]) {
    const { tensors } = await open(mlxTensors(bits), { quantization_config: { group_size: 32, bits } });
    assert.equal(tensors.get(`${DOWN}.weight`)!.shape, [64, 160]);
  }
});

test("parts in several files, in any order, in slices of any size: the same values", async () => {
  const all = mlxTensors();
  const whole = await values((await open(all, mlx)).tensors.get(`${DOWN}.weight`)!);
  assert.ok(whole.some((value) => value !== 0));
  const shards: Files = { "config.json": jsonFile({ ...config, ...mlx }) };
  const weight_map: Record<string, string> = {};
  for (const i of [1, 2, 3]) {
    const own = all.filter((_, at) => at % 3 === i - 1).reverse();
    shards[`model-${i}.safetensors`] = safetensorsFile(own);
    for (const { name } of own) weight_map[name] = `model-${i}.safetensors`;
  }
  shards["model.safetensors.index.json"] = jsonFile({ weight_map });
  const sharded = (await openCheckpoint(memoryFolder("shards", shards))).tensors.get(`${DOWN}.weight`)!;
  for (const sliceBytes of [1, 300, 1000]) assert.ok(same(await values(sharded, sliceBytes), whole));
});

test("FP8: every row has the scales of its block, of any float type", async () => {
  for (const [type, bytes] of [
    ["F32", 4],
    ["BF16", 2],
  ] as const) {
    const all = fp8Tensors(type);
    const { tensors } = await open(all, { quantization_config: fp8Settings });
    const tensor = tensors.get(`${DOWN}.weight`)!;
    assert.equal(tensor.encoding, { type: "fp8", scales: type.toLowerCase() });
    const codes = all.find(({ name }) => name === `${DOWN}.weight`)!.data;
    const stored = all.find(({ name }) => name === `${DOWN}.weight_scale_inv`)!.data;
    const scale = (block: number) => {
      const word = new Uint8Array(4);
      word.set(stored.subarray(block * bytes, (block + 1) * bytes), 4 - bytes);
      return new Float32Array(word.buffer)[0]!;
    };
    for (const sliceBytes of [1, 5000]) {
      const read = await values(tensor, sliceBytes);
      for (let i = 0; i < read.length; i++) {
        const expected = Math.fround(e4m3ToF32(codes[i]!) * scale(i % 160 < 128 ? 0 : 1)); // 64 rows, 160 columns: two blocks
        if (!Object.is(read[i], expected)) assert.is(read[i], expected, `${type}, weight ${i}`);
      }
    }
    const gate = tensors.get("model.layers.0.mlp.gate_proj.weight")!; // 160 rows: two blocks
    assert.ok(same(await values(gate, 1), await values(gate)));
  }
});

const replaced = (tensors: TestTensor[], name: string, other?: TestTensor) =>
  tensors.flatMap((tensor) => (tensor.name === name ? (other ? [other] : []) : [tensor]));

const wrongTensors: readonly [title: string, tensors: TestTensor[], more: object, ...says: string[]][] = [
  ["no scales", replaced(mlxTensors(), `${DOWN}.scales`), mlx, `"${DOWN}.weight": is u32, but scales of it are missing`],
  ["no biases", replaced(mlxTensors(), `${DOWN}.biases`), mlx, "but biases of it are missing"],
  [
    "scales of other groups",
    replaced(mlxTensors(), `${DOWN}.scales`, levels(`${DOWN}.scales`, [64, 4])),
    mlx,
    `"${DOWN}.scales": the shape is [64,4]; "${DOWN}.weight" [64,20] needs [64,5]`,
  ],
  [
    "biases of other rows",
    replaced(mlxTensors(), `${DOWN}.biases`, levels(`${DOWN}.biases`, [65, 5])),
    mlx,
    `"${DOWN}.biases": the shape is [65,5]`,
  ],
  [
    "scales that are no floats",
    replaced(mlxTensors(), `${DOWN}.scales`, testTensor(`${DOWN}.scales`, [64, 5], "U16", 2)),
    mlx,
    "has dtype u16; supported: f32, f16, bf16",
  ],
  [
    "biases of another type",
    replaced(mlxTensors(), `${DOWN}.biases`, levels(`${DOWN}.biases`, [64, 5], "F32")),
    mlx,
    `"${DOWN}.biases": has dtype f32, its scales bf16`,
  ],
  ["words of other bits", mlxTensors(8), mlx, 'the shape is [11,2]; "model.embed_tokens.weight" [11,16] needs [11,4]'],
  ["part of a group", mlxTensors(), { quantization: { group_size: 128, bits: 4 } }, "rows of whole groups are needed"],
  ["part of a code", mlxTensors(), { quantization: { group_size: 32, bits: 3 } }, "rows of whole groups are needed"],
  [
    "three dimensions",
    replaced(mlxTensors(), `${DOWN}.weight`, testTensor(`${DOWN}.weight`, [64, 20, 1], "U32", 4)),
    mlx,
    "the shape is [64,20,1]",
  ],
  [
    "words where config.json says floats",
    mlxTensors(),
    { quantization: { ...mlxSettings, [DOWN]: false } },
    "has shape [64,20]; the configuration asks for [64,160]",
  ],
  ["words without a word of it", mlxTensors(), {}, "has shape [11,8]; the configuration asks for [11,64]"],
  [
    "scales without words",
    mlxTensors(4, 32, [DOWN]).concat(levels(`${DOWN}.scales`, [64, 5])),
    mlx,
    "is not a tensor of this architecture",
  ],
  [
    "FP8 without scales",
    replaced(fp8Tensors(), `${DOWN}.weight_scale_inv`),
    { quantization_config: fp8Settings },
    "weight_scale_inv of it are missing",
  ],
  [
    "FP8 with scales of other blocks",
    replaced(fp8Tensors(), `${DOWN}.weight_scale_inv`, levels(`${DOWN}.weight_scale_inv`, [1, 1], "F32")),
    { quantization_config: fp8Settings },
    `the shape is [1,1]; "${DOWN}.weight" [64,160] needs [1,2]`,
  ],
  [
    "FP8 with scales that are no floats",
    replaced(fp8Tensors(), `${DOWN}.weight_scale_inv`, testTensor(`${DOWN}.weight_scale_inv`, [1, 2], "F64", 8)),
    { quantization_config: fp8Settings },
    "has dtype f64",
  ],
  [
    "FP8 as a vector",
    replaced(fp8Tensors(), "model.norm.weight", testTensor("model.norm.weight", [64], "F8_E4M3", 1)).concat(
      levels("model.norm.weight_scale_inv", [1], "F32"),
    ),
    { quantization_config: fp8Settings },
    "only matrices can be quantized",
  ],
  ["FP8 without a word of it", fp8Tensors(), {}, "has dtype f8_e4m3"],
];
for (const [title, tensors, more, ...says] of wrongTensors)
  test(`refused: ${title}`, () =>
    refused(
      "CHECKPOINT_TENSOR",
      says.map((text) => new RegExp(text.replace(/[[\].*+?^$|(){}]/g, "\\$&"))),
      () => open(tensors, more),
    ));

const wrongConfigs: readonly [more: object, ...says: RegExp[]][] = [
  [{ quantization: 4 }, /quantization: an object is needed, got 4/],
  [{ quantization: {} }, /bits is absent; supported: 2, 3, 4, 5, 6, 8/],
  [{ quantization: { bits: 4 } }, /group_size is absent; supported: 32, 64, 128/],
  [{ quantization: { bits: 7, group_size: 64 } }, /bits is 7/],
  [{ quantization: { bits: "4", group_size: 64 } }, /bits is "4"/],
  [{ quantization: { bits: 4, group_size: 16 } }, /group_size is 16; supported: 32 or 64 or 128/],
  [{ quantization: { ...mlxSettings, mode: "mxfp4" } }, /mode is "mxfp4"; supported: "affine"/],
  [{ quantization: { ...mlxSettings, [DOWN]: { bits: 1 } } }, /quantization: model\.layers\.0\.mlp\.down_proj: bits is 1/],
  [{ quantization: { ...mlxSettings, [DOWN]: "no" } }, /down_proj: an object is needed, got "no"/],
  [
    { ...mlx, quantization_config: { ...mlxSettings, bits: 8 } },
    /quantization_config is .*; supported: the same as in quantization/,
  ],
  [{ quantization_config: { quant_method: "gptq", bits: 4 } }, /quant_method is "gptq"; supported: "fp8"/],
  [{ quantization_config: { quant_method: "compressed-tensors" } }, /quant_method is "compressed-tensors"/],
  [{ quantization_config: {} }, /quant_method is absent/],
  [{ quantization_config: { ...fp8Settings, fmt: "e5m2" } }, /fmt is "e5m2"; supported: "e4m3"/],
  [{ quantization_config: { ...fp8Settings, activation_scheme: "static" } }, /activation_scheme is "static"/],
  [
    { quantization_config: { ...fp8Settings, weight_block_size: [64, 128] } },
    /weight_block_size is \[64,128\]; supported: \[128,128\]/,
  ],
  [{ quantization_config: { ...fp8Settings, weight_block_size: undefined } }, /weight_block_size is absent/],
  [
    { quantization_config: { ...fp8Settings, modules_to_not_convert: "lm_head" } },
    /modules_to_not_convert is "lm_head"; supported: a list of names/,
  ],
  [{ quantization_config: { ...fp8Settings, ignored_layers: [1] } }, /ignored_layers is \[1\]/],
];
for (const [more, ...says] of wrongConfigs)
  test(`refused: ${JSON.stringify(more).slice(0, 90)}`, () =>
    refused("CHECKPOINT_CONFIG", says, () => open(more === undefined ? [] : mlxTensors(), more)));

test("a scale that is not finite is refused where it is met, by tensor and row", async () => {
  for (const [name, tensors, more] of [
    [`${DOWN}.biases`, mlxTensors(), mlx],
    [`${DOWN}.weight_scale_inv`, fp8Tensors("BF16"), { quantization_config: fp8Settings }],
  ] as const) {
    const found = tensors.find((tensor) => tensor.name === name)!;
    const data = found.data.slice();
    data.set([0x80, 0x7f], 2); // the second number becomes infinity
    const checkpoint = await open(replaced([...tensors], name, { ...found, data }), more);
    await refused("CHECKPOINT_TENSOR", [/row 0: a scale is Infinity/], () => values(checkpoint.tensors.get(`${DOWN}.weight`)!));
  }
});

test("what is not quantized has no configuration of it; null counts as absent", () => {
  assert.is(parseQuantizationConfig(config), undefined);
  assert.is(parseQuantizationConfig({ ...config, quantization: null, quantization_config: null }), undefined);
  const fp8 = { ...fp8Settings, modules_to_not_convert: ["lm_head"], ignored_layers: null };
  assert.equal(parseQuantizationConfig({ quantization_config: fp8 }), { method: "fp8" });
});

test.run();
