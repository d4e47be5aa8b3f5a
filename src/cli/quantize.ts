/** `qwen3 quantize`: a checkpoint of 4 or 8 bits a weight, written to a folder, and what that costs. */
import { readFile } from "node:fs/promises";
import { formatBytes, type Quantized, quantizeCheckpoint } from "../index.ts";
import { type Divergence, divergence } from "./divergence.ts";
import { UsageError } from "./options.ts";
import { ProgressLine } from "./progress.ts";
import type { QuantizeValues } from "./quantize-command.ts";
import type { Streams } from "./streams.ts";
import { safeFor } from "./terminal.ts";

async function readDivergenceText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new UsageError(`--kl ${file}: ${(error as Error).message}`);
  }
}

export async function quantize(values: QuantizeValues, positionals: readonly string[], streams: Streams): Promise<void> {
  const { stdout, stderr, signal } = streams;
  const [model, second] = positionals;
  if (model === undefined) throw new UsageError("which model? a folder, a URL or owner/name is needed");
  if (second !== undefined) throw new UsageError(`${JSON.stringify(second)} is too much: one model at a time`);
  if (values.bits === undefined) throw new UsageError("--bits is needed, 4 or 8");
  if (!values.out) throw new UsageError("--out is needed, the folder to write");
  const text = values.kl === undefined ? undefined : await readDivergenceText(values.kl); // before hours of work
  const begun = performance.now();
  const progress = stderr.isTTY && !values.quiet ? new ProgressLine(stderr, model) : undefined;
  const hub = { revision: values.revision };
  let quantized: Quantized;
  try {
    quantized = await quantizeCheckpoint(model, values.out, {
      bits: Number(values.bits) as 4 | 8,
      group: values.group && (Number(values.group) as 32 | 64 | 128),
      force: values.force,
      hub: { ...hub, onProgress: progress?.download },
      onProgress: progress?.update,
      signal,
    });
  } finally {
    progress?.clear();
  }
  const seconds = (performance.now() - begun) / 1000;
  const kl = text === undefined ? undefined : await divergence(model, quantized.folder, text, { hub, signal });
  if (values.json) stdout.write(`${JSON.stringify({ ...quantized, ...(kl && { kl }) })}\n`);
  else stdout.write(report({ ...quantized, folder: safeFor(stdout, quantized.folder) }, kl));
  if (!values.quiet && !values.json) stderr.write(`[${formatBytes(quantized.tensorBytes)} written in ${seconds.toFixed(1)} s]\n`);
}

/** Lines for people. Layers are alike: of each kind of matrix the mean and the worst. */
export function report(quantized: Quantized, kl: Divergence | undefined): string {
  const { folder, bits, group, scales, sourceBytes, tensorBytes, matrices, relativeError } = quantized;
  const weights = matrices.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const matrixBytes = matrices.reduce((sum, { bytes }) => sum + bytes, 0);
  const kinds = new Map<string, number[]>();
  for (const { name, relativeError } of matrices) {
    const kind = name.replace(/^.*layers\.\d+\./, "").replace(/^model\.|\.weight$/g, "");
    kinds.set(kind, [...(kinds.get(kind) ?? []), relativeError]);
  }
  const lines = [
    folder,
    `${bits} bits, groups of ${group}, scales of ${scales}: ${((8 * matrixBytes) / weights).toFixed(2)} bits a weight`,
    `${formatBytes(sourceBytes)} of tensors became ${formatBytes(tensorBytes)}`,
    "",
    "error, root mean square over that of the weights",
    ...[...kinds].map(([kind, errors]) => {
      const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
      const worst = errors.length > 1 ? `   at most ${percent(Math.max(...errors))} of ${errors.length}` : "";
      return `  ${kind.padEnd(22)}${percent(mean)}${worst}`;
    }),
    `  ${"all".padEnd(22)}${percent(relativeError)}`,
  ];
  if (kl)
    lines.push(
      "",
      `predictions for ${kl.tokens} tokens: KL divergence ${kl.mean.toPrecision(3)} nats a token, at most ${kl.most.toPrecision(3)}; ` +
        `the same likeliest token for ${percent(kl.sameLikeliest).trim()}`,
    );
  return `${lines.join("\n")}\n`;
}

const percent = (share: number): string => `${(100 * share).toFixed(2)}%`.padStart(7);
