/**
 * Which tokens fit inside of a string, whatever stands around it, and which end it: those have to be looked at again by whoever knows what
 * may follow. This is where vocabularies are large (nearly every token is some text), so what is found is kept.
 */
import { DEAD, END } from "./machine.ts";
import type { PlainStringMachine } from "./plain-string-machine.ts";
import type { StringMachine } from "./string-machine.ts";
import { setBit, type TokenTrie } from "./token-trie.ts";

export interface StringWalk {
  /** Tokens that stay inside, or end the string with their last byte. */
  readonly allowed: Uint32Array;
  /** Nodes whose byte ends the string, with tokens under them, ascending; and the machine's state before that byte. */
  readonly exits: readonly number[];
  readonly states: readonly number[];
}

/** Characters that tokens begin inside of any string, for each of them that fits. */
interface CountedWalk {
  readonly tokens: Int32Array;
  /** [tokens]: characters, an unfinished one included; and 1 where the token ends the string. */
  readonly counts: Int32Array;
  readonly ends: Uint8Array;
  readonly exits: readonly number[];
  readonly exitCounts: readonly number[];
}

export class StringWalks {
  readonly trie: TokenTrie;
  /** Reads any JSON string. */
  readonly characters: StringMachine;
  readonly #counted = new Map<number, CountedWalk>();
  #any: StringWalk | undefined;

  constructor(trie: TokenTrie, characters: StringMachine) {
    this.trie = trie;
    this.characters = characters;
  }

  /** @param state of `machine` */
  of(machine: StringMachine, state: number): StringWalk {
    const { universal } = machine;
    const hasBase = universal !== undefined && machine.isMain(state);
    if (hasBase) this.#any ??= this.plain(this.characters.mainAt(0), 0, Number.POSITIVE_INFINITY);
    return walkFrom(this.trie, machine, state, hasBase ? this.#any : undefined);
  }

  /** A key for what `plain` gives: counts past the longest token's make no difference. */
  plainKey(machine: PlainStringMachine, state: number): { key: string; least: number; most: number; characters: number } {
    const cap = this.trie.maxDepth + 1;
    const count = machine.count(state);
    const least = Math.min(Math.max(machine.min - count, 0), cap);
    const most = machine.max - count > cap ? Number.POSITIVE_INFINITY : machine.max - count;
    const characters = machine.characterState(state);
    return { key: `${characters},${least},${most}`, least, most, characters };
  }

  /** Tokens in a string in which `least` to `most` more characters may come. */
  plain(state: number, least: number, most: number): StringWalk {
    const { tokens, counts, ends, exits, exitCounts } = this.#count(state);
    const allowed = new Uint32Array(this.trie.all.length);
    for (let i = 0; i < tokens.length; i++) {
      const count = counts[i]!;
      if (count <= most && !(ends[i] === 1 && count < least)) setBit(allowed, tokens[i]!);
    }
    const left = exits.filter((_, i) => exitCounts[i]! >= least && exitCounts[i]! <= most);
    return { allowed, exits: left, states: left.map(() => 0) };
  }

  #count(start: number): CountedWalk {
    const known = this.#counted.get(start);
    if (known) return known;
    const { trie, characters } = this;
    const [tokens, tokenCounts, ends] = [[] as number[], [] as number[], [] as number[]];
    const [exits, exitCounts] = [[] as number[], [] as number[]];
    const states = new Int32Array(trie.maxDepth + 1);
    const counts = new Int32Array(trie.maxDepth + 1);
    states[0] = start;
    // A character that had begun before counts when it is complete, as does every other; an unfinished one at the end counts too.
    for (let node = 0; node < trie.size; ) {
      const depth = trie.depth[node]!;
      const state = states[depth - 1]!;
      const next = characters.next(state, trie.byte[node]!);
      if (next === DEAD) {
        node = trie.end[node]!;
        continue;
      }
      const done = counts[depth - 1]!;
      const isMain = next !== END && characters.isMain(next);
      const whole = next === END || state === characters.start ? done : done + Number(isMain);
      const begun = next === END || isMain ? whole : whole + 1;
      const token = trie.token[node]!;
      if (token >= 0)
        for (const id of [token, ...(trie.twins.get(token) ?? [])]) {
          tokens.push(id);
          tokenCounts.push(begun);
          ends.push(Number(next === END));
        }
      if (next === END) {
        if (trie.end[node]! > node + 1) {
          exits.push(node);
          exitCounts.push(whole);
        }
        node = trie.end[node]!;
        continue;
      }
      states[depth] = next;
      counts[depth] = whole;
      node++;
    }
    const found: CountedWalk = {
      tokens: Int32Array.from(tokens),
      counts: Int32Array.from(tokenCounts),
      ends: Uint8Array.from(ends),
      exits,
      exitCounts,
    };
    this.#counted.set(start, found);
    return found;
  }
}

/**
 * @param base what any string would allow from here: where the machine gets into a state in which it reads any text, that is right for all
 * that follows
 */
function walkFrom(trie: TokenTrie, machine: StringMachine, start: number, base: StringWalk | undefined): StringWalk {
  const allowed = base ? base.allowed.slice() : new Uint32Array(trie.all.length);
  const exits: number[] = [];
  const states: number[] = [];
  const path = new Int32Array(trie.maxDepth + 1);
  path[0] = start;
  let baseExit = 0;
  const universalMain = base ? machine.mainAt(machine.universal!) : 0;
  for (let node = 0; node < trie.size; ) {
    const depth = trie.depth[node]!;
    const state = path[depth - 1]!;
    const next = machine.next(state, trie.byte[node]!);
    const end = trie.end[node]!;
    if (next === DEAD) {
      if (base) trie.forbidUnder(allowed, node);
      node = end;
    } else if (next === END) {
      trie.allow(allowed, node);
      if (end > node + 1) {
        exits.push(node);
        states.push(state);
      }
      node = end;
    } else if (base && machine.charState(next) === machine.universal) {
      while (baseExit < base.exits.length && base.exits[baseExit]! < node) baseExit++;
      for (; baseExit < base.exits.length && base.exits[baseExit]! < end; baseExit++) {
        exits.push(base.exits[baseExit]!);
        states.push(universalMain);
      }
      node = end;
    } else {
      trie.allow(allowed, node);
      path[depth] = next;
      node++;
    }
  }
  return { allowed, exits, states };
}
