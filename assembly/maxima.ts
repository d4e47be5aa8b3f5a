/** What a sampler looks at first: few of many logits can be among the largest. */

/** out [rows][ceil(cols / 8)] = the largest of every 8 columns of x [rows, cols], of what is left at a row's end; NaN where one is. */
export function blockMaxima(x: usize, out: usize, rows: i32, cols: i32): void {
  let from = x;
  let to = out;
  for (let row = 0; row < rows; row++) {
    const end = from + (<usize>cols << 2);
    for (const whole = from + (<usize>(cols & ~31) << 2); from < whole; from += 128, to += 16) {
      const a = f32x4.max(v128.load(from), v128.load(from, 16));
      const b = f32x4.max(v128.load(from, 32), v128.load(from, 48));
      const c = f32x4.max(v128.load(from, 64), v128.load(from, 80));
      const d = f32x4.max(v128.load(from, 96), v128.load(from, 112));
      const ab = f32x4.max(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7)); // a02 b02 a13 b13
      const cd = f32x4.max(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
      v128.store(to, f32x4.max(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3)));
    }
    for (; from < end; to += 4) {
      let largest = load<f32>(from);
      from += 4;
      for (const last = min(from + 28, end); from < last; from += 4) largest = max<f32>(largest, load<f32>(from));
      store<f32>(to, largest);
    }
  }
}
