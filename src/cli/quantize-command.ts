/** The command that writes quantized checkpoints. */
import { command, generalOptions, json, quiet } from "./command.ts";
import { choice, flag, text, type Values } from "./options.ts";

export const quantizeCommand = command(
  {
    name: "quantize",
    positional: "MODEL",
    summary: "Write a checkpoint with weights of 4 or 8 bits.",
    details: `Writes a folder that mlx-lm, LM Studio and qwen3 load: safetensors of at most 5 GB with MLX's affine codes, an index, config.json with
"quantization", and the tokenizer, chat template and generation_config.json of the model. MODEL is what --model takes elsewhere. Tensors pass
through memory a slice at a time, and the folder appears once it is whole: what breaks off leaves nothing under its name.`,
    example: "qwen3 quantize ./Qwen3-4B-Instruct-2507 --bits 4 --out ./Qwen3-4B-4bit",
  },
  {
    Weights: {
      bits: choice(["4", "8"], "Bits of a code. Required."),
      group: choice(["32", "64", "128"], "Weights that share a scale and a bias. Default: 64."),
    },
    Model: { revision: text("R", "Branch, tag or commit of a model of the hub. Default: main.") },
    Output: {
      out: text("DIR", "The folder to write. Required."),
      force: flag("Replace DIR if it is there, empty or a checkpoint's; otherwise it is left alone."),
      kl: text("FILE", "Tell how far predictions for this text (its first 512 tokens) are from the model's own: loads both."),
      ...json,
      ...quiet,
      ...generalOptions,
    },
  },
);

export type QuantizeValues = Values<typeof quantizeCommand.options>;
