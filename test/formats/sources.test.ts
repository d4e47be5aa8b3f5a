import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { detectHost } from "../../src/core/host.ts";
import { fileSource } from "../../src/formats/file-node.ts";
import { isFileName, readRange } from "../../src/formats/range.ts";
import { type ByteSource, blobSource, bytesSource, memoryFolder, openFolder } from "../../src/formats/source.ts";
import { refused } from "./refused.ts";

const test = suite("byte sources");
const content = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) % 256);
let folder: string;
let files: ByteSource[];

test.before(async () => {
  folder = mkdtempSync(join(tmpdir(), "qwen3 sources ü-"));
  writeFileSync(join(folder, "data.bin"), content);
  writeFileSync(join(folder, "empty.bin"), "");
  await mkdir(join(folder, "sub"));
  files = [
    bytesSource("bytes", content),
    bytesSource("buffer", Buffer.from(content)),
    blobSource("blob", new Blob([content])),
    (await fileSource(join(folder, "data.bin")))!,
    (await (await openFolder(memoryFolder("memory", { "data.bin": new Blob([content]) }))).open("data.bin"))!,
    (await (await openFolder(folder)).open("data.bin"))!,
    (await (await openFolder(pathToFileURL(folder))).open("data.bin"))!,
    (await (await openFolder(pathToFileURL(folder).href)).open("data.bin"))!,
  ];
});
test.after(async () => {
  for (const file of files) await file.close?.();
  rmSync(folder, { recursive: true });
});

test("every kind reads the same slices, the caller's to keep and change", async () => {
  for (const file of files) {
    assert.is(file.size, 1000);
    for (const [offset, length] of [
      [0, 1000],
      [0, 0],
      [1000, 0],
      [999, 1],
      [13, 500],
    ] as const) {
      const bytes = await file.read(offset, length);
      assert.is(Object.getPrototypeOf(bytes), Uint8Array.prototype, file.name);
      assert.equal(bytes, content.slice(offset, offset + length), file.name);
      bytes.fill(0);
      assert.equal(await file.read(offset, length), content.slice(offset, offset + length), file.name);
    }
  }
});

test("reads at once do not disturb each other", async () => {
  for (const file of files) {
    const slices = await Promise.all(Array.from({ length: 20 }, (_, i) => file.read(i * 50, 50)));
    assert.equal(
      slices.flatMap((slice) => [...slice]),
      [...content],
      file.name,
    );
  }
});

test("ranges that are not inside the file are refused with both numbers", async () => {
  for (const file of files)
    for (const [offset, length] of [
      [0, 1001],
      [1000, 1],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
      [Number.MAX_SAFE_INTEGER, 1],
    ] as const)
      await refused("ARGUMENT", [file.name, `${length} bytes at ${offset} are not inside its 1000 bytes`], () =>
        file.read(offset, length),
      );
});

test("an aborted signal stops every kind with its reason", async () => {
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  for (const file of files) {
    const error = await file.read(0, 1, signal).catch((thrown: unknown) => thrown);
    assert.is(error, reason, file.name);
  }
  for (const open of [
    () => openFolder(folder, signal),
    () => memoryFolder("m", {}).open("x", signal),
    () => fileSource("x", signal),
  ])
    assert.is(await open().catch((thrown: unknown) => thrown), reason);
});

test("what is not there is undefined; what is no file is an error", async () => {
  const onDisk = await openFolder(folder);
  const inMemory = memoryFolder("memory", { "data.bin": content });
  for (const place of [onDisk, inMemory]) assert.is(await place.open("other.bin"), undefined);
  assert.is(await inMemory.open("toString"), undefined);
  const empty = (await onDisk.open("empty.bin"))!;
  assert.is(empty.size, 0);
  await empty.close?.();
  await refused("SOURCE_READ", [join(folder, "sub"), "not a regular file"], () => onDisk.open("sub"));
  assert.is(await fileSource(join(folder, "data.bin", "below")), undefined, "a file is no folder");
});

test("folders on disk open plain names only", async () => {
  const onDisk = await openFolder(join(folder, "sub"));
  for (const name of ["../data.bin", "..", ".", "", "a/b", "a\\b", "C:data.bin", "a\0b", "/etc/passwd", "x".repeat(256)])
    await refused("ARGUMENT", [`is not a file's name`], () => onDisk.open(name));
  assert.ok(isFileName("model-00001-of-00003.safetensors") && isFileName("a b(1)..é"));
});

