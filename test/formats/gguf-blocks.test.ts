/** Every block type of GGUF, dequantized, against the package `gguf` of PyPI (gguf/make.py), bit for bit. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { dequantizeRows } from "../../src/formats/decode.ts";
import { GGUF_TYPES, type GgufType } from "../../src/formats/gguf-types.ts";
import { root } from "../paths.ts";

interface Vectors {
  readonly types: Readonly<Record<GgufType, { readonly blocks: string; readonly weights: string }>>;
}

const { types } = JSON.parse(readFileSync(join(root, "test", "formats", "gguf", "vectors.json"), "utf8")) as Vectors;
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const wordsOf = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

assert.equal(Object.keys(types).sort(), Object.keys(GGUF_TYPES).sort());
for (const type of Object.keys(types) as GgufType[])
  test(`${type}: the bits of gguf-py`, () => {
    const expected = new Uint32Array(bytesOf(types[type].weights).buffer);
    for (const rows of [1, 4]) {
      const weights = dequantizeRows({ type }, [bytesOf(types[type].blocks)], rows, 1024 / rows);
      assert.is(weights.length, 1024);
      assert.equal(wordsOf(weights), expected);
    }
  });

test.run();
