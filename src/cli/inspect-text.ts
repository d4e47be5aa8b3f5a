/** `qwen3 inspect` for people and for programs. Names and texts are a file's: no character of them reaches a terminal as it is. */
import type { Contents, ContentTensor, ContentValue } from "../formats/contents.ts";
import { GgufArray, type GgufScalar } from "../formats/gguf-metadata.ts";
import { shown } from "../formats/json.ts";
import { formatBytes } from "../index.ts";
import type { Streams } from "./streams.ts";
import { styleFor } from "./terminal.ts";

/** Elements of an array that are told. */
const FIRST = 8;
/** Characters by which a text could steer a terminal, or hide in it. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/gu;

export function contentsText(contents: Contents, { stdout, env }: Pick<Streams, "stdout" | "env">): string {
  const { bold } = styleFor(stdout, env);
  const { format, files, metadata, tensors } = contents;
  const fileBytes = formatBytes(files.reduce((sum, { bytes }) => sum + bytes, 0));
  const lines = [bold(bare(contents.name)), `  ${format}, ${files.length === 1 ? "" : `${files.length} files, `}${fileBytes}`];
  for (const [place, values] of metadata) {
    const rows = Array.from(values, ([key, value]) => [bare(key), valueText(value)]);
    lines.push("", bold(capital(bare(place))), ...columns(rows));
  }
  lines.push("", bold(`Tensors: ${tensors.length}`), ...columns(byType(tensors)), "");
  const rows = tensors.map(({ name, dtype, shape, bytes, file }) => [
    ...[bare(name), dtype, `[${shape.join(", ")}]`, formatBytes(bytes)],
    ...(files.length > 1 ? [bare(file.slice(file.lastIndexOf("/") + 1))] : []),
  ]);
  return `${[...lines, ...columns(rows)].join("\n").trimEnd()}\n`;
}

/** One object; long arrays are told by their type, length and first elements. */
export function contentsJson({ name, format, files, metadata, tensors }: Contents): string {
  const values = (place: ReadonlyMap<string, ContentValue>) =>
    Object.fromEntries(Array.from(place, ([key, value]) => [key, value instanceof GgufArray ? summary(value) : value]));
  const json = {
    name,
    format,
    files,
    metadata: Object.fromEntries([...metadata].map(([key, place]) => [key, values(place)])),
    tensors,
  };
  const text = JSON.stringify(json, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  return `${text.replace(UNSAFE, escapes)}\n`;
}

function summary(array: GgufArray): object {
  const first = firstOf(array);
  return { type: array.elementType, length: array.length, [first.length < array.length ? "first" : "values"]: first };
}

function firstOf(array: GgufArray): GgufScalar[] {
  const first: GgufScalar[] = [];
  for (const value of array.values()) {
    if (first.length === FIRST) break;
    first.push(value);
  }
  return first;
}

function valueText(value: ContentValue): string {
  if (!(value instanceof GgufArray)) return shown(value);
  const first = firstOf(value);
  return `${value.length} ${value.elementType}: ${first.map(shown).join(", ")}${first.length < value.length ? ", ..." : ""}`;
}

/** Values and bytes of each type, the largest first. */
function byType(tensors: readonly ContentTensor[]): string[][] {
  const types = new Map<string, { count: number; values: number; bytes: number }>();
  for (const { dtype, shape, bytes } of tensors) {
    const sum = types.get(dtype) ?? { count: 0, values: 0, bytes: 0 };
    types.set(dtype, {
      count: sum.count + 1,
      values: sum.values + shape.reduce((product, extent) => product * extent, 1),
      bytes: sum.bytes + bytes,
    });
  }
  const sorted = [...types].sort(([, a], [, b]) => b.bytes - a.bytes);
  return sorted.map(([dtype, { count, values, bytes }]) => {
    const perValue = values > 0 ? `, ${Number(((8 * bytes) / values).toFixed(3))} bits a value` : "";
    return [dtype, `${count} tensor${count === 1 ? "" : "s"}, ${values} values, ${formatBytes(bytes)}${perValue}`];
  });
}

/** A name without quotes, where it needs none. */
function bare(name: string): string {
  return name.replace(UNSAFE, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** As JSON escapes them. */
function escapes(character: string): string {
  return Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`).join(
    "",
  );
}

const capital = (text: string): string => (text === "metadata" ? "Metadata" : text);

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => rows.reduce((most, row) => Math.max(most, row[column]!.length), 0));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("   ")}`.trimEnd());
}
