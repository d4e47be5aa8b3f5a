/** `qwen3 list`: the models in the cache. */
import { type CachedModel, cachedModels, formatBytes } from "../index.ts";
import type { ListValues } from "./hub-commands.ts";
import { UsageError } from "./options.ts";
import { columnsOf, type Streams } from "./streams.ts";
import { safeFor } from "./terminal.ts";
import { displayWidth, fit } from "./width.ts";

export async function list(values: ListValues, positionals: readonly string[], { stdout, stderr }: Streams): Promise<void> {
  if (positionals.length > 0) throw new UsageError(`${JSON.stringify(positionals[0])} is too much: list takes no name`);
  const models = await cachedModels();
  if (values.json) stdout.write(`${JSON.stringify(models)}\n`);
  else if (models.length === 0) stderr.write("No models yet; qwen3 pull OWNER/NAME fetches one.\n");
  else
    for (const line of table(models))
      stdout.write(`${safeFor(stdout, stdout.isTTY ? line.slice(0, columnsOf(stdout)) : line)}\n`);
}

/** A line for each revision. */
function table(models: readonly CachedModel[]): string[] {
  const rows = models.flatMap(({ repo, bytes, revisions }) => {
    if (revisions.length === 0) return [[repo, formatBytes(bytes), "-", "nothing whole yet"]];
    return revisions.map(({ commit, refs, files }) => {
      const size = formatBytes(files.reduce((sum, { bytes }) => sum + bytes, 0));
      return [repo, size, refs.length > 0 ? refs.join(", ") : commit.slice(0, 12), weightsOf(files.map(({ path }) => path))];
    });
  });
  const all = [["MODEL", "SIZE", "REVISION", "WEIGHTS"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => displayWidth(row[column]!))));
  return all.map((row) => row.map((cell, column) => (column < 3 ? fit(cell, widths[column]!) : cell)).join("  "));
}

function weightsOf(paths: readonly string[]): string {
  const gguf = paths.filter((path) => /\.gguf$/i.test(path));
  if (paths.some((path) => path.endsWith(".safetensors"))) return "safetensors";
  return gguf.length > 0 ? gguf.join(", ") : "none";
}
