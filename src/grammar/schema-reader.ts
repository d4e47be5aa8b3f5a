/**
 * Reads schemas (JSON Schema, draft 2020-12) into alternatives of conjunctions: allOf and references add up, anyOf multiplies. Every keyword
 * is enforced, an annotation, or refused by name.
 */
import { describe, type JsonValue } from "../text/json-data.ts";
import type { CharAutomaton } from "./char-automaton.ts";
import {
  ANYTHING,
  type Conjunction,
  equalJson,
  FRACTION,
  type ObjectPart,
  TYPES,
  tighterLower,
  tighterUpper,
} from "./conjunction.ts";
import { FORMATS } from "./formats.ts";
import { LIMITS, malformed, tooLarge, unsupported, type Work } from "./limits.ts";
import { searchMatch, wholeMatch } from "./regex-automaton.ts";
import type { Properties } from "./regex-syntax.ts";
import { isObject, type SchemaDocument, type SchemaNode, type SchemaObject } from "./schema-document.ts";

const ANNOTATIONS = new Set(
  "title description default examples example deprecated readOnly writeOnly $comment $id $anchor $defs definitions discriminator contentEncoding contentMediaType".split(
    " ",
  ),
);
/** They only say something together with another keyword, which is looked at where it stands. */
const IN_PLACE = ["$ref", "allOf", "anyOf", "oneOf"];
const DRAFTS = /^https?:\/\/json-schema\.org\/(?:draft\/2020-12|draft\/2019-09|draft-07)\/schema#?$/;
const MAX_MULTIPLE = 1000;

type Apply = (reader: SchemaReader, so_far: Conjunction, value: JsonValue, node: SchemaNode, schema: SchemaObject) => Conjunction;

/** Branches of a oneOf that must have nothing in common. */
export interface DisjointPair {
  readonly nodes: readonly SchemaNode[];
  readonly where: string;
}

export class SchemaReader {
  readonly document: SchemaDocument;
  readonly work: Work;
  readonly disjoint: DisjointPair[] = [];
  readonly #properties: Properties;
  readonly #patterns = new Map<string, CharAutomaton>();
  readonly #oneOfs = new Set<string>();

  constructor(document: SchemaDocument, work: Work, properties: Properties) {
    this.document = document;
    this.work = work;
    this.#properties = properties;
  }

  /** What values of all `nodes` fulfil: any of the results. */
  read(nodes: readonly SchemaNode[]): Conjunction[] {
    return nodes.reduce<Conjunction[]>((all, node) => this.#expand(all, node, []), [ANYTHING]);
  }

  /** @param searched whether the pattern may match anywhere in the text */
  pattern(source: string, where: string, searched: boolean): CharAutomaton {
    const key = `${searched}${source}`;
    const known = this.#patterns.get(key) ?? (searched ? searchMatch : wholeMatch)(source, where, this.work, this.#properties);
    this.#patterns.set(key, known);
    return known;
  }

  /** @param above the schemas that are being read, one inside the other, about the same value */
  #expand(all: readonly Conjunction[], node: SchemaNode, above: readonly SchemaNode[]): Conjunction[] {
    const { schema, pointer } = node;
    if (schema === true) return [...all];
    if (schema === false) return [];
    if (above.includes(node)) malformed(pointer, "the schema refers to itself without end");
    if (above.length > LIMITS.schemaDepth) tooLarge(pointer, `references through more than ${LIMITS.schemaDepth} schemas`);
    const inner = [...above, node];
    let found = all.map((conjunction) => this.#keywords(conjunction, node, schema));
    const { $ref: reference, allOf, anyOf, oneOf } = schema;
    if (reference !== undefined) {
      if (typeof reference !== "string") malformed(`${pointer}/$ref`, "it must be a string");
      found = this.#expand(found, this.document.resolve(node, reference), inner);
    }
    for (const branch of this.#branches(node, "allOf", allOf)) found = this.#expand(found, branch, inner);
    if (anyOf !== undefined) found = this.#either(found, this.#branches(node, "anyOf", anyOf), inner);
    if (oneOf !== undefined && node.without !== "oneOf") {
      const branches = this.#branches(node, "oneOf", oneOf);
      this.#requireDisjoint(node, branches);
      found = this.#either(found, branches, inner);
    }
    return found.filter(({ types }) => types !== 0);
  }

  #either(all: readonly Conjunction[], branches: readonly SchemaNode[], above: readonly SchemaNode[]): Conjunction[] {
    const found = branches.flatMap((branch) => this.#expand(all, branch, above));
    this.work.spend(found.length, branches[0]!.pointer);
    if (found.length > LIMITS.alternatives)
      tooLarge(branches[0]!.pointer, `more than ${LIMITS.alternatives} alternatives at one place`);
    return found;
  }

  #branches(node: SchemaNode, keyword: string, value: JsonValue | undefined): SchemaNode[] {
    if (value === undefined) return [];
    if (!Array.isArray(value) || value.length === 0)
      malformed(`${node.pointer}/${keyword}`, "it must be an array of schemas, not empty");
    return value.map((_, i) => this.document.child(node, keyword, i));
  }

  #requireDisjoint(node: SchemaNode, branches: readonly SchemaNode[]): void {
    if (this.#oneOfs.has(node.pointer)) return;
    this.#oneOfs.add(node.pointer);
    const rest: SchemaNode = { ...node, without: "oneOf" };
    this.work.spend(branches.length * branches.length, node.pointer);
    branches.forEach((a, i) => {
      for (const b of branches.slice(i + 1)) this.disjoint.push({ nodes: [rest, a, b], where: `${node.pointer}/oneOf` });
    });
  }

  #keywords(conjunction: Conjunction, node: SchemaNode, schema: SchemaObject): Conjunction {
    let found = conjunction;
    for (const [keyword, value] of Object.entries(schema)) {
      if (ANNOTATIONS.has(keyword) || IN_PLACE.includes(keyword) || keyword.startsWith("x-")) continue;
      const apply = KEYWORDS.get(keyword);
      if (!apply)
        unsupported(`${node.pointer}/${keyword}`, `the keyword ${JSON.stringify(keyword.slice(0, 100))} cannot be enforced`);
      found = apply(this, found, value, node, schema);
    }
    return found;
  }
}

