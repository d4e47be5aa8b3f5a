import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Checkpoint, type CheckpointTensor, openCheckpoint } from "../../src/formats/checkpoint.ts";
import { parseModelConfig } from "../../src/formats/config.ts";
import { expectedTensors } from "../../src/formats/qwen3-tensors.ts";
import { type ReadRowRange, slices } from "../../src/formats/slices.ts";
import { type ByteSource, type CheckpointSource, memoryFolder, openFolder } from "../../src/formats/source.ts";
import { goldenPath, nanoPath } from "../paths.ts";
import { refused } from "./refused.ts";
import {
  jsonFile,
  rawFile,
  type TestTensor,
  testTensor,
  tinyConfig,
  tinyFiles,
  tinyShapes,
  tinyShards,
  tinyTensors,
} from "./safetensors-file.ts";

type Files = Record<string, Uint8Array>;
const open = (files: Files): Promise<Checkpoint> => openCheckpoint(memoryFolder("tiny", files));

async function whole(tensor: CheckpointTensor, sliceBytes?: number): Promise<Uint8Array> {
  const rowBytes = tensor.byteLength / tensor.shape[0]!;
  const all = new Uint8Array(tensor.byteLength);
  let nextRow = 0;
  for await (const { firstRow, bytes } of tensor.rows(sliceBytes === undefined ? {} : { sliceBytes })) {
    assert.is(firstRow, nextRow, tensor.name);
    assert.ok(bytes.length > 0 && bytes.length % rowBytes === 0);
    assert.ok(bytes.length <= Math.max(rowBytes, sliceBytes ?? 6 * 1024 * 1024));
    all.set(bytes, firstRow * rowBytes);
    nextRow += bytes.length / rowBytes;
  }
  assert.is(nextRow, tensor.shape[0]);
  return all;
}

test("a tiny checkpoint: config, tensors, bytes", async () => {
  const checkpoint = await open(tinyFiles());
  assert.is(checkpoint.name, "tiny");
  assert.is(checkpoint.config.hidden_size, 6);
  assert.equal(checkpoint.generationConfig, { eos_token_id: [3] });
  assert.equal(Object.fromEntries([...checkpoint.tensors].map(([name, { shape }]) => [name, shape])), tinyShapes);
  assert.is(checkpoint.tensorBytes, 4 * (66 + 6 + 48 + 24 + 24 + 4 + 4 + 48 + 6 + 60 + 60 + 60 + 6));
  for (const { name, data } of tinyTensors()) {
    const tensor = checkpoint.tensors.get(name)!;
    assert.is(tensor.name, name);
    assert.equal(tensor.encoding, { type: "f32" });
    assert.equal(await whole(tensor), data);
  }
});

test("rows: whole ones, in slices of any size, the same bytes", async () => {
  const { tensors } = await open(tinyFiles());
  for (const { name, data } of tinyTensors())
    for (const sliceBytes of [1, 4, 23, 24, 25, 100, 263, 264, 1000])
      assert.equal(await whole(tensors.get(name)!, sliceBytes), data);
  for (const sliceBytes of [0, -1, 1.5, Number.NaN])
    await refused("ARGUMENT", [`sliceBytes is ${sliceBytes}`], () => whole(tensors.get("model.norm.weight")!, sliceBytes));
});

/** Names and sizes as the golden files' own headers or index have them, read without the parser under test. */
const listed = (folder: string, file: string): string[] => {
  const bytes = readFileSync(goldenPath(folder, file));
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
  return Object.keys(header).filter((name) => name !== "__metadata__");
};

