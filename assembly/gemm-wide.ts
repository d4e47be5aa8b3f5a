/**
 * gemm.ts for registers of 256 bits (`WIDE_VECTORS`), which hold the sums of two panels, 16 rows: what is loaded of tokens serves twice as
 * many products. The panels lie `panelBytes` apart, their scales and minimums `scaleBytes`; y's rows of the second one follow the first
 * one's. Other operands are those of gemm.ts. A step takes 8 columns (4 of Wide), which every group has: there
 * are registers left, and what a loop costs besides its products counts.
 */
import { kept } from "./kept";
import { addDots, codeBytes, NARROW_COLUMNS } from "./quantized-dots";
import { addTile, addTileWithMinimum, addWideTile, addWideTileWithMinimum, widenTile } from "./quantized-sums";

/** Whether a group's sums are as wide as they need be, or are widened every 32 columns: Narrow with larger groups. */
export type Whole = u8;
export type Widened = u16;

/** Four tokens. @param wide scratch for Widened: a group's sums so far, [2][4 tokens][8 rows] i32 */
export function timesPanels4<P, S>(
  x: usize, infos: usize, panel: usize, panelBytes: usize, scales: usize, minimums: usize, scaleBytes: usize, y: usize, yBytes: usize,
  groups: i32, group: i32, wide: usize,
): void {
  const widening = sizeof<S>() == sizeof<Widened>();
  const stretch = widening ? NARROW_COLUMNS : group;
  const span = <usize>stretch * codeBytes<P>();
  const ones = kept(0x00010001, groups);
  const zero = kept(0, groups);
  const nextWide = wide + 128;
  const y1 = y + yBytes;
  const y2 = y1 + yBytes;
  const y3 = y2 + yBytes;
  let w = panel;
  let next = panel + panelBytes;
  let code = x;
  let info = infos;
  let scale = scales;
  let minimum = minimums;
  for (let g = groups; g > 0; g--, info += 48, scale += 32) {
    for (let k = stretch; ; k += stretch) {
      let a0 = widening ? zero : v128.load32_splat(info, 32);
      let a1 = widening ? zero : v128.load32_splat(info, 36);
      let a2 = widening ? zero : v128.load32_splat(info, 40);
      let a3 = widening ? zero : v128.load32_splat(info, 44);
      let b0 = a0, b1 = a1, b2 = a2, b3 = a3;
      let c0 = a0, c1 = a1, c2 = a2, c3 = a3;
      let d0 = a0, d1 = a1, d2 = a2, d3 = a3;
      const end = code + span;
      do {
        let top: v128, bottom: v128, nextTop: v128, nextBottom: v128, c: v128;
        top = v128.load(w);
        bottom = v128.load(w, 16);
        nextTop = v128.load(next);
        nextBottom = v128.load(next, 16);
        c = v128.load32_splat(code);
        a0 = addDots<P>(a0, top, c);
        b0 = addDots<P>(b0, bottom, c);
        c0 = addDots<P>(c0, nextTop, c);
        d0 = addDots<P>(d0, nextBottom, c);
        c = v128.load32_splat(code, 4);
        a1 = addDots<P>(a1, top, c);
        b1 = addDots<P>(b1, bottom, c);
        c1 = addDots<P>(c1, nextTop, c);
        d1 = addDots<P>(d1, nextBottom, c);
        c = v128.load32_splat(code, 8);
        a2 = addDots<P>(a2, top, c);
        b2 = addDots<P>(b2, bottom, c);
        c2 = addDots<P>(c2, nextTop, c);
        d2 = addDots<P>(d2, nextBottom, c);
        c = v128.load32_splat(code, 12);
        a3 = addDots<P>(a3, top, c);
        b3 = addDots<P>(b3, bottom, c);
        c3 = addDots<P>(c3, nextTop, c);
        d3 = addDots<P>(d3, nextBottom, c);
        top = v128.load(w, 32);
        bottom = v128.load(w, 48);
        nextTop = v128.load(next, 32);
        nextBottom = v128.load(next, 48);
        c = v128.load32_splat(code, 16);
        a0 = addDots<P>(a0, top, c);
        b0 = addDots<P>(b0, bottom, c);
        c0 = addDots<P>(c0, nextTop, c);
        d0 = addDots<P>(d0, nextBottom, c);
        c = v128.load32_splat(code, 20);
        a1 = addDots<P>(a1, top, c);
        b1 = addDots<P>(b1, bottom, c);
        c1 = addDots<P>(c1, nextTop, c);
        d1 = addDots<P>(d1, nextBottom, c);
        c = v128.load32_splat(code, 24);
        a2 = addDots<P>(a2, top, c);
        b2 = addDots<P>(b2, bottom, c);
        c2 = addDots<P>(c2, nextTop, c);
        d2 = addDots<P>(d2, nextBottom, c);
        c = v128.load32_splat(code, 28);
        a3 = addDots<P>(a3, top, c);
        b3 = addDots<P>(b3, bottom, c);
        c3 = addDots<P>(c3, nextTop, c);
        d3 = addDots<P>(d3, nextBottom, c);
        code += 32;
        w += 64;
        next += 64;
      } while (code < end);
      if (widening && k < group) {
        widenTile<P>(wide, a0, a1, a2, a3, b0, b1, b2, b3, ones, k == stretch);
        widenTile<P>(nextWide, c0, c1, c2, c3, d0, d1, d2, d3, ones, k == stretch);
        continue;
      }
      const nextScale = scale + scaleBytes;
      const nextMinimum = minimum + scaleBytes;
      if (widening && minimum) {
        addWideTileWithMinimum<P>(y, y1, y2, y3, wide, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale, minimum);
        addWideTileWithMinimum<P>(
          y + 32, y1 + 32, y2 + 32, y3 + 32, nextWide, c0, c1, c2, c3, d0, d1, d2, d3, ones, info, nextScale, nextMinimum,
        );
        minimum += 32;
      } else if (widening) {
        addWideTile<P>(y, y1, y2, y3, wide, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale);
        addWideTile<P>(y + 32, y1 + 32, y2 + 32, y3 + 32, nextWide, c0, c1, c2, c3, d0, d1, d2, d3, ones, info, nextScale);
      } else if (minimum) {
        addTileWithMinimum<P>(y, y1, y2, y3, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale, minimum);
        addTileWithMinimum<P>(y + 32, y1 + 32, y2 + 32, y3 + 32, c0, c1, c2, c3, d0, d1, d2, d3, ones, info, nextScale, nextMinimum);
        minimum += 32;
      } else {
        addTile<P>(y, y1, y2, y3, a0, a1, a2, a3, b0, b1, b2, b3, ones, info, scale);
        addTile<P>(y + 32, y1 + 32, y2 + 32, y3 + 32, c0, c1, c2, c3, d0, d1, d2, d3, ones, info, nextScale);
      }
      break;
    }
  }
}
