/** The commands that fetch, list and remove models of the hub. */
import { command, generalOptions, json, quiet } from "./command.ts";
import { text, texts, type Values } from "./options.ts";

export const pullCommand = command(
  {
    name: "pull",
    positional: "ID",
    summary: "Download a model of the Hugging Face hub.",
    details: `Downloads what it takes to run the model into the cache that Hugging Face's tools use, and prints where it is. ID is owner/name,
owner/name:Q4_K_M or owner/name:file.gguf (one GGUF file, or all parts of one), or a URL of the hub. What is there already is not fetched
again, and a download that was stopped goes on where it stopped. Every file is checked against its hash. HF_ENDPOINT, HF_TOKEN, HF_HOME,
HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean there.`,
    example: "qwen3 pull Qwen/Qwen3-0.6B",
  },
  {
    Download: {
      revision: text("R", "Branch, tag or commit. Default: main."),
      include: texts("GLOB", "Instead: the files of this pattern, such as '*.json'; may be given several times."),
    },
    Output: { ...json, ...quiet, ...generalOptions },
  },
);

export const listCommand = command(
  {
    name: "list",
    positional: "",
    summary: "Show the models that are downloaded.",
    details: "Shows what is in the cache of Hugging Face's tools, whichever of them downloaded it.",
    example: "qwen3 list",
  },
  { Output: { ...json, ...generalOptions } },
);

export const removeCommand = command(
  {
    name: "rm",
    positional: "ID",
    summary: "Remove a downloaded model.",
    details: `Removes the model from the cache, in all its revisions, whichever tool downloaded it. Of owner/name:Q4_K_M and
owner/name:file.gguf only that file, or the parts of it.`,
    example: "qwen3 rm Qwen/Qwen3-0.6B",
  },
  { Output: { ...json, ...quiet, ...generalOptions } },
);

export const hubCommands = [pullCommand, listCommand, removeCommand] as const;

export type PullValues = Values<typeof pullCommand.options>;
export type ListValues = Values<typeof listCommand.options>;
export type RemoveValues = Values<typeof removeCommand.options>;
