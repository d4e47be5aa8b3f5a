/** The lines of one model's table: what each work reached, what the machine would allow, what the peers reached. */
import { type Cost, cost, dotPeak, readGBps, simd128Peak } from "./ceilings.ts";
import type { Job } from "./jobs.ts";
import { type Failed, type Measured, median, type NativeCeiling, type Run, type WasmCeiling } from "./result.ts";

export interface Outcome {
  readonly job: Job;
  readonly results: (Measured | Failed)[];
}

export interface Ceilings {
  readonly native: (NativeCeiling | Failed)[];
  readonly wasm: (WasmCeiling | Failed)[];
}

type Figure = number | undefined;

export interface Line {
  readonly work: string;
  readonly ours: Figure;
  /** In the unit of `ours`. */
  readonly ceiling?: Figure;
  /** The same, of a plain WebAssembly loop. */
  readonly wasmCeiling?: Figure;
  readonly peers?: Readonly<Record<string, Figure>>;
  /** Whether ours over a peer's says who is faster. */
  readonly compares?: boolean;
}

const over = (a: Figure, b: Figure): Figure => (a === undefined || b === undefined ? undefined : a / b);

export const successes = ({ results }: Outcome): Measured[] =>
  results.filter((result): result is Measured => !("error" in result));
export const peersIn = (outcomes: readonly Outcome[]): string[] =>
  outcomes.filter(({ job }) => job.engine !== "ours").map(({ job }) => job.engine);

/** What others may take of the cores before a process counts as disturbed. */
export const DISTURBED = 0.03;

/** The median over the processes that did not fail; over the undisturbed ones where there are any. */
function medianOf(outcome: Outcome | undefined, figure: (measured: Measured) => Figure): Figure {
  const all = outcome ? successes(outcome) : [];
  const quiet = all.filter(({ othersShare = 0 }) => othersShare <= DISTURBED);
  const figures = (quiet.length > 0 ? quiet : all).map(figure).filter((value) => value !== undefined);
  return figures.length > 0 ? median(figures) : undefined;
}
const rate = (tokens: number, runs: readonly Run[], part: "promptSeconds" | "decodeSeconds"): Figure =>
  runs.length > 0 ? median(runs.map((run) => tokens / run[part])) : undefined;
const prefill = (m: Measured) => rate(m.promptTokens, m.runs, "promptSeconds");
const decode = (m: Measured) => rate(m.decodeTokens, m.runs, "decodeSeconds");
/** By the median token. */
const typical = ({ runs }: Pick<Measured, "runs">): Figure => {
  const known = runs.flatMap(({ tokenSeconds }) => tokenSeconds ?? []);
  return known.length > 0 ? 1 / median(known) : undefined;
};

/** What all lines of one model are made from. */
interface Model {
  readonly job: Job;
  readonly cost: Cost;
  readonly ceilings: Ceilings;
  readonly outcomes: readonly Outcome[];
}

const outcomeOf = ({ outcomes }: Model, kind: Job["kind"], engine: Job["engine"] | string = "ours"): Outcome | undefined =>
  outcomes.find(({ job }) => job.kind === kind && job.engine === engine);

const ofPeers = (model: Model, figure: (measured: Measured) => Figure) =>
  Object.fromEntries(peersIn(model.outcomes).map((peer) => [peer, medianOf(outcomeOf(model, "main", peer), figure)]));

/** Tokens per second that memory allows behind `context` tokens, natively and in WebAssembly. */
function memoryCeilings({ ceilings, cost, job }: Model, context: number): Pick<Line, "ceiling" | "wasmCeiling"> {
  const gigabytes = cost.bytesPerToken(context) / 1e9;
  return {
    ceiling: over(readGBps(ceilings.native, job.threads), gigabytes),
    wasmCeiling: over(readGBps(ceilings.wasm, job.threads), gigabytes),
  };
}

/** Half of the decoded tokens are in the cache on the average. */
const behind = ({ promptTokens, decodeTokens }: Job) => promptTokens + decodeTokens / 2;

/** @param outcomes of one model */
export function linesOf(outcomes: readonly Outcome[], ceilings: Ceilings): Line[] {
  const { job } = outcomes[0]!;
  const plan = outcomes.flatMap(successes).find((measured) => measured.plan)?.plan;
  const model: Model = { job, cost: cost(job, plan), ceilings, outcomes };
  return [
    ...speed(model, outcomeOf(model, "main"), "", dotPeak(ceilings.native, job)),
    ...threadScaling(model),
    ...speed(model, outcomeOf(model, "node 20"), " on Node 20", simd128Peak(ceilings.native, job)),
    ...batch(model),
    ...longContext(model),
    ...memoryAndStart(model),
  ];
}

