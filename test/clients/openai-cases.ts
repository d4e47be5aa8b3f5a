/** The official `openai` package. */
import {
  ANSWER,
  BERLIN,
  type Case,
  check,
  collect,
  ENDLESS,
  failure,
  GREEDY,
  MODEL,
  QUESTION,
  same,
  type Untyped,
  WEATHER,
} from "./client-case.ts";

const answerOf = (completion: Untyped): string => completion.choices[0].message.content;
const textOf = (chunks: readonly Untyped[]): string => chunks.map(({ choices }) => choices[0]?.delta?.content ?? "").join("");

export const openaiCases: readonly (readonly [name: string, run: Case])[] = [
  [
    "models are listed",
    async ({ openai }) =>
      same(
        (await collect<Untyped>(await openai.models.list())).map(({ id }) => id),
        [MODEL],
      ),
  ],
  ["a model is told of", async ({ openai }) => same((await openai.models.retrieve(MODEL)).owned_by, "qwen3.ts")],
  [
    "a model that is not there",
    async ({ openai, OpenAI }) => check((await failure(openai.models.retrieve("gpt"))) instanceof OpenAI.NotFoundError),
  ],
  [
    "a chat is answered",
    async ({ openai }) => same(answerOf(await openai.chat.completions.create({ ...GREEDY, messages: QUESTION })), ANSWER),
  ],
  [
    "usage",
    async ({ openai }) => {
      const { usage } = await openai.chat.completions.create({ ...GREEDY, messages: QUESTION });
      same([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [15, 22, 37]);
      check(usage.prompt_tokens_details.cached_tokens >= 0);
    },
  ],
  [
    "a system message",
    async ({ openai }) => {
      const messages = [{ role: "system", content: "Be kind." }, ...QUESTION];
      check((await openai.chat.completions.create({ ...GREEDY, messages, max_tokens: 3 })).usage.prompt_tokens > 15);
    },
  ],
  [
    "a developer message",
    async ({ openai }) => {
      const messages = [{ role: "developer", content: "Be kind." }, ...QUESTION];
      same((await openai.chat.completions.create({ ...GREEDY, messages, max_tokens: 3 })).usage.completion_tokens, 3);
    },
  ],
  [
    "content in parts",
    async ({ openai }) => {
      const content = [
        { type: "text", text: "Who are" },
        { type: "text", text: " you?" },
      ];
      same(answerOf(await openai.chat.completions.create({ ...GREEDY, messages: [{ role: "user", content }] })), ANSWER);
    },
  ],
  [
    "max_tokens",
    async ({ openai }) => {
      const { choices } = await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, max_tokens: 2 });
      same([choices[0].finish_reason, choices[0].message.content], ["length", "I am"]);
    },
  ],
  [
    "max_completion_tokens",
    async ({ openai }) =>
      same(
        answerOf(await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, max_completion_tokens: 3 })),
        "I am nano",
      ),
  ],
  [
    "a stop string",
    async ({ openai }) =>
      same(answerOf(await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, stop: " tiny" })), "I am nano, a"),
  ],
  [
    "several stop strings",
    async ({ openai }) =>
      same(answerOf(await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, stop: ["xyz", ","] })), "I am nano"),
  ],
  [
    "several answers",
    async ({ openai }) => {
      const { choices } = await openai.chat.completions.create({ ...ENDLESS, messages: QUESTION, max_tokens: 5, n: 3 });
      same(
        choices.map(({ index }: Untyped) => index),
        [0, 1, 2],
      );
      same(new Set(choices.map(({ message }: Untyped) => message.content)).size, 3);
    },
  ],
  [
    "a seed repeats an answer",
    async ({ openai }) => {
      const ask = async () =>
        answerOf(await openai.chat.completions.create({ ...ENDLESS, seed: 42, messages: QUESTION, max_tokens: 6 }));
      same(await ask(), await ask());
    },
  ],
  [
    "logit_bias",
    async ({ openai }) => {
      const { choices } = await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, logprobs: true, max_tokens: 1 });
      same(choices[0].message.content, "I");
      const biased = await openai.chat.completions.create({
        ...GREEDY,
        messages: QUESTION,
        logit_bias: { 40: -100 },
        max_tokens: 1,
      });
      check(answerOf(biased) !== "I");
    },
  ],
  [
    "penalties",
    async ({ openai }) => {
      const body = { ...GREEDY, messages: QUESTION, presence_penalty: 2, frequency_penalty: 2, max_tokens: 8 };
      same((await openai.chat.completions.create(body)).usage.completion_tokens, 8);
    },
  ],
  [
    "top_p",
    async ({ openai }) =>
      same(
        answerOf(await openai.chat.completions.create({ model: MODEL, temperature: 1, top_p: 0.01, messages: QUESTION })),
        ANSWER,
      ),
  ],
  [
    "log-probabilities",
    async ({ openai }) => {
      const { choices } = await openai.chat.completions.create({
        ...GREEDY,
        messages: QUESTION,
        logprobs: true,
        top_logprobs: 3,
        max_tokens: 4,
      });
      same(choices[0].logprobs.content.length, 4);
      for (const { token, bytes, top_logprobs } of choices[0].logprobs.content) {
        same([top_logprobs.length, top_logprobs[0].token], [3, token]);
        same(new TextDecoder().decode(Uint8Array.from(bytes)), token);
      }
    },
  ],
  [
    "fields of vLLM go through",
    async ({ openai }) => {
      const body = {
        ...GREEDY,
        messages: QUESTION,
        top_k: 1,
        min_p: 0.1,
        repetition_penalty: 1,
        ignore_eos: true,
        min_tokens: 3,
        max_tokens: 25,
      };
      same((await openai.chat.completions.create(body)).usage.completion_tokens, 25);
    },
  ],
  [
    "unknown fields are ignored",
    async ({ openai }) =>
      same(
        answerOf(
          await openai.chat.completions.create({
            ...GREEDY,
            messages: QUESTION,
            store: false,
            metadata: {},
            service_tier: "auto",
          }),
        ),
        ANSWER,
      ),
  ],
  [
    "the raw response",
    async ({ openai }) => {
      const response = await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, max_tokens: 1 }).asResponse();
      same(response.status, 200);
      check(response.headers.get("x-request-id").startsWith("req_"));
    },
  ],
  [
    "the request's id is told with the answer",
    async ({ openai }) =>
      check(
        (await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, max_tokens: 1 }))._request_id?.startsWith("req_"),
      ),
  ],
  [
    "timings stand beside the usage",
    async ({ openai }) =>
      same((await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, max_tokens: 4 })).timings.predicted_n, 4),
  ],
  [
    "a stream",
    async ({ openai }) => {
      const chunks = await collect<Untyped>(
        await openai.chat.completions.create({ ...GREEDY, messages: QUESTION, stream: true }),
      );
      same([textOf(chunks), chunks.at(-1).choices[0].finish_reason], [ANSWER, "stop"]);
      same(chunks[0].choices[0].delta.role, "assistant");
    },
  ],
  [
    "a stream with its usage",
    async ({ openai }) => {
      const body = { ...GREEDY, messages: QUESTION, stream: true, stream_options: { include_usage: true } };
      const chunks = await collect<Untyped>(await openai.chat.completions.create(body));
      same([chunks.at(-1).usage.completion_tokens, chunks.at(-1).choices], [22, []]);
    },
  ],
  [
    "a stream of several answers",
    async ({ openai }) => {
      const texts = ["", ""];
      for await (const { choices } of await openai.chat.completions.create({
        ...ENDLESS,
        messages: QUESTION,
        max_tokens: 4,
        n: 2,
        stream: true,
      }))
        for (const { index, delta } of choices) texts[index] += delta.content ?? "";
      check(texts[0] !== texts[1] && texts[0] !== "" && texts[1] !== "");
    },
  ],
  [
    "a stream with log-probabilities",
    async ({ openai }) => {
      const body = { ...GREEDY, messages: QUESTION, stream: true, logprobs: true, top_logprobs: 1 };
      const chunks = await collect<Untyped>(await openai.chat.completions.create(body));
      same(chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []).length, 22);
    },
  ],
  [
    "the stream helper",
    async ({ openai }) => {
      const runner = openai.chat.completions.stream({ ...GREEDY, messages: QUESTION });
      let deltas = "";
      runner.on("content", (delta: string) => {
        deltas += delta;
      });
      same([answerOf(await runner.finalChatCompletion()), deltas], [ANSWER, ANSWER]);
    },
  ],
  [
    "a stream that is left ends, and the server goes on",
    async ({ openai }) => {
      const stream = await openai.chat.completions.create({ ...ENDLESS, messages: QUESTION, stream: true });
      let count = 0;
      for await (const _ of stream) if (++count === 3) break;
      same(answerOf(await openai.chat.completions.create({ ...GREEDY, messages: QUESTION })), ANSWER);
    },
  ],
  [
    "a stream that is aborted",
    async ({ openai }) => {
      const stream = await openai.chat.completions.create({ ...ENDLESS, messages: QUESTION, stream: true });
      let count = 0;
      for await (const _ of stream) if (++count === 3) stream.controller.abort();
      check(count >= 3 && count < 4000);
    },
  ],
  [
    "a request that is aborted",
    async ({ openai, OpenAI }) => {
      const abort = new AbortController();
      const request = openai.chat.completions.create({ ...ENDLESS, messages: QUESTION }, { signal: abort.signal });
      setTimeout(() => abort.abort(), 50);
      check((await failure(request)) instanceof OpenAI.APIUserAbortError);
    },
  ],
  [
    "a request that takes too long for its client",
    async ({ openai, OpenAI }) => {
      const request = openai.chat.completions.create({ ...ENDLESS, messages: QUESTION, ignore_eos: true }, { timeout: 60 });
      check((await failure(request)) instanceof OpenAI.APIConnectionTimeoutError);
    },
  ],
  [
    "a tool is called",
    async ({ openai }) => {
      const { choices } = await openai.chat.completions.create({ ...GREEDY, messages: BERLIN, tools: [WEATHER] });
      const [call] = choices[0].message.tool_calls;
      same(
        [choices[0].finish_reason, call.type, call.function.name, JSON.parse(call.function.arguments)],
        ["tool_calls", "function", "get_weather", { city: "Berlin" }],
      );
    },
  ],
  [
    "a tool call as a stream",
    async ({ openai }) => {
      const runner = openai.chat.completions.stream({ ...GREEDY, messages: BERLIN, tools: [WEATHER] });
      const { choices } = await runner.finalChatCompletion();
      same(
        [choices[0].finish_reason, JSON.parse(choices[0].message.tool_calls[0].function.arguments)],
        ["tool_calls", { city: "Berlin" }],
      );
    },
  ],
  [
    "a tool's result is answered",
    async ({ openai }) => {
      const first = (await openai.chat.completions.create({ ...GREEDY, messages: BERLIN, tools: [WEATHER] })).choices[0].message;
      const result = {
        role: "tool",
        tool_call_id: first.tool_calls[0].id,
        content: '{"city": "Berlin", "temperature": 7, "condition": "rain"}',
      };
      const answer = answerOf(
        await openai.chat.completions.create({ ...GREEDY, messages: [...BERLIN, first, result], tools: [WEATHER] }),
      );
      check(answer.includes("7"), answer);
    },
  ],
  [
    "tools run by the client's own loop",
    async ({ openai }) => {
      let asked: unknown;
      const tool = {
        ...WEATHER,
        function: {
          ...WEATHER.function,
          parse: JSON.parse,
          function: (args: unknown) => {
            asked = args;
            return '{"city": "Berlin", "temperature": 7, "condition": "rain"}';
          },
        },
      };
      const runner = openai.chat.completions.runTools({ ...GREEDY, messages: BERLIN, tools: [tool] });
      check((await runner.finalContent()).includes("7"));
      same(asked, { city: "Berlin" });
    },
  ],
  [
    "no tool is called where none may be",
    async ({ openai }) => {
      const { choices } = await openai.chat.completions.create({
        ...GREEDY,
        messages: BERLIN,
        tools: [WEATHER],
        tool_choice: "none",
        max_tokens: 20,
      });
      same(choices[0].message.tool_calls, undefined);
    },
  ],
  [
    "a field of the wrong type is an error by name",
    async ({ openai, OpenAI }) => {
      const error = await failure(openai.chat.completions.create({ ...GREEDY, messages: QUESTION, temperature: "hot" }));
      check(error instanceof OpenAI.BadRequestError);
      same([error.status, error.param, error.code, error.type], [400, "temperature", "invalid_value", "invalid_request_error"]);
    },
  ],
  [
    "images are refused",
    async ({ openai }) => {
      const content = [{ type: "image_url", image_url: { url: "data:image/png;base64,AA" } }];
      const error = await failure(openai.chat.completions.create({ ...GREEDY, messages: [{ role: "user", content }] }));
      same([error.status, error.param], [400, "messages[0].content[0].type"]);
    },
  ],
  [
    "a prompt that is too long",
    async ({ openai }) => {
      const error = await failure(
        openai.chat.completions.create({ ...GREEDY, messages: [{ role: "user", content: "word ".repeat(6000) }] }),
      );
      same([error.status, error.code], [400, "context_length_exceeded"]);
    },
  ],
  [
    "an error of a stream comes as a status",
    async ({ openai }) =>
      same((await failure(openai.chat.completions.create({ ...GREEDY, messages: [], stream: true }))).status, 400),
  ],
  [
    "a model that is not served",
    async ({ openai, OpenAI }) => {
      const error = await failure(openai.chat.completions.create({ model: "gpt-4", messages: QUESTION }));
      check(error instanceof OpenAI.NotFoundError);
      same(error.code, "model_not_found");
    },
  ],
  [
    "a wrong key",
    async ({ OpenAI, url }) => {
      const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 });
      check((await failure(stranger.models.list())) instanceof OpenAI.AuthenticationError);
    },
  ],
  [
    "a completion",
    async ({ openai }) => {
      const { choices, usage } = await openai.completions.create({
        ...GREEDY,
        prompt: "The capital of France is",
        max_tokens: 4,
      });
      same([choices.length, usage.completion_tokens], [1, 4]);
    },
  ],
  [
    "a completion as a stream",
    async ({ openai }) => {
      const body = { ...GREEDY, prompt: "The capital of France is", max_tokens: 6 };
      const whole = (await openai.completions.create(body)).choices[0].text;
      const chunks = await collect<Untyped>(await openai.completions.create({ ...body, stream: true }));
      same(chunks.map(({ choices }) => choices[0].text).join(""), whole);
    },
  ],
  [
    "completions of several prompts",
    async ({ openai }) => {
      const { choices } = await openai.completions.create({ ...GREEDY, prompt: ["One", "Two"], max_tokens: 2, n: 2 });
      same(
        choices.map(({ index }: Untyped) => index),
        [0, 1, 2, 3],
      );
    },
  ],
  [
    "a completion of token ids, with echo and log-probabilities",
    async ({ openai }) => {
      const { choices } = await openai.completions.create({
        ...GREEDY,
        prompt: [50, 51, 52],
        max_tokens: 1,
        echo: true,
        logprobs: 2,
      });
      const { tokens, token_logprobs, top_logprobs } = choices[0].logprobs;
      same([tokens.length, token_logprobs[0], top_logprobs[0]], [4, null, null]);
      check(token_logprobs.slice(1).every((logprob: number) => logprob <= 0));
    },
  ],
  [
    "the best of several completions",
    async ({ openai }) =>
      same((await openai.completions.create({ ...ENDLESS, prompt: "Once", max_tokens: 3, n: 1, best_of: 3 })).choices.length, 1),
  ],
  [
    "many at once, each with its answer",
    async ({ openai }) => {
      const answers = await Promise.all(
        Array.from({ length: 12 }, () => openai.chat.completions.create({ ...GREEDY, messages: QUESTION })),
      );
      same(answers.map(answerOf), Array(12).fill(ANSWER));
    },
  ],
];
