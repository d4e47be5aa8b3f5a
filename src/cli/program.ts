/** Finds the command, reads its options, runs it, and turns whatever goes wrong into a line and an exit code. */

import type { Command } from "./command.ts";
import { chatCommand, commands, explainCommand, infoCommand, inspectCommand, runCommand, serveCommand } from "./commands.ts";
import { commandHelp, programHelp } from "./help.ts";
import { listCommand, pullCommand, removeCommand } from "./hub-commands.ts";
import { type Options, parseOptions, UsageError, type Values } from "./options.ts";
import { packageVersion } from "./package.ts";
import { quantizeCommand } from "./quantize-command.ts";
import { columnsOf, type Streams } from "./streams.ts";
import { escapeControls } from "./terminal.ts";

export type ExitCode = 0 | 1 | 2 | 130;

/** @param args what stands behind `qwen3` */
export async function runProgram(args: readonly string[], streams: Streams): Promise<ExitCode> {
  const { stderr, env, signal } = streams;
  const [name = "", ...rest] = args;
  try {
    await dispatch(name, rest, streams);
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    if (error instanceof UsageError) {
      const command = commands.find((command) => command.name === name);
      const program = command ? `qwen3 ${command.name}` : "qwen3";
      stderr.write(escapeControls(`${program}: ${error.message} (${program} --help explains)\n`));
      return 2;
    }
    stderr.write(`${escapeControls(describe(error))}\n`);
    if (env.DEBUG === "1" && error instanceof Error) stderr.write(`${error.stack}\n`);
    return 1;
  }
}

/** `code: message`, or what comes nearest for errors that are not ours. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return `ERROR: ${error}`;
  const code = (error as NodeJS.ErrnoException).code ?? error.name;
  return error.message.startsWith(`${code}:`) ? error.message : `${code}: ${error.message}`; // the system's messages have it already
}

/** Commands are imported when they are called: help and complaints come without loading an engine. */
async function dispatch(name: string, args: readonly string[], streams: Streams): Promise<void> {
  const { stdout } = streams;
  const run = <O extends Options>(command: Command<O>, body: (values: Values<O>, positionals: string[]) => Promise<void>) => {
    const { values, positionals } = parseOptions(args, command.options);
    if ("help" in values) stdout.write(commandHelp(command, columnsOf(stdout)));
    else if ("version" in values) stdout.write(`${packageVersion()}\n`);
    else return body(values, positionals);
    return undefined;
  };
  switch (name) {
    case "chat":
      return run(chatCommand, async (values, prompt) => (await import("./chat.ts")).chat(values, prompt, streams));
    case "run":
      return run(runCommand, async (values, text) => (await import("./run.ts")).run(values, text, streams));
    case "serve":
      return run(serveCommand, async (values, rest) => (await import("./serve.ts")).serve(values, rest, streams));
    case "info":
      return run(infoCommand, async (values, rest) => (await import("./info.ts")).info(values, rest, streams));
    case "inspect":
      return run(inspectCommand, async (values, rest) => (await import("./inspect.ts")).inspect(values, rest, streams));
    case "quantize":
      return run(quantizeCommand, async (values, models) => (await import("./quantize.ts")).quantize(values, models, streams));
    case "explain":
      return run(explainCommand, async (values, text) => (await import("./explain.ts")).explain(values, text, streams));
    case "pull":
      return run(pullCommand, async (values, ids) => (await import("./pull.ts")).pull(values, ids, streams));
    case "list":
      return run(listCommand, async (values, rest) => (await import("./list.ts")).list(values, rest, streams));
    case "rm":
      return run(removeCommand, async (values, ids) => (await import("./remove.ts")).remove(values, ids, streams));
    case "--help":
    case "-h":
    case "help":
      stdout.write(programHelp(commands, columnsOf(stdout)));
      return;
    case "--version":
      stdout.write(`${packageVersion()}\n`);
      return;
    default: {
      const problem = name === "" ? "a command is needed" : `${JSON.stringify(name)} is not a command`;
      throw new UsageError(`${problem}; there are ${commands.map(({ name }) => name).join(", ")}`);
    }
  }
}
