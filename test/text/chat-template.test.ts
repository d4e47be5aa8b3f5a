import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ChatMessage, Tool } from "../../src/text/messages.ts";
import type { ChatTemplateOptions } from "../../src/text/tokenizer.ts";
import { goldenLines } from "../paths.ts";
import { assertRefused, nanoTokenizer, qwen3Tokenizer } from "./tokenizers.ts";

interface GoldenChat {
  messages: ChatMessage[];
  tools: Tool[] | null;
  add_generation_prompt: boolean;
  prompt: string;
}

const nano = await nanoTokenizer();
const qwen3 = await qwen3Tokenizer();
const hello: ChatMessage = { role: "user", content: "Hello" };

/** What a template renders of one user message that says Hello. */
const render = (chatTemplate: string, options: ChatTemplateOptions = {}): string =>
  nano.applyChatTemplate([hello], { ...options, chatTemplate });

test("renders the golden conversations as Qwen3-4B-Instruct-2507's template does", () => {
  const golden = goldenLines<GoldenChat>("text", "chat.jsonl");
  assert.is(golden.length, 200);
  for (const { messages, tools, add_generation_prompt, prompt } of golden) {
    const options = { addGenerationPrompt: add_generation_prompt, ...(tools ? { tools } : {}) };
    assert.is(nano.applyChatTemplate(messages, options), prompt);
  }
});

test("the hybrid template shows reasoning after the last question only, and thinks or not as it is told", () => {
  const history: ChatMessage[] = [
    hello,
    { role: "assistant", content: "<think>\nold\n</think>\n\n  Hi." },
    { role: "user", content: "Weather?" },
    { role: "assistant", content: "", reasoning_content: "\nlook\n", tool_calls: [{ name: "w", arguments: { at: "x" } }] },
    { role: "tool", content: "sun" },
  ];
  // By transformers 5.23.
  assert.is(
    qwen3.applyChatTemplate(history, { addGenerationPrompt: true, kwargs: { enable_thinking: false } }),
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n  Hi.<|im_end|>\n<|im_start|>user\nWeather?<|im_end|>\n" +
      '<|im_start|>assistant\n<think>\nlook\n</think>\n\n<tool_call>\n{"name": "w", "arguments": {"at": "x"}}\n</tool_call><|im_end|>\n' +
      "<|im_start|>user\n<tool_response>\nsun\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
  );
});

