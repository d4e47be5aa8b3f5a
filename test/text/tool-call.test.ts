import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseToolCall, ToolCallReader } from "../../src/text/tool-call.ts";

const calls: readonly (readonly [what: string, written: string, name: string, args: string])[] = [
  ["further keys", ' {"name": "f", "arguments": {"a": [{"b": "x:,}"}]}, "id": 7} ', "f", '{"a": [{"b": "x:,}"}]}'],
  ["further keys of every kind", '{"x": {"name": "g"}, "y": [1, "z"], "name": "f", "w": null, "arguments": {}}', "f", "{}"],
  ["keys with escapes", '{"n\\u0061me": "f", "arguments": {"\\\\": "\\\\"}}', "f", '{"\\\\": "\\\\"}'],
  ["arguments first", '{"arguments" : {"b" :1e2, "a":"}\\"]"} , "name":"f"}', "f", '{"b" :1e2, "a":"}\\"]"}'],
  ["a name with escapes", '{"name": "caf\\u00e9 \\ud83e\\uddea", "arguments": {}}', "café 🧪", "{}"],
  ["half a surrogate pair in a name", '{"name": "\\ud83e", "arguments": {}}', "\ufffd", "{}"],
  ["a string of JSON", '{"name": "f", "arguments": "{\\"a\\": [1, \\"\\\\n\\"]}"}', "f", '{"a": [1, "\\n"]}'],
  ["a string of JSON with space around it", '{"name": "f", "arguments": "  {}\\n"}', "f", "{}"],
  ["a string of JSON, first", '{"arguments": "{\\"a\\": {}}", "name": "f"}', "f", '{"a": {}}'],
  ["a string of JSON in escapes", '{"name": "f", "arguments": "{\\"a\\": \\"\\ud83e\\uddea\\"}"}', "f", '{"a": "🧪"}'],
  [
    "half a pair in a string of JSON",
    '{"name": "f", "arguments": "{\\"a\\": \\"\\ud83e!\\udddd\\"}"}',
    "f",
    '{"a": "\ufffd!\ufffd"}',
  ],
  ["a brace too few", '{"name": "f", "arguments": {"a": 1}\n', "f", '{"a": 1}'],
  ["all braces too few", '{"name": "f", "arguments": {"a": [{"b": 12', "f", '{"a": [{"b": 12}]}'],
  ["a brace too few behind a string of JSON", '{"name": "f", "arguments": "{}"', "f", "{}"],
  ["braces too many", '{"name": "f", "arguments": {"a": 1}}} }\n', "f", '{"a": 1}'],
  ["commas too many", '{"name": "f", "arguments": {"a": [1,],},}', "f", '{"a": [1]}'],
  ["Python's literals", '{"name": "f", "arguments": {"a": [True, False, None]}}', "f", '{"a": [true, false, null]}'],
  ["bare line breaks", '{"name": "f", "arguments": {"a": "b\nc"}}', "f", '{"a": "b\\nc"}'],
];
for (const [what, written, name, args] of calls)
  test(`reads ${what}`, () => assert.equal(parseToolCall(written), { name, arguments: args }));

for (const broken of [
  "",
  "null",
  "[]",
  '["name", "f"]',
  '"f"',
  "f(1)",
  "{}",
  '{"name": "f"}',
  '{"arguments": {}}',
  '{"name": "", "arguments": {}}',
  '{"name": 5, "arguments": {}}',
  '{"name": ["f"], "arguments": {}}',
  '{"name": "f", "arguments": null}',
  '{"name": "f", "arguments": []}',
  '{"name": "f", "arguments": 7}',
  '{"name": "f", "arguments": ""}',
  '{"name": "f", "arguments": "[]"}',
  '{"name": "f", "arguments": "{} {}"}',
  '{"name": "f", "arguments": "{}x"}',
  '{"name": "f", "arguments": "{\\"a\\": 1"}',
  '{"name": "f", "arguments": "{\\"a\\": \\"\\ud83e',
  '{"name": "f", "arguments": "{a}"}',
  '{"name": "f", "arguments": {}} {}',
  '{"name": "f", "arguments": {}}]',
  '{"name": "f", "arguments": {}, "name": "g"}',
  '{"name": "f", "arguments": {"a": 1}, "arguments": {}}',
  '{"name": "f", "arguments": {"a": 1,',
  '{"name": "f", "arguments": {"a',
  '{"name": "f", "arguments": {',
  '{"name": "f", "arguments": {"a": \'b\'}}',
  '{"name": "f"; "arguments": {}}',
  `{"name": "f", "arguments": ${'{"a":'.repeat(200_000)}`,
])
  test(`finds no call in ${broken.slice(0, 60)}`, () => assert.is(parseToolCall(broken), null));

test("nothing is told before the name is known and the arguments have begun; their last brace comes with the whole", () => {
  const reader = new ToolCallReader();
  const step = (text: string): [string | undefined, string] => {
    reader.push(text);
    const name = reader.begunName;
    return [name, name === undefined ? "" : reader.takeArguments()];
  };
  assert.equal(step('{"arguments": {'), [undefined, ""]);
  assert.equal(step('"a": 1'), [undefined, ""]);
  assert.equal(step('}, "name": "f'), [undefined, ""]);
  assert.equal(step('"'), ["f", '{"a": 1']);
  assert.equal(step("}"), ["f", ""]);
  assert.ok(reader.isComplete);
  assert.equal(reader.end(), { name: "f", arguments: '{"a": 1}' });

  const encoded = new ToolCallReader();
  encoded.push('{"name": "f", "arguments": "{');
  assert.is(encoded.begunName, undefined);
  encoded.push('\\"a\\": \\"\\ud83e');
  assert.equal([encoded.begunName, encoded.takeArguments()], ["f", '{"a": "']);
  encoded.push('\\uddea\\"}');
  assert.is(encoded.takeArguments(), '🧪"');
  encoded.push('"}');
  assert.is(encoded.takeArguments(), "");
  assert.equal(encoded.end(), { name: "f", arguments: '{"a": "🧪"}' });
});

test("a tag is text inside of a string, unless a bare line break stands before it", () => {
  const reader = new ToolCallReader();
  assert.not(reader.isInString);
  reader.push('{"na');
  assert.ok(reader.isInString);
  reader.push('me": "f", "arguments": {"a": "x');
  assert.ok(reader.isInString);
  reader.push("\n");
  assert.not(reader.isInString);
  reader.push("y");
  assert.ok(reader.isInString);
});

test.run();
