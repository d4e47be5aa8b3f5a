/**
 * Activations as int8, group by group: the arithmetic of `quantizeActivations` in src/backend/quantize.ts.
 *
 *   x      [tokens, cols] f32
 *   codes  [tokens / lanes][padded cols / 4][lanes] of a token's codes for a tile (quantized-dots.ts), zeros past the last column;
 *          of Masked as many times as the weights of quantized-panel.ts lack to be 256 times themselves
 *   infos  [tokens / lanes][groups] { scale f32, sum i32, start }[lanes]: three runs of `lanes` words
 *
 * `lanes` is how many tokens a product takes at once (`LANES`); what is left over of the tokens comes one by one. `sum` adds up the
 * group's codes. `start` is what a row's dot product begins with, -zero * sum: as i32, or where Narrow adds up the whole group in 16 bits
 * as two i16, of columns 0 and 1 and of columns 2 and 3 of every four; of Masked 256 times that.
 */
import { loadRest } from "./floats";
import { kept } from "./kept";
import { inverseOf, largestMagnitude, scaleOf } from "./magnitude";
import { codeBytes, isMasked, isNarrow, isWide, LANES, Masked, Narrow, NARROW_COLUMNS, Unsigned, Wide } from "./quantized-dots";

/** { scale, sum, start } of one token and group. */
export const INFO_BYTES: usize = 12;

const ROUND_BITS: i32 = 0x4b400000; // 1.5 * 2^23
/** How many times Masked has the codes of even columns, then of odd ones, by turns for the tiles in low and in high halves of bytes. */
const LOW_TIMES: i64 = 0x00010001_01000100; // 256 and 1
const HIGH_TIMES: i64 = 0x01000100_00100010; // 16 and 256

export function quantizeWide(x: usize, codes: usize, infos: usize, tokens: i32, cols: i32, group: i32, zero: i32): void {
  quantizeAll<Wide>(x, codes, infos, tokens, cols, group, zero);
}

/** Without relaxed SIMD. */
export function quantizeMasked(x: usize, codes: usize, infos: usize, tokens: i32, cols: i32, group: i32, zero: i32): void {
  if (!ASC_FEATURE_RELAXED_SIMD) quantizeAll<Masked>(x, codes, infos, tokens, cols, group, zero);
}

export function quantizeUnsigned(x: usize, codes: usize, infos: usize, tokens: i32, cols: i32, group: i32, zero: i32): void {
  quantizeAll<Unsigned>(x, codes, infos, tokens, cols, group, zero);
}

export function quantizeNarrow(x: usize, codes: usize, infos: usize, tokens: i32, cols: i32, group: i32, zero: i32): void {
  quantizeAll<Narrow>(x, codes, infos, tokens, cols, group, zero);
}

function quantizeAll<P>(x: usize, codes: usize, infos: usize, tokens: i32, cols: i32, group: i32, zero: i32): void {
  const together = tokens - (tokens % LANES);
  const groups = (cols + group - 1) / group;
  quantize<P>(x, codes, infos, together, cols, group, LANES, zero);
  const rest = x + ((<usize>together * cols) << 2);
  const restCodes = codes + <usize>(together * groups * (group >> 2)) * codeBytes<P>();
  quantize<P>(rest, restCodes, infos + <usize>(together * groups) * INFO_BYTES, tokens - together, cols, group, 1, zero);
}

function quantize<P>(x: usize, codes: usize, infos: usize, tokens: i32, cols: i32, group: i32, lanes: i32, zero: i32): void {
  const groups = (cols + group - 1) / group;
  const step = <usize>lanes * codeBytes<P>(); // from a token's codes for a tile to those for the next
  const run = <usize>lanes << 2;
  const inPairs = isNarrow<P>() && group <= NARROW_COLUMNS;
  const round = kept(ROUND_BITS, cols);
  const lowTimes = i64x2.splat(LOW_TIMES);
  const change = i64x2.splat(LOW_TIMES ^ HIGH_TIMES);
  for (let t = 0; t < tokens; t++) {
    const row = x + ((<usize>t * cols) << 2);
    const lane = <usize>(t % lanes);
    const batch = <usize>(t / lanes) * groups;
    let to = codes + batch * (group >> 2) * step + (lane << 2);
    let info = infos + batch * INFO_BYTES * lanes + (lane << 2);
    for (let k = 0; k < cols; k += group, info += INFO_BYTES * lanes) {
      const from = row + (<usize>k << 2);
      const count = min(group, cols - k);
      const largest = largestMagnitude(from, count);
      const factor = inverseOf(largest);
      const inverse = f32x4.splat(factor);
      const keep = i32x4.splat(factor == 0 ? 0 : -1); // a group that becomes zeros may hold infinities
      let sums = i32x4.splat(0);
      let times = lowTimes;
      let i = 0;
      for (; i + 4 <= count; i += 4, to += step) {
        const four = code4(v128.load(from + (<usize>i << 2)), keep, inverse, round);
        sums = i32x4.add(sums, four);
        store4<P>(to, run, four, times);
        if (isMasked<P>()) times = v128.xor(times, change);
      }
      for (; i < group; i += 4, to += step) {
        const rest = i < count ? loadRest<f32>(from + (<usize>i << 2), count - i) : i32x4.splat(0);
        const four = code4(rest, keep, inverse, round);
        sums = i32x4.add(sums, four);
        store4<P>(to, run, four, times);
        if (isMasked<P>()) times = v128.xor(times, change);
      }
      const low = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
      const high = i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
      store<f32>(info, scaleOf(largest));
      store<i32>(info + run, low + high);
      store<i32>(info + 2 * run, inPairs ? ((-zero * low) & 0xffff) | ((-zero * high) << 16) : -zero * (low + high) * (isMasked<P>() ? 256 : 1));
    }
  }
}

/** The codes in the lanes of an i32x4; Wide keeps the odd columns of all lanes behind their even ones. @param times of Masked */
@inline function store4<P>(to: usize, run: usize, codes: v128, times: v128): void {
  if (isWide<P>()) {
    const parted = v128.shuffle<i32>(codes, codes, 0, 2, 1, 3);
    let words = i16x8.narrow_i32x4_s(parted, parted);
    if (isMasked<P>()) words = i16x8.mul(words, times);
    v128.store32_lane(to, words, 0);
    v128.store32_lane(to + run, words, 1);
  } else {
    const words = i16x8.narrow_i32x4_s(codes, codes);
    v128.store32_lane(to, i8x16.narrow_i16x8_s(words, words), 0);
  }
}

/**
 * Four codes as i32: x * inverse rounded to an integer, ties to even, by adding 1.5 * 2^23, whose last bits it then is.
 *
 * @param keep 0 for a group of zeros, else all bits; @param round 1.5 * 2^23
 */
@inline function code4(x: v128, keep: v128, inverse: v128, round: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v128.and(x, keep), inverse), round), round);
}