const expressions: readonly (readonly [expression: string, rendered: string])[] = [
  // Methods of strings, as Python has them. The arguments of strip are characters, not a default set.
  ["' \\n x \\n '.strip('\\n')", " \n x \n "],
  ["'\\n\\n x \\n'.strip('\\n')", " x "],
  ["'xxaxx'.lstrip('x') ~ '|' ~ 'xxaxx'.rstrip('x') ~ '|' ~ 'xyaxy'.strip('yx')", "axx|xxa|a"],
  ["'\\x1f\\x85 a\\u3000'.strip() ~ '|' ~ '\\ufeffa'.strip()", "a|\ufeffa"],
  ["' a b '.lstrip() ~ '|' ~ ' a b '.rstrip() ~ '|' ~ ' a b ' | trim", "a b | a b|a b"],
  ["'a,b,,c'.split(',') | join('|')", "a|b||c"],
  ["'a,b,c'.split(',', 1) | join('|')", "a|b,c"],
  ["'a,b,c'.split(sep=',', maxsplit=1)[-1]", "b,c"],
  ["'a,b,c'.split(',', maxsplit=-1) | length", "3"],
  ["'  a  b c '.split() | join('|')", "a|b|c"],
  ["'  a  b c '.split(none, 1) | join('|')", "a|b c "],
  [
    "'aXbXc'.replace('X', '--') ~ '|' ~ 'aXbXc'.replace('X', '', 1) ~ '|' ~ 'aXbXc'.replace('X', '', count=1)",
    "a--b--c|abXc|abXc",
  ],
  ["'ab'.replace('', '-') ~ '|' ~ 'ab'.replace('', '-', 2) ~ '|' ~ ('ab' | replace('a', 'c'))", "-a-b-|-a-b|cb"],
  ["'abc'.startswith('ab') and 'abc'.endswith(('x', 'bc')) and not 'abc'.endswith('ab')", "True"],
  ["'aBc'.upper() ~ 'aBc'.lower() ~ ('aBc' | upper) ~ ('aBc' | lower)", "ABCabcABCabc"],
  [
    "'hELLO wORLD'.capitalize() ~ '|' ~ 'hELLO they\\'re'.title() ~ '|' ~ ('x y' | title) ~ ('xY' | capitalize) ~ ''.title()",
    "Hello world|Hello They'Re|X YXy",
  ],
  // JSON as json.dumps writes it.
  ["{'a': [1, 2.5, true, none, 'x'], 'b': {}} | tojson", '{"a": [1, 2.5, true, null, "x"], "b": {}}'],
  ["['\\u00e9\\u2028<>&\\'\"\\\\', '\\n\\t\\b\\f\\r'] | tojson", '["\u00e9\u2028<>&\'\\"\\\\", "\\n\\t\\b\\f\\r"]'],
  ["{'a': 1} | tojson(indent=2)", '{\n  "a": 1\n}'],
  ["none | tojson", "null"],
  // What templates find in their environment.
  [
    "range(3) | join ~ '|' ~ (range(1, 7, 2) | join) ~ '|' ~ (range(2, 0, -1) | join) ~ '|' ~ (range(5, 2) | join)",
    "012|135|21|",
  ],
  [
    "[True, False, None is none, true, false, tools is none, documents is none] | tojson",
    "[true, false, true, true, false, true, true]",
  ],
  ["strftime_now('%Y-%m-%d %H:%M:%S %B %b %A %a %y %I%p %e %%')", "2025-07-04 09:05:03 July Jul Friday Fri 25 09AM  4 %"],
  ["eos_token ~ pad_token ~ (bos_token is defined)", "<|im_end|><|endoftext|>False"],
];

/** A string of characters inside and outside of the basic plane, and what Python 3.12 and Jinja 3.1 make of it (except `.length`, which they do not know). */
const characterExpressions: readonly (readonly [expression: string, rendered: string])[] = [
  ["x | length", "4"],
  ["x | count", "4"],
  ["x.length ~ ([1, 2] | length) ~ [1, 2].length ~ ({'length': 7}).length ~ ({'a': 1} | count)", "42271"],
  ["x[0] ~ '|' ~ x[-1] ~ '|' ~ x[1] ~ '|' ~ (x[4] is defined)", "\u{1f600}|\u{1f31e}|a|False"],
  [
    "x[:1] ~ '|' ~ x[1:3] ~ '|' ~ x[-1:] ~ '|' ~ x[3:1] ~ '|' ~ x[-9:9]",
    "\u{1f600}|a\u00e9|\u{1f31e}||\u{1f600}a\u00e9\u{1f31e}",
  ],
  [
    "x[::-1] ~ '|' ~ x[::2] ~ '|' ~ x[2:0:-1] ~ '|' ~ x[1::9] ~ '|' ~ x[none:1]",
    "\u{1f31e}\u00e9a\u{1f600}|\u{1f600}\u00e9|\u00e9a|a|\u{1f600}",
  ],
  ["'hello'[1] ~ 'hello'[-4:-1] ~ 'hello'[::-2] ~ 'hello'[3:1] ~ ('hello'[9:] | length)", "eellolh0"],
  ["x | join('-')", "\u{1f600}-a-\u00e9-\u{1f31e}"],
  ["x['no'] is defined or x[x] is defined", "False"],
  ["[1, 2, 3][1] ~ [1, 2, 3][::2]", "2[1, 3]"],
];

for (const [expression, rendered] of characterExpressions) {
  test(`characters are code points in ${expression}`, () => {
    const kwargs = { x: "\u{1f600}a\u00e9\u{1f31e}" };
    assert.is(render(`{{ ${expression} }}`, { kwargs }), rendered);
    assert.equal(nano.encodeChat([hello], { chatTemplate: `{{ ${expression} }}`, kwargs }), nano.encode(rendered));
  });
}