test("the golden checkpoints and nano, from their folders", async () => {
  const cases: readonly (readonly [folder: string, dtype: string, count: number])[] = [
    ["gqa-bf16", "bf16", 35],
    ["mqa-untied-f32", "f32", 25],
    ["mha-f16", "f16", 24],
    ["yarn-bf16", "bf16", 24],
    ["sharded-bf16", "bf16", 24],
  ];
  for (const [folder, dtype, count] of cases) {
    const checkpoint = await openCheckpoint(goldenPath(folder));
    const files = (await readdir(goldenPath(folder))).filter((file) => /^model.*\.safetensors$/.test(file));
    const names = files
      .flatMap((file) => listed(folder, file))
      .filter((name) => folder !== "sharded-bf16" || name !== "lm_head.weight");
    assert.equal([...checkpoint.tensors.keys()].sort(), names.sort(), folder);
    assert.is(checkpoint.tensors.size, count, folder);
    for (const tensor of checkpoint.tensors.values()) assert.equal(tensor.encoding, { type: dtype });
    assert.is(checkpoint.tensors.has("lm_head.weight"), folder === "mqa-untied-f32");
    assert.equal(checkpoint.generationConfig, { do_sample: true, temperature: 0.7, top_k: 20, top_p: 0.8, eos_token_id: [2, 1] });
    for (const tensor of checkpoint.tensors.values()) assert.equal(await whole(tensor, 777), await whole(tensor), tensor.name);
    await checkpoint.close();
  }
  const nano = await openCheckpoint(pathToFileURL(nanoPath));
  assert.is(nano.tensors.size, 2 + 5 * 11);
  const file = await readFile(join(nanoPath, "model.safetensors"));
  assert.is(nano.tensorBytes, file.length - 8 - Number(file.readBigUInt64LE()));
  assert.equal(await nano.file("tokenizer.json"), new Uint8Array(await readFile(join(nanoPath, "tokenizer.json"))));
  await nano.close();
});

test("the same from Blobs and from memory as from disk", async () => {
  const disk = await openCheckpoint(goldenPath("sharded-bf16"));
  const files: Record<string, Blob | Uint8Array> = {};
  for (const [i, file] of (await readdir(goldenPath("sharded-bf16"))).entries()) {
    const bytes = await readFile(goldenPath("sharded-bf16", file));
    files[file] = i % 2 ? bytes : new Blob([bytes]);
  }
  const memory = await openCheckpoint(memoryFolder("golden", files));
  assert.equal(memory.config, disk.config);
  for (const [name, tensor] of disk.tensors) assert.equal(await whole(memory.tensors.get(name)!), await whole(tensor), name);
  await disk.close();
});

test("shards give what one file gives", async () => {
  const [one, three] = [await open(tinyFiles()), await open(tinyShards())];
  assert.equal([...three.tensors.keys()], [...one.tensors.keys()]);
  for (const [name, tensor] of one.tensors) assert.equal(await whole(three.tensors.get(name)!), await whole(tensor), name);
});

const renamed = (change: (name: string) => string): TestTensor[] =>
  tinyTensors().map((tensor) => ({ ...tensor, name: change(tensor.name) }));

test("names without model. in front are the same checkpoint", async () => {
  const [plain, bare] = [await open(tinyFiles()), await open(tinyFiles(renamed((name) => name.slice("model.".length))))];
  assert.equal([...bare.tensors.keys()], [...plain.tensors.keys()]);
  const untied = { ...tinyConfig, tie_word_embeddings: false };
  const withHead = [...renamed((name) => name.slice("model.".length)), testTensor("lm_head.weight", [11, 6])];
  assert.ok((await open(tinyFiles(withHead, untied))).tensors.has("lm_head.weight"));
});

test("without head_dim in config.json, the query norm tells it", async () => {
  const { head_dim: _, ...config } = tinyConfig; // hidden_size / num_attention_heads is 3
  for (const rename of [(name: string) => name, (name: string) => name.slice("model.".length)])
    assert.is((await open(tinyFiles(renamed(rename), config))).config.head_dim, 4);
  const withNorm = (shape: number[]) =>
    tinyTensors().map((tensor) => (tensor.name.endsWith("q_norm.weight") ? testTensor(tensor.name, shape) : tensor));
  for (const length of [0, 3, 1026])
    await refused("CHECKPOINT_CONFIG", ["head_dim is absent", `the weights' is ${length}`], () =>
      open(tinyFiles(withNorm([length]), config)),
    );
  await refused("CHECKPOINT_CONFIG", [/would be 3$/], () => open(tinyFiles(withNorm([2, 2]), config)));
});

test("what older exports carry without need is tolerated and dropped", async () => {
  const extra = [
    testTensor("lm_head.weight", [11, 6]),
    testTensor("model.rotary_emb.inv_freq", [2]),
    testTensor("model.layers.0.self_attn.rotary_emb.inv_freq", [2], "F64", 8),
  ];
  const { tensors, tensorBytes } = await open(tinyFiles([...extra, ...tinyTensors()]));
  assert.equal([...tensors.keys()], Object.keys(tinyShapes));
  assert.is(tensorBytes, 4 * 416);
});

