/**
 * A panel of 8 rows of quantized weights (quantized-panel.ts) times four tokens, or two: a tile of sums that stays in registers for a
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
import { addDots, codeBytes, NARROW_COLUMNS, rowSums } from "./quantized-dots";
import { addTo, addWithMinimum } from "./quantized-sums";

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
    let b0 = a0;
    let b1 = a1;
    let b2 = a2;
    let b3 = a3;
    let c: v128;
    for (const end = code + span; code < end; code += 16, w += 32) {
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
    const top = v128.load(scale);
    const bottom = v128.load(scale, 16);
    if (minimum) {
      const low = v128.load(minimum);
      const lowBottom = v128.load(minimum, 16);
      addWithMinimum(y, rowSums<P>(a0, ones), rowSums<P>(b0, ones), info, info + 16, top, bottom, low, lowBottom);
      addWithMinimum(y1, rowSums<P>(a1, ones), rowSums<P>(b1, ones), info + 4, info + 20, top, bottom, low, lowBottom);
      addWithMinimum(y2, rowSums<P>(a2, ones), rowSums<P>(b2, ones), info + 8, info + 24, top, bottom, low, lowBottom);
      addWithMinimum(y3, rowSums<P>(a3, ones), rowSums<P>(b3, ones), info + 12, info + 28, top, bottom, low, lowBottom);
      minimum += 32;
    } else {
      addTo(y, rowSums<P>(a0, ones), rowSums<P>(b0, ones), info, top, bottom);
      addTo(y1, rowSums<P>(a1, ones), rowSums<P>(b1, ones), info + 4, top, bottom);
      addTo(y2, rowSums<P>(a2, ones), rowSums<P>(b2, ones), info + 8, top, bottom);
      addTo(y3, rowSums<P>(a3, ones), rowSums<P>(b3, ones), info + 12, top, bottom);
    }
  }
}

/** Two tokens, for Narrow with groups of more than 32 columns: every 32 columns the sums are widened. */
export function timesPanel2<P>(
  x: usize, infos: usize, panel: usize, scales: usize, minimums: usize, y: usize, yBytes: usize, groups: i32, group: i32,
): void {
  const ones = kept(0x00010001, groups);
  const y1 = y + yBytes;
  let w = panel;
  let code = x;
  let info = infos;
  let scale = scales;
  let minimum = minimums;
  for (let g = groups; g > 0; g--, info += 24, scale += 32) {
    let a0 = v128.load32_splat(info, 16);
    let a1 = v128.load32_splat(info, 20);
    let b0 = a0;
    let b1 = a1;
    for (let k = group; k > 0; k -= NARROW_COLUMNS) {
      let c0 = i32x4.splat(0);
      let c1 = c0;
      let d0 = c0;
      let d1 = c0;
      for (const end = code + 2 * NARROW_COLUMNS; code < end; code += 8, w += 32) {
        const top = v128.load(w);
        const bottom = v128.load(w, 16);
        let c = v128.load32_splat(code);
        c0 = addDots<P>(c0, top, c);
        d0 = addDots<P>(d0, bottom, c);
        c = v128.load32_splat(code, 4);
        c1 = addDots<P>(c1, top, c);
        d1 = addDots<P>(d1, bottom, c);
      }
      a0 = i32x4.add(a0, rowSums<P>(c0, ones));
      a1 = i32x4.add(a1, rowSums<P>(c1, ones));
      b0 = i32x4.add(b0, rowSums<P>(d0, ones));
      b1 = i32x4.add(b1, rowSums<P>(d1, ones));
    }
    const top = v128.load(scale);
    const bottom = v128.load(scale, 16);
    if (minimum) {
      const low = v128.load(minimum);
      const lowBottom = v128.load(minimum, 16);
      addWithMinimum(y, a0, b0, info, info + 8, top, bottom, low, lowBottom);
      addWithMinimum(y1, a1, b1, info + 4, info + 12, top, bottom, low, lowBottom);
      minimum += 32;
    } else {
      addTo(y, a0, b0, info, top, bottom);
      addTo(y1, a1, b1, info + 4, top, bottom);
    }
  }
}
