/**
 * Elementary functions that give the same bits on every engine. `Math.exp`, `Math.log`, `Math.sin`, `**` and their kin may differ
 * between engines and versions, so nothing that is computed here uses them; +, -, *, /, `Math.sqrt` and `Math.fround` are IEEE exact.
 */
const { fround } = Math;
const word = new DataView(new ArrayBuffer(8));

const LOG2E = fround(1.4426950408889634);
const ROUND = 12582912; // 1.5 * 2^23: adding and subtracting it rounds an f32 below 2^22 to an integer, ties to even
const LN2_HIGH = 0.693359375; // 355 / 512: n * LN2_HIGH is exact for every n that occurs
const LN2_LOW = fround(-2.12194440054690583e-4); // ln 2 - LN2_HIGH

/** exp of an f32 in f32 arithmetic, the definition of every kernel's exp: within 1 ulp, exact at 0, gradual underflow. */
export function expF32(x: number): number {
  // Outside [-104, 89] the result is 0 or infinity anyway; clamped, the exponents below stay in range. NaN passes through.
  const clamped = Math.min(Math.max(x, -104), 89);
  const n = fround(fround(fround(clamped * LOG2E) + ROUND) - ROUND);
  const r = fround(fround(clamped - fround(n * LN2_HIGH)) - fround(n * LN2_LOW)); // |r| <= ln 2 / 2
  // Minimax polynomial of (exp(r) - 1 - r) / r^2 (the one of Moshier's Cephes library, expf).
  let p = fround(1.98756915e-4);
  p = fround(fround(p * r) + fround(1.3981999507e-3));
  p = fround(fround(p * r) + fround(8.3334519073e-3));
  p = fround(fround(p * r) + fround(4.1665795894e-2));
  p = fround(fround(p * r) + fround(1.6666665459e-1));
  p = fround(fround(p * r) + fround(5.0000001201e-1));
  const y = fround(fround(fround(p * fround(r * r)) + r) + 1);
  // 2^n in two factors, so that results below 2^-126 round once and 2^128 does not overflow early.
  const half = n >> 1;
  return fround(fround(y * powerOfTwo(half)) * powerOfTwo(n - half));
}

/** 2^n for an integer n in -1022..1023. */
function powerOfTwo(n: number): number {
  return POWERS_OF_TWO[n + 1022]!;
}

const POWERS_OF_TWO = Float64Array.from({ length: 2046 }, (_, i) => {
  word.setInt32(0, (i + 1) << 20);
  word.setInt32(4, 0);
  return word.getFloat64(0);
});

// The rest is f64: series are Taylor's, long enough that the first term left out is below half a unit in the last place.

// ln 2 in two parts; the first ends in zeros, so that its product with an exponent is exact.
const LN2_FIRST = 0.6931471803691238;
const LN2_REST = 1.9082149292705877e-10;

/** e^x, within 1 ulp of f64. */
export function exp(x: number): number {
  return expOfSum(x, 0);
}

/** e^(x + rest) for a rest that is too small to add to x. */
function expOfSum(x: number, rest: number): number {
  const clamped = Math.min(Math.max(x, -746), 710); // beyond them 0 and infinity
  const n = Math.floor(clamped * 1.4426950408889634 + 0.5);
  const r = clamped - n * LN2_FIRST - n * LN2_REST + rest; // |r| <= ln 2 / 2
  // (e^r - 1 - r) / r^2 = 1/2! + r/3! + ... + r^11/13!
  let p = 1 / 6227020800;
  p = p * r + 1 / 479001600;
  p = p * r + 1 / 39916800;
  p = p * r + 1 / 3628800;
  p = p * r + 1 / 362880;
  p = p * r + 1 / 40320;
  p = p * r + 1 / 5040;
  p = p * r + 1 / 720;
  p = p * r + 1 / 120;
  p = p * r + 1 / 24;
  p = p * r + 1 / 6;
  p = p * r + 1 / 2;
  const half = n >> 1; // two factors, as in expF32
  return (1 + (r + r * r * p)) * powerOfTwo(half) * powerOfTwo(n - half);
}

/** 2^(j / 256). */
const ROOTS_OF_TWO = Float64Array.from({ length: 256 }, (_, j) => exp((j * (LN2_FIRST + LN2_REST)) / 256));

/**
 * The sum of e^(value - largest), in order, for values of which none is above `largest`: each term within 1e-15 of its value where the difference
 * is less than 10, 1e-13 where it is less than 700, and 0 beyond. A third of the time that `exp` takes, for vocabularies.
 */
export function sumOfExps(values: Float32Array, largest: number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const x = values[i]! - largest;
    if (!(x > -700)) continue;
    const n = Math.floor(x * 369.3299304675746 + 0.5); // 256 / ln 2
    const r = x - n * (LN2_FIRST / 256) - n * (LN2_REST / 256); // |r| <= ln 2 / 512
    const root = ROOTS_OF_TWO[n & 255]! * powerOfTwo(n >> 8);
    sum += root + root * (r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24)))));
  }
  return sum;
}

/** The natural logarithm, within 1 ulp of f64: -Infinity at 0, NaN below. */
export function log(x: number): number {
  if (!(x > 0 && x < Infinity)) return x === 0 ? -Infinity : x > 0 ? x : NaN;
  return logAsSum(x).high;
}

