/**
 * What choosing a token costs beside computing its logits: one draw from a vocabulary of Qwen3's size, on the caller's thread.
 *
 *     npm run bench -- sampler
 */
import { Bench } from "tinybench";
import { ReferenceBackend } from "../src/backend/reference.ts";
import { logprobs } from "../src/sampler/logprobs.ts";
import { SamplerMemory } from "../src/sampler/memory.ts";
import { resolveSampling, type SamplingOptions } from "../src/sampler/params.ts";
import { sample } from "../src/sampler/sampler.ts";

const VOCABULARY = 151_936;
/** Tokens of prompt and answer before the draw. */
const HISTORY = 2000;

/** Logits as a model gives them: most of them near 0, a few far above. */
function modelLike(salt: number): Float32Array {
  let state = salt;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const logits = Float32Array.from({ length: VOCABULARY }, () => 2.5 * normal());
  for (let i = 0; i < 30; i++) logits[Math.floor(uniform() * VOCABULARY)] = 12 + 6 * uniform();
  return logits;
}

const rows = Array.from({ length: 16 }, (_, i) => modelLike(i + 1));
const history = Array.from({ length: HISTORY }, (_, i) => (i * 7919) % VOCABULARY);

const RECOMMENDED: SamplingOptions = { temperature: 0.7, topK: 20, topP: 0.8, seed: 1 };
const CASES: Readonly<Record<string, SamplingOptions>> = {
  greedy: { temperature: 0 },
  "temperature 0.7, top-k 20, top-p 0.8": RECOMMENDED,
  "the same, presence penalty 1.5": { ...RECOMMENDED, presencePenalty: 1.5 },
  "the same, repetition penalty 1.1": { ...RECOMMENDED, repetitionPenalty: 1.1 },
  "temperature 1 alone": { temperature: 1, topK: 0, topP: 1, seed: 1 },
};

/** As the threads hand them on: the largest of every eight. */
const reference = new ReferenceBackend();
const maxima = await Promise.all(rows.map((row) => reference.read(reference.blockMaxima(reference.input(row, [1, VOCABULARY])))));

const bench = new Bench({ time: 1000, warmupTime: 300 });
for (const [name, options] of Object.entries(CASES)) {
  const params = resolveSampling(options, {});
  const memory = new SamplerMemory();
  let position = 2 * HISTORY;
  for (const [kind, known] of [
    ["", undefined],
    [", maxima known", maxima],
  ] as const)
    bench.add(`${name}${kind}`, () => {
      const context = { prompt: history, generated: history, choice: 0, position: position++, memory };
      const row = position % rows.length;
      sample(rows[row]!, params, { ...context, maxima: known?.[row] });
    });
}
bench.add("log-probabilities of 5", () => {
  logprobs(rows[0]!, 5, 5);
});
await bench.run();

console.log(`node ${process.version}, vocabulary ${VOCABULARY}, ${HISTORY} tokens of prompt and of answer; medians`);
console.table(
  bench.tasks.map(({ name, result }) => {
    if (!("latency" in result)) throw new Error(`${name} did not finish`);
    return { draw: name, "ms per token": result.latency.p50.toFixed(3) };
  }),
);
