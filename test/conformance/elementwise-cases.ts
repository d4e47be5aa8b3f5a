/** Everything that works row by row or value by value. */
import type { Backend, Tensor } from "../../src/backend/backend.ts";
import { type ConformanceCase, SIZES } from "./case.ts";
import { KINDS, type Kind, Random } from "./values.ts";

type Operate = (b: Backend, random: Random) => Tensor[];

export function* elementwiseCases(): Generator<ConformanceCase> {
  let seed = 100_000;
  const line = (name: string, operate: (kind: Kind) => Operate): ConformanceCase => {
    const kind = KINDS[seed % 3]!;
    const own = seed++;
    return { name: `${name}, ${kind}`, run: (b) => operate(kind)(b, new Random(own)) };
  };
  const random = (b: Backend, r: Random, kind: Kind, shape: readonly number[]): Tensor =>
    b.input(
      r.floats(
        shape.reduce((product, extent) => product * extent, 1),
        kind,
      ),
      shape,
    );

  const norm = (rows: number, n: number, eps: number) =>
    line(`rmsNorm [${rows}, ${n}], eps ${eps}`, (kind) => (b, r) => [
      b.rmsNorm(random(b, r, kind, [rows, n]), b.createVector(r.floats(n, kind)), eps),
    ]);
  const rope = (tokens: number, heads: number, half: number) =>
    line(`rope [${tokens}, ${heads}, ${2 * half}]`, (kind) => (b, r) => {
      const x = random(b, r, kind, [tokens, heads, 2 * half]);
      return [b.rope(x, random(b, r, kind, [tokens, half]), random(b, r, kind, [tokens, half]))];
    });
  const binary = (operation: "add" | "swiglu", shape: readonly number[]) =>
    line(`${operation} [${shape}]`, (kind) => (b, r) => [b[operation](random(b, r, kind, shape), random(b, r, kind, shape))]);
  const rows = (count: number, width: number) =>
    line(`rows of [${count}, ${width}]`, (kind) => (b, r) => {
      const indices = Int32Array.from({ length: r.integer(0, 9) }, () => r.integer(0, count - 1));
      return [b.rows(random(b, r, kind, [count, width]), indices)];
    });
  const maxima = (count: number, width: number) =>
    line(`blockMaxima of [${count}, ${width}]`, (kind) => (b, r) => {
      const odd = [Number.NaN, -0, 0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
      const values = r.floats(count * width, kind).map((value) => (r.integer(0, 30) === 0 ? odd[r.integer(0, 4)]! : value));
      return [b.blockMaxima(random(b, r, kind, [count, width])), b.blockMaxima(b.input(values, [count, width]))];
    });
  /** A chain through scopes: what they return is kept, moved, reshaped or put in another's place, and nothing else changes. */
  const scopes = (n: number) =>
    line(`scopes around [${n}, 3]`, (kind) => (b, r) => {
      const first = random(b, r, kind, [n, 3]);
      let x = b.scope(() => {
        const unused = b.add(first, first);
        return b.reshape(b.add(unused, first), [3, n]);
      });
      for (let i = 0; i < 3; i++)
        x = b.scope(
          () =>
            b.scope(() =>
              b.add(
                b.scope(() => b.add(x, x)),
                x,
              ),
            ),
          x,
        );
      return [first, x, b.scope(() => b.rows(x, Int32Array.of(2, 0)))];
    });

  for (const size of SIZES) {
    const other = 1 + ((size * 29) % 67);
    for (const [i, eps] of [1e-6, 1e-5, 0].entries()) yield i === 0 ? norm(other % 7, size, eps) : norm(size, other, eps);
    yield rope(size, 1 + (other % 3), 1 + (other % 11));
    yield rope(1 + (other % 4), size, 1 + (size % 9));
    yield rope(1 + (other % 3), 1 + (other % 5), size);
    for (const operation of ["add", "swiglu"] as const) {
      yield binary(operation, [size]);
      yield binary(operation, [size, other]);
      yield binary(operation, [1 + (other % 4), size, 3]);
    }
    yield rows(size, other);
    yield maxima(1 + (other % 4), size);
    yield scopes(size);
  }
  for (const n of [1024, 2560, 4096]) yield norm(3, n, 1e-6);
  yield maxima(2, 4096);
  for (const n of [3072, 9728]) yield binary("swiglu", [3, n]);
  yield norm(32, 128, 1e-6);
  yield rope(5, 32, 64);
  yield rope(3, 8, 64);
  for (let from = -112; from < 96; from += 8)
    yield line(`swiglu, gate ${from} to ${from + 8}`, () => (b, r) => {
      const gate = Float32Array.from({ length: 1001 }, (_, i) => from + (8 * i) / 1000);
      return [b.swiglu(b.input(gate, [1001]), b.input(r.floats(1001, "plain"), [1001]))];
    });
}
