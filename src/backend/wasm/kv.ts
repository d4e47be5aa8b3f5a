/** Keys and values in wasm memory, and the two operations on them: which addresses the kernels of kv.ts and attention.ts get. */
import { type KvShape, type KvStore, kvHeadBytes, kvPageBytes, PAGE_TOKENS, type Segment } from "../backend.ts";
import * as check from "../shapes.ts";
import { attentionScratchBytes, int8AttentionScratchBytes, type Kernels } from "./kernels.ts";
import { aligned, type WasmMemory } from "./memory.ts";

export class WasmKvStore implements KvStore {
  readonly shape: KvShape;
  readonly memory: WasmMemory;
  /** By page number. */
  readonly addresses: number[] = [];
  readonly #pageBytes: number;

  constructor(memory: WasmMemory, shape: KvShape) {
    this.memory = memory;
    this.shape = shape;
    this.#pageBytes = kvPageBytes(shape);
  }

  ensure(page: number): void {
    while (this.addresses.length <= page) this.addresses.push(this.memory.allocate(this.#pageBytes));
  }

  copyPage(from: number, to: number): void {
    const source = this.addresses[from]!;
    this.memory.u8.copyWithin(this.addresses[to]!, source, source + this.#pageBytes);
  }

  async readPage(page: number): Promise<Uint8Array> {
    const address = this.addresses[page]!;
    return this.memory.u8.slice(address, address + this.#pageBytes);
  }

  writePage(page: number, bytes: Uint8Array): void {
    this.memory.u8.set(bytes, this.addresses[page]!);
  }

  close(): void {
    for (const address of this.addresses.splice(0)) this.memory.free(address);
  }
}

/** Gives the address of at least so many bytes. */
type Scratch = (bytes: number) => number;

/** @param k, v addresses of [tokens, kv_heads, head_dim] f32 */
export function appendKv(
  kernels: Kernels,
  memory: WasmMemory,
  segments: readonly Segment[],
  layer: number,
  k: number,
  v: number,
  scratch: Scratch,
): void {
  let done = 0;
  for (const segment of segments) {
    const { tokens } = segment;
    const { kvHeads, headDim, layerBytes, valueBytes, slot, pages } = paged(segment, layer, memory);
    if (tokens === 0) continue;
    const firstPage = Math.floor(slot / PAGE_TOKENS);
    const table = scratch(4 * (pages.length - firstPage));
    memory.u32.set(pages.slice(firstPage), table / 4);
    const slotInTable = slot - firstPage * PAGE_TOKENS;
    const [keys, values] = [k + done, v + done];
    if (valueBytes === 1) kernels.appendInt8(keys, values, table, layerBytes, slotInTable, tokens, kvHeads, headDim);
    else kernels.appendKv(keys, values, table, layerBytes, slotInTable, tokens, kvHeads, headDim, valueBytes);
    done += tokens * kvHeads * headDim * 4;
  }
}

/** @param q, out addresses of [tokens, heads, head_dim] f32 */
export function attention(
  kernels: Kernels,
  memory: WasmMemory,
  q: number,
  segments: readonly Segment[],
  layer: number,
  heads: number,
  scale: number,
  out: number,
  scratch: Scratch,
): void {
  let done = 0;
  for (const segment of segments) {
    const { tokens } = segment;
    const { kvHeads, headDim, layerBytes, valueBytes, start, slot, pages } = paged(segment, layer, memory);
    if (tokens === 0) continue;
    const tableBytes = aligned(4 * pages.length);
    const restBytes =
      valueBytes === 1
        ? int8AttentionScratchBytes(tokens, heads, kvHeads, headDim)
        : attentionScratchBytes(tokens, heads, kvHeads, headDim, valueBytes);
    const table = scratch(tableBytes + restBytes);
    memory.u32.set(pages, table / 4);
    const [from, to, rest] = [q + done, out + done, table + tableBytes];
    if (valueBytes === 1)
      kernels.attentionInt8(from, to, table, layerBytes, start, slot, tokens, heads, kvHeads, headDim, scale, rest);
    else kernels.attention(from, to, table, layerBytes, start, slot, tokens, heads, kvHeads, headDim, valueBytes, scale, rest);
    done += tokens * heads * headDim * 4;
  }
}

/** A sequence as the kernels see it: slots count from the first position of its first page. */
function paged({ store, pages, start: position, length, tokens }: Segment, layer: number, memory: WasmMemory) {
  check.require(store instanceof WasmKvStore && store.memory === memory, "a KV store is not of this backend");
  const { kvHeads, headDim, type } = store.shape;
  const valueBytes = { f32: 4, f16: 2, int8: 1 }[type];
  const start = position % PAGE_TOKENS;
  const slot = start + length;
  const layerBytes = layer * 2 * kvHeads * kvHeadBytes(store.shape);
  const used = pages.slice(0, Math.ceil((slot + tokens) / PAGE_TOKENS));
  return { kvHeads, headDim, valueBytes, layerBytes, pages: used.map((page) => store.addresses[page]!), start, slot };
}
