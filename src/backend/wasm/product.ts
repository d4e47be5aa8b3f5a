/** Products with weights in wasm memory, and single rows of them: which kernel a format takes, and the scratch that it needs. */
import type { FloatType } from "../../core/dtype.ts";
import type { QuantizedFormat } from "../backend.ts";
import { BLOCK_ROWS } from "../partition.ts";
import { floatScratchBytes, fp8ScratchBytes, INFO_BYTES, PANEL_ROWS, productScratchBytes, SCALE_KINDS } from "./kernel-sizes.ts";
import type { FloatProduct, Kernels } from "./kernels.ts";
import { fp8Scales, inBlock, inFloatBlock, type WasmMatrix, zeroCode } from "./matrix.ts";
import { aligned } from "./memory.ts";

/** Tokens that are multiplied at once: their codes stay in the second cache, and unpacked weights serve all of them. */
const TOKENS_TOGETHER = 128;

/** Gives the address of at least so many bytes. */
type Scratch = (bytes: number) => number;

/**
 * y = x W^T.
 *
 * @param x address of [tokens, cols] f32; @param y address of [tokens, rows] f32
 */
export function product(k: Kernels, x: number, w: WasmMatrix, y: number, tokens: number, scratch: Scratch): void {
  const { rows, cols, format } = w;
  for (let t = 0; t < tokens; t += TOKENS_TOGETHER) {
    const [from, to] = [x + t * cols * 4, y + t * rows * 4];
    const count = Math.min(tokens - t, TOKENS_TOGETHER);
    if (format.type === "fp8") {
      k.matmulF8(from, w.address, w.scales, to, count, rows, cols, scratch(fp8ScratchBytes(count, cols)));
    } else if (!("group" in format)) {
      floatProduct(k, format.type)(from, w.address, to, count, rows, cols, scratch(floatScratchBytes(count)));
    } else if (format.activations === "f32") dequantizedProduct(k, from, w, to, count, scratch);
    else quantizedProduct(k, format, from, w, to, count, scratch);
  }
}

function floatProduct(k: Kernels, type: FloatType): FloatProduct {
  return type === "f32" ? k.matmulF32 : type === "bf16" ? k.matmulBf16 : k.matmulF16;
}

function quantizedProduct(
  k: Kernels,
  format: QuantizedFormat,
  x: number,
  w: WasmMatrix,
  y: number,
  tokens: number,
  scratch: Scratch,
): void {
  const { rows, cols, groups } = w;
  const { group, scales = "f16" } = format;
  const { codeBytes, quantize, matmul } = k[format.type];
  const allCodeBytes = aligned(tokens * groups * group * codeBytes);
  const infoBytes = aligned(tokens * groups * INFO_BYTES);
  const codes = scratch(allCodeBytes + infoBytes + productScratchBytes(tokens, groups));
  const infos = codes + allCodeBytes;
  quantize(x, codes, infos, tokens, cols, group, zeroCode(format));
  const kind = SCALE_KINDS[scales];
  matmul(codes, infos, w.address, Number(format.minimum === true), kind, y, tokens, rows, groups, group, infos + infoBytes);
}

/** Rows are widened in panels, which stay in cache while all tokens pass. */
function dequantizedProduct(k: Kernels, x: number, w: WasmMatrix, y: number, tokens: number, scratch: Scratch): void {
  const { rows, cols, groups } = w;
  const panelBytes = PANEL_ROWS * cols * 4;
  const sums = panelBytes + 64 * groups;
  const panel = scratch(sums + floatScratchBytes(tokens));
  for (let first = 0; first < rows; first += PANEL_ROWS) {
    const count = Math.min(PANEL_ROWS, rows - first);
    for (let i = 0; i < count; i++) unpackRow(k, w, first + i, panel + i * cols * 4, panel + panelBytes);
    k.timesPanelF32(x, panel, y + first * 4, tokens, count, cols, rows * 4, panel + sums);
  }
}

/** Row `row` of W as f32, to address `out`. */
export function widenRow(k: Kernels, w: WasmMatrix, row: number, out: number, scratch: Scratch): void {
  const { cols, format } = w;
  if ("group" in format) unpackRow(k, w, row, out, scratch(64 * w.groups));
  else {
    const { block, within } = inFloatBlock(w, row);
    if (format.type === "f32") k.unpackRow32(block, within, cols, out);
    else if (format.type === "fp8") {
      const codes = scratch(cols);
      k.unpackRow8(block, within, cols, codes);
      k.widenF8(codes, fp8Scales(w, row), out, cols);
    } else {
      const values = scratch(cols * 2);
      k.unpackRow16(block, within, cols, values);
      (format.type === "bf16" ? k.widenBf16 : k.widenF16)(values, out, cols);
    }
  }
}

/** @param scratch address of 64 bytes for each group */
function unpackRow(k: Kernels, w: WasmMatrix, row: number, out: number, scratch: number): void {
  const { format } = w;
  if (!("group" in format)) return;
  const kind = SCALE_KINDS[format.scales ?? "f16"];
  const unpack = format.type === "int8" ? k.unpackInt8 : k.unpackInt4;
  for (const part of w.parts) {
    const { firstColumn, cols, groups } = part;
    const [codes, scales] = [inBlock(part, part.codes, row), inBlock(part, part.scales, row)];
    const minimums = format.minimum ? inBlock(part, part.minimums, row) : 0;
    const to = out + 4 * firstColumn;
    unpack(codes, scales, minimums, kind, row % BLOCK_ROWS, cols, groups, format.group, zeroCode(format), to, scratch);
  }
}
