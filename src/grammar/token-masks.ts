/** The tokens that may come at a place in a grammar: a walk through the tree of all tokens, done once for each place and kept. */
import { Cursor } from "./cursor.ts";
import { PlainStringMachine } from "./plain-string-machine.ts";
import type { Program } from "./program.ts";
import { StringMachine } from "./string-machine.ts";
import type { StringWalk, StringWalks } from "./string-walk.ts";
import { onlyBit, setBit, type TokenTrie } from "./token-trie.ts";

export interface TokenMask {
  /** Bit id % 32 of word floor(id / 32). */
  readonly allowed: Uint32Array;
  /** Whether the answer may end here, so that the stop tokens are allowed too. */
  readonly final: boolean;
  /** The only token that is allowed, stop tokens aside, if it is just one. */
  readonly only: number | undefined;
  /** Whether no token is allowed but the stop tokens. */
  readonly isEmpty: boolean;
}

/** What was used last, up to a number of bytes. */
class RecentlyUsed {
  readonly #entries = new Map<string, { value: unknown; bytes: number }>();
  readonly #limitBytes: number;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get<Value>(key: string, make: () => { value: Value; bytes: number }): Value {
    let entry = this.#entries.get(key);
    if (entry) this.#entries.delete(key);
    else {
      entry = make();
      this.#bytes += entry.bytes;
    }
    this.#entries.set(key, entry); // last in the order
    for (const [oldest, { bytes }] of this.#entries) {
      if (this.#bytes <= this.#limitBytes || oldest === key) break;
      this.#entries.delete(oldest);
      this.#bytes -= bytes;
    }
    return entry.value as Value;
  }
}

const OVERHEAD_BYTES = 200;

export class TokenMasks {
  readonly #trie: TokenTrie;
  readonly #walks: StringWalks;
  readonly #kept: RecentlyUsed;
  /** Numbers for machines and stacks. */
  readonly #ids = new WeakMap<object, number>();
  #last = 0;

  /** @param limitBytes of what is kept */
  constructor(walks: StringWalks, limitBytes: number) {
    this.#trie = walks.trie;
    this.#walks = walks;
    this.#kept = new RecentlyUsed(limitBytes);
  }

  /** Bytes of what is kept. */
  get bytes(): number {
    return this.#kept.bytes;
  }

  /** @param program what is at the bottom of the cursor's stack */
  at(cursor: Cursor, program: Program): TokenMask {
    const { machine, state, space, below } = cursor;
    const key = `${this.#idOf(program)} ${this.#idOf(machine)} ${state} ${space} ${this.#idOf(below)}`;
    return this.#kept.get(key, () => {
      const value = this.#mask(cursor, program);
      return { value, bytes: value.allowed.byteLength + OVERHEAD_BYTES };
    });
  }

  #mask(cursor: Cursor, program: Program): TokenMask {
    const allowed = this.#byBytes(cursor, program);
    const rest = new Cursor(cursor, cursor.below);
    rest.moveTo(cursor);
    while (rest.machine !== program || program.at(rest.state).expects) if (!rest.finish()) break;
    const { tokens, final = false } = rest.machine === program ? program.at(rest.state) : {};
    for (const id of tokens?.keys() ?? []) setBit(allowed, id);
    return { allowed, final, only: onlyBit(allowed), isEmpty: allowed.every((word) => word === 0) };
  }

  /** Those that are allowed by their bytes. */
  #byBytes(cursor: Cursor, program: Program): Uint32Array {
    const { machine, state } = cursor;
    if (machine === program && program.at(state).free) return this.#trie.all.slice();
    const walk = this.#stringWalk(cursor);
    const allowed = walk ? walk.allowed.slice() : new Uint32Array(this.#trie.all.length);
    if (!walk) this.#walk(cursor, 0, this.#trie.size, 0, allowed);
    const behind = new Cursor(cursor, cursor.below);
    walk?.exits.forEach((node, i) => {
      behind.moveTo({
        machine,
        state: machine instanceof StringMachine ? walk.states[i]! : state,
        space: 0,
        below: cursor.below,
      });
      behind.leaveString();
      this.#walk(behind, node + 1, this.#trie.end[node]!, this.#trie.depth[node]!, allowed);
    });
    return allowed;
  }

  /** What is known of strings, where the cursor is inside of one. */
  #stringWalk({ machine, state }: Cursor): StringWalk | undefined {
    const entry = (walk: StringWalk) => ({
      value: walk,
      bytes: walk.allowed.byteLength + 16 * walk.exits.length + OVERHEAD_BYTES,
    });
    if (machine instanceof PlainStringMachine) {
      const { key, characters, least, most } = this.#walks.plainKey(machine, state);
      return this.#kept.get(`plain ${key}`, () => entry(this.#walks.plain(characters, least, most)));
    }
    if (!(machine instanceof StringMachine && machine.quoted)) return undefined;
    return this.#kept.get(`string ${this.#idOf(machine)} ${state}`, () => entry(this.#walks.of(machine, state)));
  }

  /** Allows the tokens that end at nodes `from` to `to`, read from a cursor that stands at `depth`. */
  #walk(start: Cursor, from: number, to: number, depth: number, allowed: Uint32Array): void {
    const trie = this.#trie;
    const path: Pick<Cursor, "machine" | "state" | "space" | "below">[] = [];
    path[depth] = { machine: start.machine, state: start.state, space: start.space, below: start.below };
    const cursor = new Cursor(start, start.below);
    for (let node = from; node < to; ) {
      const at = trie.depth[node]!;
      cursor.moveTo(path[at - 1]!);
      if (!cursor.read(trie.byte[node]!)) {
        node = trie.end[node]!;
        continue;
      }
      trie.allow(allowed, node);
      if (trie.end[node]! > node + 1)
        path[at] = { machine: cursor.machine, state: cursor.state, space: cursor.space, below: cursor.below };
      node++;
    }
  }

  #idOf(part: object): number {
    let id = this.#ids.get(part);
    if (id === undefined) {
      id = this.#last++;
      this.#ids.set(part, id);
    }
    return id;
  }
}
