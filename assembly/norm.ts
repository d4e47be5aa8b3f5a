/** RMSNorm: out = x / sqrt(mean(x^2) + eps) * gains, for `rows` rows of n values each. */
import { dotRow } from "./float-dots";
import { loadRest, storeRest } from "./floats";

export function rmsNorm(x: usize, gains: usize, out: usize, rows: i32, n: i32, eps: f32): void {
  const rowBytes = <usize>n << 2;
  let from = x;
  let to = out;
  for (let r = 0; r < rows; r++, from += rowBytes, to += rowBytes) {
    const meanSquare = dotRow(from, from, n) / <f32>n;
    const inverse = f32x4.splat(1 / sqrt<f32>(meanSquare + eps));
    const whole = <usize>(n & ~3) << 2;
    let at: usize = 0;
    for (const pairs = whole & ~31; at < pairs; at += 32) {
      const first = f32x4.mul(f32x4.mul(v128.load(from + at), inverse), v128.load(gains + at));
      const second = f32x4.mul(f32x4.mul(v128.load(from + at, 16), inverse), v128.load(gains + at, 16));
      v128.store(to + at, second, 16);
      v128.store(to + at, first);
    }
    for (; at < whole; at += 16)
      v128.store(to + at, f32x4.mul(f32x4.mul(v128.load(from + at), inverse), v128.load(gains + at)));
    const rest = n & 3;
    if (rest) {
      const scaled = f32x4.mul(loadRest<f32>(from + at, rest), inverse);
      storeRest(to + at, f32x4.mul(scaled, loadRest<f32>(gains + at, rest)), rest);
    }
  }
}
