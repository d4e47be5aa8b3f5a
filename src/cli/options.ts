/**
 * Options of the command line: each is described once, with what it takes, its range and its line of help, and read by that
 * description. Whatever does not fit it is a `UsageError`.
 */
import { parseArgs } from "node:util";

/** The command line itself is wrong: one line for the user, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface Option<T> {
  /** What stands behind the name in the help. A flag has none and takes nothing. */
  readonly placeholder?: string;
  readonly help: string;
  /** Turns what was given, in order, into the value. Throws a `UsageError` that tells what does not fit and what is allowed. */
  readonly read: (given: readonly string[]) => T;
}

export type Options = Readonly<Record<string, Option<unknown>>>;

/** What a command line gives for `options`; absent where it gave nothing. */
export type Values<O extends Options> = { readonly [K in keyof O]?: O[K] extends Option<infer T> ? T : never };

export function flag(help: string): Option<boolean> {
  return { help, read: () => true };
}

export function text(placeholder: string, help: string): Option<string> {
  return { placeholder, help, read: last };
}

/** May be given several times; none may be empty. */
export function texts(placeholder: string, help: string): Option<readonly string[]> {
  const read = (given: readonly string[]): readonly string[] => {
    if (given.includes("")) throw refusal("", "a text of at least one character is needed");
    return given;
  };
  return { placeholder, help, read };
}

/** NAME=VALUE, several times if need be. A value that is JSON is what it says in JSON; any other is a text. */
export function variables(help: string): Option<Readonly<Record<string, unknown>>> {
  const read = (given: readonly string[]): Readonly<Record<string, unknown>> => Object.fromEntries(given.map(readVariable));
  return { placeholder: "NAME=VALUE", help, read };
}

function readVariable(given: string): [name: string, value: unknown] {
  const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(given) ?? [];
  if (name === undefined || value === undefined)
    throw refusal(given, "NAME=VALUE is needed, where NAME is of letters, digits and underscores and begins with no digit");
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}

export function choice<const T extends string>(allowed: readonly T[], help: string): Option<T> {
  const read = (given: readonly string[]): T => {
    const value = allowed.find((name) => name === last(given));
    if (value === undefined) throw refusal(last(given), `${allowed.join(" or ")} is needed`);
    return value;
  };
  return { placeholder: allowed.join("|"), help, read };
}

const MAX = Number.MAX_SAFE_INTEGER;

/** A number from `min` to `max`. */
export function number(min: number, max: number, help: string): Option<number> {
  return { placeholder: "X", help, read: (given) => readNumber(last(given), min, max, false) };
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number, help: string): Option<number> {
  return { placeholder: "N", help, read: (given) => readNumber(last(given), min, max, true) };
}

/** A whole number from `min` to `max`, or a word. */
export function integerOr<const T extends string>(word: T, min: number, max: number, help: string): Option<number | T> {
  const whole = integer(min, max, help);
  const read = (given: readonly string[]): number | T => {
    if (last(given) === word) return word;
    try {
      return whole.read(given);
    } catch (error) {
      throw new UsageError(`${(error as UsageError).message}, or ${word}`);
    }
  };
  return { placeholder: `N|${word}`, help, read };
}

function readNumber(given: string, min: number, max: number, whole: boolean): number {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max && (!whole || Number.isSafeInteger(value))) return value;
  const range = [min === -MAX ? "" : ` from ${min}`, max === MAX ? "" : ` to ${max}`].join("");
  throw refusal(given, `${whole ? "a whole number" : "a number"}${range} is needed`);
}

const UNITS: readonly string[] = ["", "KiB", "MiB", "GiB", "TiB"];

/** Bytes, or a number with a binary unit. */
export function bytes(help: string): Option<number> {
  const read = (given: readonly string[]): number => {
    const [, count = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(last(given)) ?? [];
    const power = UNITS.indexOf(unit);
    let size = count === "" || power < 0 ? Number.NaN : Number(count);
    for (let i = 0; i < power; i++) size *= 1024;
    size = Math.floor(size);
    if (!Number.isSafeInteger(size) || size < 1)
      throw refusal(last(given), "a number of bytes is needed, or one with KiB, MiB, GiB or TiB behind it");
    return size;
  };
  return { placeholder: "SIZE", help, read };
}

const last = (given: readonly string[]): string => given[given.length - 1] ?? "";

const refusal = (given: string, allowed: string): UsageError => new UsageError(`${JSON.stringify(given)}: ${allowed}`);

/** Reads `args` by the description of `options`. Everything that is no option is a positional. */
export function parseOptions<O extends Options>(
  args: readonly string[],
  options: O,
): { values: Values<O>; positionals: string[] } {
  const { values: given, positionals } = parseStrictly(joinNegativeNumbers(args, options), options);
  const values: Record<string, unknown> = {};
  for (const [name, texts] of Object.entries(given)) {
    if (texts === undefined) continue;
    const strings = texts.filter((value) => typeof value === "string");
    try {
      values[name] = options[name]!.read(strings);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`--${name} ${error.message}`);
    }
  }
  return { values: values as Values<O>, positionals };
}

function parseStrictly(args: string[], options: Options) {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { placeholder }]) => {
      const type: "string" | "boolean" = placeholder === undefined ? "boolean" : "string";
      return [name, { type, multiple: true as const, ...(name === "help" && { short: "h" }) }];
    }),
  );
  try {
    return parseArgs({ args, options: config, allowPositionals: true, strict: true });
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION")
      throw new UsageError(`${message.split(". ")[0]}; a text that begins with a dash goes behind "--"`);
    if (!code.startsWith("ERR_PARSE_ARGS")) throw error;
    throw new UsageError(message.replaceAll(/\s+/g, " "));
  }
}

/** `--presence-penalty -1`: parseArgs takes a value that begins with a dash only if it is joined on. */
function joinNegativeNumbers(args: readonly string[], options: Options): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") return [...joined, ...args.slice(i)];
    const takesValue = arg.startsWith("--") && options[arg.slice(2)]?.placeholder !== undefined;
    if (takesValue && /^-\.?\d/.test(args[i + 1] ?? "")) joined.push(`${arg}=${args[++i]}`);
    else joined.push(arg);
  }
  return joined;
}
