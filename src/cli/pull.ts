/** `qwen3 pull`: a model of the hub into the cache. */
import { formatBytes, type Pulled, pullModel } from "../index.ts";
import type { PullValues } from "./hub-commands.ts";
import { UsageError } from "./options.ts";
import { withDownloadProgress } from "./progress.ts";
import type { Streams } from "./streams.ts";
import { safeFor } from "./terminal.ts";

export async function pull(values: PullValues, positionals: readonly string[], streams: Streams): Promise<void> {
  const id = onlyId(positionals);
  const { stdout, stderr, signal } = streams;
  const { revision, include, quiet } = values;
  const begun = performance.now();
  let pulled: Pulled;
  try {
    pulled = await withDownloadProgress(streams, id, quiet, (onProgress) =>
      pullModel(id, { revision, include, onProgress, signal }),
    );
  } catch (error) {
    if (signal.aborted && !quiet) stderr.write("Stopped. What came so far is kept; the same command goes on from there.\n");
    throw error;
  }
  const { repo, commit, files, downloadedBytes } = pulled;
  const path = String(pulled.location);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (values.json) {
    stdout.write(`${JSON.stringify({ repo, commit, path, bytes, downloadedBytes, files })}\n`);
    return;
  }
  stdout.write(`${safeFor(stdout, path)}\n`);
  if (quiet) return;
  const seconds = (performance.now() - begun) / 1000;
  const count = `${files.length} ${files.length === 1 ? "file" : "files"}, ${formatBytes(bytes)}`;
  const came =
    downloadedBytes === 0 ? "all there before" : `${formatBytes(downloadedBytes)} downloaded in ${seconds.toFixed(1)} s`;
  stderr.write(`[${count}; ${came}]\n`);
}

export function onlyId(positionals: readonly string[]): string {
  const [id, second] = positionals;
  if (id === undefined) throw new UsageError("which model? owner/name is needed");
  if (second !== undefined) throw new UsageError(`${JSON.stringify(second)} is too much: one model at a time`);
  return id;
}
