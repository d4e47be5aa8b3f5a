/**
 * The types of a GGUF file: of metadata values, and of tensors, whose rows are blocks of some values in some bytes.
 * Source: the GGUF specification and the enumerations of ggml (`gguf_type`, `ggml_type`).
 */

/** Names of metadata types by their number in the file; each with the bytes of a value, undefined where they vary. */
export const VALUE_TYPES = [
  { name: "uint8", bytes: 1 },
  { name: "int8", bytes: 1 },
  { name: "uint16", bytes: 2 },
  { name: "int16", bytes: 2 },
  { name: "uint32", bytes: 4 },
  { name: "int32", bytes: 4 },
  { name: "float32", bytes: 4 },
  { name: "bool", bytes: 1 },
  { name: "string", bytes: undefined },
  { name: "array", bytes: undefined },
  { name: "uint64", bytes: 8 },
  { name: "int64", bytes: 8 },
  { name: "float64", bytes: 8 },
] as const;

export type ValueType = (typeof VALUE_TYPES)[number]["name"];

/** How a tensor's rows are stored: blocks of `values` in `bytes`. */
export interface BlockType {
  readonly name: string;
  readonly values: number;
  readonly bytes: number;
}

const block = (name: string, values: number, bytes: number): BlockType => ({ name, values, bytes });

/** Tensor types by their number in the file. Numbers that are left out were given up, or never given. */
export const TENSOR_TYPES: ReadonlyMap<number, BlockType> = new Map([
  [0, block("f32", 1, 4)],
  [1, block("f16", 1, 2)],
  [2, block("q4_0", 32, 18)],
  [3, block("q4_1", 32, 20)],
  [6, block("q5_0", 32, 22)],
  [7, block("q5_1", 32, 24)],
  [8, block("q8_0", 32, 34)],
  [9, block("q8_1", 32, 40)],
  [10, block("q2_k", 256, 84)],
  [11, block("q3_k", 256, 110)],
  [12, block("q4_k", 256, 144)],
  [13, block("q5_k", 256, 176)],
  [14, block("q6_k", 256, 210)],
  [15, block("q8_k", 256, 292)],
  [16, block("iq2_xxs", 256, 66)],
  [17, block("iq2_xs", 256, 74)],
  [18, block("iq3_xxs", 256, 98)],
  [19, block("iq1_s", 256, 50)],
  [20, block("iq4_nl", 32, 18)],
  [21, block("iq3_s", 256, 110)],
  [22, block("iq2_s", 256, 82)],
  [23, block("iq4_xs", 256, 136)],
  [24, block("i8", 1, 1)],
  [25, block("i16", 1, 2)],
  [26, block("i32", 1, 4)],
  [27, block("i64", 1, 8)],
  [28, block("f64", 1, 8)],
  [29, block("iq1_m", 256, 56)],
  [30, block("bf16", 1, 2)],
  [34, block("tq1_0", 256, 54)],
  [35, block("tq2_0", 256, 66)],
  [39, block("mxfp4", 32, 17)],
  [40, block("nvfp4", 64, 36)],
  [41, block("q1_0", 128, 18)],
]);
