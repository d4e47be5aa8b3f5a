/** Puts together what the threads of a team have of every row, in pieces of what the link can show at once. */
import type { TeamLink } from "./team-link.ts";

/**
 * @param own    [rows, bounds[index + 1] - bounds[index]], this thread's columns
 * @param bounds the column where each thread's columns begin, and where the last ones end
 * @param out    [rows, last bound]; left out where this thread has no use for the whole
 */
export function gather(link: TeamLink, own: Float32Array, bounds: readonly number[], rows: number, out?: Float32Array): void {
  const { index, count, slot } = link;
  const total = bounds[count]!;
  const widthOf = (thread: number) => bounds[thread + 1]! - bounds[thread]!;
  if (out) place(own, 0, widthOf(index), out, bounds[index]!, total);
  let longest = 0;
  for (let thread = 0; thread < count; thread++) longest = Math.max(longest, rows * widthOf(thread));
  for (let from = 0; from < longest; from += slot) {
    const room = link.room();
    if (from < own.length) room.set(own.subarray(from, from + slot), index * slot);
    link.meet();
    if (!out) continue;
    for (let thread = 0; thread < count; thread++) {
      const width = widthOf(thread);
      const shown = Math.min(slot, rows * width - from);
      if (thread === index || shown <= 0) continue;
      place(room.subarray(thread * slot, thread * slot + shown), from, width, out, bounds[thread]!, total);
    }
  }
}

/** The same where all threads can write to the whole, `out`: each puts its own columns there. */
export function putTogether(link: TeamLink, own: Float32Array, bounds: readonly number[], out: Float32Array): void {
  const { index, count } = link;
  place(own, 0, bounds[index + 1]! - bounds[index]!, out, bounds[index]!, bounds[count]!);
  link.meet();
}

/** Values `from` and up of [rows, width] to columns `first` and up of out [rows, total]. */
function place(values: Float32Array, from: number, width: number, out: Float32Array, first: number, total: number): void {
  for (let at = 0; at < values.length; ) {
    const row = Math.floor((from + at) / width);
    const column = (from + at) % width;
    const length = Math.min(width - column, values.length - at);
    out.set(length === values.length ? values : values.subarray(at, at + length), row * total + first + column);
    at += length;
  }
}
