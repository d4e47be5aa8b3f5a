/** Options of the measuring processes; the same for all engines. */
import { parseArgs } from "node:util";

export function servingOptions(args: readonly string[]) {
  const number = (value: number) => ({ type: "string", default: String(value) }) as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      threads: { type: "string" },
      weights: { type: "string" },
      chats: { type: "string", default: "1,4,16" },
      system: number(256),
      user: number(64),
      answer: number(64),
      rounds: number(1),
    },
  });
  const count = (name: string, text: string) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} is ${text}; allowed: an integer from 1`);
    return value;
  };
  const work = {
    systemTokens: count("system", values.system),
    userTokens: count("user", values.user),
    answerTokens: count("answer", values.answer),
  };
  return {
    folder: positionals[0],
    /** Left out: what the engine takes by itself, or one for each processor. */
    threads: values.threads === undefined ? undefined : count("threads", values.threads),
    weights: values.weights,
    chats: values.chats.split(",").map((text) => count("chats", text)),
    rounds: count("rounds", values.rounds),
    work,
    /** Of a chat, both turns. */
    longest: work.systemTokens + 2 * (work.userTokens + work.answerTokens) + 32,
  };
}
