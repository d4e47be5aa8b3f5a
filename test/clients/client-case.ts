/** What a case of a client has to work with. The packages are not among those of the repository, so their types are not known here. */

// biome-ignore lint/suspicious/noExplicitAny: the types of these packages are not installed where this is compiled
export type Untyped = any;

export interface Setting {
  /** A client of the server. */
  readonly openai: Untyped;
  readonly OpenAI: Untyped;
  readonly ai: Untyped;
  readonly provider: Untyped;
  readonly z: Untyped;
  readonly zodResponseFormat: Untyped;
  readonly zodFunction: Untyped;
  readonly url: string;
  readonly key: string;
}

export type Case = (setting: Setting) => Promise<void>;

/** A package of test/clients. */
export const load = (name: string): Promise<Untyped> => import(name);

export const MODEL = "nano";
export const ANSWER = "I am nano, a tiny teaching model with the Qwen3 architecture and about 5 million parameters.";
export const QUESTION = [{ role: "user", content: "Who are you?" }];
export const BERLIN = [{ role: "user", content: "What is the weather in Berlin?" }];
export const GREEDY = { model: MODEL, temperature: 0 };
/** No end for long: nearly every token is as likely as any other. */
export const ENDLESS = { model: MODEL, temperature: 100, top_p: 1, seed: 1 };
export const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

export function same(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`got ${a}, expected ${b}`);
}

export function check(value: unknown, what = "it does not hold"): void {
  if (!value) throw new Error(what);
}

/** The error that `work` ends with. */
export async function failure(work: PromiseLike<unknown>): Promise<Untyped> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
