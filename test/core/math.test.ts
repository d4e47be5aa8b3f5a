import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { exp, expF32, log, MAX_ANGLE, pow, sinCos, sumOfExps } from "../../src/core/math.ts";

const { fround } = Math;
const { POSITIVE_INFINITY: INFINITY, NaN: NAN, MIN_VALUE } = Number;
const HALF_PI = Math.PI / 2;

/** Ours is within 1 ulp (pow: 2) and the engine's own function, the oracle, within 1 of the true value. */
const ULPS = { exp: 2, log: 2, sin: 2, cos: 2, pow: 3 };
/** For powers like 1e290 the engine and we agree to this. */
const LARGE_POWER = 4e-15;

/** Distance in units in the last place: how many f64 lie between. 0 and -0 are the same here. */
function ulps(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : INFINITY;
  const bits = new BigInt64Array(Float64Array.of(a, b).buffer);
  const [i, j] = [...bits].map((word) => (word < 0n ? -(word & 0x7fffffffffffffffn) : word)) as [bigint, bigint];
  return Math.abs(Number(i - j));
}

function ulpsF32(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b) ? 0 : INFINITY;
  const bits = new Int32Array(Float32Array.of(a, b).buffer);
  const [i, j] = [...bits].map((word) => (word < 0 ? -(word & 0x7fffffff) : word)) as [number, number];
  return Math.abs(i - j);
}

/** `count` values from `low` to `high`, evenly but for a remainder that leaves no digit of them special. */
function* sweep(low: number, high: number, count: number): Generator<number> {
  for (let i = 0; i < count; i++) yield low + ((high - low) * (i + ((i * 0.6180339887498949) % 1))) / count;
}

function within(
  limit: number,
  name: string,
  ours: (x: number) => number,
  oracle: (x: number) => number,
  xs: Iterable<number>,
): void {
  for (const x of xs) {
    const [a, b] = [ours(x), oracle(x)];
    if (a === b) continue;
    if (ulps(a, b) > limit) assert.unreachable(`${name}(${x}) is ${a}, not ${b}`);
    if (ulpsF32(a, b) > 1) assert.unreachable(`${name}(${x}) rounds to another f32`);
  }
}

test("exp over its range", () => {
  within(ULPS.exp, "exp", exp, Math.exp, sweep(-746, 710, 200_000));
  within(ULPS.exp, "exp", exp, Math.exp, sweep(-1, 1, 100_000));
  for (let n = -1075; n <= 1024; n++)
    within(ULPS.exp, "exp", exp, Math.exp, [n * Math.LN2, (n + 0.5) * Math.LN2, (n + 0.4999999) * Math.LN2]);
});

test("a sum of exps is that of its terms, each alone and all together", () => {
  assert.is(sumOfExps(Float32Array.of(3, 3, -INFINITY, -1000), 3), 2);
  assert.is(sumOfExps(new Float32Array(0), 0), 0);
  for (const x of sweep(-700, 0, 100_000)) {
    const single = Float32Array.of(x);
    const error = Math.abs(sumOfExps(single, 0) / Math.exp(single[0]!) - 1);
    if (single[0]! > -700 && !(error < (x > -10 ? 1e-15 : 1e-13))) assert.unreachable(`${x}: ${error}`);
  }
  const values = Float32Array.from(sweep(-40, 0, 100_000));
  const exact = values.reduce((sum, x) => sum + exp(x), 0);
  assert.ok(Math.abs(sumOfExps(values, 0) / exact - 1) < 1e-14);
});

test("exp of special values", () => {
  const cases: [number, number][] = [
    [0, 1],
    [-0, 1],
    [1, Math.E],
    [-1, 0.36787944117144233],
    [MIN_VALUE, 1],
    [-MIN_VALUE, 1],
    [1e-17, 1],
    [709.782712893384, 1.7976931348622732e308],
    [709.7827128933841, INFINITY],
    [1e300, INFINITY],
    [INFINITY, INFINITY],
    [-745.1332191019411, MIN_VALUE],
    [-745.1332191019412, 0],
    [-1e300, 0],
    [-INFINITY, 0],
    [NAN, NAN],
  ];
  for (const [x, expected] of cases) assert.ok(ulps(exp(x), expected) <= 1, `exp(${x}) is ${exp(x)}`);
  for (const x of [0, -0, MIN_VALUE, -MIN_VALUE]) assert.is(exp(x), 1);
});

