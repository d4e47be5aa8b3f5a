/**
 * One list of cases that runs unchanged on every engine: it uses the public API as shipped in dist/ and nothing of the host.
 * Prints one JSON object: the engine, the WebAssembly builds, and a hash of the bits of every result.
 */
import type { ChatMessage, ChatOptions, ModelOptions, Qwen3 as Qwen3Class, SequenceCache } from "../../src/index.ts";

const root = new URL("../../../", import.meta.url); // of the repository, from build/test/runtimes/
const { Qwen3 } = (await import(new URL("dist/index.js", root).href)) as typeof import("../../src/index.ts");

/** What this file prints. */
export interface Report {
  readonly engine: string;
  readonly version: string;
  /** For "simd", "relaxed" and "wide", demanded, and for nano as it is and quantized, chosen: the backend's own description. */
  readonly builds: Readonly<Record<string, string>>;
  /** By case: SHA-256 of the raw bits. */
  readonly hashes: Readonly<Record<string, string>>;
}

async function descriptionOf(options: ModelOptions): Promise<string> {
  const model = await Qwen3.fromPretrained(new URL("weights/nano/", root), options);
  await model.close();
  return model.description;
}

/** Without relaxed SIMD an engine has one build of the three: then what it chooses. */
const ifAny = (build: "relaxed" | "wide") =>
  descriptionOf({ wasm: { build } }).then(
    () => ({ build }),
    () => undefined,
  );
const wide = await ifAny("wide");
const BUILDS = { simd: { build: "simd" }, relaxed: await ifAny("relaxed"), wide } as const;
const GOLDEN = ["gqa-bf16", "mqa-untied-f32", "mha-f16", "sharded-bf16", "yarn-bf16"];

const builds: Record<string, string> = {
  "nano, chosen": await descriptionOf({}),
  "nano int8, chosen": await descriptionOf({ weights: "int8" }),
  "nano with an int8 cache, chosen": await descriptionOf({ kvCache: "int8" }),
};
const hashes: Record<string, string> = {};

async function record(name: string, values: Float32Array | readonly number[] | string): Promise<void> {
  const bytes =
    typeof values === "string"
      ? new TextEncoder().encode(values)
      : values instanceof Float32Array
        ? new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
        : new Uint8Array(Int32Array.from(values).buffer);
  if (bytes.length === 0) throw new Error(`${name} has no values`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice()));
  hashes[name] = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Ids all over the vocabulary. */
const someIds = (model: Qwen3Class, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (i * 7919 + 13) % model.config.vocab_size);

/** The logits of all tokens, fed in chunks of `size`. */
async function inChunks(model: Qwen3Class, ids: readonly number[], size: number, position = 0): Promise<Float32Array> {
  const all = new Float32Array(ids.length * model.config.vocab_size);
  const cache: SequenceCache = model.newCache();
  for (let at = 0; at < ids.length; at += size) {
    const start = at === 0 ? { position } : {};
    const { logits } = await model.forward(ids.slice(at, at + size), { logits: "all", cache, ...start });
    all.set(logits!, at * model.config.vocab_size);
  }
  cache.close();
  return all;
}

async function recordForward(model: Qwen3Class, name: string, count: number, position = 0): Promise<void> {
  const ids = someIds(model, count);
  for (const [how, size] of [
    ["whole", count],
    ["chunks of 7", 7],
    ["token by token", 1],
  ] as const) {
    await record(`${name}: ${count} tokens from ${position}, ${how}`, await inChunks(model, ids, size, position));
  }
}

async function recordGenerate(model: Qwen3Class, name: string): Promise<void> {
  const ids = someIds(model, 8);
  const options = { maxNewTokens: 24, ignoreEos: true };
  const sampled = { ...options, seed: 7, temperature: 0.9, topK: 20, topP: 0.95, minP: 0.01, presencePenalty: 0.5 };
  await record(`${name}: greedy`, (await model.generate(ids, { ...options, temperature: 0 }).final()).ids);
  await record(`${name}: sampled`, (await model.generate(ids, sampled).final()).ids);
}

const tools = [
  {
    type: "function" as const,
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const conversations: readonly { name: string; messages: ChatMessage[]; options: ChatOptions }[] = [
  { name: "greedy", messages: [{ role: "user", content: "Who are you?" }], options: { temperature: 0 } },
  { name: "sampled", messages: [{ role: "user", content: "你是谁？" }], options: { seed: 3, temperature: 1 } },
  { name: "tools", messages: [{ role: "user", content: "What is the weather in Paris?" }], options: { temperature: 0, tools } },
];

async function recordChat(model: Qwen3Class, name: string): Promise<void> {
  for (const { name: which, messages, options } of conversations) {
    await record(`${name}: chat ${which}, ids`, model.encodeChat(messages, { addGenerationPrompt: true, ...options }));
    const { message, finishReason, usage } = await model.chat(messages, { maxNewTokens: 64, ...options }).final();
    await record(`${name}: chat ${which}, answer`, JSON.stringify([message, finishReason, usage.completionTokens]));
  }
}

for (const [build, wasm] of Object.entries(BUILDS)) {
  const load = async (folder: string, options: ModelOptions) => {
    const model = await Qwen3.fromPretrained(new URL(folder, root), { backend: "wasm", ...options, ...(wasm && { wasm }) });
    builds[build] = model.description;
    return model;
  };
  for (const checkpoint of GOLDEN) {
    const model = await load(`test/golden/${checkpoint}/`, { kvCache: "f32" });
    const name = `${build}, ${checkpoint}`;
    await recordForward(model, name, 40);
    await recordForward(model, name, 16, model.config.max_position_embeddings - 16);
    await recordGenerate(model, name);
    await model.close();
  }
  for (const options of [
    { kvCache: "f32" },
    { kvCache: "f16" },
    { kvCache: "int8" },
    { weights: "int8" },
    { weights: "int4" },
    { weights: "f16" },
  ] as const) {
    const model = await load("weights/nano/", options);
    const name = `${build}, nano, ${JSON.stringify(options)}`;
    await recordForward(model, name, "kvCache" in options && options.kvCache === "f32" ? 160 : 70);
    await recordGenerate(model, name);
    await recordChat(model, name);
    await model.close();
  }
}

// Threads: those of the engine, whose bits are those of one.
for (const [folder, threads] of [
  ["test/golden/gqa-bf16/", 1],
  ["test/golden/gqa-bf16/", 3],
  ["weights/nano/", 1],
  ["weights/nano/", 2],
] as const) {
  const model = await Qwen3.fromPretrained(new URL(folder, root), { threads, weights: "int8", wasm: wide });
  if (threads > 1 && !model.description.endsWith(`, ${threads} threads`)) throw new Error(model.description);
  await recordForward(model, `threads ${threads}, ${folder}`, 70);
  await recordGenerate(model, `threads ${threads}, ${folder}`);
  if (threads !== 2) await model.close(); // one is left open and idle: the program ends all the same
}

interface EngineGlobals {
  readonly Bun?: { readonly version: string };
  readonly Deno?: { readonly version: { readonly deno: string } };
  readonly process?: { readonly versions: { readonly node: string } };
}
const { Bun, Deno, process } = globalThis as EngineGlobals;
const [engine, version] = Bun ? ["bun", Bun.version] : Deno ? ["deno", Deno.version.deno] : ["node", process!.versions.node];
console.log(JSON.stringify({ engine, version, builds, hashes } satisfies Report));
