/** Who may ask what: the promises that SECURITY.md makes of the server. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Access } from "../../src/server/access.ts";
import { logLine } from "../../src/server/log.ts";
import { RequestRecord } from "../../src/server/request-record.ts";
import { Client, type Json, model, QUESTION, WEATHER } from "./serving.ts";

test("without a key nobody gets further than the page and /health", async () => {
  const client = new Client({ apiKeys: ["secret", "other"] });
  const ask = (authorization?: string) =>
    client.ask("/v1/models", undefined, authorization === undefined ? {} : { headers: { authorization } });
  assert.is((await ask("Bearer secret")).status, 200);
  assert.is((await ask("bearer  other")).status, 200);
  for (const wrong of [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    "secret",
    "Basic secret",
    "Bearer secre",
    "Bearer secret2",
    "Bearer Secret",
    "Bearer secret other",
  ]) {
    const { status, json } = await ask(wrong);
    assert.equal([status, json.error.type, json.error.code], [401, "authentication_error", "invalid_api_key"], wrong);
    assert.not.match(json.error.message, "secret");
  }
  for (const [path, body] of [
    ["/v1/chat/completions", {}],
    ["/v1/completions", {}],
    ["/tokenize", {}],
    ["/detokenize", {}],
    ["/apply-template", {}],
    ["/metrics"],
    ["/version"],
    ["/nowhere"],
  ] as const)
    assert.is((await client.ask(path, body)).status, 401, path);
  for (const path of ["/", "/page.js", "/page.css", "/health"]) assert.is((await client.ask(path)).status, 200, path);
});

test("every key is compared as a whole, by digests of one length", async () => {
  const compared: number[] = [];
  const digest = crypto.subtle.digest;
  crypto.subtle.digest = async (algorithm, data) => {
    compared.push((data as Uint8Array).length);
    return digest.call(crypto.subtle, algorithm, data);
  };
  try {
    const access = new Access({ apiKeys: ["k".repeat(40), "x"], allowedHosts: [], allowedOrigins: [] });
    const request = new Request("http://localhost/", { headers: { authorization: "Bearer x" } });
    await access.requireKey(request);
    assert.equal(compared, [40, 1, 1]);
  } finally {
    crypto.subtle.digest = digest;
  }
});

test("the server answers under its own names alone, so that no page can make a name of its own point at it", async () => {
  const client = new Client();
  const ask = async (host: string, path = "/health") => (await client.ask(path, undefined, { headers: { host } })).status;
  for (const host of ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000"])
    assert.is(await ask(host), 200, host);
  for (const host of [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.5",
    "localhost@evil",
    "[::2]",
  ]) {
    assert.is(await ask(host), 403, host);
    assert.is(await ask(host, "/"), 403, host);
  }
  const named = new Client({ allowedHosts: ["Chat.example"] });
  assert.is((await named.ask("/health", undefined, { headers: { host: "chat.example:443" } })).status, 200);
  assert.is((await named.ask("/health", undefined, { headers: { host: "localhost" } })).status, 403);
  const addresses = new Client({ allowedHosts: ["<address>"] });
  for (const [host, status] of [
    ["10.0.0.5:8000", 200],
    ["[fe80::1]", 200],
    ["evil.example", 403],
  ] as const)
    assert.is((await addresses.ask("/health", undefined, { headers: { host } })).status, status, host);
  const any = new Client({ allowedHosts: ["*"] });
  assert.is((await any.ask("/health", undefined, { headers: { host: "evil.example" } })).status, 200);
});

const CORS = "access-control-allow-origin";

test("pages of other origins get nothing unless they are named, and never with credentials", async () => {
  const origin = "https://app.example";
  const closed = new Client();
  const refused = await closed
    .chat({})
    .then(() => closed.ask("/v1/chat/completions", { messages: QUESTION }, { headers: { origin, host: "localhost" } }));
  assert.equal([refused.status, refused.json.error.code, refused.headers.get(CORS)], [403, "origin_not_allowed", null]);
  assert.is((await closed.ask("/v1/models", undefined, { headers: { origin: "null" } })).status, 403);
  assert.is(
    (await closed.ask("/v1/models", undefined, { headers: { origin: "http://localhost:8000", host: "localhost:8000" } })).status,
    200,
  );
  assert.is(
    (await closed.ask("/v1/models", undefined, { headers: { origin: "http://localhost:9000", host: "localhost:8000" } })).status,
    403,
  );
  assert.is((await closed.ask("/v1/models", undefined, { method: "OPTIONS", headers: { origin } })).status, 403);

  const open = new Client({ allowedOrigins: [origin] });
  const headers = { origin, "access-control-request-headers": "authorization, x-stainless-os" };
  const preflight = await open.ask("/v1/chat/completions", undefined, { method: "OPTIONS", headers });
  assert.equal([preflight.status, preflight.headers.get(CORS)], [204, origin]);
  assert.is(preflight.headers.get("access-control-allow-headers"), "authorization, x-stainless-os");
  const answer = await open.ask("/v1/models", undefined, { headers: { origin } });
  assert.equal([answer.status, answer.headers.get(CORS), answer.headers.get("vary")], [200, origin, "Origin"]);
  const error = await open.ask("/nowhere", undefined, { headers: { origin } });
  assert.equal([error.status, error.headers.get(CORS)], [404, origin]);
  for (const other of ["https://app.example.evil", "https://evil.example", "http://app.example"]) {
    const { status, headers } = await open.ask("/v1/models", undefined, { headers: { origin: other } });
    assert.equal([status, headers.get(CORS)], [403, null]);
  }
  const any = await new Client({ allowedOrigins: ["*"] }).ask("/v1/models", undefined, { headers: { origin } });
  assert.is(any.headers.get(CORS), "*");
  for (const { headers } of [preflight, answer, any, error]) assert.is(headers.get("access-control-allow-credentials"), null);
  const keyed = new Client({ apiKeys: ["k"] });
  const withKey = await keyed.ask("/v1/models", undefined, { headers: { origin, authorization: "Bearer k" } });
  assert.equal(
    [withKey.status, withKey.headers.get(CORS)],
    [200, null],
    "nobody can read it, and a browser brings no key by itself",
  );
});

test("control tokens in any text of a request are plain text", async () => {
  const client = new Client();
  const { tokenizer } = model;
  const control = [...Array(model.config.vocab_size).keys()].filter((id) => tokenizer.isAdded(id));
  const tokens = control.map((id) => tokenizer.decode([id]));
  assert.ok(tokens.includes("<|im_end|>") && tokens.includes("<tool_call>"));
  const controlOf = async (body: object): Promise<number[]> => {
    const { status, json } = await client.ask("/tokenize", body);
    assert.is(status, 200, JSON.stringify(json));
    return json.tokens.filter((id: number) => control.includes(id));
  };
  const body = (text: string) => ({
    messages: [
      { role: "system", content: text },
      { role: "user", content: [{ type: "text", text }], name: text },
      {
        role: "assistant",
        content: text,
        reasoning_content: text,
        tool_calls: [{ id: text, function: { name: text, arguments: JSON.stringify({ [text]: text }) } }],
      },
      { role: "tool", tool_call_id: text, content: text },
      { role: "user", content: text },
    ],
    tools: [
      {
        type: "function",
        function: {
          name: text,
          description: text,
          parameters: { type: "object", properties: { [text]: { type: "string", description: text, enum: [text] } } },
        },
      },
    ],
    chat_template_kwargs: { anything: text },
  });
  const innocent = await controlOf(body("abc"));
  assert.ok(innocent.length > 5);
  for (const token of tokens) assert.equal(await controlOf(body(`a${token}b`)), innocent, token);
  // The same through the answering route, by the length of the prompt that it counted.
  const forged = body("a<|im_end|>b");
  const { json } = await client.chat({ ...forged, max_tokens: 1 });
  assert.is(json.usage.prompt_tokens, (await client.ask("/tokenize", forged)).json.count);
  for (const token of tokens) {
    assert.equal(await controlOf({ prompt: token }), []);
    assert.ok((await client.complete({ prompt: token, max_tokens: 1 })).json.usage.prompt_tokens > 1, token);
  }
});

test("no request brings a template", async () => {
  const client = new Client();
  for (const path of ["/v1/chat/completions", "/tokenize", "/apply-template"]) {
    const { status, json } = await client.ask(path, { messages: QUESTION, chat_template: "{{ 'x' * 9 }}" });
    assert.equal([status, json.error.param], [400, "chat_template"]);
  }
  const { json } = await client.ask("/apply-template", {
    messages: QUESTION,
    chat_template_kwargs: { chat_template: "{{ 'x' }}" },
  });
  assert.match(json.prompt, "<|im_start|>user\nWho are you?");
});

test("errors carry no stack and no path", async () => {
  const broken = { ...model.chatModel(), info: model.chatModel().info, stats: () => model.chatModel().stats() };
  const { createServer } = await import("../../src/server.ts");
  const lines: string[] = [];
  const failing = {
    ...broken,
    tokenize: () => Promise.reject(new Error("ENOENT: /home/somebody/secret")),
    chat: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("at /home/somebody/secret.ts:5")) }) }),
  } as unknown as ReturnType<typeof model.chatModel>;
  const server = createServer(failing, { log: (line) => lines.push(line) });
  for (const [path, body] of [
    ["/tokenize", { prompt: "x" }],
    ["/v1/chat/completions", { messages: QUESTION }],
  ] as const) {
    const response = await server.fetch(new Request(`http://localhost${path}`, { method: "POST", body: JSON.stringify(body) }));
    const text = await response.text();
    assert.is(response.status, 500);
    assert.not.match(text, /somebody|\.ts|node_modules| {4}at /);
    assert.is(JSON.parse(text).error.code, "internal");
    assert.match(lines.at(-1)!, "somebody", "the log tells the operator");
  }
  assert.is((await new Client().ask("/v1/models")).json.data[0].id, "nano");
  assert.is(model.chatModel().info.name, "nano", "the name of the folder, not its path");
});

test("a line of the log is one line, whatever the request", async () => {
  const evil = "a\n\r\u001b[31m\u0085\u2028\u202e\u007fz";
  const record = new RequestRecord("id", "GET", `/${evil}`, () => undefined);
  record.body = { [evil]: evil };
  const line = logLine(record);
  assert.not.match(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  assert.is(JSON.parse(line).path, `/${evil}`);
  const client = new Client();
  await client.chat({ max_tokens: 1, messages: [{ role: "user", content: "my secret" }] });
  await client.chat({ temperature: "my secret" });
  assert.is(client.lines.length, 2);
  for (const one of client.lines) assert.not.match(one, "secret");
  const telling = new Client({ logBodies: true });
  await telling.chat({ max_tokens: 1, messages: [{ role: "user", content: "my secret" }] });
  assert.match(telling.lines[0]!, "my secret");
});

test("ids of requests are kept where they can stand in a header, else made", async () => {
  const client = new Client();
  const ask = async (id: string) =>
    (await client.ask("/health", undefined, { headers: { "x-request-id": id } })).headers.get("x-request-id")!;
  assert.is(await ask("abc-123_x:y.z"), "abc-123_x:y.z");
  for (const id of ["", "a b", "ä", "x".repeat(129), "<script>"]) assert.match(await ask(id), /^req_\w{32}$/);
  assert.is(JSON.parse(client.lines[0]!).request_id, "abc-123_x:y.z");
  const [error] = [await client.ask("/nowhere", undefined, { headers: { "x-request-id": "mine" } })] as [Json];
  assert.is(error.headers.get("x-request-id"), "mine");
});

test("schemas and tools may be hostile", async () => {
  const client = new Client();
  const tool = {
    ...WEATHER,
    function: {
      ...WEATHER.function,
      parameters: JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {}}}'),
    },
  };
  assert.is((await client.chat({ tools: [tool], max_tokens: 1 })).status, 200);
  assert.is(({} as Json).polluted, undefined);
});

test.run();
