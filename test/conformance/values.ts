/** Operands for the conformance cases: the same on every engine, and with everything that arithmetic trips over. */

import {
  type Backend,
  FP8_BLOCK,
  type Matrix,
  type MatrixFormat,
  type QuantizedFormat,
  type QuantizedRows,
  SUPER_COLUMNS,
} from "../../src/backend/backend.ts";
import { bf16ToF32, type FloatType, f16ToF32, f32ToBf16, f32ToF16 } from "../../src/core/dtype.ts";

/** plain: -1..1. wide: magnitudes from 2^-149 to 2^20. special: plain, with zeros, infinities, NaN and extremes among them. */
export type Kind = "plain" | "wide" | "special";

export const KINDS: readonly Kind[] = ["plain", "wide", "special"];

const SPECIAL = [
  0,
  -0,
  1,
  -1,
  1e-45,
  -1e-45,
  1.1754942e-38,
  -5.9e-39,
  7.888609052210118e-31,
  7.8886e-31,
  3.4028235e38,
  -3.4028235e38,
  65504,
  65520,
  6.1e-5,
  5.96e-8,
  2.9802322e-8,
  89,
  -104,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
];

/** 2^-149 to 2^20. */
const POWERS = Float64Array.from({ length: 170 }, (_, i) => 2 ** (i - 149));

