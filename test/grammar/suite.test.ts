/**
 * The cases of the JSON Schema Test Suite that npm carries (draft 4, where its keywords mean what they mean today): documents are let
 * through exactly if ajv finds them valid; a schema is compiled, or refused as something that cannot be enforced.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Qwen3Error } from "../../src/core/errors.ts";
import { root } from "../paths.ts";
import { acceptsJson, compiler, validator } from "./answers.ts";
import { formats } from "./formats.ts";

interface Group {
  readonly description: string;
  readonly schema: Record<string, unknown>;
  readonly tests: readonly { readonly description: string; readonly data: unknown }[];
}

const folder = join(root, "node_modules/json-schema-test-suite/tests/draft4");
/** Keywords that draft 4 had and 2020-12 has not, or means otherwise. */
const OTHER_MEANING = /"(?:id|dependencies|additionalItems)":|"exclusiveM(?:in|ax)imum":true|"items":\[|draft-04|"\$ref":"http/;
/** Beyond what a double holds, or written in an integer's other notations. */
const LARGE = /[0-9]{17}|e\+/;

const files = [...readdirSync(folder), ...readdirSync(join(folder, "optional")).map((name) => `optional/${name}`)].filter(
  (name) => name.endsWith(".json"),
);
let compiled = 0;
let documents = 0;
const refused: string[] = [];

for (const file of files) {
  test(file, () => {
    const groups: Group[] = JSON.parse(readFileSync(join(folder, file), "utf8"));
    for (const { schema, tests, description } of groups) {
      if (OTHER_MEANING.test(JSON.stringify(schema))) continue;
      try {
        compiler.compile({ type: "json_schema", schema });
      } catch (error) {
        if (!(error instanceof Qwen3Error) || error.code !== "GRAMMAR_UNSUPPORTED") throw error;
        refused.push(`${file}: ${description}`);
        continue;
      }
      compiled++;
      const validate = validator(schema);
      for (const { data } of tests) {
        const isValid = validate(data);
        for (const text of formats(data)) {
          if (LARGE.test(text)) continue;
          documents++;
          assert.is(acceptsJson(schema, text), isValid, `${description}: ${text} for ${JSON.stringify(schema)}`);
        }
      }
    }
  });
}

test("most of them are compiled", () => {
  assert.ok(compiled >= 50 && documents >= 600, `${compiled} schemas, ${documents} documents`);
  const others = refused.filter(
    (name) =>
      !/^(?:not|uniqueItems|dependencies|definitions|ref|refRemote|oneOf|multipleOf|enum|anyOf|allOf|minProperties|optional\/(?:format|ecmascript-regex|zeroTerminatedFloats|bignum))/.test(
        name,
      ),
  );
  assert.equal(others, []);
});

test.run();