test("types may differ from tensor to tensor", async () => {
  const tensors = tinyTensors().map(({ name, shape }) =>
    shape.length === 1 ? testTensor(name, shape, "F32", 4) : testTensor(name, shape, name.includes("mlp") ? "F16" : "BF16", 2),
  );
  const checkpoint = await open(tinyFiles(tensors));
  assert.equal(checkpoint.tensors.get("model.norm.weight")?.encoding, { type: "f32" });
  assert.equal(checkpoint.tensors.get("model.layers.0.mlp.up_proj.weight")?.encoding, { type: "f16" });
  assert.equal(checkpoint.tensors.get("model.embed_tokens.weight")?.encoding, { type: "bf16" });
});

const without = (name: string) => tinyTensors().filter((tensor) => tensor.name !== name);
const replaced = (tensor: TestTensor) => tinyTensors().map((old) => (old.name === tensor.name ? tensor : old));

const wrongTensors: readonly (readonly [title: string, tensors: TestTensor[], config: object, ...says: string[]])[] = [
  ...Object.entries(tinyShapes).map(
    ([name, shape]) => [`${name} missing`, without(name), tinyConfig, `${name} ${JSON.stringify(shape)} is missing`] as const,
  ),
  ["no tensors", [], tinyConfig, "model.embed_tokens.weight [11,6] is missing"],
  [
    "lm_head missing in an untied model",
    tinyTensors(),
    { ...tinyConfig, tie_word_embeddings: false },
    "lm_head.weight [11,6] is missing",
  ],
  [
    "a bias",
    [...tinyTensors(), testTensor("model.layers.0.self_attn.q_proj.bias", [8])],
    tinyConfig,
    '"model.layers.0.self_attn.q_proj.bias" is not a tensor',
  ],
  [
    "a layer too many",
    [...tinyTensors(), testTensor("layers.1.mlp.up_proj.weight", [10, 6])],
    tinyConfig,
    '"layers.1.mlp.up_proj.weight" is not',
  ],
  [
    "a layer under another number",
    renamed((n) => n.replace("layers.0", "layers.00")),
    tinyConfig,
    "model.layers.0.input_layernorm.weight [6] is missing",
  ],
  [
    "a head with a prefix",
    [...tinyTensors(), testTensor("model.lm_head.weight", [11, 6])],
    tinyConfig,
    '"model.lm_head.weight" is not',
  ],
  [
    "another head",
    [...tinyTensors(), testTensor("score.weight", [1, 6])],
    tinyConfig,
    '"score.weight" is not a tensor of this architecture',
  ],
  [
    "a redundant lm_head of another shape",
    [...tinyTensors(), testTensor("lm_head.weight", [12, 6])],
    tinyConfig,
    '"lm_head.weight" has shape [12,6]',
  ],
  [
    "both forms of a name",
    [...tinyTensors(), testTensor("norm.weight", [6])],
    tinyConfig,
    'model.norm.weight is there twice, with and without "model."',
  ],
  [
    "a matrix lying down",
    replaced(testTensor("model.layers.0.self_attn.q_proj.weight", [6, 8])),
    tinyConfig,
    'q_proj.weight" has shape [6,8]; the configuration asks for [8,6]',
  ],
  [
    "a matrix with one dimension",
    replaced(testTensor("model.embed_tokens.weight", [11])),
    tinyConfig,
    'embed_tokens.weight" has shape [11]; the configuration asks for [11,6]',
  ],
  [
    "a vector with two dimensions",
    replaced(testTensor("model.norm.weight", [6, 1])),
    tinyConfig,
    "has shape [6,1]; the configuration asks for [6]",
  ],
  [
    "an empty tensor",
    replaced(testTensor("model.norm.weight", [0])),
    tinyConfig,
    "has shape [0]; the configuration asks for [6]",
  ],
  [
    "another head_dim",
    tinyTensors(),
    { ...tinyConfig, head_dim: 6 },
    'q_proj.weight" has shape [8,6]; the configuration asks for [12,6]',
  ],
  [
    "another vocabulary",
    tinyTensors(),
    { ...tinyConfig, vocab_size: 12 },
    'embed_tokens.weight" has shape [11,6]; the configuration asks for [12,6]',
  ],
  [
    "a type that is not computed with",
    replaced(testTensor("model.norm.weight", [6], "F64", 8)),
    tinyConfig,
    '"model.norm.weight" has dtype f64; supported: f32, f16, bf16',
  ],
  [
    "8-bit floats",
    replaced(testTensor("model.layers.0.mlp.up_proj.weight", [10, 6], "F8_E4M3", 1)),
    tinyConfig,
    "has dtype f8_e4m3; supported",
  ],
];
for (const [title, tensors, config, ...says] of wrongTensors)
  test(`refused: ${title}`, () => refused("CHECKPOINT_TENSOR", says, () => open(tinyFiles(tensors, config))));

