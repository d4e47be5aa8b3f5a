/** A JSON Schema as plain data, its places by pointer, and what its references mean. Nothing is ever fetched. */
import { copyJson, describe, type JsonValue } from "../text/json-data.ts";
import { LIMITS, malformed, tooLarge, unsupported } from "./limits.ts";

export type SchemaObject = { readonly [keyword: string]: JsonValue };

/** A schema at its place. */
export interface SchemaNode {
  readonly schema: boolean | SchemaObject;
  /** JSON pointer, which begins with the document's name. */
  readonly pointer: string;
  /** The URI that references in it are relative to. */
  readonly base: string;
  /** The same schema without this keyword. */
  readonly without?: "oneOf";
}

/** Keywords whose value is a schema, an array of them, or an object of them. */
const SCHEMA = ["additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames"];
const ARRAYS = ["allOf", "anyOf", "oneOf", "prefixItems"];
const OBJECTS = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const NO_BASE = "schema:/";

export class SchemaDocument {
  readonly root: SchemaNode;
  readonly #nodes = new Map<string, SchemaNode>();
  /** Where `$id` and `$anchor` say that a URI is. */
  readonly #places = new Map<string, SchemaNode>();

  /** @param where what the document is called in errors. @throws Qwen3Error GRAMMAR_SYNTAX, GRAMMAR_LIMIT */
  constructor(schema: unknown, where: string) {
    measure(schema, where);
    this.root = this.#node(copyJson(schema, where), where, NO_BASE);
    this.#places.set(NO_BASE, this.root);
    this.#index(this.root);
  }

  /** The schema at `keys` below a node. */
  child(node: SchemaNode, ...keys: readonly (string | number)[]): SchemaNode {
    const value = keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], node.schema) as JsonValue;
    return this.#node(
      value,
      keys.reduce<string>((pointer, key) => `${pointer}/${escaped(String(key))}`, node.pointer),
      node.base,
    );
  }

  /** What `$ref` at a node means. */
  resolve(node: SchemaNode, reference: string): SchemaNode {
    const where = `${node.pointer}/$ref`;
    const target = absolute(reference, node.base) ?? malformed(where, `${JSON.stringify(reference)} is not a URI`);
    const [resource = "", fragment = ""] = target.split(/#(.*)/s);
    const found =
      this.#places.get(target) ??
      (fragment.startsWith("/") ? this.#follow(this.#places.get(resource), fragment, where) : undefined);
    const whole = fragment === "" ? this.#places.get(resource) : undefined;
    return (
      found ??
      whole ??
      unsupported(where, `${JSON.stringify(reference.slice(0, 200))} is not in this schema, and nothing is fetched`)
    );
  }

  #follow(from: SchemaNode | undefined, pointer: string, where: string): SchemaNode | undefined {
    if (!from) return undefined;
    let keys: string[];
    try {
      keys = decodeURIComponent(pointer)
        .slice(1)
        .split("/")
        .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
    } catch {
      return malformed(where, "a pointer with a broken % escape");
    }
    let { schema: value, base } = from as { schema: unknown; base: string };
    for (const key of keys) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, key))
        malformed(where, "nothing is where it points to");
      value = (value as Record<string, unknown>)[key];
      base = baseOf(value, base);
    }
    return this.#node(
      value as JsonValue,
      keys.reduce((at, key) => `${at}/${escaped(key)}`, from.pointer),
      base,
    );
  }

  #node(schema: JsonValue, pointer: string, base: string): SchemaNode {
    const known = this.#nodes.get(pointer);
    if (known) return known;
    if (typeof schema !== "boolean" && !isObject(schema))
      malformed(pointer, `${describe(schema)} is not a schema: an object or a boolean`);
    const node: SchemaNode = { schema, pointer, base: baseOf(schema, base) };
    this.#nodes.set(pointer, node);
    return node;
  }

  #index(node: SchemaNode): void {
    const { schema, base, pointer } = node;
    if (typeof schema === "boolean") return;
    if (schema.$id !== undefined) {
      if (typeof schema.$id !== "string") malformed(`${pointer}/$id`, "it must be a string");
      this.#places.set(base, node);
    }
    if (schema.$anchor !== undefined) {
      if (typeof schema.$anchor !== "string") malformed(`${pointer}/$anchor`, "it must be a string");
      this.#places.set(`${base}#${schema.$anchor}`, node);
    }
    const visit = (...keys: (string | number)[]) => {
      const value = keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], schema);
      if (typeof value === "boolean" || isObject(value)) this.#index(this.child(node, ...keys));
    };
    for (const key of SCHEMA) if (isObject(schema[key])) visit(key);
    for (const key of ARRAYS) if (Array.isArray(schema[key])) schema[key].forEach((_, i) => void visit(key, i));
    for (const key of OBJECTS) if (isObject(schema[key])) for (const name of Object.keys(schema[key])) visit(key, name);
  }
}

export function isObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const escaped = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

function baseOf(schema: unknown, base: string): string {
  const id = isObject(schema) ? schema.$id : undefined;
  return typeof id === "string" ? (absolute(id, base)?.replace(/#$/, "") ?? base) : base;
}

function absolute(reference: string, base: string): string | undefined {
  try {
    return reference.startsWith("#") ? base + decodeAnchor(reference) : new URL(reference, base).href;
  } catch {
    return undefined;
  }
}

/** A reference to the document itself is as good as none. */
const decodeAnchor = (fragment: string): string => (fragment === "#" ? "" : fragment);

/** Counts before anything is copied. */
function measure(schema: unknown, where: string): void {
  let left: number = LIMITS.schemaValues;
  const visit = (value: unknown, depth: number): void => {
    if (--left < 0) tooLarge(where, `a schema of more than ${LIMITS.schemaValues} values`);
    if (typeof value !== "object" || value === null) {
      if (value === undefined || typeof value === "function" || typeof value === "symbol" || typeof value === "bigint")
        malformed(where, `${describe(value)} in the schema; allowed is what JSON can write`);
      return;
    }
    if (depth === LIMITS.schemaDepth) tooLarge(where, `a schema nested deeper than ${LIMITS.schemaDepth} levels`);
    for (const item of Object.values(value)) if (item !== undefined) visit(item, depth + 1);
  };
  visit(schema, 0);
}
