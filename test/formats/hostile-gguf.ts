/** GGUF files that are wrong in one thing each, with what the refusal has to say. */
import {
  Bytes,
  f32,
  ggufFile,
  int32s,
  type Metadata,
  strings,
  TENSOR,
  type TestGgufTensor,
  TYPES,
  tinyGguf,
  tinyGgufTensors,
} from "./gguf-file.ts";

export interface HostileFile {
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly code: "CHECKPOINT_HEADER" | "CHECKPOINT_FILE" | "CHECKPOINT_CONFIG" | "CHECKPOINT_TENSOR";
  readonly says: RegExp;
}

const U64_MAX = 2n ** 64n - 1n;

const one = (bytes: Uint8Array, says: RegExp, code: HostileFile["code"] = "CHECKPOINT_HEADER"): HostileFile => ({
  files: { "m.gguf": bytes },
  code,
  says,
});

const keyed = (metadata: Metadata, says: RegExp) => one(tinyGguf({ metadata }), says);

/** The tiny file with its first tensor changed. */
const tensor = (change: Partial<TestGgufTensor>, says: RegExp, code?: HostileFile["code"]) => {
  const [first, ...rest] = tinyGgufTensors();
  return one(tinyGguf({ tensors: [{ ...first!, ...change }, ...rest] }), says, code);
};

const whole = tinyGguf();
const cut = (end: number, says: RegExp) => one(whole.slice(0, end), says);
/** Where the first text of the file's bytes stands. */
const at = (text: string) => Buffer.from(whole).indexOf(text);

/** Only a header: magic, version, counts, and what `write` adds. */
const header = (tensors: number | bigint, keys: number | bigint, write: (out: Bytes) => void = () => undefined) => {
  const out = new Bytes().raw(new TextEncoder().encode("GGUF")).u32(3).u64(tensors).u64(keys);
  write(out);
  return out.done();
};

