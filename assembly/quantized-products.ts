/**
 * y = x W^T for activations quantized to int8 (quantize.ts) and quantized weights (quantized-panel.ts): which rows and columns meet
 * which tokens, and when.
 *
 *   weights  a matrix as quantized-panel.ts has it, read from beginning to end; `hasMinimums` and `kind` (quantized-scales.ts) say of what
 *   y        [tokens, rows] f32
 *   scratch  y of a last block that is not full [tokens][8] f32; scales and minimums of two of a part's blocks [2][groups][8] f32 each,
 *            panels, sums of four tokens [2][4][8] i32
 *
 * Per row, group by group: y += f32(dot) * (x scale * w scale), and with a minimum y += f32(sum of x codes) * (x scale * w minimum).
 *
 * Many tokens meet panels: some blocks at a time, `PANEL_COLUMNS` columns at a time, a block's codes are unpacked once (two blocks' where
 * registers are wide) and stay in the nearest cache while the tokens' codes come from the next one. Few tokens, and those that fill no
 * lanes, read blocks as they lie: four tokens, or one, all of some blocks and then the next tokens the same ones. Taking all tokens to a
 * block before the next costs a third, since the codes of eight tokens drive each other out of the nearest cache.
 */
import { timesPanel4, timesPanel4Widening } from "./gemm";
import { timesBlock4, timesBlock4Widening } from "./gemm-few";
import { timesPanels4, Whole, Widened } from "./gemm-wide";
import { timesBlock } from "./gemv";
import { INFO_BYTES } from "./quantize";
import { codeBytes, isMasked, isNarrow, isWide, LANES, Masked, Narrow, NARROW_COLUMNS, RELAXED, Unsigned, Wide } from "./quantized-dots";
import { blockBytes, Int4, Int8, octetBytes, panelBytes, PART_COLUMNS, unpackPanel } from "./quantized-panel";
import { F32, scaleBytes, widenScales } from "./quantized-scales";

/** Of one panel, or of two: so that both stay in the nearest cache beside the codes of four tokens. */
const PANEL_COLUMNS: i32 = WIDE ? 512 : 1024;
const PANELS_BYTES: usize = 16384;
/**
 * Tokens for which unpacking a block is not worth it: they read it as it lies, and the memory it comes from does not wait for them.
 * Engines without relaxed SIMD are older, and their compilers keep less of a 16-bit tile in registers: panels pay earlier there, and for
 * Masked from four tokens on. With registers of 256 bits unpacking is what is left.
 */
@inline function fewTokens<P>(): i32 {
  if (isMasked<P>()) return 0;
  if (WIDE) return 24;
  return isWide<P>() && !RELAXED ? 8 : 16;
}

/** Blocks that all tokens pass before the next ones: few enough to stay in the second cache. */
const BLOCKS_TOGETHER: i32 = 8;

export function matmulInt8Wide(
  codes: usize, infos: usize, weights: usize, hasMinimums: bool, kind: i32, y: usize, tokens: i32, rows: i32, groups: i32, group: i32,
  scratch: usize,
): void {
  matmul<Int8, Wide>(codes, infos, weights, hasMinimums, kind, y, tokens, rows, groups, group, scratch);
}

export function matmulInt8Unsigned(
  codes: usize, infos: usize, weights: usize, hasMinimums: bool, kind: i32, y: usize, tokens: i32, rows: i32, groups: i32, group: i32,
  scratch: usize,
): void {
  matmul<Int8, Unsigned>(codes, infos, weights, hasMinimums, kind, y, tokens, rows, groups, group, scratch);
}

/** Without relaxed SIMD. */
export function matmulInt4Masked(
  codes: usize, infos: usize, weights: usize, hasMinimums: bool, kind: i32, y: usize, tokens: i32, rows: i32, groups: i32, group: i32,
  scratch: usize,
): void {
  if (!ASC_FEATURE_RELAXED_SIMD) matmul<Int4, Masked>(codes, infos, weights, hasMinimums, kind, y, tokens, rows, groups, group, scratch);
}

export function matmulInt4Narrow(
  codes: usize, infos: usize, weights: usize, hasMinimums: bool, kind: i32, y: usize, tokens: i32, rows: i32, groups: i32, group: i32,
  scratch: usize,
): void {
  matmul<Int4, Narrow>(codes, infos, weights, hasMinimums, kind, y, tokens, rows, groups, group, scratch);
}

export function matmulInt4Unsigned(
  codes: usize, infos: usize, weights: usize, hasMinimums: bool, kind: i32, y: usize, tokens: i32, rows: i32, groups: i32, group: i32,
  scratch: usize,
): void {
  matmul<Int4, Unsigned>(codes, infos, weights, hasMinimums, kind, y, tokens, rows, groups, group, scratch);
}

function matmul<W, P>(
  codes: usize, infos: usize, weights: usize, hasMinimums: bool, kind: i32, y: usize, tokens: i32, rows: i32, groups: i32, group: i32,
  scratch: usize,
): void {
  const blocks = (rows + 7) >> 3;
  const tail = scratch;
  const work = scratch + (<usize>tokens << 5);
  memory.fill(y, 0, (<usize>tokens * rows) << 2);
  memory.fill(tail, 0, <usize>tokens << 5);
  let part = weights;
  for (let first = 0; first < groups; first += PART_COLUMNS / group) {
    const count = min(PART_COLUMNS / group, groups - first);
    timesPart<W, P>(codes, infos, part, first, count, hasMinimums, kind, y, tail, tokens, rows, groups, group, work);
    part += <usize>blocks * blockBytes<W>(kind, count, group, hasMinimums);
  }
  if (rows & 7)
    for (let t = 0; t < tokens; t++)
      memory.copy(y + (<usize>t * rows + (rows & ~7) << 2), tail + (<usize>t << 5), <usize>(rows & 7) << 2);
}

