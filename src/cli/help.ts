/** Help texts, made from the descriptions of commands and options. */
import type { Command } from "./command.ts";
import type { Option, Options } from "./options.ts";
import { wrap } from "./width.ts";

const INDENT = 2;

export function programHelp(commands: readonly Command[], width: number): string {
  const lines = [
    "Qwen3 language models in plain TypeScript and WebAssembly.",
    "",
    "Usage: qwen3 <command> [options]",
    "",
    "Commands:",
    ...commands.flatMap(({ name, summary }) => entry(name, 10, summary, width)),
    "",
    "Options:",
    ...entry("-h, --help", 14, "Print this help, or with a command the help of that command.", width),
    ...entry("--version", 14, "Print the version.", width),
    "",
    'Example: qwen3 chat "Who are you?"',
  ];
  return `${lines.join("\n")}\n`;
}

export function commandHelp(command: Command, width: number): string {
  const { name, positional, summary, details, example, sections, options } = command;
  const column = Math.max(...Object.entries(options).map(([name, option]) => synopsis(name, option).length)) + 2;
  const lines = [
    summary,
    "",
    `Usage: qwen3 ${name} [options] ${positional}`.trimEnd(),
    "",
    ...wrap(details.replaceAll("\n", " "), width),
    ...Object.entries(sections).flatMap(([title, options]) => ["", `${title}:`, ...optionLines(options, column, width)]),
    "",
    `Example: ${example}`,
  ];
  return `${lines.join("\n")}\n`;
}

function optionLines(options: Options, column: number, width: number): string[] {
  return Object.entries(options).flatMap(([name, option]) => entry(synopsis(name, option), column, option.help, width));
}

function synopsis(name: string, { placeholder }: Option<unknown>): string {
  const full = placeholder === undefined ? `--${name}` : `--${name} ${placeholder}`;
  return name === "help" ? `-h, ${full}` : full;
}

/** A term, and its explanation in a column of its own. */
function entry(term: string, column: number, explanation: string, width: number): string[] {
  const [first = "", ...rest] = wrap(explanation, Math.max(30, width - INDENT - column));
  const margin = " ".repeat(INDENT);
  return [margin + term.padEnd(column) + first, ...rest.map((line) => margin + " ".repeat(column) + line)];
}
