/** Products with weights in wasm memory, and single rows of them: which kernel a format takes, and the scratch that it needs. */
import type { FloatType } from "../../core/dtype.ts";
import type { QuantizedFormat } from "../backend.ts";
import { BLOCK_ROWS } from "../partition.ts";
import { type FloatProduct, INFO_BYTES, type Kernels, PANEL_ROWS, productScratchBytes, SCALE_KINDS } from "./kernels.ts";
import { fp8Scales, inBlock, type WasmMatrix, zeroCode } from "./matrix.ts";
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
  if (format.type === "fp8") {
    const panelBytes = tokens === 0 ? 0 : Math.min(PANEL_ROWS, rows) * cols * 4;
    k.matmulF8(x, w.address, w.scales, y, tokens, rows, cols, scratch(panelBytes));
  } else if (!("group" in format)) {
    const panelBytes = format.type === "f32" || tokens === 0 ? 0 : Math.min(PANEL_ROWS, rows) * cols * 4;
    floatProduct(k, format.type)(x, w.address, y, tokens, rows, cols, scratch(panelBytes));
  } else if (format.activations === "f32") dequantizedProduct(k, x, w, y, tokens, scratch);
  else
    for (let t = 0; t < tokens; t += TOKENS_TOGETHER)
      quantizedProduct(k, format, x + t * cols * 4, w, y + t * rows * 4, Math.min(tokens - t, TOKENS_TOGETHER), scratch);
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
  const panel = scratch(panelBytes + 64 * groups);
  for (let first = 0; first < rows; first += PANEL_ROWS) {
    const count = Math.min(PANEL_ROWS, rows - first);
    for (let i = 0; i < count; i++) unpackRow(k, w, first + i, panel + i * cols * 4, panel + panelBytes);
    k.timesPanelF32(x, panel, y + first * 4, tokens, count, cols, rows * 4);
  }
}

/** Row `row` of W as f32, to address `out`. */
export function widenRow(k: Kernels, w: WasmMatrix, row: number, out: number, scratch: Scratch): void {
  const { cols, format } = w;
  if ("group" in format) unpackRow(k, w, row, out, scratch(64 * w.groups));
  else if (format.type === "fp8") k.widenF8(w.address + row * cols, fp8Scales(w, row), out, cols);
  else if (format.type === "f32") {
    const from = w.address + row * cols * 4;
    w.memory.u8.copyWithin(out, from, from + cols * 4);
  } else (format.type === "bf16" ? k.widenBf16 : k.widenF16)(w.address + row * cols * 2, out, cols);
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
