/** What the environment says about the hub, as Hugging Face's Python tools read it. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Environment } from "./settings.ts";

type Variables = Readonly<Record<string, string | undefined>>;

const TRUE: readonly string[] = ["1", "ON", "YES", "TRUE"];

/** Deno asks for permission to read the environment; without it there is none. */
function processVariables(): Variables {
  try {
    return { ...process.env };
  } catch {
    return {};
  }
}

export async function environment(variables: Variables = processVariables()): Promise<Environment> {
  const set = (name: string) => variables[name]?.trim() || undefined;
  return {
    endpoint: set("HF_ENDPOINT"),
    token: set("HF_TOKEN") ?? set("HUGGING_FACE_HUB_TOKEN") ?? (await storedToken(variables)),
    offline: TRUE.includes((set("HF_HUB_OFFLINE") ?? set("TRANSFORMERS_OFFLINE") ?? "").toUpperCase()),
    cache: set("HF_HUB_CACHE") ?? set("HUGGINGFACE_HUB_CACHE"),
  };
}

/** The folder that all of Hugging Face's tools share; undefined where not even a home can be found out. */
export function hubHome(variables: Variables = processVariables()): string | undefined {
  const { HF_HOME, XDG_CACHE_HOME } = variables;
  if (HF_HOME) return HF_HOME.replace(/^~(?=\/|$)/, home() ?? "~");
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "huggingface");
  const folder = home();
  return folder && join(folder, ".cache", "huggingface");
}

function home(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}

async function storedToken(variables: Variables): Promise<string | undefined> {
  const folder = hubHome(variables);
  const path = variables.HF_TOKEN_PATH ?? (folder && join(folder, "token"));
  if (!path) return undefined;
  try {
    return (await readFile(path, "utf8")).trim() || undefined;
  } catch {
    return undefined; // not logged in
  }
}
