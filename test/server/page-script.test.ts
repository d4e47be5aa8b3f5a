/** The page's script on a document of this file: what is asked, what is shown. (test/browser/page.mjs has a real browser.) */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { chatPage } from "../../src/server/page-script.ts";
import { PAGE_HTML } from "../../src/server/page-text.ts";

type Listener = (event: object) => void;

/** As much of an element as the script uses. */
class FakeElement {
  value = "";
  textContent = "";
  className = "";
  disabled = false;
  readonly children: FakeElement[] = [];
  readonly listeners = new Map<string, Listener>();

  append(child: FakeElement): void {
    this.children.push(child);
  }
  addEventListener(type: string, listener: Listener): void {
    this.listeners.set(type, listener);
  }
  fire(type: string, event: object = {}): void {
    this.listeners.get(type)!({ preventDefault: () => undefined, ...event });
  }
}

const turn = (ms = 5) => new Promise((resolve) => setTimeout(resolve, ms));
const events = (...values: unknown[]) =>
  [...values.map((value) => `data: ${JSON.stringify(value)}\n\n`), "data: [DONE]\n\n"].join("");
const delta = (value: object) => ({ choices: [{ delta: value }] });

function open(
  answer: (body: { messages: unknown[] } & Record<string, unknown>, signal: AbortSignal) => Response | Promise<Response>,
) {
  const elements = new Map<string, FakeElement>();
  const element = (id: string) => {
    assert.match(PAGE_HTML, `id="${id}"`); // the page has all that the script looks for
    if (!elements.has(id)) elements.set(id, new FakeElement());
    return elements.get(id)!;
  };
  const kept = new Map<string, string>();
  const asked: { path: string; headers: Record<string, string> }[] = [];
  const send = async (path: string, init: { headers: Record<string, string>; body?: string; signal?: AbortSignal }) => {
    asked.push({ path, headers: init.headers });
    if (path === "/v1/models")
      return init.headers.authorization === "Bearer wrong"
        ? Response.json({ error: { message: "a valid API key is needed" } }, { status: 401 })
        : Response.json({ data: [{ id: "nano" }] });
    return answer(JSON.parse(init.body!), init.signal!);
  };
  const page = { getElementById: element, createElement: () => new FakeElement() };
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  };
  chatPage(page as unknown as Document, send as unknown as typeof fetch, storage);
  const say = (text: string, event: object = { key: "Enter" }) => {
    element("input").value = text;
    element("input").fire("keydown", event);
  };
  const shown = () =>
    element("messages").children.map(({ className, textContent }) => [className.replace("message ", ""), textContent]);
  return { element, asked, say, shown, kept };
}

test("a conversation, with settings, reasoning, a tool call and figures", async () => {
  const bodies: Record<string, unknown>[] = [];
  const usage = { completion_tokens: 3, prompt_tokens: 9, prompt_tokens_details: { cached_tokens: 4 } };
  const { element, say, shown } = open((body) => {
    bodies.push(body);
    const tool_calls = [{ function: { name: "f", arguments: "{}" } }];
    return new Response(
      events(delta({ reasoning_content: "hm" }), delta({ content: "<b>Hi" }), delta({ tool_calls }), {
        choices: [],
        usage,
        timings: { predicted_per_second: 12.34 },
      }),
    );
  });
  await turn();
  assert.is(element("model").textContent, "nano");
  element("temperature").value = "0.5";
  element("system").value = "Be kind.";
  say("first", { key: "Enter", shiftKey: true });
  assert.equal(shown(), []);
  say("  ");
  assert.equal(shown(), []);
  say("Hello");
  await turn(20);
  assert.equal(shown(), [
    ["user", "Hello"],
    ["assistant reasoning", "hm"],
    ["assistant", "<b>Hif: {}"],
  ]);
  assert.is(element("status").textContent, "3 tokens at 12.3 tokens/s; prompt 9 tokens, 4 of them cached");
  assert.is(bodies[0]!.temperature, 0.5);
  element("input").value = "Again";
  element("form").fire("submit");
  await turn(20);
  assert.equal(
    (bodies[1]!.messages as { role: string }[]).map(({ role }) => role),
    ["system", "user", "assistant", "user"],
  );
  element("clear").fire("click");
  assert.is(element("messages").textContent, "");
});

test("a stop, an error in the stream, a refusal", async () => {
  const page = open((_, signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))));
  page.say("Go on");
  await turn();
  assert.is(page.element("send").disabled, true);
  page.say("while it runs");
  page.element("stop").fire("click");
  await turn();
  assert.equal([page.element("status").textContent, page.element("send").disabled, page.shown().length], ["stopped", false, 1]);

  const failing = open(() => new Response(events({ error: { message: "internal error" } })));
  failing.say("Hi");
  await turn(20);
  assert.equal(failing.shown().at(-1), ["error", "internal error"]);
  const refusing = open(() => Response.json({ error: { message: "temperature is 1000" } }, { status: 400 }));
  refusing.say("Hi");
  await turn(20);
  assert.equal(refusing.shown().at(-1), ["error", "temperature is 1000"]);
});

test("a key is brought along", async () => {
  const { element, asked, kept } = open(() => new Response());
  await turn();
  element("key").value = "wrong";
  element("key").fire("change");
  await turn();
  assert.is(asked.at(-1)!.headers.authorization, "Bearer wrong");
  assert.is(element("status").textContent, "a valid API key is needed");
  assert.is(kept.get("qwen3-key"), "wrong");
});

test.run();
