/**
 * One block of 8 rows of quantized weights (quantized-panel.ts) times one token. Codes are read once, in the order in which they lie, and
 * made ready for their products in registers: what decoding waits for is the memory.
 *
 *   x       [padded cols / 4] codes of a tile       infos     [groups] { scale, sum, start }   (quantize.ts, one lane)
 *   scales  [groups][8 rows] f32                    minimums  the same, or null
 *   y       [8] f32: what is there is added to
 */
import { kept } from "./kept";
import { addDots, codeBytes, isNarrow, isWide, NARROW_COLUMNS, rowSums } from "./quantized-dots";
import { isInt8, octetBytes } from "./quantized-panel";

export function timesBlock<W, P>(
  x: usize, infos: usize, block: usize, scales: usize, minimums: usize, y: usize, groups: i32, group: i32,
): void {
  const low = kept(isWide<P>() ? 0x000f000f : 0x0f0f0f0f, groups);
  const even = kept(0x00ff00ff, groups);
  const ones = kept(0x00010001, groups);
  let w = block;
  let code = x;
  let info = infos;
  let scale = scales;
  let minimum = minimums;
  let top = v128.load(y);
  let bottom = v128.load(y, 16);
  for (let g = groups; g > 0; g--, info += 12, scale += 32) {
    let a = v128.load32_splat(info, 8);
    let b = a;
    if (isNarrow<P>() && group > NARROW_COLUMNS) {
      for (let k = group; k > 0; k -= NARROW_COLUMNS) {
        let c = i32x4.splat(0);
        let d = c;
        for (const end = code + NARROW_COLUMNS; code < end; code += 16, w += 64) {
          let x = v128.load32_splat(code);
          let y = v128.load32_splat(code, 4);
          c = addOctet<P>(c, v128.load(w), x, y, low);
          d = addOctet<P>(d, v128.load(w, 16), x, y, low);
          x = v128.load32_splat(code, 8);
          y = v128.load32_splat(code, 12);
          c = addOctet<P>(c, v128.load(w, 32), x, y, low);
          d = addOctet<P>(d, v128.load(w, 48), x, y, low);
        }
        a = i32x4.add(a, rowSums<P>(c, ones));
        b = i32x4.add(b, rowSums<P>(d, ones));
      }
    } else {
      for (const end = code + <usize>(group >> 2) * codeBytes<P>(); code < end; code += 2 * codeBytes<P>(), w += octetBytes<W>()) {
        let top = v128.load(w);
        let bottom = v128.load(w, 16);
        let x = v128.load32_splat(code);
        if (isInt8<W>()) {
          // A code is shared by both halves of the rows; tiles of Wide come apart into their even and odd columns.
          a = addDots<P>(a, isWide<P>() ? v128.and(top, even) : top, x);
          b = addDots<P>(b, isWide<P>() ? v128.and(bottom, even) : bottom, x);
          if (isWide<P>()) {
            x = v128.load32_splat(code, 4);
            a = addDots<P>(a, i16x8.shr_u(top, 8), x);
            b = addDots<P>(b, i16x8.shr_u(bottom, 8), x);
          }
          top = v128.load(w, 32);
          bottom = v128.load(w, 48);
          x = v128.load32_splat(code + codeBytes<P>());
          a = addDots<P>(a, isWide<P>() ? v128.and(top, even) : top, x);
          b = addDots<P>(b, isWide<P>() ? v128.and(bottom, even) : bottom, x);
          if (isWide<P>()) {
            x = v128.load32_splat(code, 12);
            a = addDots<P>(a, i16x8.shr_u(top, 8), x);
            b = addDots<P>(b, i16x8.shr_u(bottom, 8), x);
          }
        } else {
          a = addDots<P>(a, v128.and(top, low), x);
          b = addDots<P>(b, v128.and(bottom, low), x);
          if (isWide<P>()) {
            x = v128.load32_splat(code, 4);
            a = addDots<P>(a, v128.and(i16x8.shr_u(top, 8), low), x);
            b = addDots<P>(b, v128.and(i16x8.shr_u(bottom, 8), low), x);
          }
          x = v128.load32_splat(code + codeBytes<P>());
          a = addDots<P>(a, v128.and(i16x8.shr_u(top, 4), low), x);
          b = addDots<P>(b, v128.and(i16x8.shr_u(bottom, 4), low), x);
          if (isWide<P>()) {
            x = v128.load32_splat(code, 12);
            a = addDots<P>(a, i16x8.shr_u(top, 12), x);
            b = addDots<P>(b, i16x8.shr_u(bottom, 12), x);
          }
        }
      }
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
  }
  v128.store(y, top);
  v128.store(y, bottom, 16);
}

/** sums + 8 columns of int4, x and y being the token's codes for the first four and the next. @param low the lower half of every byte */
@inline function addOctet<P>(sums: v128, halves: v128, x: v128, y: v128, low: v128): v128 {
  return addDots<P>(addDots<P>(sums, v128.and(halves, low), x), v128.and(i16x8.shr_u(halves, 4), low), y);
}
