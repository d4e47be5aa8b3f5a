/**
 * What the page at `/` does. The server hands this function out as text, so it names nothing from outside of itself but what it is given
 * and what every browser has. All text of the model is set as text, never as HTML.
 */

/** The part of a document that is used; a test has a small one of its own. */
type Page = Pick<Document, "getElementById" | "createElement">;

export function chatPage(page: Page, send: typeof fetch, storage: Pick<Storage, "getItem" | "setItem">): void {
  type Message = { role: string; content: string };
  const element = <T extends HTMLElement>(id: string) => page.getElementById(id) as T;
  const input = element<HTMLTextAreaElement>("input");
  const list = element("messages");
  const status = element("status");
  const stop = element<HTMLButtonElement>("stop");
  const submit = element<HTMLButtonElement>("send");
  const key = element<HTMLInputElement>("key");
  let messages: Message[] = [];
  let running: AbortController | undefined;

  const headers = () => ({ "content-type": "application/json", ...(key.value && { authorization: `Bearer ${key.value}` }) });
  const show = (className: string, text: string) => {
    const block = page.createElement("div");
    block.className = `message ${className}`;
    block.textContent = text;
    list.append(block);
    return block;
  };
  const settings = () => {
    const names = ["temperature", "top_p", "top_k", "presence_penalty", "seed", "max_tokens"];
    const values = names.map((name) => [name, element<HTMLInputElement>(name).value] as const);
    return Object.fromEntries(values.filter(([, value]) => value !== "").map(([name, value]) => [name, Number(value)]));
  };

  /** The events of a stream, each the object behind `data:`. */
  async function* eventsOf(body: ReadableStream<Uint8Array>) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
    }
  }

  async function ask(signal: AbortSignal): Promise<void> {
    const system = element<HTMLInputElement>("system").value;
    const conversation = [...(system ? [{ role: "system", content: system }] : []), ...messages];
    const body = { messages: conversation, stream: true, stream_options: { include_usage: true }, ...settings() };
    const answer: Message = { role: "assistant", content: "" };
    const response = await send("/v1/chat/completions", {
      method: "POST",
      headers: headers(),
      body: JSON.stringify(body),
      signal,
    });
    if (!response.ok || !response.body) throw new Error((await response.json()).error.message);
    messages.push(answer);
    let reasoning: HTMLElement | undefined;
    let block: HTMLElement | undefined;
    for await (const { choices, usage, timings, error } of eventsOf(response.body)) {
      if (error) throw new Error(error.message);
      const { content, reasoning_content: thought, tool_calls: calls } = choices[0]?.delta ?? {};
      if (thought) {
        reasoning ??= show("assistant reasoning", "");
        reasoning.textContent += thought;
      }
      if (content || calls) {
        for (const { function: call } of calls ?? []) answer.content += (call.name ? `${call.name}: ` : "") + call.arguments;
        answer.content += content ?? "";
        block ??= show("assistant", "");
        block.textContent = answer.content;
        block.scrollIntoView?.({ block: "nearest" });
      }
      if (usage && timings)
        status.textContent = `${usage.completion_tokens} tokens at ${timings.predicted_per_second.toFixed(1)} tokens/s; prompt ${usage.prompt_tokens} tokens, ${usage.prompt_tokens_details.cached_tokens} of them cached`;
    }
  }

  async function say(text: string): Promise<void> {
    messages.push({ role: "user", content: text });
    show("user", text);
    running = new AbortController();
    stop.disabled = false;
    submit.disabled = true;
    status.textContent = "…";
    try {
      await ask(running.signal);
    } catch (error) {
      if (running.signal.aborted) status.textContent = "stopped";
      else {
        status.textContent = "";
        show("error", (error as Error).message);
      }
    } finally {
      running = undefined;
      stop.disabled = true;
      submit.disabled = false;
      input.focus?.();
    }
  }

  const submitted = (event: Event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text === "" || running) return;
    input.value = "";
    void say(text);
  };
  element("form").addEventListener("submit", submitted);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submitted(event);
  });
  stop.addEventListener("click", () => running?.abort());
  element("clear").addEventListener("click", () => {
    running?.abort();
    messages = [];
    list.textContent = "";
    status.textContent = "";
  });
  key.value = storage.getItem("qwen3-key") ?? "";
  const name = async () => {
    const response = await send("/v1/models", { headers: headers() });
    if (response.ok) element("model").textContent = (await response.json()).data[0].id;
    else status.textContent = (await response.json()).error.message;
  };
  key.addEventListener("change", () => {
    storage.setItem("qwen3-key", key.value);
    void name();
  });
  void name();
}
