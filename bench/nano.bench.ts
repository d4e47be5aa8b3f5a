/**
 * nano as a user meets it: loading, tokens per second of prefill and decode, and the time from process start to the first token.
 *
 *     npm run bench -- nano
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Bench } from "tinybench";
import { Qwen3 } from "../src/index.ts";
import { nanoPath, root } from "../test/paths.ts";

const PREFILL_TOKENS = 512;
const DECODE_TOKENS = 128;

const model = await Qwen3.fromPretrained(nanoPath, { maxModelLen: 1024, prefixCache: false });
const words = model.tokenizer.encode("The position of a token is told to attention by rotating queries and keys. ");
const prompt = Array.from({ length: PREFILL_TOKENS }, (_, i) => words[i % words.length]!);

const bench = new Bench({ time: 3000, warmupTime: 500 });
bench.add("load", async () => {
  await (await Qwen3.fromPretrained(nanoPath)).close();
});
bench.add("prefill", async () => {
  await model.forward(prompt, { logits: "last" });
});
const cache = model.newCache();
await model.forward(prompt, { cache, logits: "none" });
bench.add("decode", async () => {
  for (let i = 0; i < DECODE_TOKENS; i++) await model.forward([prompt[i]!], { cache });
  cache.truncate(PREFILL_TOKENS);
});
await bench.run();

const medianMs = (name: string): number => {
  const result = bench.getTask(name)!.result;
  if (!("latency" in result)) throw new Error(`${name} did not finish`);
  return result.latency.p50;
};
const script = `
  const { Qwen3 } = await import(${JSON.stringify(join(root, "dist", "index.js"))});
  const model = await Qwen3.fromPretrained(${JSON.stringify(nanoPath)});
  for await (const part of model.chat([{ role: "user", content: "Who are you?" }])) break;
  console.log(performance.now());`;
const STARTS = 15;
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const inProgram = Array.from({ length: STARTS }, () =>
  Number(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" })),
);

/** From starting `qwen3 chat` to the first character of its answer. */
async function commandMs(): Promise<number> {
  const begun = performance.now();
  const args = [join(root, "dist", "cli", "main.js"), "chat", "--max-new-tokens", "1", "Who are you?"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  const ms = performance.now() - begun;
  await once(child, "close");
  return ms;
}
const onCommandLine: number[] = [];
for (let i = 0; i < STARTS; i++) onCommandLine.push(await commandMs());

console.log(`node ${process.version}, ${model.description}; medians`);
console.table({
  "load, ms": medianMs("load").toFixed(1),
  [`prefill of ${PREFILL_TOKENS}, tokens/s`]: ((PREFILL_TOKENS * 1000) / medianMs("prefill")).toFixed(0),
  [`decode of ${DECODE_TOKENS} behind ${PREFILL_TOKENS}, tokens/s`]: ((DECODE_TOKENS * 1000) / medianMs("decode")).toFixed(0),
  "process start to first token, ms": median(inProgram).toFixed(0),
  "the same by qwen3 chat, ms": median(onCommandLine).toFixed(0),
});
await model.close();
