/** Schemas with documents, both kinds for each: which ones are valid is ajv's to say. */

export interface SchemaCase {
  readonly name: string;
  readonly schema: unknown;
  readonly documents: readonly unknown[];
}

export const SCHEMA_CASES: readonly SchemaCase[] = [
  { name: "anything", schema: {}, documents: [null, 1, "a", [], {}, { a: [1, { b: null }] }, -0.5] },
  { name: "types", schema: { type: ["string", "null"] }, documents: ["a", "", null, 1, true, [], {}] },
  { name: "booleans", schema: { type: "boolean" }, documents: [true, false, null, 0, "true"] },
  { name: "integers", schema: { type: "integer" }, documents: [0, -1, 12345678901, 1.5, "1"] },
  { name: "numbers", schema: { type: "number" }, documents: [0, -1.25, 1e-7, 1e21, 123456.789, "1", null] },
  {
    name: "integer bounds",
    schema: { type: "integer", minimum: -3, exclusiveMaximum: 120 },
    documents: [-4, -3, -2, -1, 0, 9, 10, 99, 100, 119, 120, 121, 1200],
  },
  {
    name: "number bounds",
    schema: { type: "number", exclusiveMinimum: 0.1, maximum: 12.5 },
    documents: [0.1, 0.10000000000000002, 0.2, 1, 9.99, 12.5, 12.500001, 13, 1e-7, 1.2e1, -5, 0, 100],
  },
  {
    name: "negative bounds",
    schema: { type: "number", minimum: -2.5, maximum: -1e-7 },
    documents: [-2.5, -2.4999, -2.5001, -1, -1e-7, -1e-8, -2e-7, 0, 1, -30],
  },
  {
    name: "tiny and large bounds",
    schema: { minimum: 1e-9, maximum: 1e22 },
    documents: [1e-9, 1e-10, 2e-9, 1e22, 1.1e22, 5, 0, -1, "x"],
  },
  {
    name: "safe integers",
    schema: { type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 },
    documents: [9007199254740991, -9007199254740991, 0, 9007199254740994],
  },
  { name: "one number", schema: { type: "number", minimum: 2, maximum: 2 }, documents: [2, 1.9999, 2.0001, 20] },
  { name: "multiples", schema: { type: "integer", multipleOf: 7, minimum: 10 }, documents: [7, 14, 21, 22, 700, 701, 0, -7] },
  {
    name: "two multiples",
    schema: { allOf: [{ multipleOf: 4 }, { multipleOf: 6 }], type: "number" },
    documents: [12, 24, 6, 4, 0, -36],
  },
  {
    name: "lengths in code points",
    schema: { type: "string", minLength: 2, maxLength: 3 },
    documents: [
      "",
      "a",
      "ab",
      "abc",
      "abcd",
      "\u{1f600}",
      "\u{1f600}\u{1f600}",
      "\u{1f600}\u{1f600}\u{1f600}\u{1f600}",
      "\u6f22\u5b57\n",
      '"\\',
      "é",
    ],
  },
  {
    name: "long strings",
    schema: { type: "string", maxLength: 40 },
    documents: ["x".repeat(40), "x".repeat(41), "é".repeat(40), "é".repeat(41)],
  },
  {
    name: "patterns",
    schema: { type: "string", pattern: "^[a-c]+-[0-9]{2,3}$" },
    documents: ["a-12", "abc-123", "d-12", "a-1", "a-1234", "a-12 "],
  },
  { name: "patterns anywhere", schema: { type: "string", pattern: "b+c" }, documents: ["bc", "xxbbcyy", "b", "cb", ""] },
  {
    name: "patterns over escapes",
    schema: { type: "string", pattern: '^["\\\\\\n\u00e9\u{1f600}]*$' },
    documents: ['"', "\\", "\n", "é\u{1f600}", "a", "\t"],
  },
  {
    name: "pattern and lengths",
    schema: { pattern: "^a*$", minLength: 2, maxLength: 4 },
    documents: ["a", "aa", "aaaa", "aaaaa", "ab", 5, null],
  },
  {
    name: "two patterns",
    schema: { type: "string", allOf: [{ pattern: "^a" }, { pattern: "z$" }] },
    documents: ["az", "a z", "a", "z", "zaz"],
  },
  {
    name: "enum",
    schema: { enum: ["red", "green", 1, 1.5, null, true, [1, 2], { a: "b" }] },
    documents: ["red", "gree", "greens", 1, 1.5, 2, null, true, false, [1, 2], [1], { a: "b" }, { a: "c" }, {}],
  },
  {
    name: "const",
    schema: { const: { kind: "x", list: [1, { y: [] }] } },
    documents: [{ kind: "x", list: [1, { y: [] }] }, { list: [1, { y: [] }], kind: "x" }, { kind: "x" }, 1],
  },
  {
    name: "enum within bounds",
    schema: { enum: [1, 5, 10, "a", "abc"], minimum: 4, maxLength: 2 },
    documents: [1, 5, 10, "a", "abc"],
  },
  {
    name: "an object",
    schema: {
      type: "object",
      properties: { name: { type: "string" }, age: { type: "integer" } },
      required: ["name"],
      additionalProperties: false,
    },
    documents: [
      { name: "a" },
      { name: "a", age: 1 },
      { age: 1, name: "a" },
      { age: 1 },
      {},
      { name: "a", other: 1 },
      { name: 1 },
    ],
  },
  {
    name: "names that begin alike",
    schema: {
      type: "object",
      properties: { a: { const: 1 }, ab: { const: 2 }, "": { const: 3 }, 'a"': { const: 4 }, é: { const: 5 } },
      additionalProperties: { type: "null" },
    },
    documents: [
      { a: 1 },
      { ab: 2 },
      { a: 2 },
      { ab: 1 },
      { "": 3 },
      { "": null },
      { 'a"': 4, abc: null },
      { é: 5 },
      { é: null },
      { abc: 1 },
    ],
  },
  {
    name: "any key",
    schema: { type: "object", additionalProperties: { type: "integer" } },
    documents: [{}, { x: 1 }, { x: "1" }, { x: 1, y: 2 }],
  },
  {
    name: "patternProperties",
    schema: {
      type: "object",
      patternProperties: { "^s_": { type: "string" }, _n$: { minLength: 2 } },
      properties: { s_x: { maxLength: 3 } },
      additionalProperties: false,
    },
    documents: [
      {},
      { s_a: "b" },
      { s_n: "b" },
      { s_n: "bb" },
      { s_x: "abc" },
      { s_x: "abcd" },
      { s_x: 1 },
      { a_n: 1 },
      { a_n: "a" },
      { other: 1 },
    ],
  },
  {
    name: "required but not described",
    schema: { type: "object", required: ["a", "b"] },
    documents: [{ a: 1, b: 2 }, { b: [], a: {} }, { a: 1 }, {}],
  },
  {
    name: "counts of properties",
    schema: { type: "object", minProperties: 1, maxProperties: 2, properties: { a: {}, b: {}, c: {} } },
    documents: [{}, { a: 1 }, { a: 1, b: 2 }, { a: 1, b: 2, c: 3 }, { x: 1, y: 2, z: 3 }],
  },
  {
    name: "at least two of the known",
    schema: { type: "object", minProperties: 2, properties: { a: {}, b: {}, c: {} }, additionalProperties: false },
    documents: [{ a: 1 }, { a: 1, c: 2 }, { a: 1, b: 2, c: 3 }, {}],
  },
  {
    name: "room for what is required",
    schema: { type: "object", maxProperties: 2, required: ["z"], properties: { a: {}, b: {} } },
    documents: [{ z: 1 }, { a: 1, z: 2 }, { a: 1, b: 2 }, { a: 1, b: 1, z: 1 }],
  },
  {
    name: "arrays",
    schema: { type: "array", items: { type: "integer" }, minItems: 1, maxItems: 3 },
    documents: [[], [1], [1, 2, 3], [1, 2, 3, 4], ["a"], [1, "a"]],
  },
  {
    name: "tuples",
    schema: { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }], items: false, minItems: 1 },
    documents: [["a"], ["a", 1], ["a", "b"], ["a", 1, 2], []],
  },
  {
    name: "tuples with a rest",
    schema: { prefixItems: [{ type: "string" }], items: { type: "null" } },
    documents: [[], ["a"], ["a", null, null], ["a", 1], "x", 5],
  },
  { name: "items that nothing can be", schema: { type: "array", prefixItems: [{}, false] }, documents: [[], [1], [1, 2]] },
  {
    name: "anyOf",
    schema: {
      anyOf: [
        { type: "string", maxLength: 2 },
        { type: "integer", minimum: 5 },
        { type: "string", pattern: "^xyz" },
      ],
    },
    documents: ["a", "abc", "xyz1", 4, 5, null],
  },
  {
    name: "numbers of two kinds",
    schema: { anyOf: [{ type: "integer", maximum: 1 }, { type: "number" }, { enum: [12, "x"] }] },
    documents: [0, 0.5, 1, 1.25, 12, 12.5, 120, "x", "y", null],
  },
  {
    name: "objects that differ late",
    schema: {
      anyOf: [
        {
          type: "object",
          properties: { kind: { const: "a" }, v: { type: "integer" } },
          required: ["kind", "v"],
          additionalProperties: false,
        },
        {
          type: "object",
          properties: { kind: { const: "b" }, v: { type: "string" } },
          required: ["kind", "v"],
          additionalProperties: false,
        },
        {
          type: "object",
          properties: { kind: { const: "b" }, w: { type: "array", items: { type: "string" } } },
          required: ["w"],
        },
      ],
    },
    documents: [
      { kind: "a", v: 1 },
      { v: 1, kind: "a" },
      { v: "x", kind: "b" },
      { kind: "b", v: 1 },
      { kind: "a", v: "x" },
      { w: ["a"] },
      { w: [1] },
      { kind: "b", v: [], w: [] },
    ],
  },
  {
    name: "oneOf that excludes",
    schema: {
      oneOf: [
        { type: "string" },
        { type: "integer" },
        { type: "object", properties: { t: { const: 1 } }, required: ["t"] },
        { type: "object", properties: { t: { const: 2 } }, required: ["t"] },
      ],
    },
    documents: ["a", 1, { t: 1 }, { t: 2, x: 1 }, { t: 3 }, {}, null],
  },
  {
    name: "allOf",
    schema: {
      allOf: [
        { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
        { properties: { a: { minimum: 3 }, b: { type: "string" } }, required: ["b"] },
      ],
    },
    documents: [{ a: 3, b: "" }, { a: 2, b: "" }, { a: 3 }, { b: "", a: 9, c: null }],
  },
  {
    name: "allOf of closed and open",
    schema: {
      allOf: [{ properties: { a: {}, b: {} }, additionalProperties: false }, { properties: { a: { type: "null" }, c: {} } }],
      type: "object",
    },
    documents: [{ a: null }, { a: 1 }, { b: 1 }, { c: 1 }, {}],
  },
  {
    name: "references",
    schema: {
      $defs: { "a/b~c": { type: "integer" }, list: { type: "array", items: { $ref: "#/$defs/a~1b~0c" } } },
      $ref: "#/$defs/list",
      maxItems: 2,
    },
    documents: [[], [1], [1, 2], [1, 2, 3], ["a"]],
  },
  {
    name: "anchors and identifiers",
    schema: {
      $id: "https://example.com/root",
      properties: { a: { $ref: "#here" }, b: { $ref: "other" }, c: { $ref: "https://example.com/other#/$defs/n" } },
      $defs: { x: { $anchor: "here", type: "string" }, y: { $id: "other", $defs: { n: { type: "null" } }, type: "integer" } },
      type: "object",
    },
    documents: [{ a: "x" }, { a: 1 }, { b: 1 }, { b: "x" }, { c: null }, { c: 1 }],
  },
  {
    name: "a tree",
    schema: {
      $ref: "#/$defs/node",
      $defs: {
        node: {
          type: "object",
          properties: { value: { type: "integer" }, children: { type: "array", items: { $ref: "#/$defs/node" } } },
          required: ["value"],
          additionalProperties: false,
        },
      },
    },
    documents: [
      { value: 1 },
      { value: 1, children: [{ value: 2, children: [{ value: 3 }] }] },
      { value: 1, children: [{}] },
      { children: [] },
    ],
  },
  {
    name: "a list that refers to the whole",
    schema: {
      anyOf: [
        { type: "null" },
        { type: "object", properties: { next: { $ref: "#" } }, required: ["next"], additionalProperties: false },
      ],
    },
    documents: [null, { next: null }, { next: { next: null } }, { next: 1 }, {}],
  },
  {
    name: "date",
    schema: { type: "string", format: "date" },
    documents: [
      "2024-02-29",
      "2023-02-29",
      "1900-02-29",
      "2000-02-29",
      "2024-04-31",
      "2024-12-31",
      "2024-13-01",
      "24-01-01",
      "x",
    ],
  },
  {
    name: "time",
    schema: { type: "string", format: "time" },
    documents: ["10:00:00Z", "23:59:60Z", "22:59:60Z", "10:00:00.123+02:00", "24:00:00Z", "10:00Z"],
  },
  {
    name: "date-time",
    schema: { type: "string", format: "date-time" },
    documents: ["2024-02-29T10:00:00Z", "2024-02-29t10:00:00.5-05:30", "2024-02-30T10:00:00Z", "2024-02-29"],
  },
  {
    name: "uuid",
    schema: { type: "string", format: "uuid" },
    documents: [
      "123e4567-e89b-12d3-a456-426614174000",
      "123e4567-e89b-12d3-a456-42661417400",
      "123E4567-E89B-12D3-A456-426614174000",
      "x",
    ],
  },
  {
    name: "email",
    schema: { type: "string", format: "email" },
    documents: ["a@example.com", "a.b+c@sub.example.org", "a@b", "@example.com", "a@example..com", "a b@example.com"],
  },
  {
    name: "ipv4",
    schema: { type: "string", format: "ipv4" },
    documents: ["127.0.0.1", "255.255.255.255", "256.0.0.1", "1.2.3", "01.2.3.4"],
  },
  {
    name: "uri",
    schema: { type: "string", format: "uri" },
    documents: [
      "https://example.com/a?b=c#d",
      "mailto:a@example.com",
      "http://u@h:80/%20",
      "//example.com",
      "no uri",
      "https://a b",
    ],
  },
  {
    name: "annotations",
    schema: {
      title: "t",
      description: "d",
      default: 1,
      examples: [1],
      $comment: "c",
      deprecated: true,
      readOnly: true,
      "x-order": 1,
      type: "integer",
    },
    documents: [1, "a"],
  },
  {
    name: "keys with escapes",
    schema: {
      type: "object",
      properties: { "a\nb": { type: "null" }, "\u{1f600}": { type: "null" } },
      additionalProperties: false,
    },
    documents: [{ "a\nb": null }, { "\u{1f600}": null }, { a: null }],
  },
  {
    name: "a key of the language",
    schema: JSON.parse('{"type":"object","properties":{"constructor":{"type":"null"}},"additionalProperties":false}'),
    documents: [JSON.parse('{"constructor":null}'), JSON.parse('{"constructor":1}'), { toString: 1 }],
  },
];