test("a template can find the end of a text by its length", () => {
  const chatTemplate =
    "{% set tag = '</tool_response>' %}{% set start = (messages[0].content | length) - (tag | length) %}" +
    "{{ messages[0].content[start:] == tag }}{{ messages[0].content[:3] }}";
  const messages: ChatMessage[] = [{ role: "user", content: "a\u{1f31e}b</tool_response>" }];
  assert.is(nano.applyChatTemplate(messages, { chatTemplate }), "Truea\u{1f31e}b");
});

/** By Python 3.12, with json.dumps and Jinja 3.1. */
const valueExpressions: readonly (readonly [expression: string, rendered: string])[] = [
  ["{'b': [1, {}], 'a': []} | tojson(indent=2)", '{\n  "b": [\n    1,\n    {}\n  ],\n  "a": []\n}'],
  ["[1, [2]] | tojson(indent='--')", "[\n--1,\n--[\n----2\n--]\n]"],
  ["[1] | tojson(indent=0) ~ ([1] | tojson(false, true)) ~ ([1] | tojson(indent=none))", "[\n1\n][\n 1\n][1]"],
  ["{'b': 1, 'a': [1, 2]} | tojson(separators=(',', ':'), sort_keys=true)", '{"a":[1,2],"b":1}'],
  ["{'b': 1, 'a': [1, 2]} | tojson(indent=1, separators=(' ;', '='))", '{\n "b"=1 ;\n "a"=[\n  1 ;\n  2\n ]\n}'],
  ["{'\uffff': 1, '\u{1f600}': 2, 'a': 3, '': 4} | tojson(sort_keys=true)", '{"": 4, "a": 3, "\uffff": 1, "\u{1f600}": 2}'],
  ["['\u00e9\u{1f600}\x7f\n\"'] | tojson(ensure_ascii=true)", '["\\u00e9\\ud83d\\ude00\\u007f\\n\\""]'],
  ["'\u00e9' | tojson(true) ~ ('\u00e9' | tojson(ensure_ascii=false))", '"\\u00e9""\u00e9"'],
  ["[1.0, 0.00001, 1, 7 / 2, -0.0, 1000000000000000000000000 / 100] | tojson", "[1.0, 1e-05, 1, 3.5, -0.0, 1e+22]"],
  ["4 / 2", "2.0"],
  ["true ~ none ~ nothing ~ 1 ~ 2.0 ~ 'x'", "TrueNone12.0x"],
  ["none", "None"],
  ["nothing", ""],
  ["nothing | length ~ (nothing | join)", "0"],
  ["(none | string) == 'None' and (1 | string) in '12' and ['a'] | string == \"['a']\"", "True"],
  ["['a', 1, 2.5, true, none, nothing, [], {}]", "['a', 1, 2.5, True, None, Undefined, [], {}]"],
  ["{'k': ['v', {'n': none}]}", "{'k': ['v', {'n': None}]}"],
  ["(1, 'a')", "(1, 'a')"],
  ["['it\\'s', 'say \"hi\"', 'it\\'s \"both\"']", `["it's", 'say "hi"', 'it\\'s "both"']`],
  [
    "['\\\\\n\r\t\x00\x7f\u00a0\u200b\u{e0001} \u00e9\u{1f600}']",
    "['\\\\\\n\\r\\t\\x00\\x7f\\xa0\\u200b\\U000e0001 \u00e9\u{1f600}']",
  ],
  ["[true, none, 1.0, 'a', ['b']] | join(', ')", "True, None, 1.0, a, ['b']"],
  ["[{'n': 1}, {'n': none}, {}] | join('|', attribute='n')", "1|None|"],
  ["{'a': 1, 'b': 2} | join", "ab"],
  ["none | upper ~ (true | lower) ~ ([1] | trim)", "NONEtrue[1]"],
];

for (const [expression, rendered] of valueExpressions) {
  test(`writes values as Python does: ${JSON.stringify(expression)}`, () => {
    assert.is(render(`{{ ${expression} }}`), rendered);
    assert.equal(nano.encodeChat([hello], { chatTemplate: `{{ ${expression} }}` }), nano.encode(rendered));
  });
}