export const HOSTILE_GGUF: Readonly<Record<string, HostileFile>> = {
  "no bytes": cut(0, /truncated: the magic number takes 4 bytes at byte 0, the file has 0/),
  "half a magic number": cut(3, /truncated: the magic number/),
  "wrong magic": one(ggufFile({ magic: "GGML" }), /does not begin with GGUF/),
  "magic turned round": one(ggufFile({ magic: "FUGG" }), /does not begin with GGUF/),
  "version 0": one(ggufFile({ version: 0 }), /of version 0; supported: 2 and 3/),
  "version 1, with its counts of 32 bits": one(ggufFile({ version: 1 }), /of version 1/),
  "version 4": one(ggufFile({ version: 4 }), /of version 4/),
  "big-endian": one(ggufFile({ version: 3 << 24 }), /big-endian/),
  "cut in the version": cut(6, /truncated: the version/),
  "cut in the number of tensors": cut(12, /truncated: the number of tensors/),
  "cut in the number of keys": cut(20, /at most \d+ is possible|truncated: the number of metadata keys/),
  "cut before the first key": cut(24, /at most \d+ is possible|truncated: the length of metadata key 0/),
  "cut in a key": cut(at("general.architecture") + 5, /at most \d+ is possible|truncated: metadata key 0 takes 20 bytes/),
  "cut before a type": cut(
    at("general.architecture") + 20,
    /at most \d+ is possible|truncated: the type of "general.architecture"/,
  ),
  "cut in a value": cut(
    at("qwen3.block_count") + 17 + 4 + 2,
    /at most \d+ is possible|truncated: "qwen3.block_count" takes 4 bytes/,
  ),
  "cut in a tensor's name": cut(at("token_embd") + 3, /truncated: the name of tensor 0 takes 17 bytes/),
  "cut in a tensor's dimensions": cut(at("token_embd") + 17 + 4 + 12, /truncated: dimension 1 of tensor "token_embd.weight"/),
  "cut before a tensor's offset": cut(at("token_embd") + 17 + 4 + 16 + 4, /truncated: the offset of tensor/),
  "cut behind the header": cut(
    at("output_norm") + 18 + 4 + 8 + 4 + 8,
    /offset of .* at most|truncated: tensor "token_embd.weight" ends at/,
  ),
  "cut in the last tensor": cut(whole.length - 32 + 23, /truncated: tensor "output_norm.weight" ends at/),
  "2^64 - 1 tensors": one(ggufFile({ tensorCount: U64_MAX }), /number of tensors is 18446744073709551615; at most/),
  "2^63 tensors": one(ggufFile({ tensorCount: 2n ** 63n }), /number of tensors is 9223372036854775808/),
  "2^32 keys": one(ggufFile({ keyCount: 2n ** 32n }), /number of metadata keys is 4294967296/),
  "2^64 - 1 keys": one(ggufFile({ keyCount: U64_MAX }), /number of metadata keys is 18446744073709551615/),
  "more tensors than are allowed": one(
    new Bytes().raw(header(20_000, 0)).raw(new Uint8Array(700_000)).done(),
    /20000 tensors; at most 4096/,
  ),
  "more texts in an array than are allowed": one(
    new Bytes()
      .raw(header(0, 1))
      .text("a")
      .u32(9)
      .u32(8)
      .u64(1_048_577n)
      .raw(new Uint8Array(8 * 1_048_577))
      .done(),
    /"a" has 1048577 texts; at most 1048576/,
  ),
  "a text longer than is allowed": keyed(
    { a: "x".repeat(2 * 1024 * 1024 + 1) },
    /the length of "a" is 2097153; at most \d+ is possible/,
  ),
  "more metadata than is allowed, by its names": keyed(
    Object.fromEntries(Array.from({ length: 40 }, (_, i) => [String(i).padEnd(60_000, "k"), 1])),
    /metadata of more than 2097152 bytes/,
  ),
  "more keys than are allowed": one(
    new Bytes().raw(header(0, 5000)).raw(new Uint8Array(70_000)).done(),
    /5000 metadata keys; at most 4096/,
  ),
  "one key more than there are": one(
    header(0, 1, (out) => out.raw(new Uint8Array(7))),
    /truncated: the length of metadata key 0/,
  ),
  "a key's length past the end": one(
    header(0, 1, (out) => out.text("abcde", 1000)),
    /truncated: metadata key 0 takes 1000 bytes/,
  ),
  "a key's length of 2^64 - 1": one(
    header(0, 1, (out) => out.text("abcde", U64_MAX)),
    /length of metadata key 0 is 18446744073709551615/,
  ),
  "a key twice": keyed(
    { a: 1, b: (out) => out.u32(TYPES.bool).u8(1).text("a").u32(TYPES.bool).u8(1) },
    /truncated|dimension|tensor|length/,
  ),
  "two equal keys": one(
    header(0, 2, (out) => out.text("a").u32(TYPES.bool).u8(1).text("a").u32(TYPES.bool).u8(0)),
    /metadata key "a" stands twice/,
  ),
  "a key that is not UTF-8": one(
    header(0, 1, (out) =>
      out
        .text(Uint8Array.of(0x61, 0xff, 0x62))
        .u32(0)
        .u8(0),
    ),
    /metadata key 0 is not UTF-8/,
  ),
  "a key with an overlong form": one(
    header(0, 1, (out) => out.text(Uint8Array.of(0xc0, 0x80)).u32(0).u8(0)),
    /not UTF-8/,
  ),
  "a value of type 13": keyed({ a: (out) => out.u32(13).u32(0) }, /"a" has the type 13; the format has 0 to 12/),
  "a value of type 2^32 - 1": keyed({ a: (out) => out.u32(0xffffffff) }, /"a" has the type 4294967295/),
  "a text's length past the end": keyed(
    { a: (out) => out.u32(TYPES.string).text("b", 100_000) },
    /truncated: "a" takes 100000 bytes/,
  ),
  "a text's length of 2^63": keyed(
    { a: (out) => out.u32(TYPES.string).text("b", 2n ** 63n) },
    /length of "a" is 9223372036854775808/,
  ),
  "a text that is not UTF-8": keyed(
    { a: (out) => out.u32(TYPES.string).text(Uint8Array.of(0xed, 0xa0, 0x80)) },
    /"a" is not UTF-8/,
  ),
  "a bool of 2": keyed({ a: (out) => out.u32(TYPES.bool).u8(2) }, /"a" is a bool of the value 2/),
  "an array of 2^64 - 1 numbers": keyed(
    { a: (out) => out.u32(TYPES.array).u32(TYPES.int32).u64(U64_MAX) },
    /length of "a" is 18446744073709551615; at most/,
  ),
  "an array of more numbers than the file has": keyed(
    { a: (out) => out.u32(TYPES.array).u32(TYPES.uint8).u64(1e6) },
    /length of "a" is 1000000/,
  ),
  "an array of 2^61 texts": keyed(
    {
      a: (out) =>
        out
          .u32(TYPES.array)
          .u32(TYPES.string)
          .u64(2n ** 61n),
    },
    /length of "a" is 2305843009213693952/,
  ),
  "an array whose texts run out": keyed(
    { a: (out) => out.u32(TYPES.array).u32(TYPES.string).u64(3).text("b").text("c", 1e9) },
    /truncated: text 1 of "a" takes 1000000000/,
  ),
  "an array whose text is 2^64 - 1 long": keyed(
    { a: (out) => out.u32(TYPES.array).u32(TYPES.string).u64(1).u64(U64_MAX) },
    /truncated: text 0 of "a"/,
  ),
  "an array of type 99": keyed({ a: (out) => out.u32(TYPES.array).u32(99).u64(1) }, /"a" has the type 99/),
  "an array of arrays": keyed({ a: (out) => out.u32(TYPES.array).u32(TYPES.array).u64(1).u32(0).u64(0) }, /array of arrays/),
  "arrays a thousand deep": keyed(
    {
      a: (out) => {
        out.u32(TYPES.array);
        for (let i = 0; i < 1000; i++) out.u32(TYPES.array).u64(1);
      },
    },
    /array of arrays/,
  ),
  "alignment 0": keyed({ "general.alignment": 0 }, /general.alignment is 0; a power of two/),
  "alignment 24": keyed({ "general.alignment": 24 }, /general.alignment is 24/),
  "alignment 2^31": keyed({ "general.alignment": 2 ** 31 }, /general.alignment is 2147483648/),
  "an alignment that is a text": keyed({ "general.alignment": "32" }, /general.alignment is "32"/),
  "an alignment of -32": keyed({ "general.alignment": ["int32", -32] }, /general.alignment is -32/),
  "an alignment of 0.5": keyed({ "general.alignment": f32(0.5) }, /general.alignment is 0.5/),
  "an alignment that the data does not have": keyed({ "general.alignment": 64 }, /is no multiple of 64|truncated/),
  "a tensor without dimensions": tensor({ shape: [] }, /has 0 dimensions; 1 to 4/),
  "a tensor of five dimensions": tensor({ shape: [1, 1, 1, 1, 1] }, /has 5 dimensions/),
  "a dimension of 0": tensor({ shape: [0, 6] }, /has shape \[0,6\]; no dimension may be 0/),
  "a dimension of 2^64 - 1": tensor({ shape: [U64_MAX, 6] }, /dimension 1 of tensor "token_embd.weight" is 18446744073709551615/),
  "dimensions whose product is 2^64": tensor({ shape: [2n ** 32n, 2n ** 32n] }, /is too large to count its bytes/),
  "dimensions whose product wraps to what is there": tensor(
    { shape: [2n ** 52n, 2n ** 12n, 66] },
    /is too large to count its bytes/,
  ),
  "a matrix larger than the file": tensor({ shape: [100_000, 6] }, /overlaps tensor|truncated/),
  "rows that are no whole blocks": tensor({ shape: [11, 48], type: TENSOR.q8_0 }, /has rows of 48 values; q8_0 has blocks of 32/),
  "rows that are no whole super-blocks": tensor({ shape: [11, 128], type: TENSOR.q4_k }, /q4_k has blocks of 256/),
  "a type that was given up": tensor({ type: 4 }, /is of type 4, which is not known/),
  "a type of 2^32 - 1": tensor({ type: 0xffffffff }, /is of type 4294967295/),
  "an offset that is not aligned": tensor({ offset: 4 }, /begins at data byte 4, which is no multiple of 32/),
  "an offset past the end": tensor({ offset: 1_000_000 }, /offset of tensor "token_embd.weight" is 1000000; at most/),
  "an offset of 2^64 - 32": tensor({ offset: U64_MAX - 31n }, /offset of tensor "token_embd.weight" is 18446744073709551584/),
  "a tensor over the next": tensor({ offset: 32 }, /overlaps|a hole/),
  "two tensors in one place": one(
    tinyGguf({ tensors: tinyGgufTensors().map((given, i) => (i === 2 ? { ...given, offset: 288 } : given)) }),
    /overlaps tensor/,
  ),
  "a hole between tensors": one(
    tinyGguf({ tensors: tinyGgufTensors().map((given, i) => (i === 12 ? { ...given, offset: 2048 } : given)) }),
    /a hole of \d+ bytes between|truncated/,
  ),
  "a tensor's name twice": one(
    tinyGguf({ tensors: tinyGgufTensors().map((given, i) => (i === 3 ? { ...given, name: "blk.0.attn_q.weight" } : given)) }),
    /tensor "blk.0.attn_q.weight" stands twice/,
  ),
  "a tensor's name of 65 bytes": tensor({ name: "n".repeat(65) }, /length of the name of tensor 0 is 65; at most 64/),
  "a tensor's name that is not UTF-8": tensor({ name: Uint8Array.of(0xff) }, /name of tensor 0 is not UTF-8/),
  "a name that would steer a terminal": tensor({ name: "\u001b[2Jx" }, /^[^\p{Cc}]*$/u, "CHECKPOINT_TENSOR"),
  "another architecture": {
    ...keyed({ "general.architecture": "llama" }, /general.architecture is "llama"; supported: "qwen3"/),
    code: "CHECKPOINT_CONFIG",
  },
  "mixture of experts": {
    ...keyed({ "general.architecture": "qwen3moe" }, /general.architecture is "qwen3moe"/),
    code: "CHECKPOINT_CONFIG",
  },
  "2^32 - 1 layers": {
    ...keyed({ "qwen3.block_count": 0xffffffff }, /num_hidden_layers is 4294967295/),
    code: "CHECKPOINT_CONFIG",
  },
  "1024 layers that are not there": {
    ...keyed({ "qwen3.block_count": 1024 }, /model.layers.1.input_layernorm.weight .* is missing/),
    code: "CHECKPOINT_TENSOR",
  },
  "no heads": { ...keyed({ "qwen3.attention.head_count": 0 }, /num_attention_heads is 0/), code: "CHECKPOINT_CONFIG" },
  "a width of another shape": {
    ...keyed({ "qwen3.embedding_length": 7 }, /has shape \[11,6\]; the configuration asks for \[11,7\]/),
    code: "CHECKPOINT_TENSOR",
  },
  "weights of integers": tensor({ type: 26 }, /has dtype i32/, "CHECKPOINT_TENSOR"),
  "more tokens than rows": {
    ...keyed({ "tokenizer.ggml.tokens": strings(Array(12).fill("")) }, /token_embd.weight has rows for 11/),
    code: "CHECKPOINT_CONFIG",
  },
  "an end token that is none": {
    ...keyed({ "tokenizer.ggml.eos_token_id": int32s([3]) }, /eos_token_id is/),
    code: "CHECKPOINT_CONFIG",
  },
  "a set of which a file is missing": {
    files: { "m-00001-of-00002.gguf": tinyGguf({ metadata: { "split.no": 0, "split.count": 2 } }) },
    code: "CHECKPOINT_FILE",
    says: /m-00002-of-00002.gguf is missing/,
  },
  "a set that says it has another count": {
    files: { "m-00001-of-00001.gguf": tinyGguf({ metadata: { "split.no": 0, "split.count": 65_535 } }) },
    code: "CHECKPOINT_HEADER",
    says: /split.count is 65535/,
  },
  "a set of more tensors than are allowed": {
    files: Object.fromEntries(
      [0, 1].map((no) => [
        `m-0000${no + 1}-of-00002.gguf`,
        ggufFile({
          metadata: { "split.no": no, "split.count": 2 },
          tensors: Array.from({ length: 2100 }, (_, i) => ({ name: `t${no}.${i}`, shape: [8], type: 0, data: 32 })),
        }),
      ]),
    ),
    code: "CHECKPOINT_HEADER",
    says: /m-00002-of-00002.gguf: with the files before it the set has more than 4096 tensors/,
  },
  "a set of 99,999 files": {
    files: { "m-00001-of-99999.gguf": tinyGguf({ metadata: { "split.no": 0, "split.count": 99_999 } }) },
    code: "CHECKPOINT_HEADER",
    says: /split.count is 99999; by its name the file is number 0 of 1/,
  },
};