/** ln x of a positive finite x as a sum of two f64, good to about 60 bits. */
function logAsSum(x: number): { high: number; low: number } {
  // x = m * 2^n with m in [sqrt(1/2), sqrt(2)); denormals are made normal first.
  const scale = x < 2.2250738585072014e-308 ? 54 : 0;
  word.setFloat64(0, x * powerOfTwo(scale));
  let n = (word.getInt32(0) >>> 20) - 1023 - scale;
  word.setInt32(0, (word.getInt32(0) & 0xfffff) | 0x3ff00000);
  let m = word.getFloat64(0);
  if (m >= 1.4142135623730951) {
    m /= 2;
    n += 1;
  }
  // ln m = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1), |s| < 0.172; s is needed to more than an f64: s + sLow.
  const f = m - 1;
  const d = f + 2;
  const dLow = f - (d - 2);
  const s = f / d;
  const product = exactProduct(s, d);
  const sLow = (f - product.high - product.low - s * dLow) / d;
  const z = s * s;
  let p = 2 / 23;
  for (let k = 21; k >= 3; k -= 2) p = p * z + 2 / k;
  const first = n * LN2_FIRST;
  const sum = first + 2 * s;
  const rest = 2 * s - (sum - first) + (2 * sLow + s * z * p + n * LN2_REST);
  const high = sum + rest;
  return { high, low: rest - (high - sum) };
}

/**
 * x^y for x >= 0 (NaN below): within 2 ulp of f64 for |y ln x| < 20, within 2e-15 of the value up to 200 and 4e-15 beyond.
 * The logarithm's second half is what keeps large exponents accurate.
 */
export function pow(x: number, y: number): number {
  if (y === 0) return 1;
  const approximate = y * log(x);
  if (!(Math.abs(approximate) < 800)) return exp(approximate); // 0, infinity or NaN
  const { high, low } = logAsSum(x);
  const product = exactProduct(y, high);
  return expOfSum(product.high, product.low + y * low);
}

/** a * b = high + low exactly, by splitting each factor into halves of 26 bits (Dekker 1971). */
function exactProduct(a: number, b: number): { high: number; low: number } {
  const high = a * b;
  const aHigh = upperHalf(a);
  const bHigh = upperHalf(b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  return { high, low: aHigh * bHigh - high + aHigh * bLow + aLow * bHigh + aLow * bLow };
}

/** The upper 26 bits of x. */
function upperHalf(x: number): number {
  const shifted = x * 134217729; // 2^27 + 1
  return shifted - (shifted - x);
}

// pi / 2 in four parts (Cody and Waite). The first three end at 2^-27, 2^-55 and 2^-83, so that n times one is exact for n < 2^24.
const HALF_PI_1 = 1.570796325802803;
const HALF_PI_2 = 9.920935739593517e-10;
const HALF_PI_3 = 5.721188709663575e-18;
const HALF_PI_4 = 1.6446256936324258e-26;

/** The largest angle that `sinCos` takes: up to it an f32 holds every integer, so no position ever needs more. */
export const MAX_ANGLE = 16777216;

/** Sine and cosine of an angle in radians, each within 1 ulp of f64, for |x| <= MAX_ANGLE; NaN for all other x. */
export function sinCos(x: number): { sin: number; cos: number } {
  if (!(Math.abs(x) <= MAX_ANGLE)) return { sin: NaN, cos: NaN };
  if (Math.abs(x) < 1e-8) return { sin: x, cos: 1 };
  // x = n * pi/2 + y + yLow, |y| <= pi/4. x may lie so close to n * pi/2 that the first parts cancel: what is lost is kept.
  const n = Math.floor(x * 0.6366197723675814 + 0.5);
  const a = x - n * HALF_PI_1;
  const b = a - n * HALF_PI_2;
  const rest = n * HALF_PI_3 - (a - b - n * HALF_PI_2);
  const y = b - rest;
  const yLow = b - y - rest - n * HALF_PI_4;
  const z = y * y;

  // sin(y + yLow) = y - y^3/3! + ... + y^17/17! + yLow * cos y
  let p = 1 / 355687428096000;
  p = p * z - 1 / 1307674368000;
  p = p * z + 1 / 6227020800;
  p = p * z - 1 / 39916800;
  p = p * z + 1 / 362880;
  p = p * z - 1 / 5040;
  p = p * z + 1 / 120;
  p = p * z - 1 / 6;
  const sin = y + (p * z * y + yLow * (1 - z / 2));

  // cos(y + yLow) = 1 - y^2/2! + y^4/4! - ... + y^16/16! - yLow * sin y; 1 - y^2/2 is the part whose rounding matters.
  p = 1 / 20922789888000;
  p = p * z - 1 / 87178291200;
  p = p * z + 1 / 479001600;
  p = p * z - 1 / 3628800;
  p = p * z + 1 / 40320;
  p = p * z - 1 / 720;
  p = p * z + 1 / 24;
  const head = 1 - z / 2;
  const cos = head + (1 - head - z / 2 + (p * z * z - yLow * y));

  switch (n & 3) {
    case 0:
      return { sin, cos };
    case 1:
      return { sin: cos, cos: -sin };
    case 2:
      return { sin: -sin, cos: -cos };
    default:
      return { sin: -cos, cos: sin };
  }
}