const at = ({ pointer }: SchemaNode, keyword: string): string => `${pointer}/${keyword}`;

function number(value: JsonValue, where: string): number {
  return typeof value === "number" ? value : malformed(where, `it is ${describe(value)}; it must be a number`);
}

function count(value: JsonValue, where: string): number {
  const isCount = typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
  return isCount ? value : malformed(where, `it is ${JSON.stringify(value).slice(0, 50)}; it must be an integer from 0`);
}

const larger =
  (name: "minLength" | "minItems" | "minProperties"): Apply =>
  (_, so_far, value, node) => ({ ...so_far, [name]: Math.max(so_far[name], count(value, at(node, name))) });
const smaller =
  (name: "maxLength" | "maxItems" | "maxProperties"): Apply =>
  (_, so_far, value, node) => ({ ...so_far, [name]: Math.min(so_far[name], count(value, at(node, name))) });
const lower =
  (keyword: string, exclusive: boolean): Apply =>
  (_, so_far, value, node) => ({
    ...so_far,
    lower: tighterLower(so_far.lower, { value: number(value, at(node, keyword)), exclusive }),
  });
const upper =
  (keyword: string, exclusive: boolean): Apply =>
  (_, so_far, value, node) => ({
    ...so_far,
    upper: tighterUpper(so_far.upper, { value: number(value, at(node, keyword)), exclusive }),
  });

const KEYWORDS: ReadonlyMap<string, Apply> = new Map<string, Apply>([
  ["$schema", checkDraft],
  ["type", restrictTypes],
  ["enum", (_, so_far, value, node) => restrictValues(so_far, value, node)],
  ["const", (_, so_far, value, node) => onlyValues(so_far, [{ value, pointer: at(node, "const") }])],
  ["minimum", lower("minimum", false)],
  ["exclusiveMinimum", lower("exclusiveMinimum", true)],
  ["maximum", upper("maximum", false)],
  ["exclusiveMaximum", upper("exclusiveMaximum", true)],
  ["multipleOf", restrictMultiple],
  ["minLength", larger("minLength")],
  ["maxLength", smaller("maxLength")],
  ["pattern", restrictPattern],
  ["format", restrictFormat],
  ["minItems", larger("minItems")],
  ["maxItems", smaller("maxItems")],
  ["prefixItems", (reader, so_far, _, node, schema) => addArrayPart(reader, so_far, node, schema)],
  ["items", (reader, so_far, _, node, schema) => ("prefixItems" in schema ? so_far : addArrayPart(reader, so_far, node, schema))],
  [
    "uniqueItems",
    (_, so_far, value, node) => (value === false ? so_far : unsupported(at(node, "uniqueItems"), "it cannot be enforced")),
  ],
  ["minProperties", larger("minProperties")],
  ["maxProperties", smaller("maxProperties")],
  ["required", restrictRequired],
  ["properties", (reader, so_far, _, node, schema) => addObjectPart(reader, so_far, node, schema, "properties")],
  ["patternProperties", (reader, so_far, _, node, schema) => addObjectPart(reader, so_far, node, schema, "patternProperties")],
  [
    "additionalProperties",
    (reader, so_far, _, node, schema) => addObjectPart(reader, so_far, node, schema, "additionalProperties"),
  ],
]);

function checkDraft(_: SchemaReader, so_far: Conjunction, value: JsonValue, node: SchemaNode): Conjunction {
  if (typeof value === "string" && DRAFTS.test(value)) return so_far;
  return unsupported(at(node, "$schema"), "allowed are the drafts 2020-12, 2019-09 and 07, read as 2020-12");
}

