/**
 * One block of 8 rows of quantized weights (quantized-panel.ts) times one token. Codes are read once, in the order in which they lie, and
 * made ready for their products in registers: what decoding waits for is the memory.
 *
 *   x       [padded cols / 4] codes of a tile       infos     [groups] { scale, sum, start }   (quantize.ts, one lane)
 *   scales  [groups][8 rows] f32                    minimums  the same, or null
 *   y       [8] f32
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
  let top = f32x4.splat(0);
  let bottom = top;
  for (let g = groups; g > 0; g--, info += 12, scale += 32) {
    let a = v128.load32_splat(info, 8);
    let b = a;
    if (isNarrow<P>() && group > NARROW_COLUMNS) {
      for (let k = group; k > 0; k -= NARROW_COLUMNS) {
        let c = i32x4.splat(0);
        let d = c;
        for (const end = code + NARROW_COLUMNS; code < end; code += 8, w += octetBytes<W>()) {
          c = addOctet<P>(c, v128.load(w), code, low);
          d = addOctet<P>(d, v128.load(w, 16), code, low);
        }
        a = i32x4.add(a, rowSums<P>(c, ones));
        b = i32x4.add(b, rowSums<P>(d, ones));
      }
    } else {
      for (const end = code + <usize>(group >> 2) * codeBytes<P>(); code < end; code += 2 * codeBytes<P>(), w += octetBytes<W>()) {
        if (isInt8<W>()) {
          a = addTile<P>(addTile<P>(a, v128.load(w), code, even), v128.load(w, 32), code + codeBytes<P>(), even);
          b = addTile<P>(addTile<P>(b, v128.load(w, 16), code, even), v128.load(w, 48), code + codeBytes<P>(), even);
        } else {
          a = addOctet<P>(a, v128.load(w), code, low);
          b = addOctet<P>(b, v128.load(w, 16), code, low);
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

/** sums + 4 columns in bytes. @param even 0x00ff in every 16-bit lane */
@inline function addTile<P>(sums: v128, bytes: v128, code: usize, even: v128): v128 {
  if (!isWide<P>()) return addDots<P>(sums, bytes, v128.load32_splat(code));
  const half = addDots<P>(sums, v128.and(bytes, even), v128.load32_splat(code));
  return addDots<P>(half, i16x8.shr_u(bytes, 8), v128.load32_splat(code, 4));
}

/** sums + 8 columns in halves of bytes. @param low the lowest 4 bits of every byte; of every 16 bits for Wide */
@inline function addOctet<P>(sums: v128, halves: v128, code: usize, low: v128): v128 {
  if (!isWide<P>()) {
    const half = addDots<P>(sums, v128.and(halves, low), v128.load32_splat(code));
    return addDots<P>(half, v128.and(i16x8.shr_u(halves, 4), low), v128.load32_splat(code, 4));
  }
  let sum = addDots<P>(sums, v128.and(halves, low), v128.load32_splat(code));
  sum = addDots<P>(sum, v128.and(i16x8.shr_u(halves, 8), low), v128.load32_splat(code, 4));
  sum = addDots<P>(sum, v128.and(i16x8.shr_u(halves, 4), low), v128.load32_splat(code, 8));
  return addDots<P>(sum, i16x8.shr_u(halves, 12), v128.load32_splat(code, 12));
}
