/** One file from the hub into the cache. It takes its name only when its size and its hash are what the hub announced. */
import { Qwen3Error } from "../core/errors.ts";
import { WHOLE_FILE_BYTES } from "../formats/http.ts";
import type { HttpFile } from "../formats/http-file.ts";
import { reading } from "../formats/range.ts";
import type { HubBlob, PartialBlob } from "./cache.ts";
import { newDigest } from "./digest.ts";
import { orderedRanges } from "./ordered-ranges.ts";

export interface DownloadOptions {
  readonly connections?: number | undefined;
  readonly rangeBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the file that are here, from the beginning on: falls where the file has to be begun anew. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

const CONNECTIONS = 4;
const RANGE_BYTES = 8 * 1024 * 1024;

/**
 * Goes on behind what `partial` holds, and makes a blob of it.
 *
 * @throws Qwen3Error HUB_FILE where the content is not what the hub announced, also when fetched anew; SOURCE_READ, STORAGE_FULL
 */
export async function downloadBlob(
  file: HttpFile,
  blob: HubBlob,
  partial: PartialBlob,
  options: DownloadOptions = {},
): Promise<void> {
  if (partial.length > blob.size) await partial.discard();
  for (const isLastTry of [false, true]) {
    const hex = await fill(file, blob, partial, options);
    if (hex === blob.etag) return partial.commit();
    await partial.discard(); // the bytes from before may be at fault, or what came on the way
    if (isLastTry)
      throw new Qwen3Error(
        "HUB_FILE",
        `${file.name}: the hash of what was sent is ${hex}; the hub announced ${blob.etag}. It was not kept`,
      );
  }
}

/** The hash of all bytes, once they are there. */
async function fill(file: HttpFile, blob: HubBlob, partial: PartialBlob, options: DownloadOptions): Promise<string> {
  const { size } = blob;
  const { signal, onBytes, connections = CONNECTIONS, rangeBytes = RANGE_BYTES } = options;
  const digest = await newDigest(blob);
  for await (const bytes of partial.read()) {
    signal?.throwIfAborted();
    digest.update(bytes);
  }
  onBytes?.(partial.length);
  const ranges = { connections, rangeBytes, size, fromWhole: size <= WHOLE_FILE_BYTES, signal };
  await reading(file.name, signal, async () => {
    for await (const bytes of orderedRanges(file, partial.length, size, ranges)) {
      await partial.append(bytes);
      digest.update(bytes);
      onBytes?.(partial.length);
    }
  });
  return digest.hex();
}
