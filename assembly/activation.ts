/** Operations value by value, by pairs of vectors (`WIDE_VECTORS` in quantized-dots.ts). */
import { exp4From, ONE, storeConstants } from "./exp";
import { loadRest, storeRest } from "./floats";
import { kept } from "./kept";

const LARGEST_EXPONENT: i32 = 0x42b20000; // 89, where exp ends

/** out[i] = a[i] + b[i]. */
export function add(a: usize, b: usize, out: usize, n: i32): void {
  const whole = <usize>(n & ~3) << 2;
  let at: usize = 0;
  for (const pairs = whole & ~31; at < pairs; at += 32) {
    const first = f32x4.add(v128.load(a + at), v128.load(b + at));
    const second = f32x4.add(v128.load(a + at, 16), v128.load(b + at, 16));
    v128.store(out + at, second, 16);
    v128.store(out + at, first);
  }
  for (; at < whole; at += 16) v128.store(out + at, f32x4.add(v128.load(a + at), v128.load(b + at)));
  if (n & 3) storeRest(out + at, f32x4.add(loadRest<f32>(a + at, n & 3), loadRest<f32>(b + at, n & 3)), n & 3);
}

/** out[i] = silu(gate[i]) * up[i]. @param constants scratch, see `storeConstants` */
export function swiglu(gate: usize, up: usize, out: usize, n: i32, constants: usize): void {
  storeConstants(constants);
  const most = kept(LARGEST_EXPONENT, n);
  const whole = <usize>(n & ~3) << 2;
  let at: usize = 0;
  for (const pairs = whole & ~31; at < pairs; at += 32) {
    const first = swiglu4(v128.load(gate + at), v128.load(up + at), most, constants);
    const second = swiglu4(v128.load(gate + at, 16), v128.load(up + at, 16), most, constants);
    v128.store(out + at, second, 16);
    v128.store(out + at, first);
  }
  for (; at < whole; at += 16) v128.store(out + at, swiglu4(v128.load(gate + at), v128.load(up + at), most, constants));
  if (n & 3) storeRest(out + at, swiglu4(loadRest<f32>(gate + at, n & 3), loadRest<f32>(up + at, n & 3), most, constants), n & 3);
}

/** silu(g) = g / (1 + exp(-g)). */
@inline function swiglu4(gate: v128, up: v128, most: v128, constants: usize): v128 {
  const grown = f32x4.add(v128.load32_splat(constants, ONE), exp4From(f32x4.pmin(f32x4.neg(gate), most), constants));
  return f32x4.mul(f32x4.div(gate, grown), up);
}
