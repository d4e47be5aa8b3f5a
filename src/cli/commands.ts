/** The commands and their options, as help and parser know them. What they do lies in a file each. */

import { type Command, command, generalOptions, json, quiet } from "./command.ts";
import { hubCommands } from "./hub-commands.ts";
import { bytes, choice, flag, integer, integerOr, number, text, texts, type Values, variables } from "./options.ts";
import { quantizeCommand } from "./quantize-command.ts";

const MAX = Number.MAX_SAFE_INTEGER;

export const modelOptions = {
  model: text(
    "MODEL",
    "A folder, a .gguf file, a URL of either, or a model of the Hugging Face hub: owner/name, owner/name:Q4_K_M. " +
      "Default: the bundled model nano.",
  ),
  revision: text("R", "Branch, tag or commit of a model of the hub. Default: main."),
  "no-download": flag("Read a model of the hub straight into memory, and keep nothing on disk."),
  backend: choice(["wasm", "reference"], "What computes: WebAssembly, or plain TypeScript (slow). Default: wasm."),
  "wasm-build": choice(
    ["auto", "simd", "relaxed", "wide"],
    "Instructions that wasm may use: 128-bit SIMD, relaxed SIMD too, or vectors of 256 bits (Node 24 on x64); no result depends on it. " +
      "Default: auto, the fastest that computes rightly here.",
  ),
  weights: choice(
    ["auto", "f32", "bf16", "f16", "int8", "int4"],
    "What weights become while they load; auto keeps what is stored. Default: auto.",
  ),
  activations: choice(
    ["int8", "f32"],
    "What quantized weights are multiplied with: f32 is nearer to the unquantized model, and slow. Default: int8.",
  ),
  "kv-cache": choice(
    ["f32", "f16", "int8"],
    "Type of the cached keys and values. Default: int8 with quantized weights, else f16.",
  ),
  "max-model-len": integerOr(
    "auto",
    1,
    MAX,
    "Longest prompt and answer together; auto is what fits, at most the model's own. Default: the same, and at most 32768.",
  ),
  threads: integer(1, 1024, "Threads that compute; no result depends on it. Default: one a processor, 1 for small models."),
  "memory-budget": bytes("What the model may take: bytes, or 512MiB, 1.5GiB. Default: half of the machine's memory."),
};

export const samplingOptions = {
  temperature: number(0, 100, "Below 1 sharper, above 1 flatter; 0 takes the likeliest token. 0 to 100, default 0.7."),
  "top-p": number(0, 1, "Keep the likeliest tokens that together have this probability. 0 to 1, default 0.8."),
  "top-k": integer(0, 2147483647, "Keep the N likeliest tokens; 0 keeps all. Default 20."),
  "min-p": number(0, 1, "Keep tokens at least X times as likely as the likeliest. 0 to 1, default 0."),
  "presence-penalty": number(-2, 2, "Taken off the logits of tokens that are in the answer already. -2 to 2, default 0."),
  "frequency-penalty": number(-2, 2, "Taken off for every time that a token is in the answer. -2 to 2, default 0."),
  "repetition-penalty": number(0.01, 100, "Divides the logits of tokens in prompt or answer. 0.01 to 100, default 1."),
  seed: integer(-MAX, MAX, "Whole number that repeats an answer. Default: a new one each time, told at the end."),
};

export const generationOptions = {
  "max-new-tokens": integer(1, MAX, "Longest answer in tokens. Default: until the context is full."),
  stop: texts("TEXT", "Ends the answer before this text; may be given several times."),
  speculation: choice(
    ["prompt-lookup"],
    "Guess tokens by what followed the same words before, and check several at once: the same output, sooner where text repeats. " +
      "Default: off.",
  ),
};

const templateOptions = {
  system: text("TEXT", "System message that opens the conversation. Default: none."),
  "template-var": variables(
    'Variable of the chat template; may be given several times. VALUE is JSON (true, 2, "a"), or else a text. ' +
      "Example: enable_thinking=false, with which a hybrid Qwen3 checkpoint answers without thinking first.",
  ),
};
const special = { special: flag("Read control tokens such as <|im_start|> in the text as such, not as plain text.") };

const SAMPLING = "Sampling (a checkpoint's generation_config.json has defaults of its own)";

export const chatCommand = command(
  {
    name: "chat",
    positional: "[prompt]",
    summary: "Answer a prompt, or talk in the terminal.",
    details: `With a prompt: streams the answer to standard output. Without one, in a terminal: a conversation (/help lists its commands).
Text piped in is the message; with a prompt as well, the message is the prompt, an empty line, and that text. "-" behind the prompt
says that text will come, however late; without it a pipe that stays silent for 3 seconds is left alone. One line end at the end
of piped text is dropped.`,
    example: 'qwen3 chat --temperature 0 "Who are you?"',
  },
  {
    Conversation: { ...templateOptions, tools: text("FILE", "JSON file with an array of tools the model may call.") },
    [SAMPLING]: samplingOptions,
    Generation: generationOptions,
    Model: modelOptions,
    Output: { ...json, ...quiet, ...generalOptions },
  },
);

