/** Rows of codes and scales in scratch, from where they are packed into a matrix. */
import type { QuantizedRows } from "../../core/quantized.ts";
import { type QuantizedFormat, SUPER_COLUMNS } from "../backend.ts";
import { BLOCK_ROWS } from "../partition.ts";
import { SCALE_KINDS } from "./kernel-sizes.ts";
import type { Kernels } from "./kernels.ts";
import { factorBytes, inBlock, packCodes, packScales, type WasmMatrix } from "./matrix.ts";
import { aligned, type WasmMemory } from "./memory.ts";

/** Codes that are in scratch at once: some rows, which stay in a core's cache until they are packed. */
const PANEL_CODES = 65536;

export interface RowPanel {
  /** Views of scratch: good until the memory grows. */
  readonly rows: QuantizedRows;
  /** Where codes, scales and minimums lie. */
  readonly codes: number;
  readonly scales: number;
  readonly minimums: number;
}

/** Rows of a panel. */
export function panelRows({ rows, cols }: WasmMatrix): number {
  return Math.min(rows, Math.max(1, Math.floor(PANEL_CODES / cols)));
}

/** @param scratch gives the address of at least so many bytes */
export function openPanel(
  { memory, cols }: WasmMatrix,
  { type, group, minimum, scales }: QuantizedFormat,
  count: number,
  scratch: (bytes: number) => number,
): RowPanel {
  const groups = count * Math.ceil(cols / group);
  const twoLevel = scales === "two-level";
  const levels = twoLevel ? count * Math.ceil(cols / SUPER_COLUMNS) : groups;
  const factors = twoLevel ? groups : 0;
  const kinds = minimum ? 2 : 1;
  const codesAt = scratch(aligned(count * cols) + kinds * (aligned(4 * levels) + aligned(factors)));
  const scalesAt = codesAt + aligned(count * cols);
  const minimumsAt = scalesAt + aligned(4 * levels);
  const factorsAt = scalesAt + kinds * aligned(4 * levels);
  const { buffer } = memory.u8;
  return {
    codes: codesAt,
    scales: scalesAt,
    minimums: minimumsAt,
    rows: {
      codes: new (type === "int8" && !minimum ? Int8Array : Uint8Array)(buffer, codesAt, count * cols),
      scales: memory.floats(scalesAt, levels),
      ...(twoLevel && { factors: new Int8Array(buffer, factorsAt, factors) }),
      ...(minimum && { minimums: memory.floats(minimumsAt, levels) }),
      ...(minimum && twoLevel && { minimumFactors: new Int8Array(buffer, factorsAt + aligned(factors), factors) }),
    },
  };
}

/** Rows that come from elsewhere into a matrix, by way of panels. */
export function packRows(
  kernels: Kernels,
  matrix: WasmMatrix,
  format: QuantizedFormat,
  firstRow: number,
  count: number,
  from: QuantizedRows,
  scratch: (bytes: number) => number,
): void {
  const most = panelRows(matrix);
  for (let begin = 0; begin < count; begin += most) {
    const taken = Math.min(most, count - begin);
    const panel = openPanel(matrix, format, taken, scratch);
    for (const key of ["codes", "scales", "factors", "minimums", "minimumFactors"] as const) {
      const values = from[key];
      if (values)
        panel.rows[key]!.set(values.subarray((begin * values.length) / count, ((begin + taken) * values.length) / count));
    }
    packPanel(kernels, matrix, format, firstRow + begin, taken, panel);
  }
}

/** The rows of a panel, whose codes are not what they were afterwards. */
export function packPanel(
  kernels: Kernels,
  matrix: WasmMatrix,
  format: QuantizedFormat,
  firstRow: number,
  count: number,
  panel: RowPanel,
): void {
  const { memory, cols } = matrix;
  if (format.type === "int8" && !format.minimum) holdUnsigned(memory, panel.codes, count * cols);
  for (let row = 0; row < count; row++) packCodes(kernels, matrix, format, firstRow + row, panel.codes + row * cols);
  const { scales, minimums, factors, minimumFactors } = panel.rows;
  const levels = scales.length / count;
  for (let row = 0; row < count; row++) {
    const to = firstRow + row;
    packLevels(kernels, matrix, format, to, panel.scales + 4 * row * levels, factors, row, "scales");
    if (minimums) packLevels(kernels, matrix, format, to, panel.minimums + 4 * row * levels, minimumFactors, row, "minimums");
  }
}

/** Code + 128, in a byte. */
function holdUnsigned(memory: WasmMemory, address: number, count: number): void {
  const { u32 } = memory;
  for (let i = address / 4, end = (address + count) / 4; i < end; i++) u32[i] = u32[i]! ^ 0x80808080;
}

/** Scales, or minimums, at `values` to row `row`; the factors beside them are of the panel's row `from`. */
function packLevels(
  kernels: Kernels,
  matrix: WasmMatrix,
  format: QuantizedFormat,
  row: number,
  values: number,
  factors: Int8Array | undefined,
  from: number,
  to: "scales" | "minimums",
): void {
  if (!factors) {
    packScales(kernels, matrix, format, row, values, to);
    return;
  }
  const { memory, groups, parts } = matrix;
  const { u8 } = memory;
  for (const part of parts) {
    const block = inBlock(part, part[to], row) + (row % BLOCK_ROWS);
    const first = from * groups + part.firstGroup;
    for (let g = 0, at = block; g < part.groups; g++, at += BLOCK_ROWS) u8[at] = factors[first + g]!;
    const supers = block + factorBytes(part.groups) + (row % BLOCK_ROWS); // of 2 bytes each
    const level = values + (4 * part.firstColumn) / SUPER_COLUMNS;
    kernels.packScales(level, supers, Math.ceil(part.cols / SUPER_COLUMNS), SCALE_KINDS.f16);
  }
}
