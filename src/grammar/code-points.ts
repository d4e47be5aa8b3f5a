/** Sets of Unicode code points: pairs of first and last, ascending, that neither touch nor overlap. Surrogates are in none. */
export type CodePoints = readonly number[];

export const LAST_CODE_POINT = 0x10ffff;
const [FIRST_SURROGATE, LAST_SURROGATE] = [0xd800, 0xdfff];
export const ANY: CodePoints = [0, FIRST_SURROGATE - 1, LAST_SURROGATE + 1, LAST_CODE_POINT];

/** The set of all ranges, which may come in any order. */
export function union(...sets: readonly CodePoints[]): CodePoints {
  const ranges: [number, number][] = [];
  for (const set of sets) for (let i = 0; i < set.length; i += 2) ranges.push([set[i]!, set[i + 1]!]);
  ranges.sort((a, b) => a[0] - b[0]);
  const joined: number[] = [];
  for (const [first, last] of ranges) {
    const end = joined.length - 1;
    if (end >= 0 && first <= joined[end]! + 1) joined[end] = Math.max(joined[end]!, last);
    else joined.push(first, last);
  }
  return withoutSurrogates(joined);
}

export function complement(set: CodePoints): CodePoints {
  const out: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > next) out.push(next, set[i]! - 1);
    next = set[i + 1]! + 1;
  }
  if (next <= LAST_CODE_POINT) out.push(next, LAST_CODE_POINT);
  return withoutSurrogates(out);
}

export function has(set: CodePoints, codePoint: number): boolean {
  let low = 0;
  let high = set.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (codePoint > set[2 * middle + 1]!) low = middle + 1;
    else high = middle;
  }
  return low < set.length / 2 && codePoint >= set[2 * low]!;
}

function withoutSurrogates(ranges: readonly number[]): CodePoints {
  const out: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    const [first, last] = [ranges[i]!, ranges[i + 1]!];
    if (first < FIRST_SURROGATE) out.push(first, Math.min(last, FIRST_SURROGATE - 1));
    if (last > LAST_SURROGATE) out.push(Math.max(first, LAST_SURROGATE + 1), last);
  }
  return out;
}
