/**
 * Files made by breaking right ones where it matters: numbers that count, measure or point become others, names and texts are swapped,
 * stretches are cut out, doubled or overwritten. Every file is told by its seed, and takes some microseconds to make.
 */
import { byteCharacters } from "../../src/text/byte-level.ts";
import { f32, ggufFile, int32s, strings, tinyGgufTensors, tinyMetadata } from "./gguf-file.ts";
import { quantizedFiles } from "./hostile-safetensors.ts";
import { jsonFile, tinyConfig, tinyFiles } from "./safetensors-file.ts";

export type Files = Readonly<Record<string, Uint8Array>>;

/** Random numbers of a seed: xorshift, of 32 bits. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995 || 1;
    for (let i = 0; i < 4; i++) this.below(2);
  }

  /** 0..n-1 */
  below(n: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % n;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

const U64 = [
  0n,
  1n,
  2n,
  7n,
  31n,
  32n,
  64n,
  255n,
  1000n,
  65_536n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const U32 = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 30, 32, 255, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/** A right file, and where in it the numbers stand that count, measure, point or name a type. */
interface Base {
  readonly bytes: Uint8Array;
  readonly u64: readonly number[];
  readonly u32: readonly number[];
}

/** Finds the numbers of a GGUF file by walking it, with no check whatever. */
function walk(bytes: Uint8Array): Base {
  const view = new DataView(bytes.buffer);
  const u64 = [8, 16];
  const u32 = [4];
  let at = 24;
  const long = (): number => {
    u64.push(at);
    at += 8;
    return Number(view.getBigUint64(at - 8, true));
  };
  const short = (): number => {
    u32.push(at);
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
  const value = (type: number): void => {
    if (type === 8) {
      const length = long();
      at += length;
    } else if (type === 9) {
      const of = short();
      for (let left = long(); left > 0; left--) value(of);
    } else {
      if (SIZES[type] === 4) u32.push(at);
      at += SIZES[type]!;
    }
  };
  for (let keys = Number(view.getBigUint64(16, true)); keys > 0; keys--) {
    value(8);
    value(short());
  }
  for (let tensors = Number(view.getBigUint64(8, true)); tensors > 0; tensors--) {
    value(8);
    for (let dimensions = short(); dimensions > 0; dimensions--) long();
    short();
    long();
  }
  return { bytes, u64, u32 };
}

const tokenizer = {
  "general.alignment": 32,
  "tokenizer.ggml.model": "gpt2",
  "tokenizer.ggml.pre": "qwen2",
  "tokenizer.ggml.tokens": strings(["a", "b", "ab", "<|im_end|>"]),
  "tokenizer.ggml.token_type": int32s([1, 1, 1, 3]),
  "tokenizer.ggml.merges": strings(["a b"]),
  "tokenizer.chat_template": "{{ messages }}",
  "qwen3.rope.scaling.type": "yarn",
  "qwen3.rope.scaling.factor": f32(4),
};

/** A vocabulary that a tokenizer can be made of, and the rows for it. */
const bytes = byteCharacters();
const whole = {
  ...tokenizer,
  "tokenizer.ggml.tokens": strings([...bytes, "ab", "<|im_end|>"]),
  "tokenizer.ggml.token_type": int32s([...bytes.map(() => 1), 1, 3]),
};
const rows = tinyGgufTensors().map((tensor) =>
  tensor.name === "token_embd.weight" ? { ...tensor, shape: [258, 6], data: 258 * 24 } : tensor,
);

const GGUF: readonly Base[] = [
  ggufFile({ metadata: tinyMetadata, tensors: tinyGgufTensors() }),
  ggufFile({ version: 2, metadata: { ...tinyMetadata, ...tokenizer }, tensors: tinyGgufTensors() }),
  ggufFile({ metadata: { ...tinyMetadata, ...whole }, tensors: rows }),
].map(walk);

const CHECKPOINTS: readonly Files[] = [tinyFiles(), quantizedFiles("mlx"), quantizedFiles("fp8")];
const utf8 = new TextDecoder();

export function fuzzedGguf(seed: number): Files {
  const random = new Random(seed);
  const { bytes: right, u64, u32 } = random.of(GGUF);
  let bytes = right.slice();
  const view = new DataView(bytes.buffer);
  for (let changes = random.below(4) === 0 ? 3 : 1; changes > 0; changes--) {
    const kind = random.below(10);
    if (kind < 4) view.setBigUint64(random.of(u64), near(random, view.getBigUint64(random.of(u64), true)), true);
    else if (kind < 7) view.setUint32(random.of(u32), random.of(U32), true);
    else if (kind < 8) bytes[random.below(bytes.length)] = random.below(256);
    else if (kind < 9) bytes.copyWithin(random.below(bytes.length), random.below(bytes.length), random.below(bytes.length));
    else
      bytes.set(
        new TextEncoder().encode(random.of(["split.count", "general.type", "blk.9", "\u0000\ud800"])),
        random.below(right.length - 20),
      );
  }
  const end = random.below(8);
  if (end === 0) bytes = bytes.slice(0, random.below(bytes.length + 1));
  else if (end === 1) bytes = joined(bytes, right.subarray(random.below(right.length)));
  return random.below(16) === 0 ? { "m-00001-of-00002.gguf": bytes, "m-00002-of-00002.gguf": right } : { "m.gguf": bytes };
}

/** An extreme number, or one that is a little off. */
function near(random: Random, value: bigint): bigint {
  return random.below(3) > 0 ? random.of(U64) : BigInt.asUintN(64, value + BigInt(random.below(9) - 4));
}

const JSON_PIECES = [
  ...[
    "0",
    "-1",
    "1e999",
    "1.5",
    "9007199254740992",
    "18446744073709551615",
    "null",
    "true",
    "[]",
    "{}",
    '""',
    '"F32"',
    '"U32"',
    '"F8_E4M3"',
  ],
  ...[
    "[[[[[[[[",
    '"a":',
    ",",
    "}",
    "]",
    "\\u0000",
    "\\ud800",
    "\u0000",
    "__proto__",
    '"bits":4',
    '"group_size":0',
    "1, 1, 1",
    "é",
  ],
];

export function fuzzedSafetensors(seed: number): Files {
  const random = new Random(seed);
  const files = random.of(CHECKPOINTS);
  const file = files["model.safetensors"]!;
  const config = files["config.json"]!;
  if (random.below(3) === 0) return { ...files, "config.json": fuzzedJson(random, config) };
  const length = new DataView(file.buffer, file.byteOffset).getUint32(0, true);
  const header = fuzzedJson(random, file.subarray(8, 8 + length));
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, random.below(8) === 0 ? random.of(U64) : BigInt(header.length), true);
  const data = random.below(8) === 0 ? file.subarray(8 + random.below(length)) : file.subarray(8 + length);
  const broken = joined(joined(prefix, header), data);
  if (random.below(32) > 0) return { ...files, "model.safetensors": broken };
  const weight_map = {
    [random.of(["model.norm.weight", "x"])]: random.of(["a.safetensors", "../a.safetensors", "model.safetensors"]),
  };
  return {
    ...files,
    "a.safetensors": broken,
    "model.safetensors.index.json": fuzzedJson(random, jsonFile({ weight_map, tinyConfig })),
  };
}

/** A number, a text or a stretch of JSON becomes something else. */
function fuzzedJson(random: Random, bytes: Uint8Array): Uint8Array {
  let text = utf8.decode(bytes);
  for (let changes = 1 + random.below(2); changes > 0; changes--) {
    const start = random.below(text.length + 1);
    const kind = random.below(5);
    if (kind === 0) text = text.slice(0, start) + random.of(JSON_PIECES) + text.slice(start);
    else if (kind === 1) text = text.slice(0, start) + text.slice(start + random.below(40));
    else if (kind === 2) text = text.slice(0, start) + text.slice(random.below(text.length));
    else {
      // From the next colon to what ends the value.
      const colon = text.indexOf(":", start) + 1;
      const end = text.slice(colon).search(/[,}\]]/);
      text = text.slice(0, colon) + random.of(JSON_PIECES) + text.slice(colon + Math.max(0, end));
    }
  }
  return new TextEncoder().encode(text);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
