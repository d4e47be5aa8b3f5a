/**
 * Whether kernels compute the right bits on this engine and machine. Relaxed SIMD leaves engines a choice, and some choose
 * wrongly or have bugs, so what they do is tried and not concluded from a version: the quantized products themselves, on the
 * values that tell the choices apart, against the definition in plain TypeScript.
 */
import type { Backend, QuantizedFormat } from "../backend.ts";
import { ReferenceBackend } from "../reference.ts";

const FORMATS: readonly QuantizedFormat[] = [
  { type: "int8", group: 32 },
  { type: "int8", group: 64, minimum: true },
  { type: "int4", group: 32 },
  { type: "int4", group: 64, minimum: true },
];
/** Every way through the kernels: two blocks of rows and a part of one, four tokens and one more, a short last group. */
const ROWS = 11;
const TOKENS = 5;
const COLS = 70;

/** What the products that are tried should be. */
export function expectedProducts(): Promise<Float32Array[]> {
  return products(new ReferenceBackend());
}

/** @returns what is wrong, or undefined */
export async function probe(backend: Backend, expected: readonly Float32Array[]): Promise<string | undefined> {
  const actual = await products(backend);
  for (const [i, { type, group }] of FORMATS.entries()) {
    const at = expected[i]!.findIndex((value, j) => !Object.is(value, actual[i]![j]));
    const place = `row ${at % ROWS} of token ${Math.floor(at / ROWS)}`;
    if (at >= 0) return `${type} product in groups of ${group}: ${place} is ${actual[i]![at]}, not ${expected[i]![at]}`;
  }
  return undefined;
}

async function products(backend: Backend): Promise<Float32Array[]> {
  const results: Float32Array[] = [];
  for (const format of FORMATS) results.push(await product(backend, format));
  return results;
}

async function product(backend: Backend, format: QuantizedFormat): Promise<Float32Array> {
  const { type, group, minimum = false } = format;
  const [least, most] = type === "int4" ? [0, 15] : minimum ? [0, 255] : [-128, 127];
  const groups = ROWS * Math.ceil(COLS / group);
  const writer = backend.createMatrix(ROWS, COLS, format);
  writer.write(0, {
    codes: new (least < 0 ? Int8Array : Uint8Array)(ROWS * COLS).map((_, i) => code(Math.floor(i / COLS), i % COLS, least, most)),
    scales: Float32Array.from({ length: groups }, (_, i) => 0.5 + i / 64),
    ...(minimum && { minimums: Float32Array.from({ length: groups }, (_, i) => -i / 32) }),
  });
  const weight = writer.finish();
  let result: Promise<Float32Array> | undefined;
  backend.scope(() => {
    // Every group's largest magnitude is 127, so these values are the codes that they are quantized to.
    const x = Float32Array.from({ length: TOKENS * COLS }, (_, i) =>
      code((i % COLS) % 7 === 0 ? 0 : Math.floor(i / COLS), i % COLS, -127, 127),
    );
    result = backend.read(backend.matmul(backend.input(x, [TOKENS, COLS]), weight));
    return undefined;
  });
  return result!;
}

/** Lines 0 and 1: the extremes, where two products pass 15 bits; 2: signs by turns; 3: by pairs; above: all mixed. */
function code(line: number, column: number, least: number, most: number): number {
  if (line === 0) return most;
  if (line === 1) return least;
  if (line === 2) return column % 2 ? most : least;
  if (line === 3) return column % 4 < 2 ? most : least;
  return least + ((column * 7919 + line * 104729) % (most - least + 1));
}
