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
/** Every way through the kernels: two blocks of rows and a part of one; many tokens, or few, in fours and alone; a short last group. */
const ROWS = 19;
const TOKENS = [29, 5];
const COLS = 70;
/** Tokens that differ; the next ones repeat them. */
const LINES = 5;

/** What the products that are tried should be, for the tokens that differ. */
export async function expectedProducts(): Promise<Float32Array[]> {
  const reference = new ReferenceBackend();
  return Promise.all(FORMATS.map((format) => product(reference, format, LINES)));
}

/** @returns what is wrong, or undefined */
export async function probe(backend: Backend, expected: readonly Float32Array[]): Promise<string | undefined> {
  for (const tokens of TOKENS)
    for (const [i, format] of FORMATS.entries()) {
      const actual = await product(backend, format, tokens);
      const wanted = (at: number) => expected[i]![at % expected[i]!.length]!;
      const at = actual.findIndex((value, j) => !Object.is(value, wanted(j)));
      const place = `row ${at % ROWS} of token ${Math.floor(at / ROWS)} of ${tokens}`;
      if (at >= 0) return `${format.type} product in groups of ${format.group}: ${place} is ${actual[at]}, not ${wanted(at)}`;
    }
  return undefined;
}

async function product(backend: Backend, format: QuantizedFormat, tokens: number): Promise<Float32Array> {
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
    const x = Float32Array.from({ length: tokens * COLS }, (_, i) =>
      code((i % COLS) % 7 === 0 ? 0 : Math.floor(i / COLS) % LINES, i % COLS, -127, 127),
    );
    result = backend.read(backend.matmul(backend.input(x, [tokens, COLS]), weight));
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
