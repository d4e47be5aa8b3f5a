/**
 * A vector constant that stays in a register. V8 builds a constant anew at each use in a loop (three instructions, more than most
 * uses cost); a splat of a value that it cannot know is an ordinary value. But an ordinary value, too, is built inside a loop that may
 * not run at all, there where it is used first: innermost loops that can promise to run once are therefore `do`.
 *
 * @param value  the 32 bits of every lane
 * @param count  any extent that is at hand: it is never negative, so nothing is added, but the compiler cannot tell
 */
@inline export function kept(value: i32, count: i32): v128 {
  return i32x4.splat(value | (count >> 31));
}
