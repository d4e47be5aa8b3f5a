/**
 * Blocks of 256 values as GGUF has them, each scale taken straight from its group's extent: llama.cpp searches for better ones, which makes no
 * difference to what is measured.
 */
import { f32ToF16 } from "../../src/core/dtype.ts";

export const SUPER_BLOCK = 256;

const clamp = (value: number, most: number): number => Math.max(0, Math.min(most, Math.round(value)));

function writeF16(out: Uint8Array, at: number, value: number): void {
  const bits = f32ToF16(value);
  out[at] = bits & 255;
  out[at + 1] = bits >>> 8;
}

/** Q4_K: w = d * scale * code - dmin * minimum, scales and minimums of 6 bits for groups of 32. */
export function q4k(block: Float32Array, out: Uint8Array): void {
  const groups = Array.from({ length: 8 }, (_, g) => block.subarray(32 * g, 32 * g + 32));
  const lows = groups.map((group) => group.reduce((least, value) => Math.min(least, value), 0));
  const steps = groups.map((group, g) => (group.reduce((most, value) => Math.max(most, value), 0) - lows[g]!) / 15);
  const d = Math.max(...steps) / 63;
  const dmin = -Math.min(...lows) / 63;
  writeF16(out, 0, d);
  writeF16(out, 2, dmin);
  const scales = steps.map((step) => clamp(step / d, 63));
  const minimums = lows.map((low) => clamp(-low / dmin, 63));
  for (let i = 0; i < 4; i++) {
    out[4 + i] = scales[i]! | ((scales[i + 4]! >> 4) << 6);
    out[8 + i] = minimums[i]! | ((minimums[i + 4]! >> 4) << 6);
    out[12 + i] = (scales[i + 4]! & 15) | ((minimums[i + 4]! & 15) << 4);
  }
  const code = (g: number, i: number) => clamp((groups[g]![i]! + dmin * minimums[g]!) / (d * Math.max(1, scales[g]!)), 15);
  for (let pair = 0; pair < 4; pair++)
    for (let i = 0; i < 32; i++) out[16 + 32 * pair + i] = code(2 * pair, i) | (code(2 * pair + 1, i) << 4);
}

/** Q6_K: w = d * scale * (code - 32), scales of 8 bits for groups of 16. */
export function q6k(block: Float32Array, out: Uint8Array): void {
  const steps = Array.from({ length: 16 }, (_, g) =>
    block.subarray(16 * g, 16 * g + 16).reduce((most, value) => Math.max(most, Math.abs(value) / 31), 0),
  );
  const d = Math.max(...steps) / 127;
  const scales = steps.map((step) => Math.max(1, Math.round(step / d)));
  out.set(scales, 192);
  writeF16(out, 208, d);
  const code = (i: number) => clamp(block[i]! / (d * scales[i >> 4]!) + 32, 63);
  for (let half = 0; half < 2; half++)
    for (let i = 0; i < 32; i++) {
      const [a, b, c, e] = [0, 32, 64, 96].map((stretch) => code(128 * half + stretch + i)) as [number, number, number, number];
      out[64 * half + i] = (a & 15) | ((c & 15) << 4);
      out[64 * half + 32 + i] = (b & 15) | ((e & 15) << 4);
      out[128 + 32 * half + i] = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((e >> 4) << 6);
    }
}
