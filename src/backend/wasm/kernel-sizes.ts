/** What the kernels of assembly/ have in common with those who call them: sizes of blocks and of scratch. */

/** What kernels call the types of scales. */
export const SCALE_KINDS = { f32: 0, f16: 1, bf16: 2, "two-level": 3 } as const;

/** Columns of a matrix that lie together (assembly/quantized-panel.ts). */
export const PART_COLUMNS = 1024;

/** Rows that are widened in a panel, of formats that do not lie in blocks of floats. */
export const PANEL_ROWS = 16;

/** Scale, sum and start of a token's group (assembly/quantize.ts). */
export const INFO_BYTES = 12;

/** Constants of the exponential (assembly/exp.ts). */
export const EXP_CONSTANTS_BYTES = 52;

/** y of a last block that is not full, scales and minimums of two blocks, a panel of 1024 columns or two of 512, sums of four tokens. */
export function productScratchBytes(tokens: number, groups: number): number {
  return 128 * groups + 16384 + 256 + 32 * tokens;
}

/** 256 columns of a block in f32, and four partial sums of every token and row of it. */
export function floatScratchBytes(tokens: number): number {
  return 16384 + 1024 * Math.ceil(tokens / 4);
}

/** That, scales and x of a group of columns, and codes and f32 of rows that are widened alone. */
export function fp8ScratchBytes(tokens: number, cols: number): number {
  return floatScratchBytes(tokens) + 128 + 2048 + Math.ceil(cols / 16) * 16 + 64 * cols;
}

/** Running maximum and total of each query of one KV head, scores of two queries, and K and V of one block where they must be widened. */
export function attentionScratchBytes(
  tokens: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  valueBytes: number,
): number {
  return tokens * Math.ceil(heads / kvHeads) * 8 + 2 * 32 * 4 + (valueBytes === 2 ? 2 * 32 * headDim * 4 : 0);
}

/** Codes, sums and states of one KV head's queries in tiles of 4, and the work on one tile (assembly/attention-int8.ts). */
export function int8AttentionScratchBytes(tokens: number, heads: number, kvHeads: number, headDim: number): number {
  const headTiles = Math.ceil((tokens * Math.ceil(heads / kvHeads)) / 4);
  const tiles = Math.max(headTiles, Math.min(kvHeads * headTiles, 32));
  return tiles * (Math.ceil(headDim / 4) * 32 + Math.ceil(headDim / 8) * 128 + 48) + 1504;
}
