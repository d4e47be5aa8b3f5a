/** `qwen3 rm`: a model out of the cache. */
import { formatBytes, removeModel } from "../index.ts";
import type { RemoveValues } from "./hub-commands.ts";
import { onlyId } from "./pull.ts";
import type { Streams } from "./streams.ts";
import { escapeControls } from "./terminal.ts";

export async function remove(values: RemoveValues, positionals: readonly string[], { stdout, stderr }: Streams): Promise<void> {
  const id = onlyId(positionals);
  const freedBytes = await removeModel(id);
  if (values.json) stdout.write(`${JSON.stringify({ id, freedBytes })}\n`);
  else if (!values.quiet) stderr.write(`${escapeControls(id)} is removed; ${formatBytes(freedBytes)} are free now.\n`);
}
