/** The work that every engine is given: chats of two turns, all at once. */
import { promptIds } from "../model/prompt.ts";

export interface Chats {
  /** How many talk at once. */
  readonly chats: number;
  /** Tokens at the start that all have in common, as a system prompt. */
  readonly systemTokens: number;
  /** Tokens of each chat's own, in every turn. */
  readonly userTokens: number;
  readonly answerTokens: number;
  /** Other numbers make other tokens, so that nothing is found that an earlier run has computed. */
  readonly seed: number;
}

export interface Turn {
  /** Of each chat, from the start of the turn. */
  readonly firstTokenSeconds: readonly number[];
  /** Until the last answer of all is whole. */
  readonly seconds: number;
}

/** What a measuring process prints, as one line of JSON. */
export interface Served {
  readonly engine: string;
  readonly runtime: string;
  readonly details: unknown;
  /** By how many talk at once: both turns of every round. */
  readonly runs: readonly { readonly chats: number; readonly turns: readonly [Turn, Turn] }[];
}

/** Starts or continues one chat with the tokens of its user; calls `onFirst` at the first token of the answer. */
export type Say = (chat: number, ids: readonly number[], answerTokens: number, onFirst: () => void) => Promise<void>;

/** Both turns, one after the other: the second comes when all have their first answer. */
export async function twoTurns({ chats, systemTokens, userTokens, answerTokens, seed }: Chats, say: Say): Promise<[Turn, Turn]> {
  const system = promptIds(systemTokens, seed);
  const turn = async (number: number): Promise<Turn> => {
    const begun = performance.now();
    const since = () => (performance.now() - begun) / 1000;
    const firstTokenSeconds: number[] = [];
    const all = Array.from({ length: chats }, (_, chat) => {
      const user = promptIds(userTokens, seed + 1000 * number + chat + 1);
      return say(chat, number === 1 ? [...system, ...user] : user, answerTokens, () => firstTokenSeconds.push(since()));
    });
    await Promise.all(all);
    return { firstTokenSeconds, seconds: since() };
  };
  return [await turn(1), await turn(2)];
}
