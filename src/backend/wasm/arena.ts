/**
 * Where activations live: memory handed out in order and taken back by scopes, like a stack. A scope's tensors all go when it
 * ends, but for the one it returns, which moves down to where the scope began (or into the place of a tensor that it replaces).
 *
 * The stack lies in blocks that stay taken from the memory until `close`, so that a step of the model allocates nothing after
 * the first.
 */
import { Qwen3Error } from "../../core/errors.ts";
import type { Tensor } from "../backend.ts";
import { sameExtents } from "../shapes.ts";
import { aligned, type WasmMemory } from "./memory.ts";

const BLOCK_BYTES = 256 * 1024;

/** The values of one or more tensors (reshaped ones share), in the scope that frees them. */
export interface Storage {
  readonly arena: Arena;
  address: number;
  readonly bytes: number;
  scope: Scope;
}

interface Scope {
  open: boolean;
  /** The top of the stack when the scope began. */
  readonly mark: Top;
}

/** All before `offset` of block number `block` is taken: `bytes`, and what earlier blocks leave unused at their ends. */
interface Top {
  readonly block: number;
  readonly offset: number;
  readonly bytes: number;
}

export class ArenaTensor implements Tensor {
  readonly shape: readonly number[];
  storage: Storage;

  constructor(shape: readonly number[], storage: Storage) {
    this.shape = shape;
    this.storage = storage;
  }
}

export class Arena {
  readonly #memory: WasmMemory;
  readonly #blocks: { readonly address: number; readonly bytes: number }[] = [];
  #top: Top = { block: 0, offset: 0, bytes: 0 };
  #scope: Scope = { open: true, mark: this.#top };
  #peakBytes = 0;

  constructor(memory: WasmMemory) {
    this.#memory = memory;
  }

  /** The most bytes that tensors ever took at once. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  allocate(bytes: number): Storage {
    const size = aligned(bytes);
    const gap = aligned(this.#memory.watch?.gapBytes ?? 0);
    let { block, offset } = this.#top;
    while (block < this.#blocks.length && offset + size + gap > this.#blocks[block]!.bytes) {
      block++;
      offset = 0;
    }
    if (block === this.#blocks.length) {
      const blockBytes = Math.max(size + gap, BLOCK_BYTES);
      this.#blocks.push({ address: this.#memory.allocate(blockBytes), bytes: blockBytes });
    }
    const address = this.#blocks[block]!.address + offset;
    this.#top = { block, offset: offset + size + gap, bytes: this.#top.bytes + size };
    this.#peakBytes = Math.max(this.#peakBytes, this.#top.bytes);
    this.#memory.watch?.allocated(this.#memory, address, bytes);
    return { arena: this, address, bytes, scope: this.#scope };
  }

  scope<T extends ArenaTensor | undefined>(body: () => T, replaced?: ArenaTensor): T {
    const outer = this.#scope;
    const scope: Scope = { open: true, mark: this.#top };
    this.#scope = scope;
    let result: T | undefined;
    try {
      const returned = body();
      if (returned && replaced) this.#replace(replaced, returned);
      result = returned;
      return returned;
    } finally {
      scope.open = false;
      this.#scope = outer;
      this.#top = scope.mark;
      if (result?.storage.scope === scope) this.#moveDown(result.storage);
    }
  }

  /** Takes room at the top once more. It is found at or below where the values are, so they can be moved there. */
  #moveDown(storage: Storage): void {
    const { address, scope } = this.allocate(storage.bytes);
    this.#memory.u8.copyWithin(address, storage.address, storage.address + storage.bytes);
    storage.address = address;
    storage.scope = scope;
  }

  /** Moves the values of `result` into the place of `replaced`, which is gone then. */
  #replace(replaced: ArenaTensor, result: ArenaTensor): void {
    const [from, to] = [result.storage, replaced.storage];
    if (from === to) return;
    if (!sameExtents(replaced.shape, result.shape))
      throw new Qwen3Error("ARGUMENT", `scope: a result of shape [${result.shape}] cannot replace [${replaced.shape}]`);
    this.#memory.u8.copyWithin(to.address, from.address, from.address + from.bytes);
    result.storage = { ...to };
    to.scope = { open: false, mark: to.scope.mark };
  }
}
