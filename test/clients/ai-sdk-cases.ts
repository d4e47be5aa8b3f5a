/** The AI SDK, through its provider for compatible servers. */
import { ANSWER, type Case, check, collect, failure, MODEL, type Setting, same } from "./client-case.ts";

const ask = (setting: Setting, more: object = {}) => ({
  model: setting.provider(MODEL),
  prompt: "Who are you?",
  temperature: 0,
  maxRetries: 0,
  ...more,
});
const weather = ({ ai, z }: Setting, execute: (args: { city: string }) => unknown) =>
  ai.tool({ description: "Get the current weather in a city", inputSchema: z.object({ city: z.string() }), execute });

export const agentCases: readonly (readonly [name: string, run: Case])[] = [
  [
    "ai: a text",
    async (setting) => {
      const { text, finishReason, usage } = await setting.ai.generateText(ask(setting));
      same([text, finishReason, usage.inputTokens, usage.outputTokens], [ANSWER, "stop", 15, 22]);
    },
  ],
  [
    "ai: a text as a stream",
    async (setting) => {
      const { textStream, usage } = setting.ai.streamText(ask(setting));
      same((await collect<string>(textStream)).join(""), ANSWER);
      same((await usage).outputTokens, 22);
    },
  ],
  [
    "ai: parts of the stream end with a finish",
    async (setting) => {
      const result = setting.ai.streamText(ask(setting, { maxOutputTokens: 3 }));
      const parts = await collect<{ type: string; finishReason?: string }>(result.fullStream);
      same(
        parts.filter(({ type }) => type === "finish").map(({ finishReason }) => finishReason),
        ["length"],
      );
    },
  ],
  [
    "ai: a system message and settings",
    async (setting) => {
      const { usage } = await setting.ai.generateText(
        ask(setting, { system: "Be kind.", topP: 0.5, seed: 3, maxOutputTokens: 4, stopSequences: ["zzz"] }),
      );
      same(usage.outputTokens, 4);
    },
  ],
  [
    "ai: a tool is called, and its result answered",
    async (setting) => {
      const cities: string[] = [];
      const tools = {
        get_weather: weather(setting, ({ city }) => {
          cities.push(city);
          return { city, temperature: 7, condition: "rain" };
        }),
      };
      const { text, steps } = await setting.ai.generateText(
        ask(setting, {
          prompt: "What is the weather in Berlin?",
          tools,
          stopWhen: setting.ai.stepCountIs?.(3) ?? setting.ai.isStepCount?.(3),
        }),
      );
      same([cities, steps.length], [["Berlin"], 2]);
      check(text.includes("7"), text);
    },
  ],
  [
    "ai: a tool is called in a stream",
    async (setting) => {
      const tools = { get_weather: weather(setting, ({ city }) => ({ city, temperature: 7 })) };
      const { toolCalls } = setting.ai.streamText(ask(setting, { prompt: "What is the weather in Berlin?", tools }));
      same(
        (await toolCalls).map(({ toolName, input }: { toolName: string; input: unknown }) => [toolName, input]),
        [["get_weather", { city: "Berlin" }]],
      );
    },
  ],
  [
    "ai: an answer that is aborted",
    async (setting) => {
      const abort = new AbortController();
      const work = setting.ai.generateText(
        ask(setting, { temperature: 2, topP: 1, seed: 1, prompt: "x".repeat(2000), abortSignal: abort.signal }),
      );
      setTimeout(() => abort.abort(), 30);
      same((await failure(work)).name, "AbortError");
    },
  ],
  [
    "ai: an error keeps its message",
    async (setting) => {
      const error = await failure(setting.ai.generateText({ ...ask(setting), model: setting.provider("gpt") }));
      same(error.statusCode, 404);
      check(error.message.includes("there is no model"), error.message);
    },
  ],
  [
    "ai: a completion",
    async (setting) => {
      const { text, usage } = await setting.ai.generateText({
        model: setting.provider.completionModel(MODEL),
        prompt: "The capital of France is",
        temperature: 0,
        maxOutputTokens: 4,
        maxRetries: 0,
      });
      same(usage.outputTokens, 4);
      check(text.length > 0);
    },
  ],
];
