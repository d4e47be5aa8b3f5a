/**
 * y = x W^T for weights in f32, bf16 or f16.
 *
 *   x [tokens, cols] f32      W [rows, cols] of the stored type, row-major, no padding      y [tokens, rows] f32
 *
 * Rows come in panels of 16 that stay in cache while all tokens pass. A few tokens widen the weights as they read them, more of
 * them let the panel be widened to f32 once: `panel` is room for 16 * cols f32, unused for f32 weights.
 */
import { widenBf16, widenF16 } from "./convert";
import { dotRow, dotRows4, dotTile4x2 } from "./float-dots";
import { dotRows4F16 } from "./f16-dots";
import { BF16 } from "./floats";

const PANEL_ROWS = 16;
const FEW_TOKENS = 4;

export function matmulF32(x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, _panel: usize): void {
  const yBytes = <usize>rows << 2;
  for (let r = 0; r < rows; r += PANEL_ROWS) {
    const count = min(PANEL_ROWS, rows - r);
    timesPanel<f32>(x, w + ((<usize>r * cols) << 2), y + (<usize>r << 2), tokens, count, cols, yBytes);
  }
}

export function matmulBf16(x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, panel: usize): void {
  const yBytes = <usize>rows << 2;
  for (let r = 0; r < rows; r += PANEL_ROWS) {
    const count = min(PANEL_ROWS, rows - r);
    const from = w + ((<usize>r * cols) << 1);
    const to = y + (<usize>r << 2);
    if (tokens < FEW_TOKENS) timesPanel<BF16>(x, from, to, tokens, count, cols, yBytes);
    else {
      widenBf16(from, panel, count * cols);
      timesPanel<f32>(x, panel, to, tokens, count, cols, yBytes);
    }
  }
}

export function matmulF16(x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, panel: usize): void {
  const yBytes = <usize>rows << 2;
  const wBytes = <usize>cols << 1;
  const direct = tokens == 1 ? rows & ~3 : 0; // rows that are widened as they are read
  let r = 0;
  for (; r < direct; r += 4) v128.store(y + (<usize>r << 2), dotRows4F16(x, w + <usize>r * wBytes, wBytes, cols));
  for (; r < rows; r += PANEL_ROWS) {
    const count = min(PANEL_ROWS, rows - r);
    widenF16(w + <usize>r * wBytes, panel, count * cols);
    timesPanel<f32>(x, panel, y + (<usize>r << 2), tokens, count, cols, yBytes);
  }
}

/** `timesPanel` for a panel that was widened elsewhere. */
export function timesPanelF32(x: usize, panel: usize, y: usize, tokens: i32, rows: i32, cols: i32, yBytes: usize): void {
  timesPanel<f32>(x, panel, y, tokens, rows, cols, yBytes);
}

/** All tokens through the rows of one panel, two tokens at a time; y's rows are yBytes apart. */
function timesPanel<T>(x: usize, w: usize, y: usize, tokens: i32, rows: i32, cols: i32, yBytes: usize): void {
  const xBytes = <usize>cols << 2;
  const wBytes = <usize>cols * sizeof<T>();
  let xt = x;
  let yt = y;
  for (let t = 0; t < (tokens & ~1); t += 2, xt += 2 * xBytes, yt += 2 * yBytes) {
    let r = 0;
    for (; r < (rows & ~3); r += 4) dotTile4x2<T>(xt, xBytes, w + <usize>r * wBytes, wBytes, cols, yt + (<usize>r << 2), yBytes);
    for (; r < rows; r++) {
      store<f32>(yt + (<usize>r << 2), dotRow<T>(xt, w + <usize>r * wBytes, cols));
      store<f32>(yt + (<usize>r << 2) + yBytes, dotRow<T>(xt + xBytes, w + <usize>r * wBytes, cols));
    }
  }
  if (tokens & 1) {
    let r = 0;
    for (; r < (rows & ~3); r += 4) v128.store(yt + (<usize>r << 2), dotRows4<T>(xt, w + <usize>r * wBytes, wBytes, cols));
    for (; r < rows; r++) store<f32>(yt + (<usize>r << 2), dotRow<T>(xt, w + <usize>r * wBytes, cols));
  }
}
