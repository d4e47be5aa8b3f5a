/** What goes on around answers: loading, room, metrics, clients that leave, slow readers, the end. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ChatEvent, ChatModel } from "../../src/chat/chat-model.ts";
import { Qwen3Error } from "../../src/core/errors.ts";
import { createServer } from "../../src/server.ts";
import { Client, chatModel, ENDLESS, eventsOf, type Json, model, QUESTION, read } from "./serving.ts";

const get = (path: string) => new Request(`http://localhost${path}`);
const post = (body: object, signal?: AbortSignal) =>
  new Request("http://localhost/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({ messages: QUESTION, ...body }),
    ...(signal && { signal }),
  });
const turn = (ms = 5) => new Promise((resolve) => setTimeout(resolve, ms));

async function idle(): Promise<void> {
  for (let i = 0; i < 400 && chatModel.stats().running + chatModel.stats().waiting > 0; i++) await turn();
  const { running, waiting } = chatModel.stats();
  assert.equal([running, waiting], [0, 0]);
}

test("while the model is on its way, and where it never comes", async () => {
  let arrive = (_: ChatModel) => {};
  const server = createServer(
    new Promise<ChatModel>((resolve) => {
      arrive = resolve;
    }),
  );
  for (const path of ["/health", "/v1/models", "/metrics"]) {
    const { status, headers, json } = await read(await server.fetch(get(path)));
    assert.equal([status, headers.get("retry-after"), json.error.code], [503, "2", "loading"]);
  }
  assert.is((await server.fetch(get("/"))).status, 200);
  assert.is((await server.fetch(post({}))).status, 503);
  arrive(chatModel);
  await turn();
  assert.is((await server.fetch(get("/health"))).status, 200);
  const failed = createServer(Promise.reject(new Error("/secret")));
  await turn();
  const { status, text } = await read(await failed.fetch(get("/health")));
  assert.is(status, 503);
  assert.not.match(text, "secret");
});

test("an engine that stands still is not healthy", async () => {
  let stalledMs = 29_000;
  const server = createServer({
    ...chatModel,
    info: chatModel.info,
    stats: () => ({ ...chatModel.stats(), stalledMs }),
  } as ChatModel);
  assert.is((await server.fetch(get("/health"))).status, 200);
  stalledMs = 30_001;
  const { status, json } = await read(await server.fetch(get("/health")));
  assert.equal([status, json.error.code], [503, "stalled"]);
});

test("where there is no room, the answer is 429 at once, and later there is", async () => {
  const client = new Client({ limits: { answers: 2 } });
  const running = [client.chat({ ...ENDLESS, max_tokens: 40 }), client.chat({ ...ENDLESS, max_tokens: 40 })];
  await turn(0);
  const { status, headers, json } = await client.chat({});
  assert.equal(
    [status, headers.get("retry-after"), json.error.type, json.error.code],
    [429, "1", "rate_limit_error", "rate_limit_exceeded"],
  );
  for (const answer of await Promise.all(running)) assert.is(answer.status, 200);
  assert.is((await client.chat({ max_tokens: 1 })).status, 200);
});

test("an aborted request stops the work, streamed or not, and its pages are free", async () => {
  await idle();
  const client = new Client();
  for (const stream of [true, false]) {
    const abort = new AbortController();
    const response = client.server.fetch(post({ ...ENDLESS, ignore_eos: true, stream }, abort.signal));
    await turn(60);
    assert.is(chatModel.stats().running, 1);
    abort.abort();
    await response.then((got) => got.text()).catch(() => undefined);
    await idle();
    assert.is(JSON.parse(client.lines.at(-1)!).outcome, "cancelled");
  }
});

test("a reader that leaves its stream ends the work", async () => {
  const client = new Client();
  const response = await client.server.fetch(post({ ...ENDLESS, ignore_eos: true, stream: true, n: 2 }));
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  await idle();
  assert.is(JSON.parse(client.lines.at(-1)!).outcome, "cancelled");
});

test("a reader that takes nothing holds nobody up, and nothing piles up for it", async () => {
  const client = new Client();
  const response = await client.server.fetch(post({ ...ENDLESS, ignore_eos: true, max_tokens: 500, stream: true }));
  const reader = response.body!.getReader();
  await reader.read();
  await turn(100);
  const quick = await client.chat({});
  assert.is(quick.status, 200);
  const [, generated] = /qwen3_generated_tokens_total (\d+)/.exec((await client.ask("/metrics")).text) ?? [];
  assert.ok(Number(generated) < 22 + 30, `${generated} tokens, 22 of them for the quick reader`);
  await reader.cancel();
  await idle();
});

/** A model that says what a test lets it say. */
function slow(events: () => AsyncGenerator<ChatEvent, void>): ChatModel {
  return {
    ...chatModel,
    info: chatModel.info,
    chat: events,
    stats: () => chatModel.stats(),
    tokenBytes: (ids: readonly number[]) => chatModel.tokenBytes(ids),
  } as ChatModel;
}

