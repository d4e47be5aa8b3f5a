/**
 * Prepares a parsed chat template: calls of string methods and filters become calls of our own functions, and the places are noted
 * where values become text or strings are taken apart, and where a rendering with marks has to look at strings by what they read as, or
 * to mark what it reads.
 */
import { type Node, parseTemplate } from "./jinja.ts";

export interface TemplateProgram {
  readonly root: Node;
  /** Operands of comparisons, keys of lookups, arguments of filters: their strings are looked at and never written. */
  readonly compared: ReadonlySet<object>;
  /** Reads of a message's role: one of five known words, so the template's own as much as its literals. */
  readonly roles: ReadonlySet<object>;
  /** What is looped over: every item is a step, even of an empty loop. */
  readonly iterated: ReadonlySet<object>;
  /** Values that become text: what is between `{{` and `}}`, operands of `~` and of the filter `string`. */
  readonly printed: ReadonlySet<object>;
  /** Items, slices and lengths, possibly of strings. */
  readonly lookups: ReadonlySet<object>;
  /** Whether it asks if the arguments of a tool call are a string. */
  readonly testsArguments: boolean;
}

/** The same while it is made. */
interface Notes {
  compared: Set<object>;
  roles: Set<object>;
  iterated: Set<object>;
  printed: Set<object>;
  lookups: Set<object>;
  /** Variables that are set to the arguments of a tool call. */
  argumentNames: Set<unknown>;
  testsArguments: boolean;
}

/** What our functions are called in a program. No template can name them, and they shadow nothing. */
export const methodName = (method: string): string => `str.${method}`;
export const filterFunction = (filter: string): string => `filter.${filter}`;

const methods = [
  "strip",
  "lstrip",
  "rstrip",
  "split",
  "replace",
  "startswith",
  "endswith",
  "upper",
  "lower",
  "capitalize",
  "title",
];
/** Filters that do the same as a method. */
const methodOfFilter: Readonly<Record<string, string>> = {
  trim: "strip",
  replace: "replace",
  upper: "upper",
  lower: "lower",
  capitalize: "capitalize",
  title: "title",
};
/** Filters that are our functions; they are given the value in a list of its own. */
const filters = ["tojson", "length", "count", "join"];
const comparisons = ["==", "!=", "in", "not in", "<", ">", "<=", ">="];
/** Filters whose arguments are written, not looked at. */
const writingFilters = ["default", "join"];
/** What stands in a block beside values, and is itself no value. */
const statements = ["If", "For", "Set", "Macro", "CallStatement", "FilterStatement", "Break", "Continue", "Comment"];
/** Functions whose string arguments are looked at. */
const readingFunctions = ["raise_exception", "strftime_now"];

/** Code units of a template's source; published ones have up to some 20,000. */
const maxSource = 1 << 20;
/** The library looks for tags with a regular expression that takes time quadratic in the length of a run of whitespace. */
const maxWhitespace = 2000;

/** @throws Error where the source is not a template, or too long a one */
export function compileTemplate(source: string): TemplateProgram {
  checkSource(source);
  // The two options under which transformers runs chat templates.
  const root = parseTemplate(source, { trim_blocks: true, lstrip_blocks: true });
  const notes: Notes = {
    compared: new Set(),
    roles: new Set(),
    iterated: new Set(),
    printed: new Set(),
    lookups: new Set(),
    argumentNames: new Set(),
    testsArguments: false,
  };
  rewrite(root, notes);
  visit(root, (node) => note(node, notes));
  return { root, ...notes };
}

function checkSource(source: string): void {
  if (source.length > maxSource) throw new Error(`it has ${source.length} characters; at most ${maxSource} are allowed`);
  for (const { 0: run, index } of source.matchAll(/\s+/g)) {
    if (run.length <= maxWhitespace) continue;
    throw new Error(`it has ${run.length} characters of whitespace in a row at ${index}; at most ${maxWhitespace} are allowed`);
  }
}

