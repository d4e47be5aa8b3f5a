/**
 * Reading checkpoints, on one core: the header of a GGUF file with its vocabulary, and rows of each way of storing weights, decoded to codes and
 * scales, decoded and packed into a wasm matrix (what loading does), and dequantized to f32. Rates are of stored bytes.
 *
 *     npm run bench -- formats
 */
import { Bench } from "tinybench";
import { createWasmBackend } from "../src/backend/wasm/open.ts";
import { isCodes, quantizedRows } from "../src/core/quantized.ts";
import { openCheckpoint } from "../src/formats/checkpoint.ts";
import { decodeRows, dequantizeRows, layoutOf } from "../src/formats/decode.ts";
import { cutParts, type Encoding, encodingName, rowBytes } from "../src/formats/encoding.ts";
import { GGUF_TYPES, type GgufType } from "../src/formats/gguf-types.ts";
import { defaultFolder, ggufFiles } from "./model/checkpoints.ts";

/** Of q_proj in a 4B model, as many rows as a slice of a float checkpoint has. */
const [ROWS, COLS] = [1024, 2560];

const ENCODINGS: readonly Encoding[] = [
  ...(["f32", "f16", "bf16"] as const).map((type) => ({ type })),
  ...(Object.keys(GGUF_TYPES) as GgufType[]).map((type) => ({ type })),
  { type: "affine", bits: 4, group: 64, scales: "bf16" },
  { type: "affine", bits: 8, group: 64, scales: "bf16" },
  { type: "fp8", scales: "f32" },
];

/** Any bits below 0x3c3c3c3c: of every type of scales and weights, numbers that are neither large nor denormal f32. */
function storedRows(encoding: Encoding): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: ROWS * rowBytes(encoding, COLS) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 24) & 0x3c;
  });
}

const b = await createWasmBackend();
const bench = new Bench({ time: 400, warmupTime: 100 });
for (const encoding of ENCODINGS) {
  const stored = storedRows(encoding);
  const parts = cutParts(encoding, COLS, stored, ROWS);
  const layout = layoutOf(encoding);
  const name = encodingName(encoding);
  if (isCodes(layout)) {
    const into = quantizedRows(layout, ROWS, COLS);
    bench.add(`${name}: decode`, () => decodeRows(encoding, parts, COLS, into));
  }
  const writer = b.createMatrix(ROWS, COLS, layout, encoding);
  bench.add(`${name}: decode and pack`, () => writer.write(0, stored));
  bench.add(`${name}: dequantize`, () => void dequantizeRows(encoding, parts, ROWS, COLS));
}
await bench.run();

const rates = new Map(
  bench.tasks.map((task) => [task.name, 1 / (task.result as { latency: { min: number } }).latency.min / 1e6]),
);
console.log(`${"".padEnd(30)}${["decode", "decode and pack", "dequantize"].map((kind) => kind.padStart(22)).join("")}`);
for (const encoding of ENCODINGS) {
  const name = encodingName(encoding);
  const bytes = ROWS * rowBytes(encoding, COLS);
  const columns = ["decode", "decode and pack", "dequantize"].map((kind) => {
    const rate = rates.get(`${name}: ${kind}`);
    if (rate === undefined) return "";
    return `${(bytes * rate).toFixed(2)} GB/s ${(1 / (rate * ROWS * COLS)).toFixed(2)} ns`;
  });
  console.log(`${name.padEnd(30)}${columns.map((column) => column.padStart(22)).join("")}`);
}
console.log("(ns: of a weight; the fastest run of each)");

const [file] = ggufFiles(defaultFolder, "tiny", "q4_k_m");
const times: number[] = [];
for (let i = 0; i < 5; i++) {
  const begun = performance.now();
  await (await openCheckpoint(file!)).close();
  times.push(performance.now() - begun);
}
console.log(`header of a GGUF file with 151,936 tokens: ${Math.min(...times).toFixed(0)} ms`);
