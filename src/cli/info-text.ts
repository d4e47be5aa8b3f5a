/** `qwen3 info` for people. */
import { formatBytes } from "../index.ts";
import type { ContextNeed, Info, Limit } from "./checkpoint-info.ts";
import type { Streams } from "./streams.ts";
import { escapeControls, styleFor } from "./terminal.ts";

type Row = readonly [name: string, value: string | number];

export function infoText(info: Info, { stdout, env }: Streams): string {
  const { bold } = styleFor(stdout, env);
  const section = (title: string, rows: readonly Row[]) => ["", bold(title), ...table(rows)];
  const lines = [
    bold(escapeControls(info.model)),
    ...section("Architecture", architectureRows(info)),
    ...section("Weights", weightRows(info)),
    ...section("Sampling, where nothing else is asked for", samplingRows(info)),
    ...section("Memory", memoryRows(info)),
    "",
    bold("What fits"),
    ...contextTable(info),
  ];
  return `${lines.join("\n")}\n`;
}

function architectureRows({ architecture: c }: Info): Row[] {
  const { rope } = c;
  const heads = `${c.num_attention_heads} query heads of ${c.head_dim}, ${c.num_key_value_heads} key-value heads`;
  return [
    ["num_hidden_layers", c.num_hidden_layers],
    ["hidden_size", grouped(c.hidden_size)],
    ["attention", `${heads} (q is ${grouped(c.num_attention_heads * c.head_dim)} wide)`],
    ["intermediate_size", grouped(c.intermediate_size)],
    ["vocab_size", grouped(c.vocab_size)],
    ["max_position_embeddings", grouped(c.max_position_embeddings)],
    [
      "rope",
      Object.entries(rope)
        .map(([key, value]) => `${key} ${typeof value === "number" ? grouped(value) : JSON.stringify(value)}`)
        .join(", "),
    ],
    ["rms_norm_eps", c.rms_norm_eps],
    ["tie_word_embeddings", `${c.tie_word_embeddings}${c.tie_word_embeddings ? ": lm_head is the embedding" : ""}`],
  ];
}

function weightRows(info: Info): Row[] {
  return [
    ["parameters", grouped(info.parameters)],
    ["tensors", `${info.tensors} of ${info.dtypes.join(", ")}, ${formatBytes(info.storedBytes)}`],
    ...info.encodings.map(({ encoding, matrices, storedBits, heldBits }): Row => {
      const many = `${matrices} ${matrices === 1 ? "matrix" : "matrices"}`;
      return [encoding, `${many}: ${bits(storedBits)} bits a weight in the file, ${bits(heldBits)} in memory`];
    }),
    ["tokenizer", info.tokenizer ? `${grouped(info.tokenizer.tokens)} tokens` : noTokenizer(info)],
  ];
}

/** "4.5", "8.5625". */
function bits(value: number): string {
  return String(Number(value.toFixed(4)));
}

function noTokenizer({ tokenizerProblem: problem }: Info): string {
  return problem === undefined ? "none: only token ids can be used" : `only token ids can be used: ${escapeControls(problem)}`;
}

function samplingRows({ sampling: s, stopTokens }: Info): Row[] {
  const stops = stopTokens.map(({ id, text }) => (text === undefined ? `${id}` : `${id} ${escapeControls(text)}`));
  return [
    ["temperature", s.temperature],
    ["top_p", s.topP],
    ["top_k", s.topK],
    ["min_p", s.minP],
    ["penalties", `presence ${s.presencePenalty}, frequency ${s.frequencyPenalty}, repetition ${s.repetitionPenalty}`],
    ["stop tokens", stops.join(", ") || "none"],
  ];
}

function memoryRows(info: Info): Row[] {
  const { plan, machineBytes, weights, kvCache } = info.memory;
  return [
    ["machine", machineBytes === null ? "unknown" : formatBytes(machineBytes)],
    ["budget", formatBytes(plan.budgetBytes)],
    ["weights", `${formatBytes(plan.weightBytes)} (${weights === "auto" ? "as stored" : weights})`],
    ["KV cache per token", `${formatBytes(plan.kvBytesPerToken)} (${kvCache})`],
    ["KV cache", `${formatBytes(plan.kvBytes)} for a context of ${grouped(plan.maxModelLen)} tokens`],
    ["activations", `${formatBytes(plan.activationBytes)}${plan.threads > 1 ? `, of ${plan.threads} threads` : ""}`],
    ["total", `${formatBytes(plan.totalBytes)}: ${verdict(info)}`],
    [
      "longest context that fits",
      plan.largestContext > 0 ? `${grouped(plan.largestContext)} tokens` : "none: weights and activations leave no room",
    ],
  ];
}

function verdict({ architecture, memory: { plan, exceeds } }: Info): string {
  if (exceeds.length === 0) return "fits";
  const longest = grouped(architecture.max_position_embeddings);
  const reasons: Readonly<Record<Limit, string>> = {
    max_position_embeddings: `${grouped(plan.maxModelLen)} tokens are more than the model's max_position_embeddings ${longest}`,
    memory_budget: `${formatBytes(plan.totalBytes)} needed, the budget is ${formatBytes(plan.budgetBytes)}`,
  };
  return `does not fit: ${exceeds.map((limit) => reasons[limit]).join("; ")}`;
}

/** One line per context, one column per type of cache. */
function contextTable({ memory: { contexts, plan } }: Info): string[] {
  const types = [...new Set(contexts.map(({ kvCache }) => kvCache))];
  const need = ({ totalBytes, fits }: ContextNeed) =>
    fits ? `fits (${formatBytes(totalBytes)})` : `needs ${formatBytes(totalBytes)}, budget ${formatBytes(plan.budgetBytes)}`;
  const cells = [
    ["context", ...types.map((type) => `KV cache ${type}`)],
    ...[...new Set(contexts.map(({ context }) => context))].map((context) => [
      grouped(context),
      ...contexts.filter((need) => need.context === context).map(need),
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("   ")}`.trimEnd());
}

function table(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}   ${value}`);
}

/** 4820352 as 4,820,352. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}
