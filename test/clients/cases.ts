/**
 * Published clients, unmodified, against a server: a program that each engine runs, with the folder's own packages.
 *
 *   cases.js URL KEY openai-6|openai ai-6|ai openai-compatible-2|@ai-sdk/openai-compatible
 *
 * Prints one line of JSON: the engine, the versions, the names of the cases that passed, and what failed.
 */
import { agentCases } from "./ai-sdk-cases.ts";
import { type Case, load, type Setting } from "./client-case.ts";
import { openaiCases } from "./openai-cases.ts";
import { structuredCases } from "./structured-cases.ts";

const [url = "", key = "", openaiName = "", aiName = "", compatibleName = ""] = process.argv.slice(2);
const [openaiModule, zod, zodHelper, ai, compatible] = await Promise.all([
  load(openaiName),
  load("zod"),
  load(`${openaiName}/helpers/zod`),
  load(aiName),
  load(compatibleName),
]);
const setting: Setting = {
  openai: new openaiModule.OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 }),
  OpenAI: openaiModule.OpenAI,
  ai,
  provider: compatible.createOpenAICompatible({
    name: "qwen3",
    baseURL: `${url}/v1`,
    apiKey: key,
    includeUsage: true,
    supportsStructuredOutputs: true,
  }),
  z: zod.z,
  zodResponseFormat: zodHelper.zodResponseFormat,
  zodFunction: zodHelper.zodFunction,
  url,
  key,
};

const passed: string[] = [];
const failed: Record<string, string> = {};
const cases: readonly (readonly [string, Case])[] = [...openaiCases, ...structuredCases, ...agentCases];
for (const [name, run] of cases)
  try {
    await run(setting);
    passed.push(name);
  } catch (error) {
    failed[name] = String((error as Error).stack ?? error).slice(0, 1500);
  }
const globals = globalThis as { Bun?: { version: string }; Deno?: { version: { deno: string } } };
const engine = globals.Bun
  ? `bun ${globals.Bun.version}`
  : globals.Deno
    ? `deno ${globals.Deno.version.deno}`
    : `node ${process.versions.node}`;
console.log(JSON.stringify({ engine, passed, failed }));
process.exit(0);
