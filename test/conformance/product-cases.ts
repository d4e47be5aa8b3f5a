/** matmul and embed, in every format of weights. */
import type { Backend, MatrixFormat, Tensor } from "../../src/backend/backend.ts";
import { type ConformanceCase, SIZES } from "./case.ts";
import { describeFormat, FORMATS, KINDS, type Kind, MORE_FORMATS, Random, randomMatrix } from "./values.ts";

interface Extents {
  readonly rows: number;
  readonly cols: number;
  readonly tokens: number;
}

/** Projections of Qwen3-0.6B and 4B: few rows or tokens of them, all columns. */
const REAL: readonly Extents[] = [
  { rows: 37, cols: 1024, tokens: 5 },
  { rows: 24, cols: 2560, tokens: 6 },
  { rows: 4096, cols: 128, tokens: 1 },
  { rows: 21, cols: 4096, tokens: 3 },
  { rows: 8, cols: 9728, tokens: 2 },
  { rows: 66, cols: 3072, tokens: 1 },
];

/** More columns than lie together in memory (PART_COLUMNS), with a short last group, for the kernels of few and of many tokens. */
const PARTED: readonly Extents[] = [
  { rows: 11, cols: 2950, tokens: 7 },
  { rows: 9, cols: 2603, tokens: 21 },
];

function matmulCase(format: MatrixFormat, { rows, cols, tokens }: Extents, kind: Kind, seed: number): ConformanceCase {
  return {
    name: `matmul ${describeFormat(format)} [${rows}, ${cols}], ${tokens} tokens, ${kind}`,
    run(b: Backend): Tensor[] {
      const random = new Random(seed);
      const weight = randomMatrix(b, rows, cols, format, random, kind);
      return [b.matmul(b.input(activations(random, tokens, cols, kind), [tokens, cols]), weight)];
    },
  };
}

/** Of a special kind also groups of zeros, and rows of values around 2^-100, the least that is quantized. */
function activations(random: Random, tokens: number, cols: number, kind: Kind): Float32Array {
  const x = random.floats(tokens * cols, kind);
  if (kind !== "special") return x;
  for (let t = 0; t < tokens; t++) {
    const row = x.subarray(t * cols, (t + 1) * cols);
    const scales = [[1, 1, 1, 0], [2 ** -99, 2 ** -100, 2 ** -101, 0], [2 ** -140]][random.integer(0, 2)]!;
    const width = 2 ** random.integer(4, 7);
    for (let k = 0; k < cols; k += width) {
      const scale = scales[random.integer(0, scales.length - 1)]!;
      const stretch = row.subarray(k, k + width);
      if (scale < 1) stretch.set(stretch.map((value) => Math.max(-1, Math.min(value, 1)) * scale));
      if (scale === 2 ** -100) stretch[random.integer(0, stretch.length - 1)] = scale; // exactly
    }
  }
  return x;
}

function embedCase(format: MatrixFormat, rows: number, cols: number, kind: Kind, seed: number): ConformanceCase {
  return {
    name: `embed ${describeFormat(format)} [${rows}, ${cols}], ${kind}`,
    run(b: Backend): Tensor[] {
      const random = new Random(seed);
      const table = randomMatrix(b, rows, cols, format, random, kind);
      const ids = Int32Array.from({ length: rows + 2 }, (_, i) => (i < rows ? i : random.integer(0, rows - 1)));
      return [b.embed(table, ids)];
    },
  };
}

export function* productCases(): Generator<ConformanceCase> {
  let seed = 1;
  for (const format of [...FORMATS, ...MORE_FORMATS]) {
    for (const size of FORMATS.includes(format) ? SIZES : SIZES.filter((size) => size % 6 === 1)) {
      const kind = KINDS[seed % 3]!;
      const other = 1 + ((size * 29) % 67);
      const few = 1 + ((size * 13) % 9);
      yield matmulCase(format, { rows: size, cols: other, tokens: few }, kind, seed++);
      yield matmulCase(format, { rows: few, cols: size, tokens: 1 + (other % 5) }, kind, seed++);
      yield matmulCase(format, { rows: 1 + (other % 21), cols: 1 + ((size * 37) % 131), tokens: size }, kind, seed++);
      yield embedCase(format, few, size, kind, seed++);
    }
    for (const extents of [...REAL, ...PARTED]) yield matmulCase(format, extents, "plain", seed++);
    yield embedCase(format, 3, 2560, "plain", seed++);
    yield embedCase(format, 2, 2950, "plain", seed++);
  }
}
