/** A folder that appears when it is whole, and what it may replace. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NewFolder } from "../../src/formats/new-folder-node.ts";
import { parseSafetensorsHeader } from "../../src/formats/safetensors.ts";
import { filesFor, indexJson } from "../../src/formats/safetensors-writer.ts";
import { bytesSource } from "../../src/formats/source.ts";
import { refused } from "./refused.ts";

const utf8 = new TextEncoder();

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "qwen3-new-folder-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("nothing has the name before all is written; then all has", () =>
  inFolder(async (parent) => {
    const path = join(parent, "deeper", "model");
    const folder = await NewFolder.begin(path, 10, false);
    assert.is(folder.path, path);
    const file = await folder.file("a");
    await file.write(utf8.encode("one "));
    await file.write(utf8.encode("two"));
    await file.close();
    await folder.writeFile("b", new Uint8Array());
    assert.not.ok(existsSync(path));
    await folder.finish();
    assert.equal((await readdir(path)).sort(), ["a", "b"]);
    assert.is(await readFile(join(path, "a"), "utf8"), "one two");
    assert.equal(await readdir(join(parent, "deeper")), ["model"], "nothing else is left");
  }));

test("what is given up leaves nothing", () =>
  inFolder(async (parent) => {
    const folder = await NewFolder.begin(join(parent, "model"), 0, false);
    await folder.writeFile("a", utf8.encode("half"));
    await folder.discard();
    assert.equal(await readdir(parent), []);
  }));

test("only a checkpoint's folder is replaced, only if that is asked for, and at the end", () =>
  inFolder(async (parent) => {
    const path = join(parent, "model");
    await mkdir(path);
    const empty = await NewFolder.begin(path, 0, false); // an empty folder is as good as none
    await empty.writeFile("config.json", utf8.encode("{}"));
    await empty.finish();
    await refused("ARGUMENT", [/model is there already; with force/], () => NewFolder.begin(path, 0, false));

    const second = await NewFolder.begin(path, 0, true);
    await second.writeFile("other", utf8.encode("x"));
    assert.equal(await readdir(path), ["config.json"], "the old one is there until the new one is whole");
    await second.finish();
    assert.equal(await readdir(path), ["other"]);
    await refused("ARGUMENT", [/holds something else/], () => NewFolder.begin(path, 0, true));

    await writeFile(join(path, "config.json"), "{}");
    await mkdir(join(path, "photos"));
    await refused("ARGUMENT", [/holds something else/], () => NewFolder.begin(path, 0, true));
    await refused("ARGUMENT", [/is no folder/], () => NewFolder.begin(join(path, "other"), 0, true));
    assert.equal(await readdir(parent), ["model"]);
  }));

test("what came there meanwhile is not replaced", () =>
  inFolder(async (parent) => {
    const path = join(parent, "model");
    const folder = await NewFolder.begin(path, 0, false);
    await mkdir(path);
    await writeFile(join(path, "mine"), "");
    await refused("ARGUMENT", [/is there already/], () => folder.finish());
    await folder.discard();
    assert.equal(await readdir(path), ["mine"]);
  }));

test("the disk is asked first", () =>
  inFolder((parent) =>
    refused("STORAGE_FULL", [/1000000000000000 bytes will be written, \d+ are free/], () =>
      NewFolder.begin(join(parent, "model"), 1e15, false),
    ),
  ));

test("tensors are dealt out to files of a size, groups whole, each with a header that reads back", async () => {
  const tensor = (name: string, byteLength: number) => ({ name, dtype: "U8", shape: [byteLength], byteLength });
  const groups = [[tensor("a.weight", 40), tensor("a.scales", 10)], [tensor("b", 60)], [tensor("c", 30)], [tensor("d", 200)]].map(
    (tensors) => ({ tensors }),
  );
  const one = filesFor(groups, 1000, { format: "mlx" });
  assert.equal(
    one.map(({ name }) => name),
    ["model.safetensors"],
  );
  const files = filesFor(groups, 100, { format: "mlx" });
  assert.equal(
    files.map(({ name, groups }) => [name, groups.flatMap(({ tensors }) => tensors.map(({ name }) => name)).join()]),
    [
      ["model-00001-of-00003.safetensors", "a.weight,a.scales"],
      ["model-00002-of-00003.safetensors", "b,c"],
      ["model-00003-of-00003.safetensors", "d"],
    ],
  );
  const bytes = Uint8Array.from([...files[1]!.header, ...new Uint8Array(90)]);
  assert.is(files[1]!.header.length % 8, 0);
  const { tensors, metadata } = await parseSafetensorsHeader(bytesSource("x.safetensors", bytes));
  assert.equal([...tensors.keys()], ["b", "c"]);
  assert.equal([...metadata], [["format", "mlx"]]);
  assert.equal(indexJson(files), {
    metadata: { total_size: 340 },
    weight_map: {
      "a.weight": "model-00001-of-00003.safetensors",
      "a.scales": "model-00001-of-00003.safetensors",
      b: "model-00002-of-00003.safetensors",
      c: "model-00002-of-00003.safetensors",
      d: "model-00003-of-00003.safetensors",
    },
  });
});

test.run();