const norm = "model.norm.weight";
const INDEX = "model.safetensors.index.json";
/** The sharded checkpoint with its index changed. */
function reindexed(change: (weightMap: Record<string, unknown>) => void, files: Files = tinyShards()): Files {
  const index = JSON.parse(new TextDecoder().decode(files[INDEX]));
  change(index.weight_map);
  return { ...files, [INDEX]: jsonFile(index) };
}
const shard = (number: number) => `model-0000${number}-of-00003.safetensors`;
const placedIn = (file: string): Files =>
  reindexed((map) => {
    map[norm] = file;
  });

const wrongFiles: readonly (readonly [
  title: string,
  files: Files,
  code: "CHECKPOINT_FILE" | "CHECKPOINT_HEADER",
  ...says: string[],
])[] = [
  ["no config.json", { ...tinyFiles(), "config.json": undefined as never }, "CHECKPOINT_FILE", "tiny: config.json is missing"],
  [
    "config.json that is not JSON",
    { ...tinyFiles(), "config.json": jsonFile("x").subarray(1) },
    "CHECKPOINT_FILE",
    "config.json: ",
  ],
  [
    "config.json of 2 MB",
    { ...tinyFiles(), "config.json": new Uint8Array(2_000_000) },
    "CHECKPOINT_FILE",
    "2000000 bytes; at most 1048576",
  ],
  [
    "broken generation_config.json",
    { ...tinyFiles(), "generation_config.json": jsonFile({}).subarray(1) },
    "CHECKPOINT_FILE",
    "generation_config.json: ",
  ],
  [
    "no weights",
    { "config.json": jsonFile(tinyConfig) },
    "CHECKPOINT_FILE",
    "tiny: model.safetensors is missing, and so is model.safetensors.index.json",
  ],
  [
    "a broken header",
    { ...tinyFiles(), "model.safetensors": rawFile("[]") },
    "CHECKPOINT_HEADER",
    "tiny/model.safetensors: an object is needed",
  ],
  ["an index that is not JSON", { ...tinyShards(), [INDEX]: new Uint8Array(3) }, "CHECKPOINT_HEADER", INDEX],
  [
    "an index with a name twice",
    { ...tinyShards(), [INDEX]: new TextEncoder().encode('{"weight_map":{"a":"x","a":"y"}}') },
    "CHECKPOINT_HEADER",
    "stands twice",
  ],
  [
    "an index without weight_map",
    { ...tinyShards(), [INDEX]: jsonFile({ metadata: {} }) },
    "CHECKPOINT_HEADER",
    "weight_map: an object is needed, got undefined",
  ],
  [
    "an index past the limit",
    { ...tinyShards(), [INDEX]: new Uint8Array(1024 * 1024 + 1) },
    "CHECKPOINT_HEADER",
    "1048577 bytes; at most 1048576",
  ],
  [
    "a shard missing",
    { ...tinyShards(), [shard(2)]: undefined as never },
    "CHECKPOINT_FILE",
    `${shard(2)} is missing, though ${INDEX} names it`,
  ],
  [
    "a tensor that its file lacks",
    reindexed((map) => {
      map.extra = shard(1);
    }),
    "CHECKPOINT_HEADER",
    `${shard(1)}: "extra" is missing, though`,
  ],
  [
    "a tensor in another file",
    reindexed((map) => {
      map[norm] = shard(3);
    }),
    "CHECKPOINT_HEADER",
    `"${norm}"`,
  ],
  [
    "a tensor that the index leaves out",
    reindexed((map) => {
      delete map[norm];
    }),
    "CHECKPOINT_HEADER",
    `"${norm}" is in this file, but ${INDEX} does not place it here`,
  ],
  [
    "more shards than anyone has",
    reindexed((map) => {
      for (let i = 0; i < 1025; i++) map[`t${i}`] = `${i}.safetensors`;
    }),
    "CHECKPOINT_HEADER",
    "the index names 1028 files; at most 1024",
  ],
  [
    "a path up",
    placedIn("../model.safetensors"),
    "CHECKPOINT_HEADER",
    `${norm} is "../model.safetensors"; supported: names of .safetensors files`,
  ],
  ["an absolute path", placedIn("/etc/model.safetensors"), "CHECKPOINT_HEADER", "names of .safetensors files in the same folder"],
  ["a Windows path", placedIn("..\\model.safetensors"), "CHECKPOINT_HEADER", "names of .safetensors files"],
  ["a drive", placedIn("C:model.safetensors"), "CHECKPOINT_HEADER", "names of .safetensors files"],
  ["a NUL in a name", placedIn("a\0.safetensors"), "CHECKPOINT_HEADER", "names of .safetensors files"],
  ["two dots", placedIn(".."), "CHECKPOINT_HEADER", "names of .safetensors files"],
  ["a file of another kind", placedIn("config.json"), "CHECKPOINT_HEADER", "names of .safetensors files"],
  [
    "a file name that is a number",
    reindexed((map) => {
      map[norm] = 1;
    }),
    "CHECKPOINT_HEADER",
    `${norm} is 1; supported`,
  ],
];
for (const [title, files, code, ...says] of wrongFiles) test(`refused: ${title}`, () => refused(code, says, () => open(files)));

