import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { atLeastKth, best, MAX_VOCABULARY } from "../../src/sampler/ranking.ts";

const tied = fc.integer({ min: -3, max: 3 });
const any32 = fc.float({ noNaN: true });
const values = fc.array(fc.oneof(tied, any32), { minLength: 1, maxLength: 600 }).map((all) => Float32Array.from(all));

test("the k-th largest and all that are no smaller are what sorting says", () => {
  fc.assert(
    fc.property(values, fc.nat(), (all, n) => {
      const k = 1 + (n % all.length);
      const threshold = all.toSorted().reverse()[k - 1]!;
      assert.equal(
        atLeastKth(all, k),
        [...all.keys()].filter((i) => all[i]! >= threshold),
      );
    }),
    { numRuns: 500 },
  );
  assert.equal(atLeastKth(Float32Array.of(2, Number.NEGATIVE_INFINITY), 2), [0, 1]);
});

test("bounds of every eight values change nothing, close ones or not", () => {
  fc.assert(
    fc.property(values, fc.nat(), fc.boolean(), (all, n, close) => {
      const k = 1 + (n % all.length);
      const bounds = Float32Array.from({ length: Math.ceil(all.length / 8) }, (_, block) => {
        const largest = Math.max(...all.subarray(8 * block, 8 * block + 8));
        return close ? largest : largest + Math.abs(largest) + (block % 3);
      });
      assert.equal(atLeastKth(all, k, bounds), atLeastKth(all, k));
    }),
    { numRuns: 500 },
  );
  const bounds = Float32Array.of(1, 5);
  const all = Float32Array.of(9, 9, 9, 9, 9, 9, 9, 9, 5);
  assert.equal(atLeastKth(all, 1, bounds), [0, 1, 2, 3, 4, 5, 6, 7], "the first block is looked at all the same");
  assert.equal(atLeastKth(all.toReversed(), 1, Float32Array.of(9, 4)), [1, 2, 3, 4, 5, 6, 7], "a block below is not");
});

test("the best are those of a stable sort, in its order", () => {
  fc.assert(
    fc.property(values, fc.nat(700), (all, n) => {
      const ids = [...all.keys()];
      const compare = (a: number, b: number) => (all[a] === all[b] ? 0 : all[b]! > all[a]! ? 1 : -1);
      assert.equal([...best(all, n)], ids.toSorted(compare).slice(0, n));
      assert.equal([...best(all, n, "descending")], ids.toReversed().sort(compare).slice(0, n));
    }),
    { numRuns: 500 },
  );
});

test("extreme values and signs rank as numbers do", () => {
  const all = Float32Array.of(-0, 3.4e38, Number.NEGATIVE_INFINITY, 1e-45, 0, -1e-45, -3.4e38, Number.POSITIVE_INFINITY);
  assert.equal([...best(all, 8)], [7, 1, 3, 0, 4, 5, 6, 2]);
  assert.equal([...best(all, 0)], []);
  assert.equal([...best(new Float32Array(0), 3)], []);
});

test("an array that is a part of a larger one ranks by its own values", () => {
  const whole = Float32Array.of(9, 9, 1, 3, 2, 9);
  assert.equal([...best(whole.subarray(2, 5), 3)], [1, 2, 0]);
});

test("the last id of the largest vocabulary still has its place", () => {
  const all = new Float32Array(MAX_VOCABULARY).fill(-3.4e38);
  all[MAX_VOCABULARY - 1] = -3.3e38;
  all[5] = 3.4e38;
  assert.equal([...best(all, 2)], [5, MAX_VOCABULARY - 1]);
});

test.run();
