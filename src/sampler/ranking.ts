/**
 * The ranking of tokens: larger logits first, equal ones by id. It is a total order, so every sort on every engine gives the same
 * result. Logits here are never NaN.
 */

import { MAXIMA_COLUMNS } from "../backend/backend.ts";

/** Ids have to fit into 21 bits beside the 32 of a logit, for both to fit into an f64's 53. */
export const MAX_VOCABULARY = 2097152;

/**
 * The indices, ascending, of the k-th largest of at least k values and of all that are no smaller. Linear where k is small.
 *
 * @param bounds of every `MAXIMA_COLUMNS` values one that none of them is above: those need not be looked at where few are large
 */
export function atLeastKth(values: Float32Array, k: number, bounds?: Float32Array): number[] {
  // The k largest so far as a heap with the smallest on top: nearly every value fails the one comparison with it.
  const heap = new Float32Array(k).fill(Number.NEGATIVE_INFINITY);
  const indices: number[] = [];
  let threshold = Number.NEGATIVE_INFINITY;
  const take = (first: number, end: number): void => {
    for (let i = first; i < end; i++) {
      if (values[i]! < threshold) continue;
      indices.push(i);
      if (values[i]! > threshold) threshold = replaceTop(heap, values[i]!);
    }
  };
  if (bounds)
    for (let block = 0, first = 0; block < bounds.length; block++, first += MAXIMA_COLUMNS) {
      if (bounds[block]! >= threshold) take(first, Math.min(first + MAXIMA_COLUMNS, values.length));
    }
  else
    for (let first = 0; first < values.length; first += 4) {
      // Four by four, which takes half of the time; past the end, undefined < threshold is false too.
      if (values[first]! < threshold && values[first + 1]! < threshold)
        if (values[first + 2]! < threshold && values[first + 3]! < threshold) continue;
      take(first, Math.min(first + 4, values.length));
    }
  return indices.filter((i) => values[i]! >= threshold);
}

/** Puts `value` in the place of the smallest; returns which is the smallest then. */
function replaceTop(heap: Float32Array, value: number): number {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
    if (child >= heap.length || heap[child]! >= value) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = value;
  return heap[0]!;
}

/**
 * The indices of the `n` best values in ranking order; all of them where there are no more than `n`.
 *
 * @param ties the order of equal values by id
 */
export function best(values: Float32Array, n: number, ties: "ascending" | "descending" = "ascending"): Int32Array {
  if (n <= 0) return new Int32Array(0);
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const place = (id: number) => (ties === "ascending" ? id : MAX_VOCABULARY - 1 - id); // its own inverse
  const indices = n < values.length ? atLeastKth(values, n) : values.keys();
  const ranked = Float64Array.from(indices, (i) => rankingKey(bits[i]!, place(i)))
    .sort()
    .subarray(0, n);
  const ids = new Int32Array(ranked.length);
  for (let i = 0; i < ids.length; i++) ids[i] = place(ranked[i]! % MAX_VOCABULARY);
  return ids;
}

/** A number that is smaller the better the token ranks: sorting plain numbers needs no comparison function and is fast. */
function rankingKey(bits: number, place: number): number {
  // The bits of an f32 without its sign grow with its magnitude; 0 and -0 come out equal.
  const ordered = bits < 0 ? -(bits & 0x7fffffff) : bits;
  return (0x80000000 - ordered) * MAX_VOCABULARY + place;
}