test("log over its range, denormals and the neighbourhood of 1", () => {
  within(ULPS.log, "log", log, Math.log, sweep(1e-3, 3, 200_000));
  for (let e = -1074; e <= 1023; e++)
    within(ULPS.log, "log", log, Math.log, [2 ** e, 1.3 * 2 ** e, Math.SQRT2 * 2 ** e, 1.999 * 2 ** e]);
  for (let e = 1; e <= 52; e++) within(ULPS.log, "log", log, Math.log, [1 + 2 ** -e, 1 - 2 ** -e, 1 - 2 ** (-e - 1)]);
});

test("log of special values", () => {
  assert.is(log(1), 0);
  for (const x of [0, -0]) assert.is(log(x), -INFINITY);
  for (const x of [-1, -MIN_VALUE, -INFINITY, NAN]) assert.ok(Number.isNaN(log(x)), `${x}`);
  assert.is(log(INFINITY), INFINITY);
  assert.is(log(MIN_VALUE), -744.4400719213812);
  assert.is(log(Number.MAX_VALUE), 709.782712893384);
  assert.is(log(10), Math.LN10);
});

test("pow of RoPE's bases", () => {
  for (const theta of [1e4, 1e6, 5e6, 1e7, 1e15])
    within(
      ULPS.pow,
      `pow(${theta}, `,
      (y) => pow(theta, y),
      (y) => theta ** y,
      sweep(-1, 1, 20_000),
    );
});

test("pow over all bases and exponents", () => {
  const base = fc.double({ min: MIN_VALUE, max: Number.MAX_VALUE, noNaN: true });
  fc.assert(
    fc.property(base, fc.double({ min: -750, max: 750, noNaN: true }), (x, logarithm) => {
      const y = logarithm / (Math.log(x) || 1);
      const [ours, oracle] = [pow(x, y), x ** y];
      const near = ulps(ours, oracle) <= ULPS.pow || Math.abs(ours - oracle) <= LARGE_POWER * oracle;
      assert.ok(near, `${x} ** ${y} is ${ours}, not ${oracle}`);
    }),
    { numRuns: 20_000 },
  );
});

test("pow of special values is as in JavaScript, for bases from 0", () => {
  for (const x of [0, -0, MIN_VALUE, 0.5, 1, 2, Number.MAX_VALUE, INFINITY, NAN])
    for (const y of [0, -0, 0.5, -0.5, 1, -1, 2, -2, 1e20, -1e20, INFINITY, -INFINITY, NAN])
      if (!(Object.is(x, -0) && y !== 0)) assert.ok(ulps(pow(x, y), x ** y) <= 1, `${x} ** ${y} is ${pow(x, y)}`);
  assert.is(pow(-0, 2), 0);
  assert.is(pow(-0, -1), INFINITY);
  assert.ok(Number.isNaN(pow(-2, 2)), "negative bases are not computed");
  assert.is(pow(-2, 0), 1);
  assert.ok(ulps(pow(1 + 2 ** -52, 2 ** 60), Math.exp(256) * (1 - 2 ** -45)) <= 4, "a base next to 1");
});

test("sine and cosine up to the largest angle", () => {
  const sin = (x: number) => sinCos(x).sin;
  const cos = (x: number) => sinCos(x).cos;
  for (const [low, high] of [
    [-1, 1],
    [-10, 10],
    [-1e6, 1e6],
    [-MAX_ANGLE, MAX_ANGLE],
  ] as const) {
    within(ULPS.sin, "sin", sin, Math.sin, sweep(low, high, 50_000));
    within(ULPS.cos, "cos", cos, Math.cos, sweep(low, high, 50_000));
  }
  // f32 angles as RoPE has them
  const angles = Float32Array.from(sweep(0, 262_143, 100_000));
  within(ULPS.sin, "sin", sin, Math.sin, angles);
  within(ULPS.cos, "cos", cos, Math.cos, angles);
});

