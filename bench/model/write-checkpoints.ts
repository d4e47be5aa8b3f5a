/**
 * Writes synthetic checkpoints, and the peers' files with the same weights.
 *
 *     npm run bench -- checkpoints --preset 0.6b,4b --format bf16,q8_0,q4_0 --folder PATH
 */
import { parseArgs } from "node:util";
import { checkpointFolder, defaultFolder, ggufFiles } from "./checkpoints.ts";
import { type Preset, SHAPES } from "./shapes.ts";

const { values } = parseArgs({
  options: {
    preset: { type: "string", default: "0.6b" },
    format: { type: "string", default: "bf16" },
    folder: { type: "string", default: defaultFolder },
  },
});
for (const preset of values.preset.split(",")) {
  if (!(preset in SHAPES)) throw new Error(`no preset is called ${preset}; known: ${Object.keys(SHAPES).join(", ")}`);
  for (const format of values.format.split(",")) {
    if (format === "bf16") console.log(checkpointFolder(values.folder, preset as Preset));
    else if (format === "q8_0" || format === "q4_0") console.log(ggufFiles(values.folder, preset as Preset, format).join("\n"));
    else throw new Error(`no format is called ${format}; known: bf16, q8_0, q4_0`);
  }
}
