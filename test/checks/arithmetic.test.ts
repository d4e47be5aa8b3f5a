/** Computed paths use only arithmetic that is the same on every engine: what IEEE 754 and the language define to the last bit. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { codeOnly, findInCode, type SourceFile, sourceFiles } from "./sources.ts";

/** Exactly defined. Of the rest (exp, sin, hypot, random, ...) the language says "implementation-approximated", or worse. */
const EXACT = "abs|ceil|clz32|floor|fround|imul|max|min|round|sign|sqrt|trunc";

/** `Math` in any use but `Math.exact` and `const { exact, ... } = Math`: an alias or a computed name would escape the check. */
const INEXACT_MATH = new RegExp(`\\bMath\\b(?!\\.(?:${EXACT})\\b)(?<!\\{\\s*(?:(?:${EXACT})\\s*,?\\s*)+\\}\\s*=\\s*Math).*`, "g");
const POWER = /\S*\s*\*\*=?.*/g;
/** AssemblyScript's own libraries of the same functions. */
const INEXACT_ASSEMBLY = /\b(?:NativeMath|NativeMathf|JSMath|Mathf|Math)\b.*/g;
/**
 * Relaxed instructions whose result the engine may choose (fused or not, sign of zero, which NaN). The dot product is exact for
 * operands in its range, and a probe decides whether it is used at all.
 */
const INEXACT_RELAXED = /\brelaxed_(?!dot_i8x16_i7x16)\w+/g;

const source = (text: string): SourceFile => ({ path: "x.ts", text, code: codeOnly(text) });

test("src uses exact functions of Math only, and no power operator", () => {
  const files = sourceFiles("src");
  assert.ok(files.length >= 10, `${files.length} files looked at`);
  assert.ok(findInCode(files, /\bMath\.\w+/g).length >= 10, "the files that compute were not among them");
  // One of them: a seed that nobody gave may be any.
  assert.equal(
    findInCode(files, INEXACT_MATH).map((use) => use.replace(/:.*/, "")),
    ["src/sampler/params.ts"],
  );
  assert.is(findInCode(files, /\bMath\.random\(\)/g).length, 1);
  assert.equal(findInCode(files, POWER), []);
});

test("the kernels use exact instructions only", () => {
  const files = sourceFiles("assembly");
  assert.ok(files.length >= 1 && findInCode(files, /\bf32x4\.\w+/g).length >= 10, "the kernels were not looked at");
  assert.equal(findInCode(files, INEXACT_ASSEMBLY), []);
  assert.equal(findInCode(files, INEXACT_RELAXED), []);
  assert.equal(findInCode(files, POWER), []);
});

test("what is not allowed is seen, and nothing else", () => {
  for (const text of [
    "Math.exp(1)",
    "Math.random()",
    "const { fround, exp } = Math;",
    "const m = Math;",
    'Math["exp"](1)',
    "f(Math)",
    "const { fround: f } = Math;",
  ]) {
    assert.is(findInCode([source(text)], INEXACT_MATH).length, 1, text);
  }
  for (const text of [
    "Math.sqrt(2)",
    "const { fround, sqrt } = Math;",
    "const { abs } = Math;",
    "// Math.exp",
    '"Math.exp"',
    "expF32(x)",
  ]) {
    assert.equal(findInCode([source(text)], INEXACT_MATH), [], text);
  }
  assert.is(findInCode([source("a ** b; c **= 2; d * e")], POWER).length, 1);
  assert.is(findInCode([source("f32x4.relaxed_madd(a, b, c)")], INEXACT_RELAXED).length, 1);
  assert.is(findInCode([source("i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, c)")], INEXACT_RELAXED).length, 0);
});

test.run();
