/** `qwen3 inspect`: what is in a file, from its header alone. */
import { readContents } from "../formats/contents.ts";
import { locateModel } from "../hub/open-model.ts";
import type { InspectValues } from "./commands.ts";
import { contentsJson, contentsText } from "./inspect-text.ts";
import { UsageError } from "./options.ts";
import type { Streams } from "./streams.ts";

export async function inspect(values: InspectValues, positionals: readonly string[], streams: Streams): Promise<void> {
  const [location, ...more] = positionals;
  if (location === undefined || more.length > 0) throw new UsageError("one file, folder, URL or model of the hub is needed");
  const { signal } = streams;
  const found = await locateModel(location, { hub: { stream: true }, signal }); // headers are all that is read of a model of the hub
  const contents = await readContents(found, signal);
  streams.stdout.write(values.json ? contentsJson(contents) : contentsText(contents, streams));
}