export const runCommand = command(
  {
    name: "run",
    positional: "[text]",
    summary: "Continue a text as it is, without the chat template.",
    details: `Streams what follows the text to standard output. The text comes from the command line or from standard input, where one line
end at the end is dropped.`,
    example: 'qwen3 run --max-new-tokens 20 "The capital of France is"',
  },
  {
    Text: special,
    [SAMPLING]: samplingOptions,
    Generation: {
      ...generationOptions,
      logprobs: integer(0, 20, "With --json: log-probabilities of each token and of the N likeliest, from the raw logits."),
    },
    Model: modelOptions,
    Output: { ...json, ...quiet, ...generalOptions },
  },
);

export const infoCommand = command(
  {
    name: "info",
    positional: "",
    summary: "Show a checkpoint's architecture and what memory it needs.",
    details: "Reads configuration and headers only, so it also works for a checkpoint that does not fit this machine.",
    example: "qwen3 info --model ./Qwen3-4B-Instruct-2507 --weights int4",
  },
  { Model: modelOptions, Output: { ...json, ...generalOptions } },
);

export const inspectCommand = command(
  {
    name: "inspect",
    positional: "FILE|DIR|URL|ID",
    summary: "List what is in a file: tensors, their types and shapes, metadata.",
    details: `Reads headers only. For files of any model: safetensors (also MLX and FP8), alone or in shards, and GGUF, alone or split.
ID is a model of the Hugging Face hub; it is not downloaded.`,
    example: "qwen3 inspect ./Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
  },
  { Output: { ...json, ...generalOptions } },
);

export const explainCommand = command(
  {
    name: "explain",
    positional: '"text"',
    summary: "Show step by step how a prompt becomes the next token.",
    details: `Prints the text that the chat template makes of the prompt, its tokens, every stage of the forward pass, and what each stage of
the sampler leaves of the likeliest next tokens.`,
    example: 'qwen3 explain --seed 1 "What is the capital of France?"',
  },
  {
    Prompt: { ...templateOptions, raw: flag("Take the text as it is, without the chat template."), ...special },
    Stages: {
      layer: integer(0, 1023, "The layer to show in full; the others take a line each. Default: 0."),
      all: flag("Show every layer in full."),
    },
    [SAMPLING]: samplingOptions,
    Model: modelOptions,
    Output: { ...json, ...quiet, ...generalOptions },
  },
);

const { "kv-cache": _kvCache, weights: _weights, activations: _activations, ...servedModelOptions } = modelOptions;

export const serveCommand = command(
  {
    name: "serve",
    positional: "",
    summary: "Answer over HTTP, as OpenAI's API does, with a page to chat at /.",
    details: `Options have the names that vLLM gives them. SIGTERM or Ctrl-C: takes no more work, lets answers end, and exits with 0; a second
one exits at once. A key can also stand in the environment, as QWEN3_API_KEY. Standard output has a line of JSON for each request.`,
    example: "qwen3 serve --port 8000",
  },
  {
    Server: {
      host: text(
        "ADDRESS",
        "Address to listen at. Others than the machine's own (127.0.0.1, ::1) need a key. Default: 127.0.0.1.",
      ),
      port: integer(0, 65535, "Port; 0 takes a free one. Default: 8000."),
      "api-key": texts("KEY", "Key that requests must bring; may be given several times. Default: none is needed."),
      "served-model-name": texts(
        "NAME",
        "Name that requests may ask for; may be given several times. Default: the checkpoint's folder.",
      ),
      "allowed-hosts": texts(
        "NAME",
        "Host name under which to answer, * for any; may be given several times. Default: the machine's own.",
      ),
      "allowed-origins": texts(
        "ORIGIN",
        "Origin whose pages may ask, * for any; may be given several times. Default: the server's own.",
      ),
      insecure: flag("Listen at any address without a key all the same."),
      "shutdown-timeout": number(0, 86400, "Seconds that answers have to end once the server is asked to. Default: 60."),
      "tool-call-parser": choice(
        ["hermes", "none"],
        "How calls in answers are read: Qwen3's own format, or not at all. Default: hermes.",
      ),
      "disable-log-requests": flag("No line for each request."),
      "log-bodies": flag("Lines have the requests' bodies too, prompts included."),
    },
    Model: {
      ...servedModelOptions,
      "max-num-seqs": integer(1, 4096, "Answers that are computed at once; more wait. Default: 64."),
      "max-num-batched-tokens": integer(1, 65536, "Tokens in a step of the engine. Default: 128."),
      "no-enable-prefix-caching": flag("Keep nothing of a prompt for later ones that begin in the same way."),
      "kv-cache-dtype": choice(["auto", "f32", "f16", "int8"], "Type of the cached keys and values. Default: auto, as for chat."),
      quantization: choice(
        ["none", "int8", "int4"],
        "What weights become while they load; none keeps the stored type. Default: none.",
      ),
    },
    Output: { ...quiet, ...generalOptions },
  },
);

export const commands: readonly Command[] = [
  chatCommand,
  runCommand,
  serveCommand,
  infoCommand,
  inspectCommand,
  explainCommand,
  quantizeCommand,
  ...hubCommands,
];

export type ChatValues = Values<typeof chatCommand.options>;
export type RunValues = Values<typeof runCommand.options>;
export type ServeValues = Values<typeof serveCommand.options>;
export type InfoValues = Values<typeof infoCommand.options>;
export type InspectValues = Values<typeof inspectCommand.options>;
export type ExplainValues = Values<typeof explainCommand.options>;
