/**
 * A panel of 8 rows of quantized weights (quantized-panel.ts) times four tokens, or two: a tile of sums that stays in registers for
 * a group of columns, so that what is loaded serves many products.
 *
 *   x       [padded cols / 4][lanes] codes of a tile       infos     [groups] { scale, sum, start }[lanes]   (quantize.ts)
 *   scales  [groups][8 rows] f32                           minimums  the same, or null
 *   y       [lanes] rows of [8] f32, `yBytes` apart: what is there is added to
 *
 * The loops are unrolled no further on purpose: compilers would gather a sum's steps, and keep more tiles than there are registers.
 */
import { kept } from "./kept";
import { addDots, codeBytes, NARROW_COLUMNS, rowSums } from "./quantized-dots";

/** For Narrow, groups of at most 32 columns. */
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
    for (const end = code + span; code < end; code += 32, w += 64) {
      let top = v128.load(w);
      let bottom = v128.load(w, 16);
      let c = v128.load32_splat(code);
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
      top = v128.load(w, 32);
      bottom = v128.load(w, 48);
      c = v128.load32_splat(code, 16);
      a0 = addDots<P>(a0, top, c);
      b0 = addDots<P>(b0, bottom, c);
      c = v128.load32_splat(code, 20);
      a1 = addDots<P>(a1, top, c);
      b1 = addDots<P>(b1, bottom, c);
      c = v128.load32_splat(code, 24);
      a2 = addDots<P>(a2, top, c);
      b2 = addDots<P>(b2, bottom, c);
      c = v128.load32_splat(code, 28);
      a3 = addDots<P>(a3, top, c);
      b3 = addDots<P>(b3, bottom, c);
    }
    const top = v128.load(scale);
    const bottom = v128.load(scale, 16);
    addDotsTo(y, rowSums<P>(a0, ones), rowSums<P>(b0, ones), v128.load32_splat(info), top, bottom);
    addDotsTo(y1, rowSums<P>(a1, ones), rowSums<P>(b1, ones), v128.load32_splat(info, 4), top, bottom);
    addDotsTo(y2, rowSums<P>(a2, ones), rowSums<P>(b2, ones), v128.load32_splat(info, 8), top, bottom);
    addDotsTo(y3, rowSums<P>(a3, ones), rowSums<P>(b3, ones), v128.load32_splat(info, 12), top, bottom);
    if (minimum) {
      const top = v128.load(minimum);
      const bottom = v128.load(minimum, 16);
      addMinimumTo(y, info + 16, v128.load32_splat(info), top, bottom);
      addMinimumTo(y1, info + 20, v128.load32_splat(info, 4), top, bottom);
      addMinimumTo(y2, info + 24, v128.load32_splat(info, 8), top, bottom);
      addMinimumTo(y3, info + 28, v128.load32_splat(info, 12), top, bottom);
      minimum += 32;
    }
  }
}

/** Narrow with groups of more than 32 columns: every 32 columns the sums are widened. */
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
      for (const end = code + 2 * NARROW_COLUMNS; code < end; code += 16, w += 64) {
        let top = v128.load(w);
        let bottom = v128.load(w, 16);
        let c = v128.load32_splat(code);
        c0 = addDots<P>(c0, top, c);
        d0 = addDots<P>(d0, bottom, c);
        c = v128.load32_splat(code, 4);
        c1 = addDots<P>(c1, top, c);
        d1 = addDots<P>(d1, bottom, c);
        top = v128.load(w, 32);
        bottom = v128.load(w, 48);
        c = v128.load32_splat(code, 8);
        c0 = addDots<P>(c0, top, c);
        d0 = addDots<P>(d0, bottom, c);
        c = v128.load32_splat(code, 12);
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
    addDotsTo(y, a0, b0, v128.load32_splat(info), top, bottom);
    addDotsTo(y1, a1, b1, v128.load32_splat(info, 4), top, bottom);
    if (minimum) {
      const top = v128.load(minimum);
      const bottom = v128.load(minimum, 16);
      addMinimumTo(y, info + 8, v128.load32_splat(info), top, bottom);
      addMinimumTo(y1, info + 12, v128.load32_splat(info, 4), top, bottom);
      minimum += 32;
    }
  }
}

/** y + f32(dot) * (x scale * w scale), for the 8 rows of a token. */
@inline function addDotsTo(y: usize, a: v128, b: v128, xScale: v128, top: v128, bottom: v128): void {
  v128.store(y, f32x4.add(v128.load(y), f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(xScale, top))));
  v128.store(y, f32x4.add(v128.load(y, 16), f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(xScale, bottom))), 16);
}

/** y + f32(sum of x codes) * (x scale * w minimum). */
@inline function addMinimumTo(y: usize, xSum: usize, xScale: v128, top: v128, bottom: v128): void {
  const sum = f32x4.convert_i32x4_s(v128.load32_splat(xSum));
  v128.store(y, f32x4.add(v128.load(y), f32x4.mul(sum, f32x4.mul(xScale, top))));
  v128.store(y, f32x4.add(v128.load(y, 16), f32x4.mul(sum, f32x4.mul(xScale, bottom))), 16);
}
