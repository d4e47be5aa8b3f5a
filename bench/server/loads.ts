/** What a server is put through. Each load throws where the server does not do what it must, and returns its figures. */
import { connect } from "node:net";
import { ask, quantile, sleep, streamedText } from "./ask.ts";
import type { ServerProcess } from "./server-process.ts";

const question = (content: string) => [{ role: "user", content }];
const QUESTIONS = ["Who are you?", "What is RoPE?", "What is the capital of France?", "Tell me a story.", "What is 2 + 3?"];

/** A small deterministic generator (mulberry32): loads can be repeated. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** All requests at once: every one gets a complete answer, or a 429 or 503 that says why. */
export async function burst(server: ServerProcess, requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const one = async (i: number) => {
    const body = { messages: question(QUESTIONS[i % QUESTIONS.length]!), max_tokens: 8, temperature: 0 };
    const answer = (await ask(`${server.url}/v1/chat/completions`, body, { timeoutMs: 300_000 }))!;
    const json = JSON.parse(answer.body);
    if (
      answer.status === 200
        ? !json.choices[0].finish_reason
        : !(answer.status === 429 || answer.status === 503) || !json.error.code
    )
      throw new Error(`request ${i}: ${answer.status} ${answer.body}`);
    counts[answer.status] = (counts[answer.status] ?? 0) + 1;
  };
  await Promise.all(Array.from({ length: requests }, (_, i) => one(i)));
  return counts;
}

/**
 * Requests of which a random half is aborted at random places: those that stay have the texts that they have alone, and in the end
 * pages and handles are as before.
 */
export async function aborts(
  server: ServerProcess,
  { requests, rounds, seed = 1 }: { requests: number; rounds: number; seed?: number },
) {
  const random = randomOf(seed);
  const url = `${server.url}/v1/chat/completions`;
  const body = (i: number) => {
    return {
      messages: question(QUESTIONS[i % QUESTIONS.length]!),
      max_tokens: 40,
      ignore_eos: true,
      temperature: 1.5,
      top_p: 1,
      top_k: 0,
      seed: i,
      stream: true,
    };
  };
  const alone: string[] = [];
  for (let i = 0; i < requests; i++) alone.push(streamedText((await ask(url, body(i)))!));
  const before = await server.idle();
  let [survivors, left] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const one = async (i: number) => {
      const aborted = random() < 0.5;
      const length = random() * 9000; // of the body, about half of which is 40 tokens
      await sleep(random() * 200);
      const answer = await ask(url, body(i), { ...(aborted && { leave: (text: string) => text.length >= length }) });
      if (answer === undefined) left++;
      else {
        if (streamedText(answer) !== alone[i])
          throw new Error(`round ${round}, request ${i}: ${streamedText(answer)} instead of ${alone[i]}`);
        survivors++;
      }
    };
    await Promise.all(Array.from({ length: requests }, (_, i) => one(i)));
    const after = await server.idle();
    for (const [name, was, is] of [
      ["pages in use", before.usedPages, after.usedPages],
      ["handles", before.resources.join(), after.resources.join()],
    ] as const)
      if (was !== is) throw new Error(`round ${round}: ${name} were ${was} and are ${is}`);
  }
  return { survivors, left };
}

/** Connections that send a body byte by byte, and how long `/health` takes meanwhile. */
export async function slowWriters(server: ServerProcess, { connections, seconds }: { connections: number; seconds: number }) {
  const { port } = new URL(server.url);
  const head =
    "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{";
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(Number(port), "127.0.0.1");
      socket.on("error", () => undefined);
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write(head);
      return socket;
    }),
  );
  const drip = setInterval(() => {
    for (const socket of sockets) socket.write(" ");
  }, 500);
  const times: number[] = [];
  const end = Date.now() + seconds * 1000;
  try {
    while (Date.now() < end) {
      const { status, ms } = (await ask(`${server.url}/health`))!;
      if (status !== 200) throw new Error(`/health: ${status}`);
      times.push(ms);
      await sleep(10);
    }
  } finally {
    clearInterval(drip);
    for (const socket of sockets) socket.destroy();
  }
  await server.idle();
  return { asked: times.length, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** Chats of several turns, long and short prompts, streams left early, errors: all at once, for so long. */
export async function mixed(
  server: ServerProcess,
  { seconds, clients, onMinute }: { seconds: number; clients: number; onMinute?: (rss: number) => void },
) {
  const end = Date.now() + seconds * 1000;
  const counts = { answers: 0, left: 0, refused: 0 };
  const url = `${server.url}/v1/chat/completions`;
  const client = async (number: number) => {
    const random = randomOf(number);
    while (Date.now() < end) {
      const kind = random();
      const content = kind < 0.2 ? "word ".repeat(random() * 900) : QUESTIONS[Math.floor(random() * QUESTIONS.length)]!;
      const body = {
        messages: question(content),
        max_tokens: 1 + Math.floor(random() * 60),
        stream: random() < 0.7,
        logprobs: random() < 0.2,
      };
      if (kind > 0.95) {
        const { status } = (await ask(url, { ...body, temperature: "hot" }))!;
        if (status !== 400) throw new Error(`${status} instead of 400`);
        counts.refused++;
        continue;
      }
      const length = random() * 3000;
      const answer = await ask(url, body, { ...(kind > 0.75 && { leave: (text: string) => text.length > length }) });
      if (answer === undefined) counts.left++;
      else if (answer.status === 200) counts.answers++;
      else throw new Error(`${answer.status}: ${answer.body}`);
    }
  };
  const rss: number[] = [];
  const watch = setInterval(async () => {
    const { rss: now } = await server.report();
    rss.push(now);
    onMinute?.(now);
  }, 60_000);
  await Promise.all(Array.from({ length: clients }, (_, i) => client(i + 1)));
  clearInterval(watch);
  await server.idle();
  return { ...counts, rss };
}

/** Time to the first token and tokens a second of so many chats at once. */
export async function chats(server: ServerProcess, { concurrent, tokens }: { concurrent: number; tokens: number }) {
  const url = `${server.url}/v1/chat/completions`;
  const begun = performance.now();
  const firsts = await Promise.all(
    Array.from({ length: concurrent }, async (_, i) => {
      const messages = question(`${QUESTIONS[i % QUESTIONS.length]} ${"Tell me more about it. ".repeat(10)}${i}`);
      const answer = (await ask(url, { messages, max_tokens: tokens, ignore_eos: true, seed: i, stream: true }))!;
      streamedText(answer);
      return answer.firstMs;
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  return { firstMs: quantile(firsts, 0.5), tokensPerSecond: (concurrent * tokens) / seconds };
}
