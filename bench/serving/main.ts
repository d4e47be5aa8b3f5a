/**
 * Chats at once, ours and llama.cpp's batching by node-llama-cpp: how long until the first token, and how many tokens a second.
 *
 *     npm run bench -- serving                          nano, ours alone
 *     npm run bench -- serving --preset 0.6b            both, on the synthetic checkpoint
 *     npm run bench -- serving --preset 4b --chats 1,4,16 --system 512 --user 128 --answer 128 --rounds 3
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { nanoPath, root } from "../../test/paths.ts";
import { checkpointFolder, defaultFolder, ggufFiles } from "../model/checkpoints.ts";
import { describeMachine } from "../model/machine.ts";
import { havePeers, measure } from "../model/processes.ts";
import { type Failed, median } from "../model/result.ts";
import { type Preset, SHAPES } from "../model/shapes.ts";
import type { Served, Turn } from "./chats.ts";

const text = { type: "string" } as const;
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    preset: { ...text, default: "nano" },
    folder: { ...text, default: defaultFolder },
    node: { ...text, default: "24" },
    engines: { ...text, default: "ours,native" },
    threads: text,
    weights: text,
    chats: text,
    system: text,
    user: text,
    answer: text,
    rounds: text,
  },
});
if (values.preset !== "nano" && !(values.preset in SHAPES))
  throw new Error(`--preset is ${values.preset}; known: nano, ${Object.keys(SHAPES).join(", ")}`);

const machine = describeMachine();
const passedOn = (["threads", "chats", "system", "user", "answer", "rounds"] as const).flatMap((name) =>
  values[name] === undefined ? [] : [`--${name}`, values[name]],
);
const results: (Served | Failed)[] = [];
const engines = values.engines.split(",");
if (values.preset === "nano") results.push(await ours(nanoPath, values.weights));
else {
  const preset = values.preset as Preset;
  const weights = values.weights ?? (preset === "4b" ? "int4" : "int8");
  if (engines.includes("ours")) results.push(await ours(checkpointFolder(values.folder, preset), weights));
  if (engines.includes("native") && havePeers()) {
    const files = ggufFiles(values.folder, preset, weights === "int4" ? "q4_0" : "q8_0");
    results.push(await measure<Served>("24", join(root, "bench", "peers", "native-serving.mjs"), [...passedOn, files[0]!]));
  }
}

function ours(folder: string, weights: string | undefined): Promise<Served | Failed> {
  const own = weights === undefined ? [] : ["--weights", weights];
  return measure<Served>(values.node, join(import.meta.dirname, "ours.js"), [...passedOn, ...own, folder]);
}

console.log(
  `${machine.date.slice(0, 10)}, ${machine.model}, ${machine.cores} cores, load ${machine.load.toFixed(2)}, ${values.preset}`,
);
for (const result of results) {
  if ("error" in result) {
    console.log(`failed: ${result.error}`);
    process.exitCode = 1;
    continue;
  }
  console.log(`\n${result.engine} on ${result.runtime}, ${JSON.stringify(result.details)}`);
  console.table(rowsOf(result));
}
const target = join(root, "bench", "results");
mkdirSync(target, { recursive: true });
const file = join(target, `serving-${machine.date.replace(/[:.]/g, "-")}.json`);
writeFileSync(file, `${JSON.stringify({ machine, options: values, results }, undefined, 2)}\n`);
console.log(`\n${file}`);

/** A line for each number of chats and each turn: medians over the rounds. */
function rowsOf({ runs }: Served) {
  const answerTokens = Number(values.answer ?? 64);
  const counts = [...new Set(runs.map(({ chats }) => chats))];
  return counts.flatMap((chats) =>
    [0, 1].map((turn) => {
      const turns = runs.filter((run) => run.chats === chats).map((run) => run.turns[turn]!);
      const ms = (of: (turn: Turn) => number) => (1000 * median(turns.map(of))).toFixed(0);
      return {
        chats,
        turn: turn + 1,
        "first token, median, ms": ms(({ firstTokenSeconds }) => median(firstTokenSeconds)),
        "last to begin, ms": ms(({ firstTokenSeconds }) => Math.max(...firstTokenSeconds)),
        "tokens/s": median(turns.map(({ seconds }) => (chats * answerTokens) / seconds)).toFixed(1),
      };
    }),
  );
}
