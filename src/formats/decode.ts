/** Stored rows as codes and scales, without loss, or as f32: the bits that the format's own definition gives. */
import { type FloatType, widen } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import { type CodeLayout, dequantize, dequantizeFp8, isCodes, type QuantizedRows, quantizedRows } from "../core/quantized.ts";
import { type Encoding, isFloat, isGguf } from "./encoding.ts";
import { decodeBlocks } from "./gguf-blocks.ts";
import { GGUF_TYPES } from "./gguf-types.ts";
import { unpackCodes } from "./mlx-codes.ts";

/** What holds every weight of an encoding without loss: a float type, or codes with scales. */
export function layoutOf(encoding: Encoding): { readonly type: FloatType } | CodeLayout {
  if (isFloat(encoding)) return { type: encoding.type };
  if (isGguf(encoding)) return GGUF_TYPES[encoding.type].layout;
  if (encoding.type === "fp8") return { type: "fp8" };
  const { bits, group, scales } = encoding;
  return { type: bits <= 4 ? "int4" : "int8", group, minimum: true, scales };
}

/**
 * Stored rows into codes and scales of `layoutOf(encoding)`.
 *
 * @param parts of `cutParts`
 * @param into of `quantizedRows`, for as many rows
 * @param firstRow their number in the tensor, for messages
 * @throws Qwen3Error CHECKPOINT_TENSOR for a scale that is not finite
 */
export function decodeRows(
  encoding: Encoding,
  parts: readonly Uint8Array[],
  cols: number,
  into: QuantizedRows,
  firstRow = 0,
): void {
  if (isGguf(encoding)) decodeBlocks(encoding.type, parts[0]!, into);
  else if (!isFloat(encoding)) {
    const [codes, scales, biases] = parts;
    if (encoding.type === "affine") unpackCodes(codes!, encoding.bits, into.codes);
    else into.codes.set(codes!);
    into.scales.set(widen(scales!, encoding.scales, 0, into.scales.length));
    into.minimums?.set(widen(biases!, encoding.scales, 0, into.scales.length));
  }
  requireFinite(into, into.codes.length / cols, firstRow);
}

/** Stored rows as f32, [rows, cols]. @throws as `decodeRows` */
export function dequantizeRows(
  encoding: Encoding,
  parts: readonly Uint8Array[],
  rows: number,
  cols: number,
  firstRow = 0,
): Float32Array {
  if (isFloat(encoding)) return widen(parts[0]!, encoding.type, 0, rows * cols);
  const out = new Float32Array(rows * cols);
  const layout = layoutOf(encoding);
  if (!isCodes(layout)) return out;
  const decoded = quantizedRows(layout, rows, cols);
  decodeRows(encoding, parts, cols, decoded, firstRow);
  if (layout.type === "fp8") dequantizeFp8(decoded, cols, out);
  else dequantize(decoded, layout, cols, out);
  return out;
}

function requireFinite({ scales, minimums }: QuantizedRows, rows: number, firstRow: number): void {
  const levels = scales.length / rows;
  for (let row = 0; row < rows; row++)
    for (const values of [scales, minimums])
      for (let i = row * levels; values && i < (row + 1) * levels; i++)
        if (!Number.isFinite(values[i])) {
          const found = `row ${firstRow + row}: a scale is ${values[i]}`;
          throw new Qwen3Error("CHECKPOINT_TENSOR", `${found}; scales and minimums have to be finite`);
        }
}
