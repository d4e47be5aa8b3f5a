/**
 * Writes synthetic checkpoints, and the peers' files with the same weights.
 *
 *     npm run bench -- checkpoints --preset 0.6b,4b --format bf16,q8_0,q4_0,q4_k_m --folder PATH
 */
import { parseArgs } from "node:util";
import { checkpointFolder, defaultFolder, ggufFiles } from "./checkpoints.ts";
import { GGUF_QUANTIZATIONS, type GgufQuantization } from "./gguf-files.ts";
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
    else if (GGUF_QUANTIZATIONS.includes(format as GgufQuantization))
      console.log(ggufFiles(values.folder, preset as Preset, format as GgufQuantization).join("\n"));
    else throw new Error(`no format is called ${format}; known: bf16, ${GGUF_QUANTIZATIONS.join(", ")}`);
  }
}