test("locations that lead nowhere say so", async () => {
  await refused("SOURCE_READ", [`${folder}/none: no such file or folder`], () => openFolder(`${folder}/none`));
  await refused("SOURCE_READ", [`${folder}/none: no such file or folder`], () => openFolder(pathToFileURL(`${folder}/none`)));
  await refused("SOURCE_READ", ["data.bin: not a folder"], () => openFolder(join(folder, "data.bin")));
  await refused("SOURCE_READ", ["file://elsewhere/a"], () => openFolder("file://elsewhere/a"));
  await refused("SOURCE_READ", ["a\0b"], () => openFolder("a\0b"));
  for (const location of [new URL("ftp://a/b"), "http://", 7, null, undefined, {}])
    await refused("ARGUMENT", ["a checkpoint is a folder's path"], () => openFolder(location as string));
  const silent = /^((?!s3cret).)*$/s;
  for (const url of ["ftp://user:s3cret@a/b?token=s3cret#s3cret", "s3://s3cret@a/b"])
    for (const location of [url, new URL(url)])
      await refused("ARGUMENT", [/got (ftp|s3):\/\/a\/b$/, silent], () => openFolder(location));
  await refused("ARGUMENT", ["got a URL that cannot be parsed", silent], () => openFolder("http://user:s3cret@:a"));
});

test("a host without files says so, and still takes URLs and sources", async () => {
  const browser = detectHost({ window: {} });
  for (const location of ["weights/nano", pathToFileURL(folder), pathToFileURL(folder).href])
    await refused("SOURCE_READ", [`${location}: no file access on this host (browser)`], () =>
      openFolder(location, undefined, browser),
    );
  assert.is((await openFolder("https://example.invalid/m", undefined, browser)).name, "https://example.invalid/m/");
  const own = memoryFolder("own", {});
  assert.is(await openFolder(own, undefined, browser), own);
});

test("a path that cannot be looked up is an error, not an absent file", async () => {
  symlinkSync("loop.bin", join(folder, "loop.bin"));
  await refused("SOURCE_READ", ["loop.bin: ELOOP"], () => fileSource(join(folder, "loop.bin")));
});

test("a file that shrank while it was open is an error, not silence", async () => {
  const path = join(folder, "shrinks.bin");
  writeFileSync(path, content);
  const file = (await fileSource(path))!;
  truncateSync(path, 500);
  await refused("SOURCE_READ", [path, "ended at byte 500; it had 1000"], () => file.read(0, 1000));
  await file.close?.();
  await refused("SOURCE_READ", [path], () => file.read(0, 1));
});

test("a caller's own source is not trusted to give what was asked for", async () => {
  const source = (read: () => unknown): ByteSource => ({ name: "own", size: 100, read: async () => read() as Uint8Array });
  await refused("SOURCE_READ", ["own: asked for 10 bytes at 0, got 9"], () =>
    readRange(
      source(() => new Uint8Array(9)),
      0,
      10,
    ),
  );
  await refused("SOURCE_READ", ["own: asked for 10 bytes at 0, got undefined"], () =>
    readRange(
      source(() => undefined),
      0,
      10,
    ),
  );
  const cause = new TypeError("disk on fire");
  await refused("SOURCE_READ", ["own: disk on fire"], () =>
    readRange(
      source(() => Promise.reject(cause)),
      0,
      10,
    ),
  );
  await refused("SOURCE_READ", ["own: 7"], () =>
    readRange(
      source(() => Promise.reject(7)),
      0,
      10,
    ),
  );
  await refused("ARGUMENT", ["101 bytes"], () =>
    readRange(
      source(() => new Uint8Array(101)),
      0,
      101,
    ),
  );
  const stop = new AbortController();
  const abortsMeanwhile = source(() => {
    stop.abort();
    return new Uint8Array(10);
  });
  const slow = readRange(abortsMeanwhile, 0, 10, stop.signal);
  assert.is(((await slow.catch((error: unknown) => error)) as Error).name, "AbortError");
});

test.run();
