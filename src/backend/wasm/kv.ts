/**
 * Keys and values in wasm memory, and the two operations on them: which addresses the kernels of kv.ts and attention.ts get.
 *
 * What one layer keeps of all pages lies in one memory, so that its attention runs there. Layers are shared out among the memories
 * when the store is made, by the number of pages that are planned. Each memory is taken by slabs of several pages, and in a slab a
 * layer's pieces of consecutive pages follow each other: attention reads them as one stream, where every jump costs microseconds.
 */
import { type KvShape, type KvStore, kvPageBytes, PAGE_TOKENS, type Segment } from "../backend.ts";
import * as check from "../shapes.ts";
import { runIn, type Span, type WasmInstance } from "./instance.ts";
import type { WasmInstances } from "./instances.ts";
import { attentionScratchBytes, int8AttentionScratchBytes } from "./kernel-sizes.ts";
import { aligned, type WasmMemory } from "./memory.ts";

/** Pages of a slab: 1,024 positions. */
const SLAB_PAGES = 32;

/** Layers `firstLayer` to `firstLayer + layers - 1` of every page. */
interface KvPart {
  readonly instance: WasmInstance;
  readonly firstLayer: number;
  readonly layers: number;
  readonly slabs: number[];
  /** By page number. */
  readonly places: PagePlace[];
}

/** Where a page's piece of the first layer of a part lies, and how far on the next layer's is. */
interface PagePlace {
  readonly address: number;
  readonly stride: number;
}

export class WasmKvStore implements KvStore {
  readonly shape: KvShape;
  readonly instances: WasmInstances;
  /** What a layer keeps of a page. */
  readonly #pieceBytes: number;
  readonly #plannedPages: number;
  readonly #parts: KvPart[] = [];

  constructor(instances: WasmInstances, shape: KvShape, pages: number) {
    this.instances = instances;
    this.shape = shape;
    this.#pieceBytes = kvPageBytes(shape) / shape.layers;
    this.#plannedPages = pages;
    let firstLayer = 0;
    for (const { instance, count } of instances.spread(shape.layers, pages * this.#pieceBytes)) {
      this.#parts.push({ instance, firstLayer, layers: count, slabs: [], places: [] });
      firstLayer += count;
    }
  }

  ensure(page: number): void {
    for (const part of this.#parts) while (part.places.length <= page) this.#addSlab(part);
  }

  copyPage(from: number, to: number): void {
    const targets = this.pieces(to);
    for (const [i, { memory, address, bytes }] of this.pieces(from).entries())
      memory.u8.copyWithin(targets[i]!.address, address, address + bytes);
  }

  async readPage(page: number): Promise<Uint8Array> {
    const whole = new Uint8Array(kvPageBytes(this.shape));
    for (const { memory, address, bytes, at } of this.pieces(page)) whole.set(memory.u8.subarray(address, address + bytes), at);
    return whole;
  }

  writePage(page: number, whole: Uint8Array): void {
    for (const { memory, address, bytes, at } of this.pieces(page)) memory.u8.set(whole.subarray(at, at + bytes), address);
  }

  /** Where the layers' pieces of a page lie; `at` is where each begins in the page. */
  pieces(page: number): { memory: WasmMemory; address: number; bytes: number; at: number }[] {
    const bytes = this.#pieceBytes;
    return this.#parts.flatMap(({ instance: { memory }, firstLayer, layers, places }) => {
      const { address, stride } = places[page]!;
      return Array.from({ length: layers }, (_, i) => ({
        memory,
        address: address + i * stride,
        bytes,
        at: (firstLayer + i) * bytes,
      }));
    });
  }

  /** Which instance attends to `layer`, and where in it the layer's piece of each of `pages` begins. */
  layer(layer: number, pages: readonly number[]): { instance: WasmInstance; addresses: number[] } {
    const { instance, firstLayer, places } = this.#parts.findLast(({ firstLayer }) => firstLayer <= layer)!;
    const addresses = pages.map((page) => {
      const { address, stride } = places[page]!;
      return address + (layer - firstLayer) * stride;
    });
    return { instance, addresses };
  }

  close(): void {
    for (const { instance, slabs, places } of this.#parts) {
      places.length = 0;
      for (const slab of slabs.splice(0)) instance.release(slab);
    }
  }

  /** Of the pages that are still planned, or beyond the plan of one; fewer where there is no room for those. */
  #addSlab({ instance, layers, slabs, places }: KvPart): void {
    const planned = Math.max(1, this.#plannedPages - places.length);
    for (let pages = Math.min(SLAB_PAGES, planned); ; pages = Math.floor(pages / 2)) {
      const stride = pages * this.#pieceBytes;
      const slab = instance.place(layers * stride);
      if (slab !== undefined) {
        slabs.push(slab);
        for (let i = 0; i < pages; i++) places.push({ address: slab + i * this.#pieceBytes, stride });
        return;
      }
      if (pages === 1) throw this.instances.full(layers * stride);
    }
  }
}

/** @param k, v addresses of [tokens, kv_heads, head_dim] f32 in the memory of activations */
export function appendKv(instances: WasmInstances, segments: readonly Segment[], layer: number, k: number, v: number): void {
  let done = 0;
  for (const segment of segments) {
    const { tokens } = segment;
    const { instance, kvHeads, headDim, valueBytes, slot, pages } = paged(segment, layer, instances);
    if (tokens === 0) continue;
    const bytes = tokens * kvHeads * headDim * 4;
    const entries: Span[] = [k, v].map((address) => ({ address: address + done, bytes }));
    runIn(instances.home, instance, entries, NOTHING, ([keys, values]) => {
      const firstPage = Math.floor(slot / PAGE_TOKENS);
      const table = instance.scratch(4 * (pages.length - firstPage));
      instance.memory.u32.set(pages.slice(firstPage), table / 4);
      const slotInTable = slot - firstPage * PAGE_TOKENS;
      const { kernels } = instance;
      if (valueBytes === 1) kernels.appendInt8(keys!, values!, table, slotInTable, tokens, kvHeads, headDim);
      else kernels.appendKv(keys!, values!, table, slotInTable, tokens, kvHeads, headDim, valueBytes);
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
    const { instance, kvHeads, headDim, valueBytes, start, slot, pages } = paged(segment, layer, instances);
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
      if (valueBytes === 1) k.attentionInt8(from!, to, table, start, slot, tokens, heads, kvHeads, headDim, scale, rest);
      else k.attention(from!, to, table, start, slot, tokens, heads, kvHeads, headDim, valueBytes, scale, rest);
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
  const { instance, addresses } = store.layer(layer, used);
  return { instance, kvHeads, headDim, valueBytes, pages: addresses, start, slot };
}