test("values are text in every kind of block", () => {
  const blocks =
    "{% macro m(x) %}{{ x }}{% endmacro %}{% set s %}{{ none }}{% endset %}{{ m(true) }}{{ s }}" +
    "{% for x in [true] %}{{ x }}{% endfor %}{% for x in [] %}{% else %}{{ false }}{% endfor %}" +
    "{% if true %}{{ [none] }}{% endif %}{% if false %}{% else %}{{ ('a', 1) }}{% endif %}{% filter upper %}{{ true }}{% endfilter %}";
  assert.is(render(blocks), "TrueNoneTrueFalse[None]('a', 1)TRUE");
});

const now = new Date(2025, 6, 4, 9, 5, 3);

for (const [expression, rendered] of expressions) {
  test(`renders ${expression}`, () => assert.is(render(`{{ ${expression} }}`, { now }), rendered));
}

test("numbers are written as Python writes them", () => {
  const numbers = { a: 0.00001, b: 1.5e-7, c: 0.0001, d: 1e21, e: -2.5e-10, f: 0.1, g: 123456789012, h: -0.00012 };
  assert.is(
    render("{{ numbers | tojson }}", { kwargs: { numbers } }),
    '{"a": 1e-05, "b": 1.5e-07, "c": 0.0001, "d": 1e+21, "e": -2.5e-10, "f": 0.1, "g": 123456789012, "h": -0.00012}',
  );
});

test("the afternoon has its own hours", () => {
  assert.is(render("{{ strftime_now('%I%p') }}", { now: new Date(2025, 0, 1, 12) }), "12PM");
  assert.is(render("{{ strftime_now('%I%p') }}", { now: new Date(2025, 0, 1, 0) }), "12AM");
  assert.match(render("{{ strftime_now('%Y') }}"), /^20\d\d$/);
});

