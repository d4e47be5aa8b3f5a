import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { JsonScanner } from "../../src/text/json-scanner.ts";

/** All that becomes certain of `text`; undefined where it is no whole value. */
function scan(text: string): string | undefined {
  const scanner = new JsonScanner();
  let certain = "";
  for (const unit of text.split("")) certain += scanner.take(unit);
  return scanner.state === "end" ? certain : undefined;
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** Objects, since a number has no end of its own. */
const documents = fc
  .tuple(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 6 })), fc.constantFrom(undefined, 0, 1, "\t"))
  .map(([value, indent]) => JSON.stringify(value, null, indent));

test("valid JSON goes through unchanged", () => {
  fc.assert(fc.property(documents, (json) => assert.is(scan(json), json)));
});

test("what is certain begins what is certain in the end, and a proper part of it never is JSON", () => {
  fc.assert(
    fc.property(documents, (json) => {
      const scanner = new JsonScanner();
      let certain = "";
      for (const unit of json.split("")) {
        assert.is(scanner.state === "end", false);
        certain += scanner.take(unit);
        assert.ok(json.startsWith(certain));
        assert.is(isJson(certain), scanner.state === "end");
      }
    }),
  );
});

test("whatever is changed in JSON: what the scanner accepts is JSON, and all JSON is accepted", () => {
  let [accepted, refused, mended] = [0, 0, 0];
  const pieces = [...'{}[],:"\\ \n-+.0123eEtfn', "true", "None", "\\u12", "\u0001", "'"];
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.constantFrom(...pieces)), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(documents, changes, (json, changed) => {
      const untrimmed = changed.reduce((text, [place, removed, added]) => {
        const at = place % text.length;
        return `{${text.slice(1, at)}${added}${text.slice(at + removed)}`;
      }, json);
      const text = untrimmed.trim();
      const certain = scan(text);
      if (isJson(text)) assert.is(certain, text);
      if (certain === undefined) refused++;
      else {
        assert.ok(isJson(certain), `${JSON.stringify(text)} became ${JSON.stringify(certain)}`);
        if (isJson(text)) accepted++;
        else mended++;
      }
    }),
    { numRuns: 3000, seed: 1 },
  );
  assert.ok(accepted > 100 && refused > 100 && mended > 20, `${accepted} accepted, ${refused} refused, ${mended} mended`);
});

const mended: readonly (readonly [written: string, read: string])[] = [
  ['{"a": 1,}', '{"a": 1}'],
  ['{"a": 1 , }', '{"a": 1  }'],
  ["[1, 2,\n]", "[1, 2\n]"],
  ["[True, False, None]", "[true, false, null]"],
  ['["a\nb\tc\r\u0001"]', '["a\\nb\\tc\\r\\u0001"]'],
];
for (const [written, read] of mended) test(`mends ${JSON.stringify(written)}`, () => assert.is(scan(written), read));

for (const broken of [
  "}",
  "{a: 1}",
  "{'a': 1}",
  '{"a" 1}',
  '{"a":: 1}',
  '{"a": }',
  '{"a": 1 2}',
  '{"a": 1,,}',
  "{,}",
  "[,]",
  "[1}",
  '{"a": [1}]',
  '{"a"}',
  '{"a",}',
  '{"a": 01}',
  '{"a": 1.}',
  '{"a": .5}',
  '{"a": +1}',
  '{"a": 1e}',
  '{"a": NaN}',
  '{"a": truE}',
  '{"a": "\\x41"}',
  '{"a": "\\u12g4"}',
  '{"a": "\\\'"}',
  '{"a": 1} ',
  "{}{}",
  "[".repeat(101),
])
  test(`breaks at ${broken.slice(0, 20)}`, () => {
    const scanner = new JsonScanner();
    for (const unit of broken.split("")) scanner.take(unit);
    assert.is(scanner.state, "broken");
    assert.is(scanner.take("1"), "");
    assert.is(scanner.complete(), undefined);
  });

test("braces and brackets that are missing are told where nothing else is", () => {
  for (const [written, missing] of [
    ['{"a": 1', "1}"],
    ['{"a": "b"', "}"],
    ['{"a": [{"b": []', "}]}"],
    ['{"a": None', "null}"],
    ['{"a": {} \n', "}"],
    ["{", undefined],
    ['{"a"', undefined],
    ['{"a":', undefined],
    ['{"a": "b', undefined],
    ['{"a": "b\\', undefined],
    ['{"a": 1,', undefined],
    ['{"a": tru', undefined],
    ["", undefined],
    ["{}", undefined],
  ] as const) {
    const scanner = new JsonScanner();
    for (const unit of written.split("")) scanner.take(unit);
    assert.is(scanner.complete(), missing, written);
  }
});

test.run();
