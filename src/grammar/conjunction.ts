/** What a value has to fulfil all at once, collected from one or more schemas. */
import type { JsonValue } from "../text/json-data.ts";
import type { CharAutomaton } from "./char-automaton.ts";
import type { SchemaNode } from "./schema-document.ts";

/** Bits of a set of types. An integer is a number without a fraction. */
export const NULL = 1;
export const BOOLEAN = 2;
export const INTEGER = 4;
export const FRACTION = 8;
export const STRING = 16;
export const OBJECT = 32;
export const ARRAY = 64;
export const ALL_TYPES = 127;

export const TYPES: ReadonlyMap<unknown, number> = new Map([
  ["null", NULL],
  ["boolean", BOOLEAN],
  ["integer", INTEGER],
  ["number", INTEGER | FRACTION],
  ["string", STRING],
  ["object", OBJECT],
  ["array", ARRAY],
]);

export interface NumberBound {
  readonly value: number;
  readonly exclusive: boolean;
}

/** `properties`, `patternProperties` and `additionalProperties` of one schema: they look at each other. */
export interface ObjectPart {
  readonly properties: ReadonlyMap<string, SchemaNode>;
  readonly patterns: readonly { readonly keys: CharAutomaton; readonly value: SchemaNode }[];
  /** For keys that neither names; undefined where anything goes. */
  readonly additional: SchemaNode | undefined;
}

/** `prefixItems` and `items` of one schema. */
export interface ArrayPart {
  readonly prefix: readonly SchemaNode[];
  readonly rest: SchemaNode | undefined;
}

export interface Conjunction {
  readonly types: number;
  /** Of `enum` and `const`, each with its pointer. */
  readonly values?: readonly { readonly value: JsonValue; readonly pointer: string }[];
  readonly lower?: NumberBound;
  readonly upper?: NumberBound;
  readonly multipleOf?: number;
  readonly minLength: number;
  readonly maxLength: number;
  readonly texts: readonly CharAutomaton[];
  readonly minItems: number;
  readonly maxItems: number;
  readonly arrays: readonly ArrayPart[];
  readonly minProperties: number;
  readonly maxProperties: number;
  readonly required: readonly string[];
  readonly objects: readonly ObjectPart[];
}

export const ANYTHING: Conjunction = {
  types: ALL_TYPES,
  minLength: 0,
  maxLength: Number.POSITIVE_INFINITY,
  texts: [],
  minItems: 0,
  maxItems: Number.POSITIVE_INFINITY,
  arrays: [],
  minProperties: 0,
  maxProperties: Number.POSITIVE_INFINITY,
  required: [],
  objects: [],
};

export function tighterLower(a: NumberBound | undefined, b: NumberBound): NumberBound {
  return !a || b.value > a.value || (b.value === a.value && b.exclusive) ? b : a;
}

export function tighterUpper(a: NumberBound | undefined, b: NumberBound): NumberBound {
  return !a || b.value < a.value || (b.value === a.value && b.exclusive) ? b : a;
}

export function typeOf(value: JsonValue): number {
  if (value === null) return NULL;
  if (Array.isArray(value)) return ARRAY;
  if (typeof value === "number") return Number.isInteger(value) ? INTEGER : FRACTION;
  return TYPES.get(typeof value)!;
}

/** Whether two JSON values are equal; the order of keys does not matter. */
export function equalJson(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]!));
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key]!, b[key]!));
}
