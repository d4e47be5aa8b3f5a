/** Every broken file of the corpus ends in a typed error that says what is wrong, and reads no more than the file has. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openCheckpoint } from "../../src/formats/checkpoint.ts";
import { bytesSource } from "../../src/formats/memory.ts";
import type { CheckpointSource } from "../../src/formats/source.ts";
import { HOSTILE_GGUF, type HostileFile } from "./hostile-gguf.ts";
import { HOSTILE_SAFETENSORS, quantizedFiles } from "./hostile-safetensors.ts";
import { refused } from "./refused.ts";

/** A folder that counts the bytes asked of it. */
function counted(files: HostileFile["files"]): { folder: CheckpointSource; bytes: () => number } {
  let bytes = 0;
  const folder: CheckpointSource = {
    name: "m",
    open: async (file) => {
      const content = Object.hasOwn(files, file) ? files[file] : undefined;
      if (!content) return undefined;
      const source = bytesSource(`m/${file}`, content);
      return {
        ...source,
        read: (offset, length) => {
          bytes += length;
          return source.read(offset, length);
        },
      };
    },
    list: async () => Object.keys(files),
  };
  return { folder, bytes: () => bytes };
}

const corpus = {
  ...HOSTILE_GGUF,
  ...Object.fromEntries(Object.entries(HOSTILE_SAFETENSORS).map(([name, file]) => [`safetensors: ${name}`, file])),
};

test("the corpus has what was promised of it", () => {
  assert.ok(Object.keys(HOSTILE_GGUF).length >= 60 && Object.keys(HOSTILE_SAFETENSORS).length >= 40);
});

for (const [name, { files, code, says }] of Object.entries(corpus))
  test(`refused: ${name}`, async () => {
    const { folder, bytes } = counted(files);
    await refused(code, [says], () => openCheckpoint(folder));
    const size = Object.values(files).reduce((sum, file) => sum + file.length, 0);
    assert.ok(bytes() <= size + 16, `${bytes()} bytes of ${size} were read`); // the index of a split set, or a length, may be read again
  });

test("what the broken MLX and FP8 files were made of is right", async () => {
  for (const kind of ["mlx", "fp8"] as const) await (await openCheckpoint(counted(quantizedFiles(kind)).folder)).close();
});

test.run();
