/**
 * y = x W^T for weights in e4m3fn with scales (f8.ts).
 *
 *   x [tokens, cols] f32      W [rows, cols] u8 in blocks (f8-blocks.ts)      s [rows, 1 + ceil(cols / 128)] f32      y [tokens, rows] f32
 *   scratch   that of float-products.ts, that of f8-gemv.ts, and for rows that are widened alone codes [cols] u8 and a panel [16][cols] f32
 *
 * Blocks with a NaN, or a scale that is too large to be lifted, are widened row by row.
 */
import { GROUP, isBelow, widenF8 } from "./f8";
import { unpackRow8, widenColumnsF8 } from "./f8-blocks";
import { LIFTED, timesBlockF8, totalOfQuarter } from "./f8-gemv";
import { BLOCK_ROWS } from "./float-blocks";
import { scratchBytes, STRETCH, SUMS, timesColumns, timesPanelF32, totalTokens } from "./float-products";
import { storeRest } from "./floats";

/** So many tokens are worth widening a stretch. */
const MANY: i32 = 3;

export function matmulF8(x: usize, w: usize, s: usize, y: usize, tokens: i32, rows: i32, cols: i32, scratch: usize): void {
  const xBytes = <usize>cols << 2;
  const yBytes = <usize>rows << 2;
  const sBytes = <usize>(1 + (cols + 127) / 128) << 2;
  const lifted = scratch + scratchBytes(tokens);
  const codes = lifted + LIFTED;
  const panel = codes + (<usize>(cols + 15) & ~15);
  let block = w;
  let scales = s;
  let to = y;
  for (let row = 0; row < rows; row += BLOCK_ROWS) {
    const count = min(BLOCK_ROWS, rows - row);
    if (!areBelow(scales, sBytes, count)) {
      for (let r: usize = 0; r < <usize>count; r++) {
        unpackRow8(block, <i32>r, cols, codes);
        widenF8(codes, scales + r * sBytes, panel + r * xBytes, cols);
      }
      timesPanelF32(x, panel, to, tokens, count, cols, yBytes, scratch);
    } else if (tokens < MANY)
      for (let t: usize = 0; t < <usize>tokens; t++) {
        timesBlockF8(x + t * xBytes, block, scales + 4, sBytes, count, cols, scratch, lifted);
        let rest = count;
        let out = to + t * yBytes;
        for (let quarter = scratch; rest > 0; rest -= 4, quarter += 32, out += 16) {
          if (rest >= 4) v128.store(out, totalOfQuarter(quarter));
          else storeRest(out, totalOfQuarter(quarter), rest);
        }
      }
    else {
      const sums = scratch + SUMS;
      memory.fill(sums, 0, <usize>(tokens + 3 & ~3) << 8);
      for (let k = 0; k < cols; k += STRETCH) {
        const columns = min(STRETCH, cols - k);
        widenColumnsF8(block + (<usize>k << 4), scales + 4 + (<usize>(k / GROUP) << 2), sBytes, count, scratch, columns, lifted);
        timesColumns(x + (<usize>k << 2), xBytes, scratch, columns, tokens, sums);
      }
      totalTokens(sums, to, tokens, count, yBytes);
    }
    block += <usize>cols << 4;
    scales += sBytes << 4;
    to += 64;
  }
}

/** Whether the bounds of all rows of a block are. */
function areBelow(s: usize, sBytes: usize, rows: i32): bool {
  for (let row: usize = 0; row < <usize>rows; row++) if (!isBelow(s + row * sBytes)) return false;
  return true;
}
