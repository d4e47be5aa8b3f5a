/** `quantizeAffine` with the kernel that searches the ranges of 4-bit codes: the same bits, fifty times sooner. */
import type { FloatType } from "../../core/dtype.ts";
import { type AffineRow, quantizeAffine } from "../quantize-affine.ts";
import { SCALE_KINDS } from "./kernel-sizes.ts";
import { instantiate, type Kernels } from "./kernels.ts";
import { loadModule } from "./load.ts";
import { aligned, WasmMemory } from "./memory.ts";

/** One row of weights, finite and within ±65,504, of whole groups. */
export type AffineQuantizer = (row: Float32Array, bits: 4 | 8, group: number, type: FloatType) => AffineRow;

/** Where WebAssembly cannot be had: plain TypeScript. */
export async function affineQuantizer(): Promise<AffineQuantizer> {
  const module = await loadModule("simd").catch(() => undefined);
  if (!module) return quantizeAffine;
  const memory = new WasmMemory();
  const kernels = instantiate(module, memory.memory);
  let room = { cols: 0, address: 0 };
  return (row, bits, group, type) => {
    if (bits === 8) return quantizeAffine(row, bits, group, type);
    if (row.length > room.cols) {
      if (room.cols > 0) memory.free(room.address);
      room = { cols: row.length, address: memory.allocate(13 * aligned(row.length)) };
    }
    return quantizeRow(kernels, memory, room.address, row, group, type);
  };
}

/** @param at address of 13 bytes a weight: weights, codes, and room for a scale and a bias each */
function quantizeRow(
  kernels: Kernels,
  memory: WasmMemory,
  at: number,
  row: Float32Array,
  group: number,
  type: FloatType,
): AffineRow {
  const [cols, groups] = [row.length, row.length / group];
  const codes = at + 4 * aligned(cols);
  const scales = codes + aligned(cols);
  const biases = scales + 4 * aligned(groups);
  memory.floats(at, cols).set(row);
  kernels.quantizeInt4Range(at, codes, scales, biases, cols, group, SCALE_KINDS[type]);
  return {
    codes: memory.u8.slice(codes, codes + cols),
    scales: memory.floats(scales, groups).slice(),
    biases: memory.floats(biases, groups).slice(),
  };
}
