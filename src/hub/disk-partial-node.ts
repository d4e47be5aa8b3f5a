/**
 * A file that is being downloaded: `HASH.qwen3.incomplete` beside the blobs, written from its beginning to its end and never with a hole,
 * so that its length says where to go on. The name is not one that Hugging Face's tools write, which may download the same file at the
 * same time; whoever is ready first moves theirs into place, and both have the same bytes.
 */
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { PartialBlob, PartialOptions } from "./cache.ts";
import { writing } from "./disk-cache-node.ts";
import { takeLock } from "./disk-lock-node.ts";

const READ_BYTES = 1024 * 1024;

export const partialPath = (blob: string): string => `${blob}.qwen3.incomplete`;

export async function openPartial(blob: string, lockPath: string, options: PartialOptions): Promise<PartialBlob> {
  const path = partialPath(blob);
  await mkdir(dirname(path), { recursive: true });
  const lock = await takeLock(lockPath, options);
  try {
    const file = await open(path, "a+").then(async (created) => {
      await created.close(); // "a" would write at the end whatever the position
      return open(path, "r+");
    });
    let length = (await file.stat()).size;
    return {
      get length() {
        return length;
      },
      async *read() {
        const end = length;
        for (let at = 0; at < end; ) {
          const bytes = new Uint8Array(Math.min(READ_BYTES, end - at));
          const { bytesRead } = await file.read(bytes, 0, bytes.length, at);
          if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`);
          at += bytesRead;
          yield bytes.subarray(0, bytesRead);
        }
      },
      append: (bytes) =>
        writing(path, async () => {
          lock.check();
          for (let written = 0; written < bytes.length; )
            written += (await file.write(bytes, written, bytes.length - written, length + written)).bytesWritten;
          length += bytes.length;
        }),
      discard: () =>
        writing(path, async () => {
          await file.truncate(0);
          length = 0;
        }),
      commit: () =>
        writing(path, async () => {
          await file.sync(); // a machine that stops now must not keep the name without the bytes
          lock.check();
          await rename(path, blob);
        }),
      async close() {
        await file.close();
        if (length === 0) await rm(path, { force: true });
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}
