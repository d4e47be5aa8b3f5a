/** What an answer has to look like: `response_format`, vLLM's `guided_*` and `structured_outputs`, and tools that have to be called. */
import type { ConstraintSpec } from "../chat/chat-model.ts";
import type { Tool } from "../text/messages.ts";
import { depthOf, requireSmall } from "./body.ts";
import { invalid } from "./errors.ts";
import { isRecord, type RequestFields, refuse } from "./fields.ts";
import type { ServerLimits } from "./limits.ts";

/** A constraint, and the field that asked for it. */
export interface Wanted {
  readonly spec: ConstraintSpec;
  readonly param: string;
}

/** The one constraint on the text of an answer that the request asks for, if any. */
export function textConstraint(fields: RequestFields, limits: ServerLimits): Wanted | undefined {
  const wanted = [responseFormat(fields, limits), ...guided(fields, limits)].filter((one) => one !== undefined);
  const [first, second] = wanted;
  if (second) throw invalid(second.param, `${second.param} and ${first!.param} exclude each other`);
  return first;
}

function responseFormat(fields: RequestFields, limits: ServerLimits): Wanted | undefined {
  const format = fields.object("response_format");
  const type = format?.string("type");
  switch (type) {
    case "json_object":
      return { spec: { type }, param: "response_format" };
    case "json_schema": {
      const wrapper = format!.object("json_schema");
      const param = "response_format.json_schema.schema";
      return schema(wrapper?.value("schema"), wrapper ? param : "response_format.json_schema", limits);
    }
    case "text":
      return undefined;
    default:
      return format?.refuse("type", '"text", "json_object" or "json_schema"');
  }
}

function guided(fields: RequestFields, limits: ServerLimits): (Wanted | undefined)[] {
  const structured = fields.object("structured_outputs");
  for (const [from, key] of [
    [fields, "guided_grammar"],
    [structured, "grammar"],
    [structured, "structural_tag"],
  ] as const)
    if (from?.value(key) !== undefined)
      throw invalid(
        from.name(key),
        `${from.name(key)} is not supported; there are schemas, regular expressions and choices`,
        "unsupported",
      );
  const pair = (old: string, key: string): (readonly [RequestFields, string])[] => [
    [fields, old],
    ...(structured ? [[structured, key] as const] : []),
  ];
  return [
    ...pair("guided_json", "json").map(([from, key]) => {
      const value = from.value(key);
      return value === undefined ? undefined : schema(fromText(value, from.name(key), limits), from.name(key), limits);
    }),
    ...pair("guided_regex", "regex").map(([from, key]) => regex(from, key, limits)),
    ...pair("guided_choice", "choice").map(([from, key]) => choice(from, key, limits)),
    structured?.boolean("json_object")
      ? { spec: { type: "json_object" as const }, param: structured.name("json_object") }
      : undefined,
  ];
}

/** vLLM takes a schema as an object or as its JSON text. */
function fromText(value: unknown, param: string, { schemaDepth }: ServerLimits): unknown {
  if (typeof value !== "string") return value;
  if (depthOf(new TextEncoder().encode(value)) > schemaDepth)
    throw invalid(param, `${param} is nested deeper than ${schemaDepth} levels`, "schema_too_large");
  try {
    return JSON.parse(value);
  } catch {
    throw invalid(param, `${param} is a text that is not JSON; allowed: a schema, or its JSON text`);
  }
}

function schema(value: unknown, param: string, limits: ServerLimits): Wanted {
  if (!isRecord(value) && typeof value !== "boolean") return refuse(param, value, "a JSON schema");
  requireSmall(value, param, limits);
  return { spec: { type: "json_schema", schema: value }, param };
}

function regex(fields: RequestFields, key: string, limits: ServerLimits): Wanted | undefined {
  const pattern = fields.string(key);
  if (pattern === undefined) return undefined;
  const param = fields.name(key);
  requireSmall(pattern, param, limits);
  return { spec: { type: "regex", pattern }, param };
}

function choice(fields: RequestFields, key: string, limits: ServerLimits): Wanted | undefined {
  const choices = fields.array(key, 1024);
  if (choices === undefined) return undefined;
  const param = fields.name(key);
  if (choices.length === 0) throw invalid(param, `${param} is empty; at least one text is needed`);
  requireSmall(choices, param, limits);
  const texts = choices.map((text, i) => (typeof text === "string" ? text : refuse(`${param}[${i}]`, text, "a string")));
  return { spec: { type: "choice", choices: texts }, param };
}

export interface ToolFields {
  /** Those the model is told of. */
  readonly tools: readonly Tool[] | undefined;
  /** Whether calls in the answer are read as such. */
  readonly toolCalls: boolean;
  readonly parallelToolCalls: boolean;
  readonly constraint: Wanted | undefined;
}

const NO_TOOLS: ToolFields = { tools: undefined, toolCalls: false, parallelToolCalls: true, constraint: undefined };

export function toolFields(fields: RequestFields, limits: ServerLimits): ToolFields {
  const tools = fields.array("tools", limits.tools) as readonly Tool[] | undefined;
  const parallel = fields.boolean("parallel_tool_calls") ?? true;
  const choice = toolChoice(fields);
  if (!tools || tools.length === 0) {
    if (choice !== undefined && choice !== "none" && choice !== "auto")
      throw invalid("tool_choice", "tool_choice asks for a call, and there are no tools");
    return NO_TOOLS;
  }
  for (const [i, tool] of tools.entries()) requireSmall(tool, `tools[${i}]`, limits);
  if (choice === "none") return NO_TOOLS;
  const named = typeof choice === "object" ? choice.name : undefined;
  const functions = tools.map(
    (tool) => (isRecord(tool) && isRecord(tool.function) ? tool.function : tool) as Record<string, unknown>,
  );
  if (named !== undefined && !functions.some(({ name }) => name === named))
    throw invalid("tool_choice", `tool_choice names ${JSON.stringify(named).slice(0, 80)}, which is none of the tools`);
  const strict = functions.some((one) => one?.strict === true);
  const read = { tools, toolCalls: true, parallelToolCalls: parallel };
  if ((choice === undefined || choice === "auto") && !strict) return { ...read, constraint: undefined };
  const spec: ConstraintSpec = { type: "tool_calls", tools, choice: choice ?? "auto", parallel };
  return { ...read, constraint: { spec, param: choice === undefined ? "tools" : "tool_choice" } };
}

function toolChoice(fields: RequestFields): "none" | "auto" | "required" | { readonly name: string } | undefined {
  const value = fields.value("tool_choice");
  if (value === undefined || value === "none" || value === "auto" || value === "required") return value;
  const name = isRecord(value) && value.type === "function" && isRecord(value.function) ? value.function.name : undefined;
  if (typeof name === "string") return { name };
  return fields.refuse("tool_choice", '"none", "auto", "required", or {"type": "function", "function": {"name": ...}}');
}