test("line breaks after tags and spaces before them are dropped, as transformers has it", () => {
  assert.is(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n\n"), "a\n  b\nc\n");
});

test("kwargs are variables of the template", () => {
  assert.is(render("{{ mode ~ messages[0].content ~ (x.y | tojson) }}", { kwargs: { mode: "no", x: { y: [1] } } }), "noHello[1]");
  assert.is(render("{{ eos_token }}", { kwargs: { eos_token: "mine" } }), "mine");
  assertRefused(() => render("", { kwargs: { messages: [] } }), "ARGUMENT", /kwargs.messages: templates already know another/);
  assertRefused(() => render("", { kwargs: { range: 1 } }), "ARGUMENT", /kwargs.range/);
  assertRefused(() => render("", { kwargs: { f: () => 1 } }), "ARGUMENT", /kwargs.f is a function/);
  assertRefused(() => render("", { kwargs: [] as never }), "ARGUMENT", /kwargs is an array/);
  assertRefused(() => render("", { kwargs: { "str.strip": 1 } }), "CHAT_TEMPLATE", /already declared/);
});

test("a developer is a system to templates that do not know the role", () => {
  const messages: ChatMessage[] = [{ role: "developer", content: "Be brief." }, hello];
  assert.match(nano.applyChatTemplate(messages), /^<\|im_start\|>system\nBe brief\.<\|im_end\|>/);
  const knows = "{% for m in messages %}{{ m.role if m.role == 'developer' else '' }}{% endfor %}";
  assert.is(nano.applyChatTemplate(messages, { chatTemplate: knows }), "developer");
});

test("arguments of tool calls are text to templates that ask, and objects to others", () => {
  const call = (args: string): ChatMessage[] => [
    { role: "assistant", tool_calls: [{ function: { name: "f", arguments: args } }, { name: "g", arguments: args }] },
  ];
  const show = (chatTemplate: string, args: string): string => nano.applyChatTemplate(call(args), { chatTemplate });
  const each = (body: string): string => `{% for c in messages[0].tool_calls %}{% set f = c.function or c %}${body};{% endfor %}`;
  const json = each("{{ f.arguments | tojson }}");
  const items = each("{% for k, v in f.arguments | items %}{{ k }}={{ v }} {% endfor %}");
  assert.is(show(json, '{"a":[1,"x"]}'), '{"a": [1, "x"]};{"a": [1, "x"]};');
  assert.is(show(items, '{"a":1,"b":null}'), "a=1 b=None ;a=1 b=None ;");
  // What is no object stays what it is.
  assert.is(show(json, "[1]"), '"[1]";"[1]";');
  assert.is(show(json, "{a"), '"{a";"{a";');
  assert.is(
    show(json, `${'{"a":'.repeat(200)}1${"}".repeat(200)}`),
    `${JSON.stringify(`${'{"a":'.repeat(200)}1${"}".repeat(200)}`)};`.repeat(2),
  );
  for (const asks of [
    "{{ f.arguments if f.arguments is string else f.arguments | tojson }}",
    "{{ f['arguments'] if f.get('arguments') is string else '' }}",
    "{% set a = f.arguments %}{% if a is not string %}{% else %}{{ a }}{% endif %}",
  ]) {
    assert.is(show(each(asks), '{"a":1}'), '{"a":1};{"a":1};');
  }
});

test("a template that fails or refuses says so", () => {
  assertRefused(
    () => render("{{ raise_exception('No tools, please.') }}"),
    "CHAT_TEMPLATE",
    /refuses the conversation: No tools, please\./,
  );
  assertRefused(() => render("{% if %}"), "CHAT_TEMPLATE", /cannot be read/);
  assertRefused(() => render("{{ 1 + nothing }}"), "CHAT_TEMPLATE", /fails/);
  assertRefused(() => render("{{ messages[0].nothing.strip() }}"), "CHAT_TEMPLATE", /not a string/);
  assertRefused(() => render("{{ 'a'.split('') }}"), "CHAT_TEMPLATE", /empty separator/);
  assertRefused(() => render("{{ 'a'.split('a', 'b') }}"), "CHAT_TEMPLATE", /not an integer/);
  assertRefused(() => render("{{ strftime_now('%Q') }}"), "CHAT_TEMPLATE", /directive "%Q"/);
  assertRefused(() => render("{{ range | tojson }}"), "CHAT_TEMPLATE", /JSON cannot write/);
  assertRefused(() => render("{{ range }}"), "CHAT_TEMPLATE", /function cannot be written/);
  assertRefused(() => render("{{ 5 | length }}"), "CHAT_TEMPLATE", /the filter length was given/);
  assertRefused(() => render("{{ 'a'[::0] }}"), "CHAT_TEMPLATE", /step of zero/);
  assertRefused(() => render("{{ 'a'['b':] }}"), "CHAT_TEMPLATE", /bound that is not an integer/);
  assertRefused(() => render("{{ [1] | tojson(indent=1.5) }}"), "CHAT_TEMPLATE", /indent/);
  assertRefused(() => render("{{ [1] | tojson(separators=',') }}"), "CHAT_TEMPLATE", /not two strings/);
});

test("templates run within bounds", () => {
  assertRefused(() => render("{{ range(10000000) | length }}"), "CHAT_TEMPLATE", /at most 1000000/);
  assertRefused(() => render("{{ range(0, 1, 0) | length }}"), "CHAT_TEMPLATE", /at most 1000000/);
  const doubled = (what: string, start: string) =>
    `{% set ns = namespace(x=${start}) %}{% for i in range(64) %}{% set ns.x = ns.x ${what} ns.x %}{% endfor %}`;
  assertRefused(() => render(doubled("~", "'ab'")), "CHAT_TEMPLATE", /a string longer than/);
  assertRefused(() => render(doubled("+", "[1, 2]")), "CHAT_TEMPLATE", /a list longer than/);
  const shared = "{% set ns = namespace(x=['a']) %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
  assertRefused(() => render(`${shared}{{ ns.x }}`), "CHAT_TEMPLATE", /a string longer than/);
  assertRefused(() => render(`${shared}{{ ns.x | tojson }}`), "CHAT_TEMPLATE", /a string longer than/);
  assertRefused(() => render("{{ [1] | tojson(indent=100000000) }}"), "CHAT_TEMPLATE", /up to 1000/);
  const nested = "(".repeat(100_000) + ")".repeat(100_000);
  assertRefused(() => render(`{{ ${nested} }}`), "CHAT_TEMPLATE", /cannot be read/);
  assertRefused(() => render("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"), "CHAT_TEMPLATE", /fails/);
});

test("a loop in a loop in a loop ends", () => {
  const loops = "{% for a in r %}{% for b in r %}{% for c in r %}{% endfor %}{% endfor %}{% endfor %}";
  assertRefused(() => render(`{% set r = range(1000000) %}${loops}`), "CHAT_TEMPLATE", /more than 10000000 steps/);
});

test("a prompt can end with the opening of an answer, or go on with the last message", () => {
  const messages: ChatMessage[] = [hello, { role: "assistant", content: "I think \n" }];
  const before = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n";
  assert.is(nano.applyChatTemplate([hello], { addGenerationPrompt: true }), before);
  assert.is(nano.applyChatTemplate(messages, { continueFinalMessage: true }), `${before}I think \n`);
  assert.is(nano.applyChatTemplate([hello], { continueFinalMessage: true }), "<|im_start|>user\nHello");
  assert.is(nano.applyChatTemplate([hello, { role: "assistant" }], { continueFinalMessage: true }), before);
  // A template that trims leaves no space at the end.
  const trims = "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}";
  assert.is(nano.applyChatTemplate(messages, { continueFinalMessage: true, chatTemplate: trims }), "[Hello][I think");
  const both = { addGenerationPrompt: true, continueFinalMessage: true };
  assertRefused(() => nano.applyChatTemplate([hello], both), "ARGUMENT", /choose one/);
});

test("a final message that is not shown as it is cannot be continued", () => {
  const go = (chatTemplate: string, content: string) => () =>
    nano.applyChatTemplate([hello, { role: "assistant", content }], { continueFinalMessage: true, chatTemplate });
  assertRefused(go("{{ messages[0].content }}", "x"), "CHAT_TEMPLATE", /does not show the last message/);
  assertRefused(go("{{ messages[-1].content | upper }}", "x"), "CHAT_TEMPLATE", /does not show/);
  assertRefused(go("{{ messages[-1].content.replace('a', '') }}", "banana"), "CHAT_TEMPLATE", /does not show/);
  assertRefused(go("{{ messages[-1].content | length }}{{ messages[-1].content }}", "x"), "CHAT_TEMPLATE", /does not show/);
  // The hybrid template moves reasoning out of the content.
  const messages: ChatMessage[] = [hello, { role: "assistant", content: "<think>a</think>b" }];
  assertRefused(() => qwen3.applyChatTemplate(messages, { continueFinalMessage: true }), "CHAT_TEMPLATE", /does not show/);
});

test("a template whose single steps are slow meets a clock", () => {
  const { now } = performance;
  let ms = 0;
  performance.now = () => {
    ms += 1000;
    return ms;
  };
  try {
    const slow = "{% for i in range(500) %}{{ 'xy' in messages[0].content }}{% endfor %}";
    assertRefused(() => nano.applyChatTemplate([hello], { chatTemplate: slow }), "CHAT_TEMPLATE", /longer than 10 seconds/);
  } finally {
    performance.now = now;
  }
});

test("templates that are too long, or would keep the library's preprocessing busy, are refused before they are read", () => {
  const message = "{{ messages[0].content }}";
  assert.is(render(message.padStart(1 << 20, "x")).length, (1 << 20) - message.length + 5);
  assertRefused(() => render(message.padStart((1 << 20) + 1, "x")), "CHAT_TEMPLATE", /has 1048577 characters; at most 1048576/);
  for (const space of [" ", "\n", "\u3000"]) {
    assert.is(render(`a${space.repeat(2000)}${message}`), `a${space.repeat(2000)}Hello`);
    const refused = /cannot be read: it has 2001 characters of whitespace in a row at 1; at most 2000 are allowed/;
    assertRefused(() => render(`a${space.repeat(2001)}${message}`), "CHAT_TEMPLATE", refused);
  }
  assertRefused(() => render(`{%${" ".repeat(200_000)}`), "CHAT_TEMPLATE", /200000 characters of whitespace/);
});

test("a message of 4 MiB is rendered and encoded", () => {
  const content = "word ".repeat(2 ** 22 / 5);
  const prompt = nano.applyChatTemplate([{ role: "user", content }]);
  assert.ok(prompt.includes(content));
  assert.equal(nano.encodeChat([{ role: "user", content }]), nano.encode(prompt));
});

test.run();
