/**
 * Quantized weights as they are held, in parts of `PART_COLUMNS` columns and in blocks of 8 rows, and in panels, as products with many
 * tokens want them.
 *
 *   matrix          parts, each with all rows of its columns; the last one has what is left
 *   part            [blocks]
 *   block           scales, then minimums if there are any (quantized-scales.ts), then codes
 *   codes of int8   [padded cols / 4] of two tiles, rows 0..3 and rows 4..7: 32 bytes
 *   codes of int4   [padded cols / 8] of two pairs of tiles, rows 0..3 and rows 4..7: 32 bytes; a pair has one tile in the low halves of
 *                   its bytes and the next 4 columns in the high ones
 *   panel           tiles as the path P reads them (quantized-dots.ts), rows 0..3 before rows 4..7, of Wide and Masked the even
 *                   columns of both before the odd ones
 *
 * Rows and columns past the last have the code `zero`.
 */
import { kept } from "./kept";
import { isMasked, isWide } from "./quantized-dots";
import { scaleBytes } from "./quantized-scales";

/** How weights are held, W, as types: codes of 4 bits, codes of 8 bits. */
export type Int4 = u8;
export type Int8 = u16;

@inline export function isInt8<W>(): bool {
  return sizeof<W>() == 2;
}

/**
 * Columns of a part, a multiple of every group and of what an f16 of two-level scales is for. All blocks of a part meet a token, or four,
 * before those of the next, so that their codes stay in the nearest cache while the weights stream through it: 8 rows of so many bytes,
 * and twice as much of codes, are less than its 32 KiB.
 */
export const PART_COLUMNS: i32 = 1024;

/**
 * What Masked takes out of 16 bits of int4, two bytes with columns c and c + 4, c + 1 and c + 5 (c even): c once, c + 1 as 256 times itself
 * and c + 4 as 16 times. c + 5 is shifted down instead, since 16-bit products are signed.
 */
export const LOW_EVEN: i32 = 0x000f000f;
export const LOW_ODD: i32 = 0x0f000f00;
export const HIGH_EVEN: i32 = 0x00f000f0;

/** Bytes of 8 columns of a block. */
@inline export function octetBytes<W>(): usize {
  return isInt8<W>() ? 64 : 32;
}

/** Bytes of a block. */
@inline export function blockBytes<W>(kind: i32, groups: i32, group: i32, hasMinimums: bool): usize {
  return <usize>(groups * (group >> 3)) * octetBytes<W>() + scaleBytes(kind, groups, group) * (hasMinimums ? 2 : 1);
}

/** Bytes of 8 columns of a panel. */
@inline export function panelBytes<P>(): usize {
  return isWide<P>() ? 128 : 64;
}

/** A stretch of columns, a multiple of 8. @param codes of a block */
export function unpackPanel<W, P>(codes: usize, panel: usize, cols: i32): void {
  const low = kept(isMasked<P>() ? LOW_EVEN : 0x0f0f0f0f, cols);
  const odd = kept(LOW_ODD, cols);
  const high = kept(HIGH_EVEN, cols);
  const even = kept(0x00ff00ff, cols);
  let to = panel;
  for (let p = codes, end = codes + <usize>(cols >> 3) * octetBytes<W>(); p < end; p += octetBytes<W>(), to += panelBytes<P>()) {
    const top = v128.load(p);
    const bottom = v128.load(p, 16);
    if (isInt8<W>()) {
      storeTiles<P>(to, top, bottom, even);
      storeTiles<P>(to + panelBytes<P>() / 2, v128.load(p, 32), v128.load(p, 48), even);
    } else if (isMasked<P>()) {
      v128.store(to, v128.and(top, low));
      v128.store(to, v128.and(bottom, low), 16);
      v128.store(to, v128.and(top, odd), 32);
      v128.store(to, v128.and(bottom, odd), 48);
      v128.store(to, v128.and(top, high), 64);
      v128.store(to, v128.and(bottom, high), 80);
      v128.store(to, i16x8.shr_u(top, 12), 96);
      v128.store(to, i16x8.shr_u(bottom, 12), 112);
    } else {
      storeTiles<P>(to, v128.and(top, low), v128.and(bottom, low), even);
      storeTiles<P>(to + panelBytes<P>() / 2, v128.and(i16x8.shr_u(top, 4), low), v128.and(i16x8.shr_u(bottom, 4), low), even);
    }
  }
}

/** 4 columns of 8 rows. */
@inline function storeTiles<P>(to: usize, top: v128, bottom: v128, even: v128): void {
  if (isWide<P>()) {
    v128.store(to, v128.and(top, even));
    v128.store(to, v128.and(bottom, even), 16);
    v128.store(to, i16x8.shr_u(top, 8), 32);
    v128.store(to, i16x8.shr_u(bottom, 8), 48);
  } else {
    v128.store(to, top);
    v128.store(to, bottom, 16);
  }
}
