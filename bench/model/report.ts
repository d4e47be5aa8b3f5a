/** The table that a person reads: what we reach, what the machine allows, what the peers reach. */
import { cost, dotPeaks, readGBps } from "./ceilings.ts";
import { type Ceilings, DISTURBED, type Line, linesOf, type Outcome, peersIn, successes } from "./lines.ts";
import type { Machine } from "./machine.ts";

/** Weights that take this much more than they should were not quantized as asked. */
const TOO_LARGE = 1.3;

export function report(machine: Machine, ceilings: Ceilings, outcomes: readonly Outcome[]): string {
  const name = ({ job }: Outcome) => `Qwen3 ${job.preset} ${job.weights}, ${outcomes[0]!.job.threads} threads`;
  const tables = [...new Set(outcomes.map(name))].map((model) => {
    const own = outcomes.filter((outcome) => name(outcome) === model);
    return `${model}\n\n${table(linesOf(own, ceilings), peersIn(own))}`;
  });
  const remarks = notes(outcomes).map((note) => `* ${note}`);
  return [heading(machine, ceilings, outcomes), ...tables, ...(remarks.length > 0 ? [remarks.join("\n")] : [])].join("\n\n");
}

function heading(machine: Machine, ceilings: Ceilings, outcomes: readonly Outcome[]): string {
  const { date, model, vnni, amx, cores, load, commit } = machine;
  const engines = outcomes.flatMap(successes).map(({ engine, runtime, details }) => {
    const { description } = (details ?? {}) as { description?: string };
    return `${engine} on ${runtime}${description ? ` (${description})` : ""}`;
  });
  const threads = [1, outcomes[0]!.job.threads].filter((count, i, all) => all.indexOf(count) === i);
  const read = threads.map((count) => {
    const [native, wasm] = [readGBps(ceilings.native, count), readGBps(ceilings.wasm, count)];
    return `memory read, threads: ${count}: ${show(native) || "unknown"} GB/s, by a wasm loop ${show(wasm) || "unknown"}`;
  });
  return [
    `${date.slice(0, 10)}, ${model} (${vnni ? "VNNI" : "no VNNI"}${amx ? ", AMX" : ""}), ${cores} cores, load ${load.toFixed(2)} at the start, commit ${commit}`,
    ...new Set(engines),
    ...read,
    `int8 dots, GMAC/s a core: ${dots(ceilings)}`,
  ].join("\n");
}

function dots({ native }: Ceilings): string {
  const [peak, wide] = [dotPeaks(native, "dotPeak"), dotPeaks(native, "dotPeakWide")];
  if (!peak || !wide) return "unknown";
  const known = (["pmaddwd", "pmaddubsw", "vpdpbusd"] as const).filter((name) => peak[name] > 0);
  return known.map((name) => `${name} ${peak[name]} (256 bits: ${wide[name] || "none"})`).join(", ");
}

const show = (value: number | undefined): string => {
  if (value === undefined || !Number.isFinite(value)) return "";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
};
const divided = (a: number | undefined, b: number | undefined, format: (ratio: number) => string): string =>
  a === undefined || b === undefined ? "" : format(a / b);
const percent = (ratio: number): string => `${(100 * ratio).toFixed(0)}%`;
const times = (ratio: number): string => `${ratio.toFixed(2)}x`;

/** Markdown, with columns that stand below each other in a terminal too. */
function table(lines: readonly Line[], peers: readonly string[]): string {
  const columns = ["work", "ours", "ceiling", "share", "of a wasm loop", ...peers.flatMap((peer) => [peer, "ratio"])];
  const rows = lines.map(({ work, ours, ceiling, wasmCeiling, peers: theirs, compares }) => [
    work,
    show(ours),
    show(ceiling),
    divided(ours, ceiling, percent),
    divided(ours, wasmCeiling, percent),
    ...peers.flatMap((peer) => [show(theirs?.[peer]), compares ? divided(ours, theirs?.[peer], times) : ""]),
  ]);
  const width = columns.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const print = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(width[i]!) : cell.padStart(width[i]!))).join(" | ")} |`;
  const rule = `|${width.map((n, i) => (i === 0 ? "-".repeat(n + 2) : `${"-".repeat(n + 1)}:`)).join("|")}|`;
  return [print(columns), rule, ...rows.map(print)].join("\n");
}

/** What the reader has to know of single figures. */
function notes(outcomes: readonly Outcome[]): string[] {
  const { promptTokens, decodeTokens } = outcomes[0]!.job;
  const all = outcomes.flatMap(({ job, results }) => {
    const name = `${job.preset} ${job.weights}, ${job.engine}${job.kind === "main" ? "" : ` (${job.kind})`}`;
    const failed = results.flatMap((result) => ("error" in result ? [`${name} failed: ${result.error}`] : []));
    const isShorter = job.promptTokens !== promptTokens || job.decodeTokens !== decodeTokens;
    const shorter = isShorter ? [`${name}: a prompt of ${job.promptTokens} and ${job.decodeTokens} tokens behind it`] : [];
    return [...failed, ...shorter, ...disturbed(name, { job, results }), ...notQuantized(name, { job, results })];
  });
  return [...new Set(all)];
}

function disturbed(name: string, outcome: Outcome): string[] {
  const shares = successes(outcome).map(({ othersShare = 0 }) => othersShare);
  const few = shares.filter((share) => share <= DISTURBED).length;
  if (few === shares.length) return [];
  const quiet = few > 0 ? `the figures are of the ${few} undisturbed` : "the figures are too low";
  return [`${name}: other processes used ${shares.map(percent).join(", ")} of the cores meanwhile; ${quiet}`];
}

function notQuantized(name: string, outcome: Outcome): string[] {
  const planned = successes(outcome)[0]?.plan?.weightBytes;
  const { weightBytes } = cost(outcome.job, undefined);
  if (planned === undefined || planned <= TOO_LARGE * weightBytes) return [];
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(2);
  return [
    `${name}: the weights take ${gigabytes(planned)} GB, not ${gigabytes(weightBytes)}: they are not ${outcome.job.weights}`,
  ];
}
