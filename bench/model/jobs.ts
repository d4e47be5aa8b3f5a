/** What is measured: each job is one process of one engine on one checkpoint. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { defaultFolder } from "./checkpoints.ts";
import type { GgufFormat } from "./gguf-files.ts";
import { type Preset, SHAPES } from "./shapes.ts";

export type Weights = "int8" | "int4" | "bf16";
export const PEERS = ["native", "native without AMX", "native AVX2", "wllama"] as const;
export type Engine = "ours" | (typeof PEERS)[number];

export interface Job {
  readonly engine: Engine;
  readonly preset: Preset;
  readonly weights: Weights;
  readonly threads: number;
  readonly promptTokens: number;
  readonly decodeTokens: number;
  /** Whose runs the job's own row shows; the others are compared with it. */
  readonly kind: "main" | "one thread" | "node 20" | "batch" | "context";
  readonly node: string;
  readonly batch: number;
  readonly context: number;
}

export const GGUF_OF: Readonly<Record<Weights, GgufFormat>> = { int8: "q8_0", int4: "q4_0", bf16: "bf16" };
const EXTRAS = ["one-thread", "node20", "batch", "context"] as const;
/** wllama takes minutes for the prompt of a large model. */
const SHORT = { promptTokens: 64, decodeTokens: 16 };

export interface Options {
  readonly jobs: readonly Job[];
  readonly folder: string;
  readonly rounds: number;
  /** Options that go on to our own measuring process as they are. */
  readonly passedOn: readonly string[];
}

const HELP = `npm run bench -- [table | model | peers] [options]

  table                 our engine, the peers and everything beside (the default)
  model                 our engine alone
  peers                 the peers alone (npm --prefix bench/peers install --no-package-lock installs them)

  --preset 0.6b,4b      shapes: 0.6b, 4b, tiny                          [0.6b,4b]
  --weights int8        int8, int4, bf16                                [4b: int4; others: int8]
  --threads 2                                                           [cores]
  --node 24             20, 24 or a path: what runs our engine          [24]
  --prompt 512 --decode 128                                             tokens
  --rounds 3            every process runs once in each; medians are shown
  --engines ours,native,native-without-amx,native-avx2,wllama
  --also one-thread,node20,batch,context                                [table: all; else none]
  --batch 8             sequences decoded together
  --context 8192        tokens of the long prompt                       [4b: 4096, others: 8192]
  --kv-cache int8 --max-batched-tokens 512                              as the options of Qwen3.fromPretrained
  --folder PATH         where checkpoints are written                   [${defaultFolder}]`;

/** @param program which of the three was asked for, then its options; undefined where help was */
export function readOptions(program: string, args: readonly string[]): Options | undefined {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean" },
      preset: { ...text, default: "0.6b,4b" },
      weights: text,
      threads: { ...text, default: String(availableParallelism()) },
      node: { ...text, default: "24" },
      prompt: { ...text, default: "512" },
      decode: { ...text, default: "128" },
      rounds: { ...text, default: "3" },
      engines: text,
      also: { ...text, default: program === "table" ? EXTRAS.join() : "" },
      batch: { ...text, default: "8" },
      context: text,
      "kv-cache": text,
      "max-batched-tokens": text,
      folder: { ...text, default: defaultFolder },
    },
  });
  if (values.help) {
    console.log(HELP);
    return undefined;
  }
  const engines = values.engines ? list("engines", values.engines, ENGINE_NAMES).map(engineNamed) : enginesOf(program);
  const also = values.also === "" ? [] : list("also", values.also, EXTRAS);
  const presets = list("preset", values.preset, Object.keys(SHAPES) as Preset[]);
  const [weights] = values.weights ? list("weights", values.weights, Object.keys(GGUF_OF) as Weights[]) : [];
  const common = {
    threads: count("threads", values.threads),
    promptTokens: count("prompt", values.prompt),
    decodeTokens: count("decode", values.decode),
    node: values.node,
    batch: 0,
    context: 0,
  };
  const jobs = presets.flatMap((preset) => {
    const job = { ...common, preset, weights: weights ?? (preset === "4b" ? "int4" : "int8") } as const;
    const context = count("context", values.context ?? (preset === "4b" ? "4096" : "8192"));
    const extras = also.map((extra): Job => {
      if (extra === "one-thread") return { ...job, engine: "ours", kind: "one thread", threads: 1 };
      if (extra === "node20") return { ...job, engine: "ours", kind: "node 20", node: "20" };
      if (extra === "batch") return { ...job, engine: "ours", kind: "batch", batch: count("batch", values.batch) };
      return { ...job, engine: "ours", kind: "context", context };
    });
    const main = engines.map((engine): Job => {
      return { ...job, engine, kind: "main", ...(engine === "wllama" && preset === "4b" && SHORT) };
    });
    return [...main, ...(engines.includes("ours") ? extras : [])];
  });
  const passedOn = (["kv-cache", "max-batched-tokens"] as const).flatMap((name) =>
    values[name] ? [`--${name}`, values[name]] : [],
  );
  return { jobs, folder: values.folder, rounds: count("rounds", values.rounds), passedOn };
}

const ENGINE_NAMES = ["ours", "native", "native-without-amx", "native-avx2", "wllama"] as const;
const engineNamed = (name: (typeof ENGINE_NAMES)[number]): Engine =>
  name === "native-without-amx" ? "native without AMX" : name === "native-avx2" ? "native AVX2" : name;

function enginesOf(program: string): Engine[] {
  if (program === "model") return ["ours"];
  return program === "peers" ? [...PEERS] : ["ours", ...PEERS];
}

function list<Name extends string>(option: string, text: string, known: readonly Name[]): Name[] {
  return text.split(",").map((word) => {
    const name = known.find((each) => each === word);
    if (name === undefined) throw new Error(`--${option} has ${word}; known: ${known.join(", ")}`);
    return name;
  });
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} is ${text}; allowed: an integer from 1`);
  return value;
}
