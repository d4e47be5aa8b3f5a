/**
 * Chats at once by llama.cpp as native code: node-llama-cpp, whose context puts the tokens of all its sequences into common batches. Each
 * chat keeps its sequence, so that its second turn computes new tokens only. Prints one line of JSON.
 *
 *     node bench/peers/native-serving.mjs --threads 2 --chats 1,4,16 MODEL.gguf
 */
import { availableParallelism } from "node:os";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import { twoTurns } from "../serving/chats.ts";
import { servingOptions } from "../serving/options.ts";
import { nativeEngine } from "./native-engine.mjs";

const {
  folder: modelPath,
  threads = availableParallelism(),
  chats,
  work,
  rounds,
  longest,
} = servingOptions(process.argv.slice(2));
const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  maxThreads: threads,
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });

async function run(chats, seed, answerTokens = work.answerTokens) {
  const context = await model.createContext({ contextSize: longest, sequences: chats, batchSize: 512, threads });
  const sequences = Array.from({ length: chats }, () => context.getSequence());
  const last = [];
  try {
    return await twoTurns({ ...work, answerTokens, chats, seed }, async (chat, ids, tokens, onFirst) => {
      let made = 0;
      // The last token of an answer is not in the sequence yet.
      const prompt = last[chat] === undefined ? ids : [last[chat], ...ids];
      for await (const token of sequences[chat].evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
        if (made++ === 0) onFirst();
        last[chat] = token;
        if (made === tokens) break;
      }
      if (made !== tokens) throw new Error(`${made} tokens came of ${tokens}`);
    });
  } finally {
    await context.dispose();
  }
}

await run(2, 1, 8);
const runs = [];
for (const count of chats)
  for (let round = 0; round < rounds; round++)
    runs.push({ chats: count, turns: await run(count, 100_000 * (round + 1) + count) });

console.log(JSON.stringify({ ...nativeEngine(llama), runs }));
process.exit(0);