/** Replaces, from the leaves up, what the library would compute its own way. Returns what now stands for `node`. */
function rewrite(node: Node, notes: Notes): Node {
  for (const [field, value] of Object.entries(node)) {
    if (isNode(value)) node[field] = rewrite(value, notes);
    else if (Array.isArray(value)) node[field] = value.map((item: Node) => rewrite(item, notes));
    else if (value instanceof Map) {
      node[field] = new Map([...(value as Map<Node, Node>)].map(([key, item]) => [rewrite(key, notes), rewrite(item, notes)]));
    }
  }
  if (node.type === "CallExpression") {
    const { callee, args } = node as { callee: Node; args: Node[] } & Node;
    const method = memberName(callee);
    if (methods.includes(method)) return call(methodName(method), [callee.object as Node, ...args]);
  }
  if (node.type === "FilterExpression") {
    const { operand, filter } = node as { operand: Node; filter: Node } & Node;
    const name = filterName(filter);
    const args = filter.type === "CallExpression" ? (filter.args as Node[]) : [];
    if (name === "string") {
      notes.printed.add(operand);
      return operand;
    }
    if (filters.includes(name)) return call(filterFunction(name), [{ type: "ArrayLiteral", value: [operand] }, ...args]);
    const method = Object.hasOwn(methodOfFilter, name) ? methodOfFilter[name] : undefined;
    if (method !== undefined) {
      notes.printed.add(operand); // unlike the method, the filter takes any value, as text
      return call(methodName(method), [operand, ...args]);
    }
  }
  return node;
}

function note(node: Node, notes: Notes): void {
  const { compared, roles, iterated, printed, lookups, argumentNames } = notes;
  const addAll = (nodes: unknown[]): void => {
    // A keyword argument is evaluated through its value.
    for (const item of nodes as Node[]) compared.add(item.type === "KeywordArgumentExpression" ? (item.value as Node) : item);
  };
  for (const block of [node.body, node.alternate, node.defaultBlock]) {
    for (const item of (block ?? []) as Node[]) if (!statements.includes(item.type)) printed.add(item);
  }
  switch (node.type) {
    case "Set":
      if (isNode(node.value) && isArguments(node.value)) argumentNames.add((node.assignee as Node).value);
      break;
    case "BinaryExpression":
      if ((node.operator as Node).value === "~") for (const operand of [node.left, node.right]) printed.add(operand as Node);
      if (comparisons.includes((node.operator as Node).value as string)) addAll([node.left, node.right]);
      break;
    case "MemberExpression":
      if (node.computed) addAll([node.property]);
      if (memberName(node) === "role") roles.add(node);
      if (["", "length"].includes(memberName(node))) lookups.add(node);
      break;
    case "CallExpression": {
      const args = node.args as Node[];
      if (readingFunctions.includes((node.callee as Node).value as string)) addAll(args);
      if (memberName(node.callee as Node) === "get") {
        addAll(args.slice(0, 1));
        if (args[0]?.value === "role") roles.add(node);
      }
      break;
    }
    case "FilterExpression":
    case "FilterStatement": {
      const filter = node.filter as Node;
      if (filter.type === "CallExpression" && !writingFilters.includes(filterName(filter))) addAll(filter.args as Node[]);
      break;
    }
    case "For": {
      const iterable = node.iterable as Node;
      iterated.add(iterable.type === "SelectExpression" ? (iterable.lhs as Node) : iterable);
      break;
    }
    case "TestExpression": {
      const operand = node.operand as Node;
      addAll([operand]);
      if ((node.test as Node).value === "string" && (isArguments(operand) || argumentNames.has(operand.value))) {
        notes.testsArguments = true;
      }
      break;
    }
    case "ObjectLiteral":
      addAll([...(node.value as Map<Node, Node>).keys()]);
      break;
  }
}

/** Whether `node` reads `call.arguments`, in any notation. */
function isArguments(node: Node): boolean {
  if (node.type !== "CallExpression") return memberName(node) === "arguments";
  return memberName(node.callee as Node) === "get" && (node.args as Node[])[0]?.value === "arguments";
}

function visit(node: Node, see: (node: Node) => void): void {
  see(node);
  for (const value of Object.values(node)) {
    if (isNode(value)) visit(value, see);
    else if (Array.isArray(value)) for (const item of value as Node[]) visit(item, see);
    else if (value instanceof Map) for (const pair of value as Map<Node, Node>) for (const item of pair) visit(item, see);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

const call = (name: string, args: Node[]): Node => ({
  type: "CallExpression",
  callee: { type: "Identifier", value: name },
  args,
});

/** The name in `object.name` or `object["name"]`, or nothing. */
export function memberName(node: Node): string {
  if (node.type !== "MemberExpression") return "";
  const property = node.property as Node;
  const named = node.computed ? property.type === "StringLiteral" : property.type === "Identifier";
  return named ? (property.value as string) : "";
}

const filterName = (filter: Node): string =>
  (filter.type === "CallExpression" ? (filter.callee as Node) : filter).value as string;
