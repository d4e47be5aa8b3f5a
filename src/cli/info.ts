/** `qwen3 info`. */
import { openModel } from "../hub/open-model.ts";
import { checkpointInfo } from "./checkpoint-info.ts";
import type { InfoValues } from "./commands.ts";
import { infoText } from "./info-text.ts";
import { modelLocation, toModelOptions } from "./model.ts";
import { UsageError } from "./options.ts";
import { withDownloadProgress } from "./progress.ts";
import type { Streams } from "./streams.ts";

export async function info(values: InfoValues, positionals: readonly string[], streams: Streams): Promise<void> {
  if (positionals.length > 0)
    throw new UsageError(`${JSON.stringify(positionals[0])} is too much: info takes no text; --model names a checkpoint`);
  const { stdout, signal } = streams;
  const hub = toModelOptions(values).hub;
  const checkpoint = await withDownloadProgress(streams, modelLocation(values), false, (onProgress) =>
    openModel(modelLocation(values), { hub: { ...hub, onProgress }, signal }),
  );
  try {
    const info = await checkpointInfo(checkpoint, values);
    stdout.write(values.json ? `${JSON.stringify(info)}\n` : infoText(info, streams));
  } finally {
    await checkpoint.close();
  }
}
