/**
 * y = x W^T for weights in e4m3fn with scales (f8.ts).
 *
 *   x [tokens, cols] f32      W [rows, cols] u8, row-major      s [rows, 1 + ceil(cols / 128)] f32      y [tokens, rows] f32
 *
 * One token widens the weights as it reads them, more of them let a panel of 16 rows be widened to f32 once: `panel` is room for
 * 16 * cols f32, `scratch` that of float-products.ts.
 */
import { dotRows4F8, isBelow, widenF8 } from "./f8";
import { timesPanelF32 } from "./float-products";

const PANEL_ROWS = 16;

export function matmulF8(x: usize, w: usize, s: usize, y: usize, tokens: i32, rows: i32, cols: i32, panel: usize, scratch: usize): void {
  const yBytes = <usize>rows << 2;
  const sBytes = <usize>(1 + (cols + 127) / 128) << 2;
  const direct = tokens == 1 ? rows & ~3 : 0; // rows that are widened as they are read
  let r = 0;
  for (; r < direct; r += 4) {
    const from = w + <usize>r * cols;
    const scales = s + <usize>r * sBytes;
    if (areBelow(scales, sBytes)) v128.store(y + (<usize>r << 2), dotRows4F8(x, from, cols, scales + 4, sBytes, cols));
    else widenedProduct(x, from, scales, sBytes, y + (<usize>r << 2), 1, 4, cols, panel, yBytes, scratch);
  }
  for (; r < rows; r += PANEL_ROWS) {
    const count = min(PANEL_ROWS, rows - r);
    widenedProduct(x, w + <usize>r * cols, s + <usize>r * sBytes, sBytes, y + (<usize>r << 2), tokens, count, cols, panel, yBytes, scratch);
  }
}

/** Whether the bounds of four rows all are. */
@inline function areBelow(s: usize, sBytes: usize): bool {
  return isBelow(s) && isBelow(s + sBytes) && isBelow(s + 2 * sBytes) && isBelow(s + 3 * sBytes);
}

function widenedProduct(
  x: usize, w: usize, s: usize, sBytes: usize, y: usize, tokens: i32, rows: i32, cols: i32, panel: usize, yBytes: usize,
  scratch: usize,
): void {
  for (let r = 0; r < rows; r++) widenF8(w + <usize>r * cols, s + <usize>r * sBytes, panel + ((<usize>r * cols) << 2), cols);
  timesPanelF32(x, panel, y, tokens, rows, cols, yBytes, scratch);
}