/** Random numbers of a case: the same sequence for the same seed. */
export class Random {
  #state: number;
  /** One value in so many is special: an operation of few values should see one, and one of many not drown in NaN. */
  readonly #rarity: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995;
    this.#rarity = [16, 128, 1024][this.word() % 3]!;
  }

  /** 0..2^32 - 1 (the mixing step of MurmurHash3 over a counter). */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let h = this.#state;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  }

  /** An integer in low..high. */
  integer(low: number, high: number): number {
    return low + Math.floor((this.word() / 2 ** 32) * (high - low + 1)); // a remainder of large numbers takes far longer
  }

  value(kind: Kind): number {
    if (kind === "special" && (this.word() & (this.#rarity - 1)) === 0) return SPECIAL[this.integer(0, SPECIAL.length - 1)]!;
    const plain = this.word() / 2 ** 31 - 1;
    return kind === "wide" ? plain * POWERS[this.integer(0, POWERS.length - 1)]! : plain;
  }

  floats(count: number, kind: Kind): Float32Array {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = this.value(kind);
    return values;
  }
}

/** A matrix of random weights, written in slices of rows from the last to the first. */
export function randomMatrix(b: Backend, rows: number, cols: number, format: MatrixFormat, random: Random, kind: Kind): Matrix {
  const writer = b.createMatrix(rows, cols, format);
  for (let end = rows; end > 0; ) {
    const first = Math.max(0, end - random.integer(1, 9));
    const count = end - first;
    writer.write(
      first,
      format.type === "fp8"
        ? fp8Rows(count, cols, random, kind)
        : "group" in format
          ? quantizedRows(count, cols, format, random, kind)
          : floatRows(count * cols, format.type, random, kind),
    );
    end = first;
  }
  return writer.finish();
}

/** Rows of a float format as a checkpoint has them; f16 of all exponents, unless plain. */
function floatRows(count: number, type: FloatType, random: Random, kind: Kind): Uint8Array {
  const values = random.floats(count, kind);
  if (type === "f32") return new Uint8Array(values.buffer);
  const words = new Uint32Array(values.buffer);
  const halves = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    if (type === "bf16") halves[i] = words[i]! >>> 16;
    else halves[i] = kind === "plain" ? f32ToF16(values[i]!) : randomF16(random, kind);
  }
  return new Uint8Array(halves.buffer);
}

/** The bits of a number with any exponent; infinity and NaN are rare. */
function randomF16(random: Random, kind: Kind): number {
  const bits = random.integer(0, 0xffff);
  const finite = (bits & 0x7c00) !== 0x7c00 || (kind === "special" && random.integer(0, 31) === 0);
  return finite ? bits : bits & 0xbfff;
}

/** All codes alike, NaN among them only if special; scales of blocks of 128 rows, so that neighbours mostly have the same, and of any size. */
function fp8Rows(count: number, cols: number, random: Random, kind: Kind): QuantizedRows {
  const codes = Uint8Array.from({ length: count * cols }, () => {
    const code = random.integer(0, 255);
    return (code & 0x7f) === 0x7f && (kind !== "special" || random.integer(0, 31) > 0) ? code & 0xbf : code;
  });
  const groups = Math.ceil(cols / FP8_BLOCK);
  let block = random.floats(groups, kind).map(finite);
  const scales = new Float32Array(count * groups);
  for (let row = 0; row < count; row++) {
    if (random.integer(0, 7) === 0) block = random.floats(groups, kind).map(finite);
    if (kind !== "plain" && random.integer(0, 15) === 0) block = block.map((scale) => scale * 1000); // past what one product can lift
    scales.set(block.map(finite), row * groups);
  }
  return { codes, scales };
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 1;
}

function quantizedRows(count: number, cols: number, format: QuantizedFormat, random: Random, kind: Kind): QuantizedRows {
  const { type, group, minimum = false, scales = "f16" } = format;
  const [least, most] = type === "int4" ? [0, 15] : minimum ? [0, 255] : [-128, 127];
  const codes = new (least < 0 ? Int8Array : Uint8Array)(count * cols);
  for (let i = 0; i < codes.length; i++) {
    const at = random.integer(-1, 8);
    codes[i] = at < 0 ? least : at === 0 ? most : random.integer(least, most);
  }
  const groups = count * Math.ceil(cols / group);
  const factors = () => Int8Array.from({ length: groups }, () => random.integer(-128, 127));
  if (scales === "two-level") {
    const supers = count * Math.ceil(cols / SUPER_COLUMNS);
    const levels = () => scaleValues(supers, "f16", random, kind);
    const own = { codes, scales: levels(), factors: factors() };
    return minimum ? { ...own, minimums: levels(), minimumFactors: factors() } : own;
  }
  const own = { codes, scales: scaleValues(groups, scales, random, kind) };
  return minimum ? { ...own, minimums: scaleValues(groups, scales, random, kind) } : own;
}

/** Numbers that `type` holds; of f16 all finite ones, unless plain. */
function scaleValues(count: number, type: FloatType, random: Random, kind: Kind): Float32Array {
  const values = random.floats(count, kind);
  if (type === "f32") return values;
  if (type === "bf16") return values.map((value) => bf16ToF32(f32ToBf16(value)));
  return values.map((value) => {
    const bits = kind === "plain" ? f32ToF16(value) : random.integer(0, 0xffff);
    return f16ToF32((bits & 0x7c00) === 0x7c00 ? bits & 0xbfff : bits);
  });
}

/** In every size. */
export const FORMATS: readonly MatrixFormat[] = [
  { type: "f32" },
  { type: "f16" },
  { type: "bf16" },
  { type: "fp8" },
  ...[16, 32, 64, 128].flatMap((group): MatrixFormat[] => [
    { type: "int8", group },
    { type: "int4", group },
    { type: "int4", group, minimum: true },
  ]),
];

/** In some sizes: they differ from those in what is made ready before the same products. */
export const MORE_FORMATS: readonly MatrixFormat[] = [
  { type: "int8", group: 64, minimum: true, scales: "bf16" },
  { type: "int8", group: 16, scales: "two-level" },
  { type: "int8", group: 128, scales: "f32" },
  { type: "int4", group: 32, scales: "two-level", minimum: true },
  { type: "int4", group: 64, scales: "bf16", minimum: true },
  { type: "int4", group: 16, scales: "f32" },
  { type: "int8", group: 32, activations: "f32" },
  { type: "int4", group: 64, activations: "f32" },
  { type: "int4", group: 32, scales: "two-level", minimum: true, activations: "f32" },
];

export function describeFormat(format: MatrixFormat): string {
  if (!("group" in format)) return format.type;
  const { type, group, minimum, scales = "f16", activations = "int8" } = format;
  return `${type}/${group}${minimum ? " with minimum" : ""}, scales ${scales}, activations ${activations}`;
}
