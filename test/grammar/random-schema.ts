/** Random schemas of everything that is enforced, some of which nothing fulfils. */
import fc from "fast-check";

const names = ["a", "b", "ab", "name", "é", 'q"'];
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const bound = fc.oneof(fc.integer({ min: -150, max: 150 }), fc.constantFrom(0.5, -0.25, 12.75, 1e-7, 0.1, 99.9));

const string = fc.record({
  type: fc.constant("string"),
  minLength: optional(fc.integer({ min: 0, max: 4 })),
  maxLength: optional(fc.integer({ min: 2, max: 12 })),
  pattern: optional(fc.constantFrom("^[a-d]*$", "x", "^\\S+$", "^(?:ab|c){1,4}", "[0-9]{2}$", "^\\p{L}*$", '^[^\\n"]*$')),
});
const formatted = fc.record({
  type: fc.constant("string"),
  format: fc.constantFrom("date", "time", "date-time", "uuid", "email", "ipv4", "uri"),
});
const number = fc.record({
  type: fc.constantFrom("integer", "number"),
  minimum: optional(bound),
  exclusiveMinimum: optional(bound),
  maximum: optional(bound),
  exclusiveMaximum: optional(bound),
  multipleOf: optional(fc.constantFrom(1, 3, 10)),
});
const values = fc.record({
  enum: fc.array(fc.constantFrom<unknown>(null, true, 1, 1.5, -20, "a", "ab", "é\n", [1, "x"], { a: [], b: { c: 1 } }), {
    minLength: 1,
    maxLength: 4,
  }),
});
const bare = fc.constantFrom<unknown>(
  true,
  {},
  { type: "boolean" },
  { type: "null" },
  { type: ["integer", "null"] },
  { $ref: "#/$defs/leaf" },
);

const { node } = fc.letrec<{ node: unknown; object: unknown; array: unknown; mixed: unknown }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    bare,
    string,
    formatted,
    number,
    values,
    tie("object"),
    tie("array"),
    tie("mixed"),
  ),
  object: fc.record({
    type: fc.constant("object"),
    properties: fc.dictionary(fc.constantFrom(...names), tie("node"), { maxKeys: 4 }),
    required: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 2 }),
    additionalProperties: optional(fc.oneof(fc.constant(false), fc.constant(false), tie("node"))),
    patternProperties: optional(fc.dictionary(fc.constantFrom("^a", "b$", "^[a-z]{1,3}$"), tie("node"), { maxKeys: 2 })),
    maxProperties: optional(fc.integer({ min: 1, max: 4 })),
    minProperties: optional(fc.constant(1)),
  }),
  array: fc.record({
    type: fc.constant("array"),
    items: optional(tie("node")),
    prefixItems: optional(fc.array(tie("node"), { minLength: 1, maxLength: 2 })),
    minItems: optional(fc.integer({ min: 0, max: 2 })),
    maxItems: optional(fc.integer({ min: 1, max: 4 })),
  }),
  mixed: fc.oneof(
    fc.record({ anyOf: fc.array(tie("node"), { minLength: 1, maxLength: 3 }) }),
    fc.record({ allOf: fc.array(tie("node"), { minLength: 1, maxLength: 2 }) }),
    fc.tuple(tie("node"), tie("node")).map(([a, b]) => ({ oneOf: [a, b] })),
  ),
}));

const clean = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

export const randomSchema: fc.Arbitrary<Record<string, unknown>> = node.map((root) => {
  const schema = clean(root);
  return { ...(typeof schema === "object" ? (schema as object) : {}), $defs: { leaf: { type: "string", maxLength: 3 } } };
});