test("refused: what config.json asks for and is not computed", () =>
  refused("CHECKPOINT_CONFIG", ["config.json: attention_bias is true"], () =>
    open(tinyFiles(tinyTensors(), { ...tinyConfig, attention_bias: true })),
  ));

test("refused: a folder that does not exist", () =>
  refused("SOURCE_READ", ["/no/such/folder"], () => openCheckpoint("/no/such/folder")));

test("side files: absent, present, too large, outside", async () => {
  const checkpoint = await open({ ...tinyFiles(), "tokenizer.json": jsonFile({ a: 1 }), "empty.txt": new Uint8Array(0) });
  assert.equal(await checkpoint.file("empty.txt"), new Uint8Array(0));
  assert.is(await checkpoint.file("chat_template.jinja"), undefined);
  assert.equal(await checkpoint.file("tokenizer.json"), jsonFile({ a: 1 }));
  assert.equal(await checkpoint.file("tokenizer.json", { limitBytes: 7 }), jsonFile({ a: 1 }));
  await refused("CHECKPOINT_FILE", ["tokenizer.json: 7 bytes; at most 6"], () =>
    checkpoint.file("tokenizer.json", { limitBytes: 6 }),
  );
  await refused("ARGUMENT", ["../x"], () => checkpoint.file("../x"));
});

/** A source that tells which of its files are open. */
function watched(files: Files, whenOpen: (file: string) => void = () => {}): { source: CheckpointSource; open: Set<string> } {
  const inner = memoryFolder("watched", files);
  const isOpen = new Set<string>();
  const source: CheckpointSource = {
    name: "watched",
    async open(file, signal) {
      const bytes = await inner.open(file, signal);
      if (!bytes) return undefined;
      whenOpen(file);
      isOpen.add(file);
      return { ...bytes, close: () => void isOpen.delete(file) };
    },
  };
  return { source, open: isOpen };
}

test("files are closed with the checkpoint, or when opening it fails; then reading is refused", async () => {
  const good = watched(tinyShards());
  const checkpoint = await openCheckpoint(good.source);
  assert.equal([...good.open].sort(), [shard(1), shard(2), shard(3), INDEX].sort());
  await checkpoint.close();
  await checkpoint.close();
  assert.is(good.open.size, 0);
  await refused("CLOSED", ["watched: the checkpoint was closed"], () => whole(checkpoint.tensors.get(norm)!));
  await refused("CLOSED", ["watched"], () => checkpoint.file("config.json"));

  for (const files of [
    tinyFiles(without(norm)),
    { ...tinyShards(), [shard(3)]: new Uint8Array(3) },
    { "config.json": jsonFile(7) },
  ]) {
    const bad = watched(files);
    await openCheckpoint(bad.source).catch(() => undefined);
    assert.is(bad.open.size, 0);
  }
});

test("a failing close does not hide what went wrong", async () => {
  const { source } = watched({ ...tinyFiles(without(norm)) });
  const failing: CheckpointSource = {
    name: "failing",
    async open(file) {
      const bytes = await source.open(file);
      return bytes && file === "model.safetensors" ? { ...bytes, close: () => Promise.reject(new Error("close")) } : bytes;
    },
  };
  await refused("CHECKPOINT_TENSOR", [norm], () => openCheckpoint(failing));
});

