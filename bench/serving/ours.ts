/**
 * Serves chats through the public API, in a process of its own. Prints one line of JSON, a `Served`.
 *
 *     node build/bench/serving/ours.js --threads 2 --weights int8 --chats 1,4,16 FOLDER
 */
import { readFileSync } from "node:fs";
import { type ModelOptions, Qwen3 } from "../../src/index.ts";
import { root } from "../../test/paths.ts";
import { type Say, type Served, twoTurns } from "./chats.ts";
import { servingOptions } from "./options.ts";

const { folder, threads, weights, chats, work, rounds, longest } = servingOptions(process.argv.slice(2));
const model = await Qwen3.fromPretrained(folder!, {
  ...(threads && { threads }),
  ...(weights && { weights }),
  maxModelLen: longest,
} as ModelOptions);

/** Ids are taken modulo the vocabulary: nano's is small. */
const known = (id: number) => id % model.config.vocab_size;

/** Every chat sends all of its tokens again in the second turn, as clients of a server do. */
function newSay(): Say {
  const texts: number[][] = [];
  return async (chat, ids, answerTokens, onFirst) => {
    const text = [...(texts[chat] ?? []), ...ids.map(known)];
    texts[chat] = text;
    let made = 0;
    for await (const { id } of model.generate(text.slice(), { temperature: 0, ignoreEos: true, maxNewTokens: answerTokens })) {
      if (made++ === 0) onFirst();
      text.push(id);
    }
    if (made !== answerTokens) throw new Error(`${made} tokens came of ${answerTokens}`);
  };
}

await twoTurns({ ...work, chats: 2, answerTokens: 8, seed: 1 }, newSay()); // the engine optimizes what is hot
const runs: Served["runs"][number][] = [];
for (const count of chats)
  for (let round = 0; round < rounds; round++)
    runs.push({ chats: count, turns: await twoTurns({ ...work, chats: count, seed: 100_000 * (round + 1) + count }, newSay()) });

const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { version: string };
const { cachedTokens, promptTokens, preemptions, stepBudget } = model.statistics;
const served: Served = {
  engine: `qwen3.ts ${version}`,
  runtime: `node ${process.versions.node}`,
  details: { description: model.description, promptTokens, cachedTokens, preemptions, stepBudget },
  runs,
};
console.log(JSON.stringify(served));
await model.close();