test("what a model thinks comes beside its answer", async () => {
  const thinking = createServer(
    slow(async function* () {
      yield { type: "reasoning", text: "Hm" };
      yield { type: "reasoning", text: "m." };
      yield { type: "text", text: "Yes." };
    }),
  );
  const { json } = await read(await thinking.fetch(post({})));
  const { content, reasoning_content } = json.choices[0].message;
  assert.equal([content, reasoning_content], ["Yes.", "Hmm."]);
  const deltas = eventsOf(await (await thinking.fetch(post({ stream: true }))).text()).map(({ choices }) => choices[0].delta);
  assert.is(deltas.map(({ reasoning_content: text = "" }) => text).join(""), "Hmm.");
});

test("a reader that takes nothing for too long has left", async () => {
  const client = new Client({ limits: { readerTimeoutMs: 30 } });
  const response = await client.server.fetch(post({ ...ENDLESS, ignore_eos: true, stream: true }));
  const reader = response.body!.getReader();
  await reader.read();
  await turn(200);
  await idle();
  assert.is(JSON.parse(client.lines.at(-1)!).outcome, "cancelled");
  await reader.cancel().catch(() => undefined);
});

test("a model that is lost is not healthy, and nothing is asked of it any more", async () => {
  const server = createServer(
    slow(() => {
      throw new Qwen3Error("BACKEND_LOST", "a thread has died");
    }),
  );
  assert.is((await server.fetch(get("/health"))).status, 200);
  assert.is((await server.fetch(post({}))).status, 500);
  for (const request of [get("/health"), post({})]) {
    const { status, json } = await read(await server.fetch(request));
    assert.equal([status, json.error.code], [503, "no_model"]);
  }
});

test("a silent stream is kept alive", async () => {
  const server = createServer(
    slow(async function* () {
      await turn(250);
      yield { type: "text", text: "late" };
    }),
    { keepAliveMs: 20 },
  );
  const { text } = await read(await server.fetch(post({ stream: true })));
  assert.ok(text.split(": keep-alive\n\n").length > 3, text);
  assert.is(eventsOf(text).at(-1)!.choices[0].delta.content, "late");
});

test("what fails in the middle of a stream is told in the stream", async () => {
  const lines: string[] = [];
  const server = createServer(
    slow(async function* () {
      yield { type: "text", text: "so far" };
      throw new Error("/home/x");
    }),
    { log: (line) => lines.push(line) },
  );
  const response = await server.fetch(post({ stream: true }));
  assert.is(response.status, 200);
  const events = eventsOf(await response.text());
  assert.is(events.at(-2)!.choices[0].delta.content, "so far");
  assert.equal([events.at(-1)!.error.type, events.at(-1)!.error.code], ["server_error", "internal"]);
  assert.equal([JSON.parse(lines[0]!).outcome, JSON.parse(lines[0]!).level], ["error", "error"]);
});

