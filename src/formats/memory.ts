/** Byte sources that are at hand already: arrays, and the Blobs that a page gets from an input element, a drop, its storage. */
import { checkRange, reading } from "./range.ts";
import type { ByteSource, CheckpointSource } from "./source.ts";

export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  const source: ByteSource = {
    name,
    size: bytes.length,
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      checkRange(source, offset, length);
      return new Uint8Array(bytes.subarray(offset, offset + length)); // a copy, which Buffer's own slice is not
    },
  };
  return source;
}

export function blobSource(name: string, blob: Blob): ByteSource {
  const source: ByteSource = {
    name,
    size: blob.size,
    read: (offset, length, signal) =>
      reading(name, signal, async () => {
        checkRange(source, offset, length);
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      }),
  };
  return source;
}

/** A folder of such files, by file name. */
export function memoryFolder(name: string, files: Readonly<Record<string, Blob | Uint8Array>>): CheckpointSource {
  return {
    name,
    async open(file, signal) {
      signal?.throwIfAborted();
      const content = Object.hasOwn(files, file) ? files[file] : undefined;
      if (content === undefined) return undefined;
      return content instanceof Uint8Array ? bytesSource(`${name}/${file}`, content) : blobSource(`${name}/${file}`, content);
    },
    list: async () => Object.keys(files),
  };
}
