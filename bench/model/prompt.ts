/** What every engine is given: the same pseudo-random ids of ordinary tokens. */

const FIRST_ID = 100;
const IDS = 140_000; // below Qwen3's control tokens

export function promptIds(tokens: number, seed: number): number[] {
  let state = seed;
  return Array.from({ length: tokens }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return FIRST_ID + ((state >>> 8) % IDS);
  });
}
