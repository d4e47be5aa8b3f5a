/** Checks of the fields of tokenizer.json. Each returns the value with its type, or refuses the file by the field's name. */
import { Qwen3Error } from "../core/errors.ts";
import { shown } from "../formats/json.ts";
import { describe } from "./json-data.ts";

export type Json = Record<string, unknown>;

/** Ids are indexes of arrays here, so a huge one would be a huge allocation; the largest published vocabularies have 262,144. */
export const maxTokenId = (1 << 20) - 1;

export function isTokenId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxTokenId;
}

export function refuseId(value: unknown, where: string): never {
  refuse(`${where} is ${shownValue(value)}; a token id is an integer from 0 to ${maxTokenId}`);
}

export function flag(value: unknown, where: string): boolean | undefined {
  if (value === undefined || typeof value === "boolean") return value;
  return refuse(`${where} is ${describe(value)}; it must be true or false`);
}

export function allow(where: string, value: unknown, allowed: unknown[]): void {
  if (allowed.includes(value)) return;
  refuse(
    `${where} is ${shownValue(value)}; supported is ${allowed.map((item) => (item === undefined ? "absent" : shown(item))).join(" or ")}`,
  );
}

export function object(value: unknown, where: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  return refuse(`${where} is ${describe(value)}; it must be an object`);
}

export function array(value: unknown, where: string): unknown[] {
  return Array.isArray(value) ? value : refuse(`${where} is ${describe(value)}; it must be an array`);
}

/** Objects and arrays may be nested too deep to be written out. */
function shownValue(value: unknown): string {
  return typeof value === "object" && value !== null ? describe(value) : shown(value);
}

export function refuse(problem: string): never {
  throw new Qwen3Error("TOKENIZER_FILE", `tokenizer.json: ${problem}`);
}
