/**
 * Rows of quantized weights into and out of blocks (quantized-panel.ts). A row's codes in a tile are 4 neighbours in memory, so a row is
 * written and read 32 bits at a time.
 */
import { narrow4F16 } from "./f16";
import { storeRest } from "./floats";
import { Int4, Int8, isInt8, octetBytes } from "./quantized-panel";
import { F16, F32, widenScales } from "./quantized-scales";

/** A row's codes u8 [cols] to where its first four codes lie in a block and on; `zero` fills up to `paddedCols`. */
export function packInt8(codes: usize, to: usize, cols: i32, paddedCols: i32, zero: i32): void {
  pack<Int8>(codes, to, cols, paddedCols, zero);
}

/** The same, of codes 0..15. */
export function packInt4(codes: usize, to: usize, cols: i32, paddedCols: i32, zero: i32): void {
  pack<Int4>(codes, to, cols, paddedCols, zero);
}

@inline function pack<W>(codes: usize, first: usize, cols: i32, paddedCols: i32, zero: i32): void {
  let to = first;
  let k = 0;
  for (const whole = cols & ~7; k < whole; k += 8, to += octetBytes<W>()) {
    if (isInt8<W>()) {
      store<u32>(to, load<u32>(codes + k));
      store<u32>(to, load<u32>(codes + k, 4), 32);
    } else {
      const eight = load<u64>(codes + k);
      store<u32>(to, <u32>(eight | (eight >> 28))); // codes fill the low halves of their bytes
    }
  }
  for (; k < paddedCols; k += 8, to += octetBytes<W>()) {
    const low = fourCodes(codes + k, cols - k, zero);
    const high = fourCodes(codes + k + 4, cols - k - 4, zero);
    if (isInt8<W>()) {
      store<u32>(to, low);
      store<u32>(to, high, 32);
    } else store<u32>(to, low | (high << 4));
  }
}

/** The first `count` of four codes, then zeros. */
@inline function fourCodes(codes: usize, count: i32, zero: i32): u32 {
  if (count >= 4) return load<u32>(codes);
  let word: u32 = zero * 0x01010101;
  for (let i = 0; i < count; i++) word = (word & ~(0xff << (i << 3))) | (<u32>load<u8>(codes + i) << (i << 3));
  return word;
}

/** A row's scales, or minimums, f32 [groups] to where its first one lies in a block and on; kind is F32, F16 or BF16. */
export function packScales(values: usize, first: usize, groups: i32, kind: i32): void {
  const bytes: usize = kind == F32 ? 4 : 2;
  const end = values + (<usize>groups << 2);
  let to = first;
  for (let p = values; p < end; p += 4, to += 8 * bytes) {
    const value = v128.load32_splat(p);
    if (kind == F32) v128.store32_lane(to, value, 0);
    else if (kind == F16) v128.store16_lane(to, narrow4F16(value), 0);
    else v128.store16_lane(to, value, 1); // the upper half
  }
}

/**
 * Row 0..7 of a block as f32: out[k] = (code - zero) * scale + minimum, or + 0 without minimums.
 *
 * @param codes, scales, minimums of the block; minimums or null
 * @param scratch room for scales and minimums, [groups][8] f32 each
 */
export function unpackInt8(
  codes: usize, scales: usize, minimums: usize, kind: i32, row: i32, cols: i32, groups: i32, group: i32, zero: i32, out: usize,
  scratch: usize,
): void {
  unpack<Int8>(codes, scales, minimums, kind, row, cols, groups, group, zero, out, scratch);
}

export function unpackInt4(
  codes: usize, scales: usize, minimums: usize, kind: i32, row: i32, cols: i32, groups: i32, group: i32, zero: i32, out: usize,
  scratch: usize,
): void {
  unpack<Int4>(codes, scales, minimums, kind, row, cols, groups, group, zero, out, scratch);
}

@inline function unpack<W>(
  codes: usize, scales: usize, minimums: usize, kind: i32, row: i32, cols: i32, groups: i32, group: i32, zero: i32, out: usize,
  scratch: usize,
): void {
  const within = <usize>row << 2;
  const s = widenScales(scales, kind, groups, group, 0, groups, scratch) + within;
  const m = minimums ? widenScales(minimums, kind, groups, group, 0, groups, scratch + (<usize>groups << 5)) + within : 0;
  let from = codes + within;
  for (let k = 0; k < cols; k += 8, from += octetBytes<W>()) {
    const at = <usize>(k / group) << 5;
    const scale = v128.load32_splat(s + at);
    const minimum = m ? v128.load32_splat(m + at) : f32x4.splat(0);
    const first = load<u32>(from);
    const low = isInt8<W>() ? first : first & 0x0f0f0f0f;
    const high = isInt8<W>() ? load<u32>(from, 32) : (first >> 4) & 0x0f0f0f0f;
    const to = out + (<usize>k << 2);
    storeUpTo4(to, dequantize(low, zero, scale, minimum), cols - k);
    if (cols - k > 4) storeUpTo4(to + 16, dequantize(high, zero, scale, minimum), cols - k - 4);
  }
}

@inline function dequantize(codes: u32, zero: i32, scale: v128, minimum: v128): v128 {
  const wide = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i32x4.splat(codes)));
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(wide, i32x4.splat(zero))), scale), minimum);
}

@inline function storeUpTo4(p: usize, v: v128, count: i32): void {
  if (count >= 4) v128.store(p, v);
  else storeRest(p, v, count);
}