test("what is wrong with a prompt is a status, not an event, also of a stream", async () => {
  const { status, json } = await read(await new Client().server.fetch(post({ stream: true, messages: [{ role: "king" }] })));
  assert.equal([status, json.error.param], [400, "messages[0].role"]);
});

test("metrics", async () => {
  const client = new Client();
  await client.chat({});
  await client.chat({ temperature: 1000 });
  await client.ask("/nowhere/<x>");
  const { headers, text } = await client.ask("/metrics");
  assert.match(headers.get("content-type")!, "text/plain; version=0.0.4");
  const value = (name: string) => Number(new RegExp(`^${name.replaceAll(/[{}"/+]/g, "\\$&")} (.*)$`, "m").exec(text)?.[1]);
  assert.is(value('qwen3_requests_total{route="/v1/chat/completions",outcome="ok"}'), 1);
  assert.is(value('qwen3_requests_total{route="/v1/chat/completions",outcome="client_error"}'), 1);
  assert.is(value('qwen3_requests_total{route="other",outcome="client_error"}'), 1);
  assert.is(value("qwen3_generated_tokens_total"), 22);
  assert.is(value("qwen3_prompt_tokens_total"), 15);
  assert.is(value("qwen3_time_to_first_token_seconds_count"), 1);
  assert.is(value("qwen3_time_between_tokens_seconds_count"), 21);
  assert.is(value('qwen3_time_between_tokens_seconds_bucket{le="+Inf"}'), 21);
  assert.is(value("qwen3_answers"), 0);
  assert.ok(value("qwen3_kv_cache_pages_limit") > 0);
  for (const line of text.trimEnd().split("\n"))
    assert.match(line, /^(# (HELP|TYPE) qwen3_\w+ .+|qwen3_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [\d.e+-]+)$/);
  const names = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
  assert.is(new Set(names).size, names.length);
});

test("a server that drains finishes what it began and takes nothing more", async () => {
  const client = new Client();
  const running = client.chat({ ...ENDLESS, max_tokens: 60 });
  await turn(0);
  const drained = client.server.drain();
  for (const { status, json } of [await client.chat({}), await client.ask("/health")])
    assert.equal([status, json.error.code], [503, "shutting_down"]);
  assert.is((await running).json.usage.completion_tokens, 60);
  await drained;
  await client.server.drain(10); // nothing is under way
});

test("answers that do not end in time are ended with an error", async () => {
  const client = new Client();
  const running = client.chat({ ...ENDLESS, ignore_eos: true });
  const streaming = client.server.fetch(post({ ...ENDLESS, ignore_eos: true, stream: true })).then((response) => response.text());
  await turn(30);
  await client.server.drain(30);
  assert.equal([(await running).status, (await running).json.error.code], [503, "shutting_down"]);
  assert.is((eventsOf(await streaming).at(-1) as Json).error.code, "shutting_down");
  await idle();
});

test("the page comes from here alone", async () => {
  const client = new Client();
  const [page, script, style] = [await client.ask("/"), await client.ask("/page.js"), await client.ask("/page.css")];
  for (const { status, headers } of [page, script, style]) {
    assert.is(status, 200);
    assert.match(headers.get("content-security-policy")!, "default-src 'none'; script-src 'self'");
    assert.not.match(headers.get("content-security-policy")!, "unsafe");
    assert.is(headers.get("x-content-type-options"), "nosniff");
  }
  assert.match(page.headers.get("content-type")!, "text/html");
  assert.not.match(page.text, /<script>|\son\w+=|style=|https?:/);
  new Function(script.text); // it is a program
  assert.not.match(script.text, /innerHTML|https?:|import/);
});

test("the model is closed", async () => {
  await model.close();
  const { status, json } = await new Client().chat({});
  assert.equal([status, json.error.code], [503, "closed"]);
});

test.run();
