/**
 * From a schema to machines. A type stands for all values that fulfil some schemas at once; those that occur are found first, then which of
 * them have any value at all, so that no machine ever waits for what cannot come.
 */
import { ArrayMachine } from "./array-machine.ts";
import { type CharAutomaton, labelOf, DEAD as NONE, product, relabelled, texts } from "./char-automaton.ts";
import { ARRAY, type Conjunction, OBJECT, type ObjectPart } from "./conjunction.ts";
import { LIMITS, tooLarge, unsatisfiable, unsupported, type Work } from "./limits.ts";
import type { Growth, Machine } from "./machine.ts";
import { ObjectMachine } from "./object-machine.ts";
import { ScalarMachines } from "./scalar-machines.ts";
import { isObject, type SchemaNode } from "./schema-document.ts";
import type { SchemaReader } from "./schema-reader.ts";
import type { StringMachine } from "./string-machine.ts";
import type { UnionMachine } from "./union-machine.ts";
import { ValueType } from "./value-type.ts";

/** Objects before it is known which types have values. */
interface ObjectDraft {
  readonly type: "object";
  readonly keys: CharAutomaton;
  readonly values: readonly Draft[];
  readonly names: readonly string[];
  readonly required: readonly string[];
  readonly min: number;
  readonly max: number;
  readonly where: string;
}

interface ArrayDraft {
  readonly type: "array";
  readonly prefix: readonly Draft[];
  readonly rest: Draft;
  readonly min: number;
  readonly max: number;
}

interface Draft {
  readonly nodes: readonly SchemaNode[];
  readonly where: string;
  scalars: readonly Machine[];
  composites: readonly (ObjectDraft | ArrayDraft)[];
  /** Whether any value fits. */
  productive: boolean;
  value: ValueType | undefined;
}

export class SchemaTypes {
  readonly #reader: SchemaReader;
  readonly #work: Work;
  readonly #union: UnionMachine;
  readonly #growth: Growth;
  readonly #scalars: ScalarMachines;
  readonly #drafts = new Map<string, Draft>();
  readonly #queue: Draft[] = [];

  constructor(reader: SchemaReader, union: UnionMachine, characters: StringMachine, growth: Growth) {
    this.#growth = growth;
    this.#reader = reader;
    this.#work = reader.work;
    this.#union = union;
    this.#scalars = new ScalarMachines(reader.work, characters);
  }