test("sine and cosine where the angle nearly is a multiple of pi / 2", () => {
  for (let n = 1; n < 10_000_000; n = Math.ceil(n * 1.001)) {
    for (const x of [n * HALF_PI, fround(n * HALF_PI), n * HALF_PI + 1e-9, (n + 0.5) * HALF_PI]) {
      const { sin, cos } = sinCos(x);
      assert.ok(ulps(sin, Math.sin(x)) <= ULPS.sin && ulps(cos, Math.cos(x)) <= ULPS.cos, `${x}: ${sin}, ${cos}`);
    }
  }
  // The angles below 2^24 that come nearest of all those tried to a multiple, with the true values (by mpmath, 200 bits).
  assert.equal(sinCos(871_790.3905748408), { sin: -1, cos: -4.0474943290166063e-16 });
});

test("sine and cosine of special values", () => {
  assert.ok(Object.is(sinCos(0).sin, 0) && Object.is(sinCos(-0).sin, -0));
  assert.is(sinCos(0).cos, 1);
  for (const x of [MIN_VALUE, -MIN_VALUE, 1e-300, 1e-9]) assert.equal(sinCos(x), { sin: x, cos: 1 });
  for (const x of [INFINITY, -INFINITY, NAN, MAX_ANGLE + 1, -1e300])
    assert.ok(Number.isNaN(sinCos(x).sin) && Number.isNaN(sinCos(x).cos), `${x}`);
  fc.assert(
    fc.property(fc.double({ min: -MAX_ANGLE, max: MAX_ANGLE, noNaN: true }), (x) => {
      const [plus, minus] = [sinCos(x), sinCos(-x)];
      assert.ok(plus.sin === -minus.sin && plus.cos === minus.cos, `${x} and its negative`);
    }),
  );
});

test("expF32 over its range: within 1 ulp of the true value and of the nearest f32", () => {
  let [worst, count] = [0, 0];
  const check = (x: number) => {
    const exact = Math.exp(x);
    const nearest = fround(exact);
    const ulp = Math.max(2 ** (Math.floor(Math.log2(exact)) - 23), 2 ** -149);
    const error = Number.isFinite(nearest) ? Math.abs(expF32(x) - exact) / ulp : 0;
    if (error > worst) worst = error;
    if (error >= 1 || ulpsF32(expF32(x), nearest) > 1) assert.unreachable(`expF32(${x}) is ${expF32(x)}, not ${nearest}`);
    count++;
  };
  for (const x of sweep(-104, 89, 500_000)) check(fround(x));
  for (const x of sweep(-1, 1, 200_000)) check(fround(x));
  // Every 997th f32 between 2^-30 and the ends
  const bits = new Int32Array(1);
  const value = new Float32Array(bits.buffer);
  for (let word = 0x30800000; word < 0x42d00000; word += 997)
    for (const sign of [0, 1 << 31]) {
      bits[0] = word | sign;
      if (value[0]! < 88.7) check(value[0]!);
    }
  assert.ok(count > 1_000_000 && worst > 0.5, `${count} values, worst error ${worst} ulp`);
});

test("expF32 of special values", () => {
  for (const x of [0, -0, 2 ** -149, -(2 ** -149)]) assert.is(expF32(x), 1);
  assert.is(expF32(1), fround(Math.E));
  assert.is(expF32(fround(88.72283)), fround(Math.exp(fround(88.72283))));
  for (const x of [fround(88.8), 89, 1000, INFINITY]) assert.is(expF32(x), INFINITY);
  for (const x of [-104, -1000, -INFINITY]) assert.is(expF32(x), 0);
  assert.is(expF32(-103), 2 ** -149); // e^-103 is 1.35 times the smallest denormal
  assert.ok(Number.isNaN(expF32(NAN)));
});

test.run();
