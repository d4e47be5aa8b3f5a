/** Decimal notations of bounds, exact: what a text of digits is compared with. */

/** The magnitude `int`.`frac`, without leading zeros before or trailing ones behind; zero is "" and "". */
export interface Decimal {
  readonly int: string;
  readonly frac: string;
}

/** Where a value may lie: from a bound on, or beyond it. */
export interface Bound {
  readonly value: Decimal;
  readonly exclusive: boolean;
}

function decimal(digits: string, point: number): Decimal {
  const padded = point <= 0 ? "0".repeat(-point) + digits : digits.padEnd(point, "0");
  const at = Math.max(point, 0);
  return { int: padded.slice(0, at).replace(/^0+/, ""), frac: padded.slice(at).replace(/0+$/, "") };
}

/** The magnitude of a number as its shortest notation has it. */
export function shortest(value: number): Decimal {
  const [mantissa = "", exponent = "0"] = Math.abs(value).toExponential().split("e");
  return decimal(mantissa.replace(".", ""), Number(exponent) + 1);
}

/**
 * The magnitude halfway between two neighbouring doubles, `value` and the one that is larger (`up`) or smaller in magnitude: texts beyond
 * it are read as another number than `value`. Not for zero.
 */
export function halfway(value: number, up: boolean): Decimal {
  const bits = new BigUint64Array(Float64Array.of(Math.abs(value)).buffer)[0]!;
  const next = up ? bits + 1n : bits - 1n;
  const [a, b] = [scaled(bits), scaled(next)];
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent));
  return fromBinary(sum, exponent - 1);
}

function scaled(bits: bigint): { mantissa: bigint; exponent: number } {
  const field = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  return field === 0 ? { mantissa: fraction, exponent: -1074 } : { mantissa: fraction | (1n << 52n), exponent: field - 1075 };
}

/** mantissa * 2^exponent. */
function fromBinary(mantissa: bigint, exponent: number): Decimal {
  if (exponent >= 0) return decimal(String(mantissa << BigInt(exponent)), String(mantissa << BigInt(exponent)).length);
  // Multiplying by 5^n moves the point as dividing by 2^n does.
  const digits = String(mantissa * powerOfFive(-exponent));
  return decimal(digits, digits.length + exponent);
}

function powerOfFive(exponent: number): bigint {
  let power = 1n;
  for (let i = 0; i < exponent; i++) power *= 5n;
  return power;
}

/** -1, 0 or 1 as `a` is less than, equal to or greater than `b`. */
export function compare(a: Decimal, b: Decimal): number {
  if (a.int.length !== b.int.length) return a.int.length < b.int.length ? -1 : 1;
  const width = Math.max(a.frac.length, b.frac.length);
  const [left, right] = [a, b].map(({ int, frac }) => int + frac.padEnd(width, "0")) as [string, string];
  return left < right ? -1 : Number(left > right);
}

/** A magnitude's first digit before the point, the others behind it, and the power of ten. Not for zero. */
export function scientific({ int, frac }: Decimal): { mantissa: Decimal; exponent: number } {
  const all = int + frac;
  const first = all.search(/[1-9]/);
  return { mantissa: decimal(all.slice(first), 1), exponent: int.length - 1 - first };
}
