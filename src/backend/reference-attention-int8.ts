/**
 * Attention over an int8 cache, as it is defined: both of its products are exact integers, so no layout or instruction can change them.
 *
 * A head keeps an entry as head_dim codes and one scale, quantized like an activation (quantize.ts, the whole entry as one group). The query
 * is quantized in the same way. Per block of 32 absolute positions, for the visible ones:
 *
 *   score_p    f32(dot(query codes, key codes)) * (key scale * (query scale * scale))
 *   maximum    the largest so far; rescale = exp(previous - maximum)
 *   weight_p   exp(score_p - maximum)
 *   total      total * rescale + ((w0 + w1) + (w2 + w3)), where w_i sums, ascending, the weights of positions i modulo 4
 *   weights    times their value's scale, quantized as a group once more, to 0..127: u = (largest weight_p * value scale) / 127
 *   out        out * rescale + f32(sum of weight code * value code) * u
 *
 * and at the end out / total; every step rounded to f32.
 */
import { expF32 } from "../core/math.ts";
import { type KvShape, kvHeadBytes, PAGE_TOKENS } from "./backend.ts";
import { quantizeActivations, SMALLEST_SCALED } from "./quantize.ts";

const { fround } = Math;

/** Any engine's relaxed dot is exact with codes up to this. */
const LARGEST_WEIGHT = 127;
const ROUND = 12582912; // 1.5 * 2^23, as in quantize.ts

/** A page's memory, as codes and as scales. */
export interface Int8Page {
  readonly codes: Int8Array;
  readonly scales: Float32Array;
}

type Kind = 0 | 1; // K, V

/** One KV head's keys or values in a page. */
function headOffset(shape: KvShape, layer: number, kind: Kind, head: number): number {
  return ((layer * shape.kvHeads + head) * 2 + kind) * kvHeadBytes(shape);
}

/** Where a head keeps value `d` of slot `slot`: see `KvStore.readPage`. */
function codeOffset(kind: Kind, slot: number, d: number): number {
  if (kind === 0) return (d >> 2) * 4 * PAGE_TOKENS + slot * 4 + (d & 3);
  return (d >> 3) * 8 * PAGE_TOKENS + (slot >> 2) * 32 + (d & 7) * 4 + (slot & 3);
}

function scaleIndex(shape: KvShape, at: number, slot: number): number {
  return (at + kvHeadBytes(shape)) / 4 - PAGE_TOKENS + slot;
}

/** @param entry [head_dim] */
export function storeInt8(
  entry: Float32Array,
  shape: KvShape,
  page: Int8Page,
  layer: number,
  kind: Kind,
  head: number,
  slot: number,
): void {
  const { codes, scales } = quantizeActivations(entry, entry.length);
  const at = headOffset(shape, layer, kind, head);
  codes.forEach((code, d) => {
    page.codes[at + codeOffset(kind, slot, d)] = code;
  });
  page.scales[scaleIndex(shape, at, slot)] = scales[0]!;
}

/** A query before its first block; `attendBlock` takes block after block in, `out` has the sum of weighted values until `finish`. */
export class Int8Attention {
  readonly #query: Int8Array;
  readonly #scale: number;
  readonly #out: Float32Array;
  #maximum = Number.NEGATIVE_INFINITY;
  #total = 0;

  constructor(query: Float32Array, scale: number, out: Float32Array) {
    const { codes, scales } = quantizeActivations(query, query.length);
    this.#query = codes;
    this.#scale = fround(scales[0]! * scale);
    this.#out = out.fill(0);
  }

  /** Takes slots first..last of a page in. */
  attendBlock(shape: KvShape, page: Int8Page, layer: number, kvHead: number, first: number, last: number): void {
    const [keys, values] = [headOffset(shape, layer, 0, kvHead), headOffset(shape, layer, 1, kvHead)];
    const slots = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    const scores = slots.map((slot) => {
      let dot = 0;
      for (const [d, code] of this.#query.entries()) dot += code * page.codes[keys + codeOffset(0, slot, d)]!;
      return fround(fround(dot) * fround(page.scales[scaleIndex(shape, keys, slot)]! * this.#scale));
    });
    const previous = this.#maximum;
    for (const score of scores) this.#maximum = Math.max(this.#maximum, score);
    const rescale = expF32(fround(previous - this.#maximum)); // exp(-Infinity) = 0 at the first block
    const weights = scores.map((score) => expF32(fround(score - this.#maximum)));

    const sums = [0, 0, 0, 0];
    slots.forEach((slot, i) => {
      sums[slot % 4] = fround(sums[slot % 4]! + weights[i]!);
    });
    const sum = fround(fround(sums[0]! + sums[1]!) + fround(sums[2]! + sums[3]!));
    this.#total = fround(fround(this.#total * rescale) + sum);

    const scaled = weights.map((weight, i) => fround(weight * page.scales[scaleIndex(shape, values, slots[i]!)]!));
    const { codes, unit } = quantizeWeights(scaled);
    for (let d = 0; d < this.#out.length; d++) {
      let dot = 0;
      slots.forEach((slot, i) => {
        dot += codes[i]! * page.codes[values + codeOffset(1, slot, d)]!;
      });
      this.#out[d] = fround(this.#out[d]! * rescale) + fround(fround(dot) * unit);
    }
  }

  finish(): void {
    for (let d = 0; d < this.#out.length; d++) this.#out[d] = this.#out[d]! / this.#total;
  }
}

function quantizeWeights(weights: readonly number[]): { codes: number[]; unit: number } {
  let largest = 0;
  for (const weight of weights) largest = Math.max(largest, weight);
  if (!(largest >= SMALLEST_SCALED && largest < Number.POSITIVE_INFINITY))
    return { codes: weights.map(() => 0), unit: largest < SMALLEST_SCALED ? 0 : Number.NaN };
  const inverse = fround(LARGEST_WEIGHT / largest);
  return {
    codes: weights.map((weight) => fround(fround(weight * inverse) + ROUND) - ROUND),
    unit: fround(largest / LARGEST_WEIGHT),
  };
}