/** @param peak of all threads, GMAC/s */
function speed(model: Model, outcome: Outcome | undefined, where: string, peak: Figure): Line[] {
  const { job, cost } = model;
  if (!outcome && where) return []; // the main lines stay even where only peers were measured
  return [
    {
      work: `prefill of ${job.promptTokens}${where}, tokens/s`,
      ours: medianOf(outcome, prefill),
      ceiling: over(peak, cost.macsPerPromptToken / 1e9),
      peers: ofPeers(model, prefill),
      compares: true,
    },
    {
      work: `decode of ${job.decodeTokens} behind it${where}, tokens/s`,
      ours: medianOf(outcome, decode),
      ...memoryCeilings(model, behind(job)),
      peers: ofPeers(model, decode),
      compares: true,
    },
    {
      work: `by the median token${where}, tokens/s`,
      ours: medianOf(outcome, typical),
      ...memoryCeilings(model, behind(job)),
      peers: ofPeers(model, typical),
      compares: true,
    },
  ];
}

function threadScaling(model: Model): Line[] {
  const { job, ceilings } = model;
  const [main, one] = [outcomeOf(model, "main"), outcomeOf(model, "one thread")];
  if (!one) return [];
  const name = (work: string) => `${work}, ${job.threads} threads over 1`;
  const scaling = (each: Ceilings[keyof Ceilings]) => over(readGBps(each, job.threads), readGBps(each, 1));
  return [
    { work: name("prefill"), ours: over(medianOf(main, prefill), medianOf(one, prefill)), ceiling: job.threads },
    {
      work: name("decode"),
      ours: over(medianOf(main, decode), medianOf(one, decode)),
      ceiling: scaling(ceilings.native),
      wasmCeiling: scaling(ceilings.wasm),
    },
  ];
}

function batch(model: Model): Line[] {
  const outcome = outcomeOf(model, "batch");
  if (!outcome) return [];
  // By the median step: while the first ones decode, the prompts of others are still being read.
  const together = medianOf(outcome, (m) => m.batch && (typical(m.batch) ?? 0) * m.batch.sequences);
  return [
    { work: `decode of ${outcome.job.batch} sequences, tokens/s`, ours: together },
    {
      work: `decode of ${outcome.job.batch} sequences over one`,
      ours: over(together, medianOf(outcomeOf(model, "main"), typical)),
    },
  ];
}

function longContext(model: Model): Line[] {
  const outcome = outcomeOf(model, "context");
  if (!outcome) return [];
  const { cost, ceilings, job } = model;
  const tokens = outcome.job.context;
  const figure = (part: "promptSeconds" | "decodeSeconds", count: "promptTokens" | "decodeTokens") =>
    medianOf(outcome, ({ context }) => context && rate(context[count], [context.run], part));
  const long = figure("decodeSeconds", "decodeTokens");
  const behindLong = medianOf(outcome, ({ context }) => context && typical({ runs: [context.run] }));
  const behindShort = medianOf(outcomeOf(model, "main"), typical);
  const addedSeconds = behindLong && behindShort && 1 / behindLong - 1 / behindShort;
  const addedBytes = cost.bytesPerToken(tokens) - cost.bytesPerToken(behind(job));
  return [
    { work: `prefill of ${tokens}, tokens/s`, ours: figure("promptSeconds", "promptTokens") },
    { work: `decode behind ${tokens}, tokens/s`, ours: long, ...memoryCeilings(model, tokens) },
    {
      work: "cache read by the added attention, GB/s",
      ours: over(addedBytes / 1e9, addedSeconds),
      ceiling: readGBps(ceilings.native, job.threads),
      wasmCeiling: readGBps(ceilings.wasm, job.threads),
    },
  ];
}

function memoryAndStart(model: Model): Line[] {
  const main = outcomeOf(model, "main");
  const largest = outcomeOf(model, "context") ?? main;
  const plan = largest && successes(largest)[0]?.plan;
  const gigabytes = (m: Measured) => m.peakBytes / 1e9;
  const tokens = plan ? ` (${plan.maxModelLen} tokens)` : "";
  return [
    { work: "loading, s", ours: medianOf(main, (m) => m.loadSeconds), peers: ofPeers(model, (m) => m.loadSeconds) },
    { work: "process start to first token, s", ours: medianOf(main, (m) => m.firstTokenSeconds) },
    { work: "peak resident memory, GB", ours: medianOf(main, gigabytes), peers: ofPeers(model, gigabytes) },
    {
      work: `peak over weights and cache${tokens}`,
      ours: over(medianOf(largest, gigabytes), plan && (model.cost.weightBytes + plan.kvBytes) / 1e9),
    },
  ];
}
