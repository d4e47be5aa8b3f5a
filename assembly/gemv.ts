/**
 * One block of 8 rows of quantized weights (quantized-panel.ts) times one token. Codes are read once, in the order in which they lie, and
 * made ready for their products in registers: what decoding waits for is the memory.
 *
 *   x       [padded cols / 4] codes of a tile       infos     [groups] { scale, sum, start }   (quantize.ts, one lane)
 *   scales  [groups][8 rows] f32                    minimums  the same, or null
 *   y       [8] f32: what is there is added to
 *
 * There is at least one group, and a group has at least 16 columns: loops begin without asking (kept.ts).
 */
import { kept } from "./kept";
import { addTwoDots, codeBytes, isMasked, isNarrow, isWide, NARROW_COLUMNS, rowSums } from "./quantized-dots";
import { HIGH_EVEN, isInt8, LOW_EVEN, LOW_ODD, octetBytes } from "./quantized-panel";

export function timesBlock<W, P>(
  x: usize, infos: usize, block: usize, scales: usize, minimums: usize, y: usize, groups: i32, group: i32,
): void {
  const low = kept(isMasked<P>() ? LOW_EVEN : isWide<P>() ? 0x00ff00ff : 0x0f0f0f0f, groups);
  const odd = kept(LOW_ODD, groups);
  const high = kept(HIGH_EVEN, groups);
  const ones = kept(0x00010001, groups);
  let w = block;
  let code = x;
  let info = infos;
  let scale = scales;
  let minimum = minimums;
  let top = v128.load(y);
  let bottom = v128.load(y, 16);
  let g = groups;
  do {
    let a = v128.load32_splat(info, 8);
    let b = a;
    if (isNarrow<P>() && group > NARROW_COLUMNS) {
      let k = group;
      do {
        let c = i32x4.splat(0);
        let d = c;
        const end = code + NARROW_COLUMNS;
        do {
          let x = v128.load32_splat(code);
          let y = v128.load32_splat(code, 4);
          c = addOctet<P>(c, v128.load(w), x, y, low);
          d = addOctet<P>(d, v128.load(w, 16), x, y, low);
          x = v128.load32_splat(code, 8);
          y = v128.load32_splat(code, 12);
          c = addOctet<P>(c, v128.load(w, 32), x, y, low);
          d = addOctet<P>(d, v128.load(w, 48), x, y, low);
          code += 16;
          w += 64;
        } while (code < end);
        a = i32x4.add(a, rowSums<P>(c, ones));
        b = i32x4.add(b, rowSums<P>(d, ones));
        k -= NARROW_COLUMNS;
      } while (k > 0);
    } else {
      const end = code + <usize>(group >> 2) * codeBytes<P>();
      do {
        let x = v128.load32_splat(code);
        let y = v128.load32_splat(code, 4);
        let top = v128.load(w);
        let bottom = v128.load(w, 16);
        if (isMasked<P>()) {
          a = addTwoDots<P>(a, v128.and(top, low), x, v128.and(top, odd), y);
          b = addTwoDots<P>(b, v128.and(bottom, low), x, v128.and(bottom, odd), y);
          x = v128.load32_splat(code, 8);
          y = v128.load32_splat(code, 12);
          a = addTwoDots<P>(a, v128.and(top, high), x, i16x8.shr_u(top, 12), y);
          b = addTwoDots<P>(b, v128.and(bottom, high), x, i16x8.shr_u(bottom, 12), y);
        } else if (isWide<P>()) {
          a = addTwoDots<P>(a, v128.and(top, low), x, i16x8.shr_u(top, 8), y);
          b = addTwoDots<P>(b, v128.and(bottom, low), x, i16x8.shr_u(bottom, 8), y);
          x = v128.load32_splat(code, 8);
          y = v128.load32_splat(code, 12);
          top = v128.load(w, 32);
          bottom = v128.load(w, 48);
          a = addTwoDots<P>(a, v128.and(top, low), x, i16x8.shr_u(top, 8), y);
          b = addTwoDots<P>(b, v128.and(bottom, low), x, i16x8.shr_u(bottom, 8), y);
        } else if (isInt8<W>()) {
          a = addTwoDots<P>(a, top, x, v128.load(w, 32), y);
          b = addTwoDots<P>(b, bottom, x, v128.load(w, 48), y);
        } else {
          a = addOctet<P>(a, top, x, y, low);
          b = addOctet<P>(b, bottom, x, y, low);
        }
        code += 2 * codeBytes<P>();
        w += octetBytes<W>();
      } while (code < end);
      a = rowSums<P>(a, ones);
      b = rowSums<P>(b, ones);
    }
    const xScale = v128.load32_splat(info);
    top = f32x4.add(top, f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(xScale, v128.load(scale))));
    bottom = f32x4.add(bottom, f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(xScale, v128.load(scale, 16))));
    if (minimum) {
      const sum = f32x4.convert_i32x4_s(v128.load32_splat(info, 4));
      top = f32x4.add(top, f32x4.mul(sum, f32x4.mul(xScale, v128.load(minimum))));
      bottom = f32x4.add(bottom, f32x4.mul(sum, f32x4.mul(xScale, v128.load(minimum, 16))));
      minimum += 32;
    }
    info += 12;
    scale += 32;
  } while (--g > 0);
  v128.store(y, top);
  v128.store(y, bottom, 16);
}

/** sums + 8 columns of int4, x and y being the token's codes for the first four and the next. @param low the lower half of every byte */
@inline function addOctet<P>(sums: v128, halves: v128, x: v128, y: v128, low: v128): v128 {
  return addTwoDots<P>(sums, v128.and(halves, low), x, v128.and(i16x8.shr_u(halves, 4), low), y);
}