function restrictTypes(_: SchemaReader, so_far: Conjunction, value: JsonValue, node: SchemaNode): Conjunction {
  const names = [value].flat();
  const bits = names.reduce<number>((all, name) => {
    const bit = TYPES.get(name) ?? malformed(at(node, "type"), `${JSON.stringify(name).slice(0, 50)} is no type`);
    return all | bit;
  }, 0);
  return { ...so_far, types: so_far.types & bits };
}

function restrictValues(so_far: Conjunction, value: JsonValue, node: SchemaNode): Conjunction {
  if (!Array.isArray(value)) return malformed(at(node, "enum"), "it must be an array");
  return onlyValues(
    so_far,
    value.map((item, i) => ({ value: item, pointer: `${at(node, "enum")}/${i}` })),
  );
}

function onlyValues(so_far: Conjunction, values: NonNullable<Conjunction["values"]>): Conjunction {
  const before = so_far.values;
  return {
    ...so_far,
    values: before ? values.filter(({ value }) => before.some((other) => equalJson(other.value, value))) : values,
  };
}

function restrictMultiple(_: SchemaReader, so_far: Conjunction, value: JsonValue, node: SchemaNode): Conjunction {
  const where = at(node, "multipleOf");
  const multiple = number(value, where);
  if (!(multiple > 0)) malformed(where, "it must be greater than 0");
  const before = so_far.multipleOf ?? 1;
  const least = (before * multiple) / gcd(before, multiple);
  if (!Number.isInteger(multiple) || least > MAX_MULTIPLE)
    unsupported(
      where,
      `${multiple} cannot be enforced; allowed are integers up to ${MAX_MULTIPLE}, several of them by their least common multiple`,
    );
  return { ...so_far, types: so_far.types & ~FRACTION, multipleOf: least };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

function restrictPattern(reader: SchemaReader, so_far: Conjunction, value: JsonValue, node: SchemaNode): Conjunction {
  const where = at(node, "pattern");
  if (typeof value !== "string") return malformed(where, "it must be a string");
  return { ...so_far, texts: [...so_far.texts, reader.pattern(value, where, true)] };
}

function restrictFormat(reader: SchemaReader, so_far: Conjunction, value: JsonValue, node: SchemaNode): Conjunction {
  const where = at(node, "format");
  if (typeof value !== "string") return malformed(where, "it must be a string");
  const pattern = FORMATS.get(value);
  if (pattern === undefined)
    return unsupported(
      where,
      `${JSON.stringify(value.slice(0, 50))} cannot be enforced; allowed are ${[...FORMATS.keys()].join(", ")}`,
    );
  return { ...so_far, texts: [...so_far.texts, reader.pattern(pattern, where, false)] };
}

function restrictRequired(_: SchemaReader, so_far: Conjunction, value: JsonValue, node: SchemaNode): Conjunction {
  const isList = Array.isArray(value) && value.every((name) => typeof name === "string");
  if (!isList) return malformed(at(node, "required"), "it must be an array of strings");
  return { ...so_far, required: [...new Set([...so_far.required, ...(value as string[])])] };
}

function addArrayPart(reader: SchemaReader, so_far: Conjunction, node: SchemaNode, schema: SchemaObject): Conjunction {
  const { prefixItems, items } = schema;
  if (prefixItems !== undefined && !Array.isArray(prefixItems))
    malformed(at(node, "prefixItems"), "it must be an array of schemas");
  if (Array.isArray(items)) unsupported(at(node, "items"), "an array; since draft 2020-12 that is prefixItems");
  const prefix = (prefixItems ?? []).map((_, i) => reader.document.child(node, "prefixItems", i));
  const rest = items === undefined ? undefined : reader.document.child(node, "items");
  return { ...so_far, arrays: [...so_far.arrays, { prefix, rest }] };
}

/** @param keyword of those that make one part together, the first one that the schema has adds it */
function addObjectPart(
  reader: SchemaReader,
  so_far: Conjunction,
  node: SchemaNode,
  schema: SchemaObject,
  keyword: string,
): Conjunction {
  const first = ["properties", "patternProperties", "additionalProperties"].find((name) => name in schema);
  if (keyword !== first) return so_far;
  const schemas = (name: string): string[] => {
    const value = schema[name] ?? {};
    return isObject(value) ? Object.keys(value) : malformed(at(node, name), "it must be an object of schemas");
  };
  const part: ObjectPart = {
    properties: new Map(schemas("properties").map((name) => [name, reader.document.child(node, "properties", name)])),
    patterns: schemas("patternProperties").map((pattern) => ({
      keys: reader.pattern(pattern, `${at(node, "patternProperties")}/${pattern}`, true),
      value: reader.document.child(node, "patternProperties", pattern),
    })),
    additional: schema.additionalProperties === undefined ? undefined : reader.document.child(node, "additionalProperties"),
  };
  return { ...so_far, objects: [...so_far.objects, part] };
}
