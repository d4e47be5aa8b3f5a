import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { forbidding, intersection, maskLogits } from "../../src/sampler/mask.ts";

const INFINITE = Number.NEGATIVE_INFINITY;

test("forbidden tokens, and no others, go to minus infinity", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.array(fc.nat(199)), (size, ids) => {
      const forbidden = new Set(ids.filter((id) => id < size));
      const logits = Float32Array.from({ length: size }, (_, id) => id);
      const masked = maskLogits(logits, forbidding(forbidden, size));
      for (const [id, logit] of masked.entries()) assert.is(logit, forbidden.has(id) ? INFINITE : id);
      assert.equal(
        logits,
        Float32Array.from({ length: size }, (_, id) => id),
      );
    }),
  );
});

test("what lies beyond the mask's words is forbidden", () => {
  const masked = maskLogits(new Float32Array(70), { allowed: Uint32Array.of(0xffffffff, 1) });
  assert.equal(
    [...masked.keys()].filter((id) => masked[id] === 0),
    Array.from({ length: 33 }, (_, id) => id),
  );
});

test("no mask leaves the very array; ids past the vocabulary forbid nothing", () => {
  const logits = Float32Array.of(1, 2);
  assert.is(maskLogits(logits, undefined), logits);
  assert.equal(maskLogits(logits, forbidding([99], 2)), logits);
});

test("two masks allow what both allow, and the first alone where that is nothing", () => {
  const first = { allowed: Uint32Array.of(0b0110, 1) };
  assert.equal(intersection(first, { allowed: Uint32Array.of(0b1100) }).allowed, Uint32Array.of(0b0100, 0));
  assert.is(intersection(first, { allowed: Uint32Array.of(0b1000, 2) }), first);
});

test.run();