/** Adds the products with the groups from `begin` on of a row, which are a part's `groups` of `allGroups`. */
function timesPart<W, P>(
  codes: usize, infos: usize, part: usize, begin: i32, groups: i32, hasMinimums: bool, kind: i32, y: usize, tail: usize, tokens: i32,
  rows: i32, allGroups: i32, group: i32, scratch: usize,
): void {
  const blocks = (rows + 7) >> 3;
  const together = tokens - (tokens % LANES);
  const yBytes = <usize>rows << 2;
  const xBytes = <usize>(allGroups * (group >> 2)) * codeBytes<P>(); // of one token
  const infoBytes = <usize>allGroups * INFO_BYTES;
  const stride = blockBytes<W>(kind, groups, group, hasMinimums);
  const apart = scaleBytes(kind, groups, group);
  const few = together <= fewTokens<P>();
  const groupsTogether = PANEL_COLUMNS / group;
  const wideScales = scratch;
  const wideMinimums = wideScales + (<usize>groups << 6);
  const panel = wideMinimums + (<usize>groups << 6);
  const wide = panel + PANELS_BYTES;
  for (let from = 0; from < blocks; from += BLOCKS_TOGETHER) {
    const to = min(from + BLOCKS_TOGETHER, blocks);
    for (let first = 0; first < groups && !few; first += groupsTogether) {
      const count = min(groupsTogether, groups - first);
      const onePanel = <usize>(count * (group >> 3)) * panelBytes<P>();
      const oneScales = <usize>count << 5;
      for (let b = from; b < to; ) {
        const full = 8 * b + 8 <= rows;
        const two = WIDE && b + 1 < to && 8 * b + 16 <= rows;
        const scales = part + <usize>b * stride;
        const weights = scales + (hasMinimums ? 2 * apart : apart) + <usize>(first * (group >> 3)) * octetBytes<W>();
        unpackPanel<W, P>(weights, panel, count * group);
        const s = widenScales(scales, kind, groups, group, first, count, wideScales);
        const m = hasMinimums ? widenScales(scales + apart, kind, groups, group, first, count, wideMinimums) : 0;
        if (two) {
          unpackPanel<W, P>(weights + stride, panel + onePanel, count * group);
          widenScales(scales + stride, kind, groups, group, first, count, wideScales + oneScales);
          if (hasMinimums) widenScales(scales + stride + apart, kind, groups, group, first, count, wideMinimums + oneScales);
        }
        const between = kind == F32 ? stride : oneScales; // from the one panel's scales to the other's
        let x = codes + <usize>((begin + first) * (group >> 2) * LANES) * codeBytes<P>();
        let info = infos + <usize>((begin + first) * LANES) * INFO_BYTES;
        let yt = full ? y + (<usize>b << 5) : tail;
        const yStride: usize = full ? yBytes : 32;
        for (let t = 0; t < together; t += LANES) {
          if (isNarrow<P>() && group > NARROW_COLUMNS) {
            if (two) timesPanels4<P, Widened>(x, info, panel, onePanel, s, m, between, yt, yStride, count, group, wide);
            else timesPanel4Widening<P>(x, info, panel, s, m, yt, yStride, count, group, wide);
          } else if (two) timesPanels4<P, Whole>(x, info, panel, onePanel, s, m, between, yt, yStride, count, group, wide);
          else timesPanel4<P>(x, info, panel, s, m, yt, yStride, count, group);
          x += <usize>LANES * xBytes;
          info += <usize>LANES * infoBytes;
          yt += <usize>LANES * yStride;
        }
        b += two ? 2 : 1;
      }
    }
    for (let t = few ? 0 : together; t < tokens; ) {
      const lanes = t < together ? LANES : 1;
      const x = codes + <usize>t * xBytes + <usize>(begin * (group >> 2) * lanes) * codeBytes<P>();
      const info = infos + <usize>t * infoBytes + <usize>(begin * lanes) * INFO_BYTES;
      for (let b = from; b < to; b++) {
        const full = 8 * b + 8 <= rows;
        const scales = part + <usize>b * stride;
        const weights = scales + (hasMinimums ? 2 * apart : apart);
        const s = widenScales(scales, kind, groups, group, 0, groups, wideScales);
        const m = hasMinimums ? widenScales(scales + apart, kind, groups, group, 0, groups, wideMinimums) : 0;
        const yStride: usize = full ? yBytes : 32;
        const yt = (full ? y + (<usize>b << 5) : tail) + <usize>t * yStride;
        if (lanes == 1) timesBlock<W, P>(x, info, weights, s, m, yt, groups, group);
        else if (isNarrow<P>() && group > NARROW_COLUMNS) timesBlock4Widening<P>(x, info, weights, s, m, yt, yStride, groups, group, wide);
        else if (!isMasked<P>()) timesBlock4<W, P>(x, info, weights, s, m, yt, yStride, groups, group);
      }
      t += lanes;
    }
  }
}
