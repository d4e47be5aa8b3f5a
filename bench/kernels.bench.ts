/**
 * The wasm backend's kernels at the sizes of Qwen3-4B: multiply-adds and bytes of weights (or cache) per second, on one core.
 *
 *     npm run bench -- kernels
 */
import { Bench } from "tinybench";
import {
  FP8_BLOCK,
  type Matrix,
  type MatrixFormat,
  type QuantizedFormat,
  type QuantizedRows,
  type Tensor,
} from "../src/backend/backend.ts";
import { KvCache, KvPool } from "../src/backend/kv-pages.ts";
import { createWasmBackend } from "../src/backend/wasm/open.ts";
import { defaultFolder } from "./model/checkpoints.ts";
import { measureNativeCeiling } from "./model/processes.ts";

const ROWS = 2560;
const COLS = 9728; // down_proj: 25 million weights, 50 MB in bf16 (a large server cache may hold them)
const POSITIONS = 4096;
const [KV_HEADS, HEAD_DIM] = [8, 128];

const FP8_SCALES = new Float32Array(64 * (COLS / FP8_BLOCK)).fill(2 ** -12);

const b = await createWasmBackend();
const bench = new Bench({ time: 600, warmupTime: 200 });
/** What one run of each task computes and reads. */
const work = new Map<string, { macs: number; bytes: number }>();

/** Weights around 0.02, as a checkpoint has them: denormal ones would be slow. */
function weights(format: MatrixFormat): { matrix: Matrix; bytes: number } {
  const before = b.bytesInUse;
  const writer = b.createMatrix(ROWS, COLS, format);
  const rows = 64;
  const pattern = Float32Array.from({ length: rows * COLS }, (_, i) => (((i * 2654435761) >>> 8) / 2 ** 24 - 0.5) * 0.04);
  const groups = "group" in format ? rows * (COLS / format.group) : 0;
  const slice =
    format.type === "bf16"
      ? new Uint8Array(Uint16Array.from(new Uint32Array(pattern.buffer), (word) => word >>> 16).buffer)
      : format.type === "f16"
        ? new Uint8Array(Uint16Array.from(pattern, (value, i) => (value < 0 ? 0x8000 : 0) | (0x1c00 + (i % 0x0c00))).buffer)
        : format.type === "fp8"
          ? { codes: Uint8Array.from(pattern, (value, i) => (value < 0 ? 0x80 : 0) | (40 + (i % 80))), scales: FP8_SCALES }
          : quantized(format as QuantizedFormat, pattern, groups);
  for (let row = 0; row < ROWS; row += rows) writer.write(row, slice);
  const matrix = writer.finish();
  return { matrix, bytes: b.bytesInUse - before };
}

function quantized({ type, minimum }: QuantizedFormat, pattern: Float32Array, groups: number): QuantizedRows {
  const scales = new Float32Array(groups).fill(2 ** -10);
  if (type === "int8") return { codes: Int8Array.from(pattern, (value) => value * 6000), scales };
  const codes = Uint8Array.from(pattern, (value) => 8 + value * 375);
  return { codes, scales, minimums: minimum ? scales.map((scale) => -8 * scale) : undefined };
}

function task(name: string, macs: number, bytes: number, run: () => Tensor): void {
  work.set(name, { macs, bytes });
  bench.add(name, () => {
    b.scope(() => {
      run();
      return undefined;
    });
  });
}

const input = (tokens: number) =>
  b.input(
    Float32Array.from({ length: tokens * COLS }, (_, i) => Math.sin(i)),
    [tokens, COLS],
  );
const inputs = [1, 8, 128].map((tokens) => ({ tokens, x: input(tokens) }));
for (const format of [
  { type: "bf16" },
  { type: "f16" },
  { type: "fp8" },
  { type: "int8", group: 32 },
  { type: "int8", group: 128 },
  { type: "int4", group: 32 },
  { type: "int4", group: 64, minimum: true },
] as const) {
  const { matrix, bytes } = weights(format);
  const name = "group" in format ? `${format.type} / ${format.group}${"minimum" in format ? " with minimum" : ""}` : format.type;
  for (const { tokens, x } of inputs)
    task(`${name} [${ROWS}, ${COLS}], ${tokens} tokens`, tokens * ROWS * COLS, bytes, () => b.matmul(x, matrix));
}
for (const type of ["f32", "f16", "int8"] as const)
  for (const heads of [2 * KV_HEADS, 4 * KV_HEADS]) {
    const before = b.bytesInUse;
    const cache = new KvCache(new KvPool(b.createKvStore({ layers: 1, kvHeads: KV_HEADS, headDim: HEAD_DIM, type })));
    const step = (tokens: number, heads: number) =>
      b.input(
        Float32Array.from({ length: tokens * heads * HEAD_DIM }, (_, i) => Math.sin(i)),
        [tokens, heads, HEAD_DIM],
      );
    cache.reserve(POSITIONS);
    const bytes = b.bytesInUse - before;
    b.scope(() => {
      const entries = step(POSITIONS, KV_HEADS);
      b.appendKv([cache.segment(POSITIONS)], 0, entries, entries);
      return undefined;
    });
    for (const tokens of [1, 64]) {
      cache.truncate(0);
      cache.reserve(POSITIONS);
      cache.commit(POSITIONS - tokens);
      const query = step(tokens, heads);
      const segments = [cache.segment(tokens)];
      const macs = 2 * heads * HEAD_DIM * tokens * (POSITIONS - (tokens - 1) / 2);
      task(`attention of ${heads} / ${KV_HEADS} heads, ${tokens} tokens over ${POSITIONS}, ${type}`, macs, bytes, () =>
        b.attention(query, segments, 0, 1 / Math.sqrt(HEAD_DIM)),
      );
    }
  }
await bench.run();

const ceiling = await measureNativeCeiling(defaultFolder, 1);
if (!("error" in ceiling)) {
  const { dotPeak: peak, dotPeakWide: wide } = ceiling;
  const read = Math.max(...Object.values(ceiling.readGBps)).toFixed(1);
  console.log(
    `one core: reads ${read} GB/s; int8 dots of 128 / 256 bits, GMAC/s: pmaddwd ${peak.pmaddwd} / ${wide.pmaddwd}, pmaddubsw ${peak.pmaddubsw} / ${wide.pmaddubsw}, vpdpbusd ${peak.vpdpbusd} / ${wide.vpdpbusd}`,
  );
}
console.log(`${b.description}; medians`);
console.table(
  Object.fromEntries(
    [...work].map(([name, { macs, bytes }]) => {
      const { result } = bench.getTask(name)!;
      if (!("latency" in result)) throw new Error(`${name} did not finish`);
      const seconds = result.latency.p50 / 1000;
      return [
        name,
        {
          ms: (1000 * seconds).toFixed(2),
          "GMAC/s": (macs / seconds / 1e9).toFixed(1),
          "GB/s": (bytes / seconds / 1e9).toFixed(1),
        },
      ];
    }),
  ),
);
b.close();