test("an aborted signal stops opening and streaming, with its reason, and closes what was open", async () => {
  const stop = new AbortController();
  const reason = new Error("enough");
  const { source, open: isOpen } = watched(tinyShards(), (file) => file === shard(2) && stop.abort(reason));
  assert.is(await openCheckpoint(source, { signal: stop.signal }).catch((error: unknown) => error), reason);
  assert.is(isOpen.size, 0);
  assert.is(await openCheckpoint(nanoPath, { signal: stop.signal }).catch((error: unknown) => error), reason);

  const checkpoint = await open(tinyFiles());
  const rows = checkpoint.tensors.get("model.embed_tokens.weight")!.rows({ sliceBytes: 24, signal: stop.signal });
  assert.is(
    await rows[Symbol.asyncIterator]()
      .next()
      .catch((error: unknown) => error),
    reason,
  );
});

test("a caller's own source: sizes that are none, and errors of any kind, end in typed errors", async () => {
  const own = (size: number): CheckpointSource => ({
    name: "own",
    open: async (file): Promise<ByteSource> => ({ name: file, size, read: async () => new Uint8Array(0) }),
  });
  for (const size of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "7" as unknown as number])
    await refused("SOURCE_READ", ["own/config.json", `${size} is not a size in bytes`], () => openCheckpoint(own(size)));
  const failing: CheckpointSource = { name: "own", open: () => Promise.reject(new TypeError("no such disk")) };
  await refused("SOURCE_READ", ["own/config.json: no such disk"], () => openCheckpoint(failing));
});

test("expected tensors: 11 a layer, and as many parameters as are published", () => {
  const sizes = {
    hidden_size: 2560,
    num_hidden_layers: 36,
    num_key_value_heads: 8,
    intermediate_size: 9728,
    tie_word_embeddings: true,
  };
  const expected = expectedTensors(parseModelConfig({ model_type: "qwen3", num_attention_heads: 32, head_dim: 128, ...sizes }));
  assert.is(expected.size, 2 + 36 * 11);
  const parameters = [...expected.values()].reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0);
  assert.is(parameters, 4_022_468_096);
});

test("a range of rows, each slice read while the one before is used, into memory that is used again", async () => {
  const bytes = Uint8Array.from({ length: 40 }, (_, i) => i);
  const reads: string[] = [];
  const read: ReadRowRange = async (first, end, _, into) => {
    reads.push(`${first}-${end}${into ? " into" : ""}`);
    const slice = new Uint8Array(into ?? new ArrayBuffer(12), 0, (end - first) * 4);
    slice.set(bytes.subarray(first * 4, end * 4));
    return { bytes: slice, spare: slice.buffer as ArrayBuffer };
  };
  const spares: ArrayBuffer[] = [new ArrayBuffer(2)];
  const seen: number[][] = [];
  for await (const { firstRow, bytes } of slices(10, 4, read, { first: 1, end: 9, sliceBytes: 12, spares })) {
    seen.push([firstRow, ...bytes]);
    assert.is(reads.length, Math.min(3, seen.length + 1), "one is read ahead");
  }
  assert.equal(
    seen.map(([firstRow]) => firstRow),
    [1, 4, 7],
  );
  assert.equal(
    seen.flatMap(([, ...values]) => values),
    [...bytes.subarray(4, 36)],
  );
  assert.equal(reads, ["1-4", "4-7", "7-9 into"]);
  assert.is(spares.length, 2, "what was too small is gone");
  for await (const slice of slices(10, 4, read, { first: 3, end: 3 })) assert.unreachable(`${slice.firstRow}`);
  for (const range of [{ first: -1 }, { end: 11 }, { first: 5, end: 4 }, { first: 0.5 }])
    await refused("ARGUMENT", ["the tensor has 10"], () => slices(10, 4, read, range).next());
});

test("a source may ignore the memory that it is offered", async () => {
  const folder = await openFolder(goldenPath("gqa-bf16"));
  const own: CheckpointSource = {
    name: "own",
    async open(file) {
      const source = await folder.open(file);
      return (
        source && {
          name: file,
          size: source.size,
          read: async (at, length) => new Uint8Array([0, ...(await source.read(at, length))]).subarray(1),
        }
      );
    },
  };
  const [ours, theirs] = await Promise.all([openCheckpoint(folder), openCheckpoint(own)]);
  const name = "model.layers.0.mlp.gate_proj.weight";
  const rows = async (checkpoint: Checkpoint) => {
    const all: number[] = [];
    for await (const { bytes } of checkpoint.tensors.get(name)!.rows({ sliceBytes: 1000, spares: [] })) all.push(...bytes);
    return all;
  };
  assert.equal(await rows(theirs), await rows(ours));
  await Promise.all([ours.close(), theirs.close()]);
});

test.run();
