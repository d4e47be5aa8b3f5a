/**
 * The block types of GGUF: how many neighbours of a row make a block, its bytes, and the layout of kernels that holds it without loss.
 *
 *   type     w =                                    bits in the file   layout                                        bits in memory
 *   q8_0     code * d                               8.5                int8, groups of 32                            8.5
 *   q4_0     (code - 8) * d                         4.5                int4, groups of 32                            4.5
 *   q4_1     code * d + m                           5                  int4 with minimum, groups of 32               5
 *   q5_0     (code - 16) * d                        5.5                int8, groups of 32                            8.5
 *   q5_1     code * d + m                           6                  int8 with minimum, groups of 32               9
 *   q2_k     code * (d * sc) - dmin * m             2.625              int4 with minimum, groups of 16, two levels   5.125
 *   q3_k     (code - 4) * (d * (sc - 32))           3.4375             int4, groups of 16, two levels                4.5625
 *   q4_k     code * (d * sc) - dmin * m             4.5                int4 with minimum, groups of 32, two levels   4.625
 *   q5_k     code * (d * sc) - dmin * m             5.5                int8 with minimum, groups of 32, two levels   8.625
 *   q6_k     (code - 32) * (d * sc)                 6.5625             int8, groups of 16, two levels                8.5625
 *   iq4_nl   table[code] * d                        4.5                int8, groups of 32                            8.5
 *   iq4_xs   table[code] * (d * (sc - 32))          4.25               int8, groups of 32, two levels                8.3125
 *
 * d, m, dmin are f16, one for each block; sc and m of the k types are integers of 4 to 8 bits, one for each group. Every product but the one
 * with a minimum's sum is exact in f32, so that the order in which they are formed does not matter.
 *
 * Source: the block structures of ggml (ggml-common.h), and the package `gguf` of PyPI, which the vectors in test/formats/gguf come from.
 */
import type { QuantizedLayout } from "../core/quantized.ts";

export type GgufType =
  | ("q8_0" | "q4_0" | "q4_1" | "q5_0" | "q5_1")
  | ("q2_k" | "q3_k" | "q4_k" | "q5_k" | "q6_k")
  | ("iq4_nl" | "iq4_xs");

export interface GgufBlock {
  /** Neighbours in a row. */
  readonly values: 32 | 256;
  readonly bytes: number;
  readonly layout: QuantizedLayout;
}

const scales = "two-level";

export const GGUF_TYPES: Readonly<Record<GgufType, GgufBlock>> = {
  q8_0: { values: 32, bytes: 34, layout: { type: "int8", group: 32 } },
  q4_0: { values: 32, bytes: 18, layout: { type: "int4", group: 32 } },
  q4_1: { values: 32, bytes: 20, layout: { type: "int4", group: 32, minimum: true } },
  q5_0: { values: 32, bytes: 22, layout: { type: "int8", group: 32 } },
  q5_1: { values: 32, bytes: 24, layout: { type: "int8", group: 32, minimum: true } },
  q2_k: { values: 256, bytes: 84, layout: { type: "int4", group: 16, minimum: true, scales } },
  q3_k: { values: 256, bytes: 110, layout: { type: "int4", group: 16, scales } },
  q4_k: { values: 256, bytes: 144, layout: { type: "int4", group: 32, minimum: true, scales } },
  q5_k: { values: 256, bytes: 176, layout: { type: "int8", group: 32, minimum: true, scales } },
  q6_k: { values: 256, bytes: 210, layout: { type: "int8", group: 16, scales } },
  iq4_nl: { values: 32, bytes: 18, layout: { type: "int8", group: 32 } },
  iq4_xs: { values: 256, bytes: 136, layout: { type: "int8", group: 32, scales } },
};
