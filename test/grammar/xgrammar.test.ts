/** The same verdicts and masks as XGrammar's, for what both read in the same way (it keeps keys in the schema's order, for one). */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nanoPath } from "../paths.ts";
import { acceptsJson, allowedIds, compiler, nano, STOP } from "./answers.ts";
import { SCHEMA_CASES } from "./schema-cases.ts";
import { loadXGrammar, type XMatcher, xgrammarCompiler } from "./xgrammar.ts";

const library = loadXGrammar();
const theirs = await xgrammarCompiler(library, join(nanoPath, "tokenizer.json"), STOP, true);
const SAME =
  "anything,types,booleans,integers,numbers,integer bounds,safe integers,one number,patterns,enum,any key,arrays,a tree,a list that refers to the whole,oneOf that excludes,uuid,annotations";

async function matcher(schema: unknown): Promise<XMatcher> {
  const compiled = await theirs.compileJSONSchema(JSON.stringify(schema), true, undefined, undefined, false);
  return library.GrammarMatcher.createGrammarMatcher(compiled);
}

test("verdicts on documents", async () => {
  let documents = 0;
  for (const { name, schema, documents: given } of SCHEMA_CASES) {
    if (!SAME.split(",").includes(name)) continue;
    for (const document of given) {
      const text = JSON.stringify(document);
      const other = await matcher(schema);
      const verdict = [...nano.encodePlain(text), STOP].every((id) => other.acceptToken(id));
      other.dispose();
      assert.is(acceptsJson(schema, text), verdict, `${name}: ${text}`);
      documents++;
    }
  }
  assert.ok(documents > 80, `${documents} documents`);
});

test("masks, token by token", async () => {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, ok: { type: "boolean" }, kind: { enum: ["red", "green"] } },
    required: ["name", "ok", "kind"],
    additionalProperties: false,
  };
  const other = await matcher(schema);
  const ours = compiler.compile({ type: "json_schema", schema }).newConstraint([STOP]);
  let [inStrings, inWords] = [0, 0];
  const said: number[] = [];
  for (const id of nano.encodePlain('{"name":"one \\" two é","ok":true,"kind":"green"}')) {
    const text = nano.decode(said);
    // Between values both have rules of their own: for white space, and for the order of keys.
    const isInString = /"name":"[^"]*$/.test(text) && !text.endsWith("\\");
    const isInWord = /(?:"ok":[a-z]+|"kind":"[a-z]*)$/.test(text);
    if (isInString || isInWord) {
      const bits = await other.getNextTokenBitmask();
      const allowed = new Set(allowedIds(ours));
      for (let token = 0; token < nano.vocabSize; token++) {
        // It may end the value, is part of a character, of which XGrammar takes bytes that no character has, or a control token.
        if (nano.isAdded(token) || /["\s,}:\ufffd]/.test(nano.decode([token]))) continue;
        const theirVerdict = ((bits[token >>> 5] ?? 0) & (1 << (token & 31))) !== 0;
        assert.is(allowed.has(token), theirVerdict, `${JSON.stringify(nano.decode([token]))} behind ${text}`);
      }
      if (isInString) inStrings++;
      else inWords++;
    }
    ours.accept(id);
    said.push(id);
    assert.ok(other.acceptToken(id));
  }
  assert.ok(inStrings >= 2 && inWords > 4, `${inStrings}, ${inWords}`);
  other.dispose();
});

test.run();
