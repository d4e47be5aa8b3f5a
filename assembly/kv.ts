/**
 * The paged KV cache of one sequence, as one layer sees it.
 *
 *   pages   u32 [ceil(slots / 32)]: where the layer's piece of each page begins; slot s, counted from the first position of page 0,
 *           is in page s / 32
 *   piece   [kv_heads][K, V][32 slots][head_dim] of f32 or f16
 */
import { narrowF16 } from "./convert";

export const PAGE_SLOTS = 32;

/** Stores k, v [tokens, kv_heads, head_dim] f32 in slots `slot` and up; as f16 if valueBytes is 2. */
export function appendKv(
  k: usize, v: usize, pages: usize, slot: i32, tokens: i32, kvHeads: i32, headDim: i32, valueBytes: i32,
): void {
  const entryBytes = <usize>headDim * valueBytes;
  const headBytes = <usize>PAGE_SLOTS * entryBytes;
  let from: usize = 0;
  for (let t = 0; t < tokens; t++) {
    const page = <usize>load<u32>(pages + (<usize>((slot + t) / PAGE_SLOTS) << 2));
    let to = page + <usize>((slot + t) % PAGE_SLOTS) * entryBytes;
    for (let h = 0; h < kvHeads; h++, from += <usize>headDim << 2, to += 2 * headBytes) {
      storeEntry(k + from, to, headDim, valueBytes);
      storeEntry(v + from, to + headBytes, headDim, valueBytes);
    }
  }
}

@inline function storeEntry(from: usize, to: usize, headDim: i32, valueBytes: i32): void {
  if (valueBytes == 2) narrowF16(from, to, headDim);
  else memory.copy(to, from, <usize>headDim << 2);
}
