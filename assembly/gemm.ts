/**
 * A panel of 8 rows of quantized weights (quantized-panel.ts) times four tokens: a tile of sums that stays in registers for a
 * group of columns, so that what is loaded serves many products.
 *
 *   x        [padded cols / 4][lanes] codes of a tile       infos     [groups] { scale, sum, start }[lanes]   (quantize.ts)
 *   scales   [groups][8 rows] f32                           minimums  the same, or null
 *   y        [lanes] rows of [8] f32, `yBytes` apart: what is there is added to
 *
 * Loops are not unrolled: compilers would gather a sum's steps and load everything beforehand, and more tiles than these do not fit
 * the registers.
 */
import { kept } from "./kept";
import { addDots, codeBytes, NARROW_COLUMNS } from "./quantized-dots";
import { addTile, addTileWithMinimum, addWideTile, addWideTileWithMinimum, widenTile } from "./quantized-sums";

/** Four tokens; for Narrow, groups of at most 32 columns. */
export function timesPanel4<P>(
  x: usize, infos: usize, panel: usize, scales: usize, minimums: usize, y: usize, yBytes: usize, groups: i32, group: i32,
): void {
  const ones = kept(0x00010001, groups);
  const span = <usize>group * codeBytes<P>();
  const y1 = y + yBytes;
  const y2 = y1 + yBytes;
  const y3 = y2 + yBytes;
  let w = panel;
  let code = x;
  let info = infos;
  let scale = scales;
  let minimum = minimums;
  for (let g = groups; g > 0; g--, info += 48, scale += 32) {
    let a0 = v128.load32_splat(info, 32);
    let a1 = v128.load32_splat(info, 36);
    let a2 = v128.load32_splat(info, 40);
    let a3 = v128.load32_splat(info, 44);
    let b0 = a0, b1 = a1, b2 = a2, b3 = a3;
    let c: v128;
    const end = code + span;
    do {
      const top = v128.load(w);
      const bottom = v128.load(w, 16);
      c = v128.load32_splat(code);
      a0 = addDots<P>(a0, top, c);
      b0 = addDots<P>(b0, bottom, c);
      c = v128.load32_splat(code, 4);
      a1 = addDots<P>(a1, top, c);
      b1 = addDots<P>(b1, bottom, c);
      c = v128.load32_splat(code, 8);
      a2 = addDots<P>(a2, top, c);
      b2 = addDots<P>(b2, bottom, c);
      c = v128.load32_splat(code, 12);
      a3 = addDots<P>(a3, top, c);
      b3 = addDots<P>(b3, bottom, c);
      code += 16;
      w += 32;
    } while (code < end);
    if (minimum) {
      addTileWithMinimum<P>(y, y1, y2, y3, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale, minimum);
      minimum += 32;
    } else addTile<P>(y, y1, y2, y3, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale);
  }
}

/**
 * Four tokens, for Narrow with groups of more than 32 columns: every 32 columns the sums are widened.
 *
 * @param wide  scratch: a group's sums so far, [4][8 rows] i32
 */
export function timesPanel4Widening<P>(
  x: usize, infos: usize, panel: usize, scales: usize, minimums: usize, y: usize, yBytes: usize, groups: i32, group: i32, wide: usize,
): void {
  const ones = kept(0x00010001, groups);
  const zero = WIDE ? kept(0, groups) : i32x4.splat(0);
  const y1 = y + yBytes;
  const y2 = y1 + yBytes;
  const y3 = y2 + yBytes;
  let w = panel;
  let code = x;
  let info = infos;
  let scale = scales;
  let minimum = minimums;
  for (let g = groups; g > 0; g--, info += 48, scale += 32) {
    for (let k = NARROW_COLUMNS; ; k += NARROW_COLUMNS) {
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
      let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
      let c: v128;
      for (const end = code + 4 * NARROW_COLUMNS; code < end; code += 16, w += 32) {
        const top = v128.load(w);
        const bottom = v128.load(w, 16);
        c = v128.load32_splat(code);
        a0 = addDots<P>(a0, top, c);
        b0 = addDots<P>(b0, bottom, c);
        c = v128.load32_splat(code, 4);
        a1 = addDots<P>(a1, top, c);
        b1 = addDots<P>(b1, bottom, c);
        c = v128.load32_splat(code, 8);
        a2 = addDots<P>(a2, top, c);
        b2 = addDots<P>(b2, bottom, c);
        c = v128.load32_splat(code, 12);
        a3 = addDots<P>(a3, top, c);
        b3 = addDots<P>(b3, bottom, c);
      }
      if (k == group) {
        if (minimum) {
          addWideTileWithMinimum<P>(y, y1, y2, y3, wide, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale, minimum);
          minimum += 32;
        } else addWideTile<P>(y, y1, y2, y3, wide, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale);
        break;
      }
      widenTile<P>(wide, a0, a1, a2, a3, b0, b1, b2, b3, ones, k == NARROW_COLUMNS);
    }
  }
}
