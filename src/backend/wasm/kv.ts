/**
 * Keys and values in wasm memory, and the two operations on them: which addresses the kernels of kv.ts and attention.ts get.
 *
 * What one layer keeps of all pages lies in one memory, so that its attention runs there. Layers are shared out among the memories
 * when the store is made, by the number of pages that are planned; a page is a piece in each of those memories.
 */
import { type KvShape, type KvStore, kvPageBytes, PAGE_TOKENS, type Segment } from "../backend.ts";
import * as check from "../shapes.ts";
import { runIn, type Span, type WasmInstance } from "./instance.ts";
import type { WasmInstances } from "./instances.ts";
import { attentionScratchBytes, int8AttentionScratchBytes } from "./kernels.ts";
import { aligned, type WasmMemory } from "./memory.ts";

/** Layers `firstLayer` and up, of every page. */
interface KvPart {
  readonly instance: WasmInstance;
  readonly firstLayer: number;
  /** What a page takes here. */
  readonly bytes: number;
  /** By page number. */
  readonly addresses: number[];
}

export class WasmKvStore implements KvStore {
  readonly shape: KvShape;
  readonly instances: WasmInstances;
  readonly layerBytes: number;
  readonly #parts: KvPart[] = [];

  constructor(instances: WasmInstances, shape: KvShape, pages: number) {
    this.instances = instances;
    this.shape = shape;
    this.layerBytes = kvPageBytes(shape) / shape.layers;
    let firstLayer = 0;
    for (const { instance, count } of instances.spread(shape.layers, pages * this.layerBytes)) {
      this.#parts.push({ instance, firstLayer, bytes: count * this.layerBytes, addresses: [] });
      firstLayer += count;
    }
  }

  ensure(page: number): void {
    for (const { instance, bytes, addresses } of this.#parts)
      while (addresses.length <= page) {
        const address = instance.place(bytes);
        if (address === undefined) throw this.instances.full(bytes);
        addresses.push(address);
      }
  }

  copyPage(from: number, to: number): void {
    for (const { instance, bytes, addresses } of this.#parts)
      instance.memory.u8.copyWithin(addresses[to]!, addresses[from]!, addresses[from]! + bytes);
  }

  async readPage(page: number): Promise<Uint8Array> {
    const whole = new Uint8Array(kvPageBytes(this.shape));
    for (const { memory, address, bytes, at } of this.pieces(page)) whole.set(memory.u8.subarray(address, address + bytes), at);
    return whole;
  }

  writePage(page: number, whole: Uint8Array): void {
    for (const { memory, address, bytes, at } of this.pieces(page)) memory.u8.set(whole.subarray(at, at + bytes), address);
  }

  /** Where the pieces of a page lie; `at` is where each begins in the page. */
  pieces(page: number): { memory: WasmMemory; address: number; bytes: number; at: number }[] {
    return this.#parts.map(({ instance: { memory }, firstLayer, bytes, addresses }) => {
      return { memory, address: addresses[page]!, bytes, at: firstLayer * this.layerBytes };
    });
  }

  /** Which instance attends to `layer`, where in it each of `pages` begins, and where the layer begins in each of those. */
  layer(layer: number, pages: readonly number[]): { instance: WasmInstance; addresses: number[]; layerBytes: number } {
    const { instance, firstLayer, addresses } = this.#parts.findLast(({ firstLayer }) => firstLayer <= layer)!;
    return { instance, addresses: pages.map((page) => addresses[page]!), layerBytes: (layer - firstLayer) * this.layerBytes };
  }

  close(): void {
    for (const { instance, addresses } of this.#parts) for (const address of addresses.splice(0)) instance.release(address);
  }
}

/** @param k, v addresses of [tokens, kv_heads, head_dim] f32 in the memory of activations */
export function appendKv(instances: WasmInstances, segments: readonly Segment[], layer: number, k: number, v: number): void {
  let done = 0;
  for (const segment of segments) {
    const { tokens } = segment;
    const { instance, kvHeads, headDim, layerBytes, valueBytes, slot, pages } = paged(segment, layer, instances);
    if (tokens === 0) continue;
    const bytes = tokens * kvHeads * headDim * 4;
    const entries: Span[] = [k, v].map((address) => ({ address: address + done, bytes }));
    runIn(instances.home, instance, entries, NOTHING, ([keys, values]) => {
      const firstPage = Math.floor(slot / PAGE_TOKENS);
      const table = instance.scratch(4 * (pages.length - firstPage));
      instance.memory.u32.set(pages.slice(firstPage), table / 4);
      const slotInTable = slot - firstPage * PAGE_TOKENS;
      const { kernels } = instance;
      if (valueBytes === 1) kernels.appendInt8(keys!, values!, table, layerBytes, slotInTable, tokens, kvHeads, headDim);
      else kernels.appendKv(keys!, values!, table, layerBytes, slotInTable, tokens, kvHeads, headDim, valueBytes);
    });
    done += bytes;
  }
}

const NOTHING: Span = { address: 0, bytes: 0 };

/** @param q, out addresses of [tokens, heads, head_dim] f32 in the memory of activations */
export function attention(
  instances: WasmInstances,
  q: number,
  segments: readonly Segment[],
  layer: number,
  heads: number,
  scale: number,
  out: number,
): void {
  let done = 0;
  for (const segment of segments) {
    const { tokens } = segment;
    const { instance, kvHeads, headDim, layerBytes, valueBytes, start, slot, pages } = paged(segment, layer, instances);
    if (tokens === 0) continue;
    const bytes = tokens * heads * headDim * 4;
    const [queries, results] = [q, out].map((address) => ({ address: address + done, bytes })) as [Span, Span];
    runIn(instances.home, instance, [queries], results, ([from], to) => {
      const tableBytes = aligned(4 * pages.length);
      const restBytes =
        valueBytes === 1
          ? int8AttentionScratchBytes(tokens, heads, kvHeads, headDim)
          : attentionScratchBytes(tokens, heads, kvHeads, headDim, valueBytes);
      const table = instance.scratch(tableBytes + restBytes);
      instance.memory.u32.set(pages, table / 4);
      const rest = table + tableBytes;
      const k = instance.kernels;
      if (valueBytes === 1)
        k.attentionInt8(from!, to, table, layerBytes, start, slot, tokens, heads, kvHeads, headDim, scale, rest);
      else k.attention(from!, to, table, layerBytes, start, slot, tokens, heads, kvHeads, headDim, valueBytes, scale, rest);
    });
    done += bytes;
  }
}

/** A sequence as the kernels see it: slots count from the first position of its first page. */
function paged({ store, pages, start: position, length, tokens }: Segment, layer: number, instances: WasmInstances) {
  check.require(store instanceof WasmKvStore && store.instances === instances, "a KV store is not of this backend");
  const { kvHeads, headDim, type } = store.shape;
  const valueBytes = { f32: 4, f16: 2, int8: 1 }[type];
  const start = position % PAGE_TOKENS;
  const slot = start + length;
  const used = pages.slice(0, Math.ceil((slot + tokens) / PAGE_TOKENS));
  const { instance, addresses, layerBytes } = store.layer(layer, used);
  return { instance, kvHeads, headDim, valueBytes, layerBytes, pages: addresses, start, slot };
}
