import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  bytes,
  choice,
  flag,
  integer,
  integerOr,
  number,
  parseOptions,
  text,
  texts,
  UsageError,
  variables,
} from "../../src/cli/options.ts";

const options = {
  ratio: number(-2, 2, ""),
  count: integer(1, 10, ""),
  any: integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, ""),
  kind: choice(["one", "two"], ""),
  size: bytes(""),
  name: text("TEXT", ""),
  stop: texts("TEXT", ""),
  var: variables(""),
  length: integerOr("auto", 1, 10, ""),
  quiet: flag(""),
  help: flag(""),
};

test("every kind of option is read", () => {
  const args = "--ratio 0.5 --count 10 --any=-3 --kind two --size 64 --name x --stop a --stop b --quiet -h".split(" ");
  const { values, positionals } = parseOptions([...args, "the", "text"], options);
  assert.equal(values, {
    ratio: 0.5,
    count: 10,
    any: -3,
    kind: "two",
    size: 64,
    name: "x",
    stop: ["a", "b"],
    quiet: true,
    help: true,
  });
  assert.equal(positionals, ["the", "text"]);
  assert.equal(parseOptions([], options), { values: {}, positionals: [] });
});

test("the last of several values counts", () => {
  assert.equal(parseOptions(["--count", "2", "--count", "3"], options).values, { count: 3 });
});

test("a number or a word", () => {
  for (const [given, value] of Object.entries({ auto: "auto", "7": 7 }))
    assert.equal(parseOptions(["--length", given], options).values, { length: value });
});

test("numbers are decimal, with sign, fraction and exponent", () => {
  for (const [given, value] of Object.entries({ "1": 1, "-2": -2, "+.5": 0.5, "2.": 2, "15e-1": 1.5, "-.25": -0.25 }))
    assert.equal(parseOptions(["--ratio", given], options).values, { ratio: value }, given);
});

test("a negative number needs no equals sign, and text that looks like one is still text", () => {
  assert.equal(parseOptions(["--any", "-7", "-1x"].slice(0, 2), options).values, { any: -7 });
  assert.equal(parseOptions(["--name", "-7"], options).values, { name: "-7" });
  assert.equal(parseOptions(["--", "--any", "-7"], options).positionals, ["--any", "-7"]);
});

test("a variable is what its JSON says, or else a text", () => {
  const read = {
    "a=true": true,
    "a=null": null,
    "a=-2.5": -2.5,
    'a="2"': "2",
    'a={"b":[1]}': { b: [1] },
    "a=": "",
    "a=no": "no",
    "a=True": "True",
    "a=b=c": "b=c",
    "a=two\nlines": "two\nlines",
  };
  for (const [given, a] of Object.entries(read))
    assert.equal(parseOptions(["--var", given], options).values, { var: { a } }, given);
  const several = parseOptions(["--var", "a=1", "--var=_b2=x", "--var", "a=2"], options).values;
  assert.equal(several, { var: { a: 2, _b2: "x" } });
  const { var: named } = parseOptions(["--var", "__proto__=1"], options).values;
  assert.equal(Object.entries(named!), [["__proto__", 1]]);
});

test("bytes take binary units", () => {
  const sizes = {
    "1": 1,
    "2KiB": 2048,
    "1.5MiB": 1_572_864,
    "3 GiB": 3_221_225_472,
    "1TiB": 1_099_511_627_776,
    "1.0001KiB": 1024,
  };
  for (const [given, size] of Object.entries(sizes))
    assert.equal(parseOptions(["--size", given], options).values, { size }, given);
});

const refused: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [["--ratio", "2.1"], /^--ratio "2.1": a number from -2 to 2 is needed$/],
  [["--ratio", "-3"], /^--ratio "-3": a number from -2 to 2/],
  [["--ratio", "hot"], /a number/],
  [["--ratio", ""], /a number/],
  [["--ratio", "NaN"], /a number/],
  [["--ratio", "0x1"], /a number/],
  [["--count", "0"], /^--count "0": a whole number from 1 to 10 is needed$/],
  [["--count", "1.5"], /a whole number/],
  [["--any", "1e300"], /^--any "1e300": a whole number is needed$/],
  [["--kind", "three"], /^--kind "three": one or two is needed$/],
  [["--size", "2GB"], /KiB, MiB, GiB or TiB/],
  [["--size", "0"], /bytes/],
  [["--size", "-1"], /bytes/],
  [["--size", "99999999999TiB"], /bytes/],
  [["--size", "KiB"], /bytes/],
  [["--length", "11"], /^--length "11": a whole number from 1 to 10 is needed, or auto$/],
  [["--length", "none"], /or auto$/],
  [["--stop", ""], /^--stop "": a text of at least one character is needed$/],
  [["--stop=", "--stop", "a"], /^--stop "": a text/],
  [["--var", "a"], /^--var "a": NAME=VALUE is needed, where NAME/],
  [["--var", "", "--var", "a=1"], /^--var "": NAME=VALUE is needed/],
  [["--var", "=1"], /^--var "=1": NAME=VALUE/],
  [["--var", "2a=1"], /NAME=VALUE/],
  [["--var", "a-b=1"], /NAME=VALUE/],
  [["--var", "a =1"], /NAME=VALUE/],
  [["--var", "-1=1"], /NAME=VALUE/],
  [["--unknown"], /^Unknown option '--unknown'; a text that begins with a dash goes behind "--"$/],
  [["-x"], /^Unknown option '-x'/],
  [["--count"], /argument missing/],
  [["--name", "--quiet"], /ambiguous/],
  [["--quiet=yes"], /does not take an argument/],
];

test("everything else is refused in one line", () => {
  for (const [args, message] of refused) {
    let refusal: unknown;
    try {
      parseOptions(args, options);
    } catch (error) {
      refusal = error;
    }
    assert.instance(refusal, UsageError, args.join(" "));
    assert.match((refusal as UsageError).message, message);
    assert.not.match((refusal as UsageError).message, "\n");
  }
});

test("an error that is not about the command line passes through", () => {
  const read = () => {
    throw new RangeError("a bug");
  };
  assert.throws(
    () => parseOptions(["--a", "b"], { a: { placeholder: "X", help: "", read } }),
    (error: unknown) => error instanceof RangeError,
  );
});

test.run();
