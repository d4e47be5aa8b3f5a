/** How running time grows with size, as the exponent of the power that fits it. */
import * as assert from "uvu/assert";

/**
 * The slope of log(time) over log(size): 1 for linear time, 2 for quadratic. `run` is called with each size several times, and the
 * fastest counts, which is the one that the rest of the machine disturbed least.
 */
function fittedSlope(sizes: readonly number[], run: (size: number) => void): number {
  const points = sizes.map((size) => {
    let fastest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 4; i++) {
      const start = performance.now();
      run(size);
      fastest = Math.min(fastest, performance.now() - start);
    }
    return [Math.log(size), Math.log(fastest)] as const;
  });
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(points.map(([size]) => size));
  const y = mean(points.map(([, time]) => time));
  return mean(points.map(([size, time]) => (size - x) * (time - y))) / mean(points.map(([size]) => (size - x) ** 2));
}

/** Above linear by a logarithm and the noise of a busy machine; far below quadratic. */
const nearlyLinear = 1.4;
/** What is not linear is so every time; another program that wakes up in the middle is not there every time. */
const attempts = 5;

/** That time grows with size and no faster, in one of several attempts. */
export function assertLinear(sizes: readonly number[], run: (size: number) => void): void {
  const slopes: number[] = [];
  do slopes.push(fittedSlope(sizes, run));
  while (!(slopes.at(-1)! < nearlyLinear) && slopes.length < attempts);
  assert.ok(slopes.at(-1)! < nearlyLinear, `slopes ${slopes.map((slope) => slope.toFixed(2)).join(", ")}`);
}
