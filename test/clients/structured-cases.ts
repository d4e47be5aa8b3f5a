/** Answers of a given form: the helpers of the `openai` package for zod, and the fields of vLLM. */
import { BERLIN, type Case, check, failure, GREEDY, MODEL, QUESTION, type Setting, same, WEATHER } from "./client-case.ts";

const person = ({ z }: Setting) =>
  z.object({ name: z.string().max(20), age: z.number().int().min(0).max(150), tags: z.array(z.enum(["a", "b"])).max(2) });
const short = { ...GREEDY, messages: QUESTION, max_tokens: 200 };

export const structuredCases: readonly (readonly [name: string, run: Case])[] = [
  [
    "zod: an answer by a schema",
    async (setting) => {
      const schema = person(setting);
      const format = setting.zodResponseFormat(schema, "person");
      const { choices } = await setting.openai.chat.completions.parse({ ...short, response_format: format });
      schema.parse(choices[0].message.parsed);
    },
  ],
  [
    "zod: an answer by a schema, as a stream",
    async (setting) => {
      const schema = person(setting);
      const runner = setting.openai.chat.completions.stream({
        ...short,
        response_format: setting.zodResponseFormat(schema, "person"),
      });
      schema.parse((await runner.finalChatCompletion()).choices[0].message.parsed);
    },
  ],
  [
    "zod: a tool whose arguments hold to its schema",
    async (setting) => {
      const { openai, z, zodFunction } = setting;
      const tool = zodFunction({
        name: "get_weather",
        parameters: z.object({ city: z.string().max(20), unit: z.enum(["C", "F"]) }),
      });
      const { choices } = await openai.chat.completions.parse({
        ...GREEDY,
        messages: BERLIN,
        tools: [tool],
        tool_choice: "required",
        max_tokens: 200,
      });
      const { parsed_arguments } = choices[0].message.tool_calls[0].function;
      check(["C", "F"].includes(parsed_arguments.unit), JSON.stringify(parsed_arguments));
    },
  ],
  [
    "some JSON object",
    async ({ openai }) => {
      const { choices } = await openai.chat.completions.create({
        ...GREEDY,
        messages: [{ role: "user", content: "Answer in JSON." }],
        response_format: { type: "json_object" },
        max_tokens: 300,
      });
      const { message, finish_reason } = choices[0];
      if (finish_reason === "stop") check(typeof JSON.parse(message.content) === "object");
      else check(message.content.trimStart().startsWith("{"));
    },
  ],
  [
    "a call that is asked for",
    async ({ openai }) => {
      const body = { ...GREEDY, messages: QUESTION, tools: [WEATHER], max_tokens: 100 };
      for (const tool_choice of ["required", { type: "function", function: { name: "get_weather" } }]) {
        const { choices } = await openai.chat.completions.create({ ...body, tool_choice });
        same(choices[0].message.tool_calls?.[0]?.function.name, "get_weather");
      }
    },
  ],
  [
    "vLLM's guided_choice and guided_regex",
    async ({ openai }) => {
      const ask = async (form: object) =>
        (await openai.chat.completions.create({ ...short, ...form })).choices[0].message.content;
      check(["red", "green"].includes(await ask({ guided_choice: ["red", "green"] })));
      check(/^[0-9]{3}-x$/.test(await ask({ guided_regex: "[0-9]{3}-x" })));
    },
  ],
  [
    "vLLM's structured_outputs",
    async ({ openai }) => {
      const ask = async (structured_outputs: object) =>
        (await openai.chat.completions.create({ ...short, structured_outputs })).choices[0].message.content;
      check(["yes", "no"].includes(await ask({ choice: ["yes", "no"] })));
      check(/^ab+$/.test(await ask({ regex: "ab{1,3}" })));
      const { n } = JSON.parse(
        await ask({
          json: {
            type: "object",
            properties: { n: { type: "integer", minimum: 3, maximum: 5 } },
            required: ["n"],
            additionalProperties: false,
          },
        }),
      );
      check(n >= 3 && n <= 5);
    },
  ],
  [
    "several answers by a pattern, with log-probabilities",
    async ({ openai }) => {
      const { choices } = await openai.chat.completions.create({
        ...short,
        temperature: 1,
        n: 3,
        logprobs: true,
        guided_regex: "[a-c]{4}",
      });
      for (const { message, logprobs } of choices) check(/^[a-c]{4}$/.test(message.content) && logprobs.content.length > 0);
    },
  ],
  [
    "a completion by a pattern",
    async ({ openai }) => {
      const { choices } = await openai.completions.create({
        ...GREEDY,
        prompt: "A number:",
        max_tokens: 20,
        guided_regex: " [0-9]{2}",
      });
      check(/^ [0-9]{2}$/.test(choices[0].text), choices[0].text);
    },
  ],
  [
    "a keyword that is not supported is named",
    async ({ openai }) => {
      const schema = { type: "object", properties: {}, unevaluatedProperties: false };
      const error = await failure(
        openai.chat.completions.create({
          ...short,
          response_format: { type: "json_schema", json_schema: { name: "x", schema, strict: true } },
        }),
      );
      same(error.status, 400);
      check(error.param.startsWith("response_format") && error.message.includes("unevaluatedProperties"), error.message);
    },
  ],
  [
    "ai: an object by a schema",
    async (setting) => {
      const { ai, z } = setting;
      const schema = z.object({ name: z.string().max(20), age: z.number().int().min(0).max(150) });
      const { output } = await ai.generateText({
        model: setting.provider(MODEL),
        prompt: "Who are you?",
        temperature: 0,
        maxRetries: 0,
        output: ai.Output.object({ schema }),
        maxOutputTokens: 200,
      });
      schema.parse(output);
    },
  ],
];
