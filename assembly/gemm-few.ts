/**
 * gemm.ts for few tokens, which would not make up for unpacking a panel: they read a block's codes as they lie (quantized-panel.ts), and
 * tiles are made in registers. Operands are those of gemm.ts, but for `codes`.
 */
import { kept } from "./kept";
import { addDots, codeBytes, isWide, NARROW_COLUMNS } from "./quantized-dots";
import { isInt8 } from "./quantized-panel";
import { addTile, addTileWithMinimum, addWideTile, addWideTileWithMinimum, widenTile } from "./quantized-sums";

/** Four tokens, but not of Masked; for Narrow, groups of at most 32 columns. */
export function timesBlock4<W, P>(
  x: usize, infos: usize, codes: usize, scales: usize, minimums: usize, y: usize, yBytes: usize, groups: i32, group: i32,
): void {
  const low = kept(0x0f0f0f0f, groups);
  const even = kept(0x00ff00ff, groups);
  const ones = kept(0x00010001, groups);
  const span = <usize>group * codeBytes<P>();
  const y1 = y + yBytes;
  const y2 = y1 + yBytes;
  const y3 = y2 + yBytes;
  let w = codes;
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
    if (isInt8<W>()) {
      for (const end = code + span; code < end; code += 4 * codeBytes<P>(), w += 32) {
        let top = v128.load(w);
        let bottom = v128.load(w, 16);
        let t = isWide<P>() ? v128.and(top, even) : top;
        let u = isWide<P>() ? v128.and(bottom, even) : bottom;
        c = v128.load32_splat(code);
        a0 = addDots<P>(a0, t, c);
        b0 = addDots<P>(b0, u, c);
        c = v128.load32_splat(code, 4);
        a1 = addDots<P>(a1, t, c);
        b1 = addDots<P>(b1, u, c);
        c = v128.load32_splat(code, 8);
        a2 = addDots<P>(a2, t, c);
        b2 = addDots<P>(b2, u, c);
        c = v128.load32_splat(code, 12);
        a3 = addDots<P>(a3, t, c);
        b3 = addDots<P>(b3, u, c);
        if (isWide<P>()) {
          t = i16x8.shr_u(top, 8);
          u = i16x8.shr_u(bottom, 8);
          c = v128.load32_splat(code, 16);
          a0 = addDots<P>(a0, t, c);
          b0 = addDots<P>(b0, u, c);
          c = v128.load32_splat(code, 20);
          a1 = addDots<P>(a1, t, c);
          b1 = addDots<P>(b1, u, c);
          c = v128.load32_splat(code, 24);
          a2 = addDots<P>(a2, t, c);
          b2 = addDots<P>(b2, u, c);
          c = v128.load32_splat(code, 28);
          a3 = addDots<P>(a3, t, c);
          b3 = addDots<P>(b3, u, c);
        }
      }
    } else {
      for (const end = code + span; code < end; code += 8 * codeBytes<P>(), w += 32) {
        const top = v128.load(w);
        const bottom = v128.load(w, 16);
        let t = v128.and(top, low);
        let u = v128.and(bottom, low);
        c = v128.load32_splat(code);
        a0 = addDots<P>(a0, t, c);
        b0 = addDots<P>(b0, u, c);
        c = v128.load32_splat(code, 4);
        a1 = addDots<P>(a1, t, c);
        b1 = addDots<P>(b1, u, c);
        c = v128.load32_splat(code, 8);
        a2 = addDots<P>(a2, t, c);
        b2 = addDots<P>(b2, u, c);
        c = v128.load32_splat(code, 12);
        a3 = addDots<P>(a3, t, c);
        b3 = addDots<P>(b3, u, c);
        t = v128.and(i16x8.shr_u(top, 4), low);
        u = v128.and(i16x8.shr_u(bottom, 4), low);
        const next = code + 4 * codeBytes<P>();
        c = v128.load32_splat(next);
        a0 = addDots<P>(a0, t, c);
        b0 = addDots<P>(b0, u, c);
        c = v128.load32_splat(next, 4);
        a1 = addDots<P>(a1, t, c);
        b1 = addDots<P>(b1, u, c);
        c = v128.load32_splat(next, 8);
        a2 = addDots<P>(a2, t, c);
        b2 = addDots<P>(b2, u, c);
        c = v128.load32_splat(next, 12);
        a3 = addDots<P>(a3, t, c);
        b3 = addDots<P>(b3, u, c);
      }
    }
    if (minimum) {
      addTileWithMinimum<P>(y, y1, y2, y3, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale, minimum);
      minimum += 32;
    } else addTile<P>(y, y1, y2, y3, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale);
  }
}

/** Four tokens and int4, for Narrow with groups of more than 32 columns: every 32 columns the sums are widened. @param wide scratch as in gemm.ts */
export function timesBlock4Widening<P>(
  x: usize, infos: usize, codes: usize, scales: usize, minimums: usize, y: usize, yBytes: usize, groups: i32, group: i32, wide: usize,
): void {
  const low = kept(0x0f0f0f0f, groups);
  const ones = kept(0x00010001, groups);
  const zero = WIDE ? kept(0, groups) : i32x4.splat(0);
  const y1 = y + yBytes;
  const y2 = y1 + yBytes;
  const y3 = y2 + yBytes;
  let w = codes;
  let code = x;
  let info = infos;
  let scale = scales;
  let minimum = minimums;
  for (let g = groups; g > 0; g--, info += 48, scale += 32) {
    for (let k = NARROW_COLUMNS; ; k += NARROW_COLUMNS) {
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
      let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
      let c: v128;
      for (const end = code + 4 * NARROW_COLUMNS; code < end; code += 32, w += 32) {
        const top = v128.load(w);
        const bottom = v128.load(w, 16);
        let t = v128.and(top, low);
        let u = v128.and(bottom, low);
        c = v128.load32_splat(code);
        a0 = addDots<P>(a0, t, c);
        b0 = addDots<P>(b0, u, c);
        c = v128.load32_splat(code, 4);
        a1 = addDots<P>(a1, t, c);
        b1 = addDots<P>(b1, u, c);
        c = v128.load32_splat(code, 8);
        a2 = addDots<P>(a2, t, c);
        b2 = addDots<P>(b2, u, c);
        c = v128.load32_splat(code, 12);
        a3 = addDots<P>(a3, t, c);
        b3 = addDots<P>(b3, u, c);
        t = v128.and(i16x8.shr_u(top, 4), low);
        u = v128.and(i16x8.shr_u(bottom, 4), low);
        c = v128.load32_splat(code, 16);
        a0 = addDots<P>(a0, t, c);
        b0 = addDots<P>(b0, u, c);
        c = v128.load32_splat(code, 20);
        a1 = addDots<P>(a1, t, c);
        b1 = addDots<P>(b1, u, c);
        c = v128.load32_splat(code, 24);
        a2 = addDots<P>(a2, t, c);
        b2 = addDots<P>(b2, u, c);
        c = v128.load32_splat(code, 28);
        a3 = addDots<P>(a3, t, c);
        b3 = addDots<P>(b3, u, c);
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
