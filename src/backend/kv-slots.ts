/** The slots of a page's bytes, as `KvStore.readPage` lays them out. */
import { type KvShape, kvHeadBytes, PAGE_TOKENS } from "./backend.ts";

/**
 * Sets to zero what a page keeps of slots other than first..end - 1: what an earlier user of its memory may have left there. No step
 * ever reads such slots.
 */
export function clearOtherSlots(page: Uint8Array, shape: KvShape, first: number, end: number): void {
  if (first === 0 && end === PAGE_TOKENS) return;
  const headBytes = kvHeadBytes(shape);
  for (let at = 0, head = 0; at < page.length; at += headBytes, head++) {
    const bytes = page.subarray(at, at + headBytes);
    if (shape.type !== "int8") {
      const entryBytes = headBytes / PAGE_TOKENS;
      bytes.fill(0, 0, first * entryBytes);
      bytes.fill(0, end * entryBytes);
      continue;
    }
    const isKey = head % 2 === 0;
    for (let slot = 0; slot < PAGE_TOKENS; slot++) if (slot < first || slot >= end) clearInt8(bytes, isKey, slot);
  }
}

/** Of keys, four codes of a slot lie side by side; of values, four slots of a code. The scales lie behind. */
function clearInt8(bytes: Uint8Array, isKey: boolean, slot: number): void {
  const scales = bytes.length - 4 * PAGE_TOKENS;
  if (isKey) for (let four = 4 * slot; four < scales; four += 4 * PAGE_TOKENS) bytes.fill(0, four, four + 4);
  else
    for (let code = 32 * (slot >> 2) + (slot & 3); code < scales; code += 8 * PAGE_TOKENS)
      for (let d = 0; d < 8; d++) bytes[code + 4 * d] = 0;
  bytes.fill(0, scales + 4 * slot, scales + 4 * slot + 4);
}