  /** The type of the values that fulfil the whole schema. @throws Qwen3Error GRAMMAR_EMPTY where there are none */
  compile(root: SchemaNode): ValueType {
    const draft = this.#draftOf([root], root.pointer);
    this.#complete();
    if (!draft.productive) unsatisfiable(root.pointer, "no value fulfils the schema");
    for (const { composites, productive } of this.#drafts.values())
      for (const composite of productive ? composites : []) if (composite.type === "object") requireCountable(composite);
    return this.#typeOf(draft);
  }

  /** Finds all types, what they have of alternatives, and which have values. */
  #complete(): void {
    const { disjoint } = this.#reader;
    for (let checked = 0; this.#queue.length > 0 || checked < disjoint.length; ) {
      for (let draft = this.#queue.pop(); draft; draft = this.#queue.pop()) this.#fill(draft);
      const pairs: { draft: Draft; where: string }[] = [];
      for (; checked < disjoint.length; checked++) {
        const { nodes, where } = disjoint[checked]!;
        pairs.push({ draft: this.#draftOf(nodes, where), where });
      }
      for (let draft = this.#queue.pop(); draft; draft = this.#queue.pop()) this.#fill(draft);
      this.#findProductive();
      for (const { draft, where } of pairs)
        if (draft.productive)
          unsupported(where, "two of its schemas may both be fulfilled; only schemas that exclude each other can be enforced");
    }
    this.#findProductive();
  }

  #draftOf(nodes: readonly SchemaNode[], where: string): Draft {
    const asked = nodes.filter(({ schema }) => schema === false || (schema !== true && Object.keys(schema).length > 0));
    const key = [...new Set(asked.map(({ pointer, without = "" }) => JSON.stringify([pointer, without])))].sort().join();
    let draft = this.#drafts.get(key);
    if (draft) return draft;
    if (this.#drafts.size === LIMITS.valueTypes) tooLarge(where, `more than ${LIMITS.valueTypes} kinds of value`);
    draft = { nodes: asked, where, scalars: [], composites: [], productive: false, value: undefined };
    this.#drafts.set(key, draft);
    this.#queue.push(draft);
    return draft;
  }

  #fill(draft: Draft): void {
    const scalars: Machine[] = [];
    const composites: (ObjectDraft | ArrayDraft)[] = [];
    for (const conjunction of this.#reader.read(draft.nodes)) {
      this.#work.spend(100, draft.where);
      scalars.push(...this.#scalars.of(conjunction, draft.where));
      for (const one of this.#withValues(conjunction)) {
        if (one.types & OBJECT) composites.push(this.#object(one, draft.where));
        if (one.types & ARRAY) composites.push(this.#array(one, draft.where));
      }
    }
    draft.scalars = [...new Set(scalars)];
    draft.composites = composites;
  }

  /** Objects and arrays of `enum` and `const` become what such a schema would be without them. */
  #withValues(conjunction: Conjunction): Conjunction[] {
    const { values, types } = conjunction;
    if (!values) return [conjunction];
    return values.flatMap(({ value, pointer }): Conjunction[] => {
      const exactly = (key: string | number, item: unknown): SchemaNode => ({
        schema: { const: item as never },
        pointer: `${pointer}/=${key}`, // a place of its own: a reference may point to the value itself
        base: "",
      });
      if (Array.isArray(value)) {
        const { length } = value;
        const part = { prefix: value.map((item, i) => exactly(i, item)), rest: undefined };
        const [minItems, maxItems] = [Math.max(conjunction.minItems, length), Math.min(conjunction.maxItems, length)];
        return [{ ...conjunction, types: types & ARRAY, minItems, maxItems, arrays: [...conjunction.arrays, part] }];
      }
      if (!isObject(value)) return [];
      const part: ObjectPart = {
        properties: new Map(Object.entries(value).map(([key, item]) => [key, exactly(key, item)])),
        patterns: [],
        additional: { schema: false, pointer: `${pointer}/*`, base: "" },
      };
      const required = [...new Set([...conjunction.required, ...Object.keys(value)])];
      return [{ ...conjunction, types: types & OBJECT, required, objects: [...conjunction.objects, part] }];
    });
  }

  #array({ arrays, minItems, maxItems }: Conjunction, where: string): ArrayDraft {
    const length = arrays.reduce((most, { prefix }) => Math.max(most, prefix.length), 0);
    const item = (i: number): Draft =>
      this.#draftOf(
        arrays.flatMap(({ prefix, rest }) => prefix[i] ?? rest ?? []),
        where,
      );
    return {
      type: "array",
      prefix: Array.from({ length }, (_, i) => item(i)),
      rest: item(length),
      min: minItems,
      max: maxItems,
    };
  }

  #object({ objects, required, minProperties, maxProperties }: Conjunction, where: string): ObjectDraft {
    const names = [...new Set([...objects.flatMap(({ properties }) => [...properties.keys()]), ...required])];
    const patterns = objects.flatMap((part) => part.patterns);
    this.#work.spend(names.length * (1 + patterns.length), where);
    const values = names.map((name) => {
      const nodes = objects.flatMap((part) => {
        const own = part.properties.get(name);
        const matched = part.patterns.filter(({ keys }) => labelOf(keys, name) !== NONE).map(({ value }) => value);
        return own || matched.length > 0 ? [...(own ? [own] : []), ...matched] : (part.additional ?? []);
      });
      return this.#draftOf(nodes, where);
    });
    const kinds = new Map<Draft, number>();
    const kindOf = (nodes: readonly SchemaNode[]): number => {
      const draft = this.#draftOf(nodes, where);
      if (!kinds.has(draft)) kinds.set(draft, values.push(draft) - 1);
      return kinds.get(draft)!;
    };
    const others = (isMatched: (keys: CharAutomaton) => boolean): number =>
      kindOf(
        objects.flatMap((part) => {
          const matched = part.patterns.filter(({ keys }) => isMatched(keys)).map(({ value }) => value);
          return matched.length > 0 ? matched : (part.additional ?? []);
        }),
      );
    const base = { type: "object", values, names, required, min: minProperties, max: maxProperties, where } as const;
    if (patterns.length === 0) {
      const isClosed = objects.some(({ additional }) => additional?.schema === false);
      return { ...base, keys: texts(names, isClosed ? NONE : others(() => false), this.#work, where) };
    }
    const automata = patterns.map(({ keys }) => keys);
    const keys = product(
      [texts(names, names.length, this.#work, where), ...automata],
      ([name, ...matches]) => (name! < names.length ? name! : others((keys) => matches[automata.indexOf(keys)] !== NONE)),
      false,
      this.#work,
      where,
    );
    return { ...base, keys };
  }

  #findProductive(): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (const draft of this.#drafts.values()) {
        if (draft.productive) continue;
        this.#work.spend(1 + draft.composites.length, draft.where);
        draft.productive = draft.scalars.length > 0 || draft.composites.some((composite) => hasValues(composite));
        changed ||= draft.productive;
      }
    }
  }

  #typeOf(draft: Draft): ValueType {
    draft.value ??= new ValueType(
      () => [...draft.scalars, ...draft.composites.filter(hasValues).map((one) => this.#machine(one))],
      this.#union,
    );
    return draft.value;
  }

  #machine(draft: ObjectDraft | ArrayDraft): Machine {
    if (draft.type === "array") {
      const { prefix, rest, min } = draft;
      const max = mostItems(draft);
      return new ArrayMachine({
        prefix: prefix.slice(0, max).map((item) => this.#typeOf(item)),
        rest: max > prefix.length ? this.#typeOf(rest) : undefined,
        min,
        max,
      });
    }
    const { values, names, required, min, max } = draft;
    const keys = relabelled(draft.keys, (kind) => (values[kind]!.productive ? kind : NONE));
    const bits = required.reduce((all, name) => all | (1n << BigInt(names.indexOf(name))), 0n);
    return new ObjectMachine(
      { keys, values: values.map((value) => this.#typeOf(value)), names: names.length, required: bits, min, max },
      this.#growth,
    );
  }
}

/** Up to the first item that nothing can be. */
function mostItems({ prefix, rest, max }: ArrayDraft): number {
  const barrier = prefix.findIndex(({ productive }) => !productive);
  if (barrier >= 0) return Math.min(max, barrier);
  return rest.productive ? max : Math.min(max, prefix.length);
}

function hasValues(draft: ObjectDraft | ArrayDraft): boolean {
  if (draft.type === "array") return draft.min <= mostItems(draft);
  const { values, names, required, min, max } = draft;
  const isOpen = values.some(({ productive }, kind) => kind >= names.length && productive);
  const most = isOpen ? Number.POSITIVE_INFINITY : values.filter(({ productive }) => productive).length;
  const hasRequired = required.every((name) => values[names.indexOf(name)]!.productive);
  return hasRequired && required.length <= max && min <= Math.min(max, most);
}

/** Keys that no schema names may come twice, and then count once: how many there are at least is known for the first one only. */
function requireCountable({ values, names, required, min, where }: ObjectDraft): void {
  const isOpen = values.some(({ productive }, kind) => kind >= names.length && productive);
  if (isOpen && min > Math.max(1, required.length))
    unsupported(`${where}/minProperties`, "more than 1 cannot be enforced where the keys are not known");
}
