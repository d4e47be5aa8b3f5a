/** Which files of a repository it takes to run the model. Repositories also hold other formats, pictures, and logs of training. */
import { Qwen3Error } from "../core/errors.ts";
import { Fields } from "../formats/fields.ts";
import { parseJson, shown } from "../formats/json.ts";
import { isFileName } from "../formats/range.ts";
import { INDEX_FILE, SINGLE_FILE } from "../formats/shards.ts";
import type { HubId } from "./hub-id.ts";

/** Small files beside the weights, those of them that there are. */
const SIDE_FILES: readonly string[] = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
];

export interface Choice {
  /** In the order in which they are to come: weights last, so that weights without the rest never look complete. */
  readonly files: readonly string[];
  /** The file that opens the model; "" where it is the folder. */
  readonly main: string;
  /** Whether the index among `files` names more. */
  readonly hasIndex: boolean;
}

/**
 * @param paths the files that there are
 * @throws Qwen3Error HUB_NOT_FOUND where none of them are weights that `id` may mean; ARGUMENT where several could be meant
 */
export function chooseFiles(paths: readonly string[], id: HubId): Choice {
  const { repo, file, quantization } = id;
  if (file !== undefined && !/\.gguf$/i.test(file)) {
    if (!paths.includes(file)) throw notFound(repo, `no file ${shown(file)}`);
    return { files: [file], main: file, hasIndex: false };
  }
  if (file === undefined && quantization === undefined) {
    const side = SIDE_FILES.filter((name) => paths.includes(name));
    if (paths.includes(INDEX_FILE)) return { files: [...side, INDEX_FILE], main: "", hasIndex: true };
    if (paths.includes(SINGLE_FILE)) return { files: [...side, SINGLE_FILE], main: "", hasIndex: false };
  }
  const files = chooseGguf(paths, id);
  return { files, main: files[0]!, hasIndex: false };
}

/** The weights that an index names. @throws Qwen3Error HUB_FILE where it does not */
export function shardsOf(index: Uint8Array, repo: string): string[] {
  const weightMap = new Fields(parseJson(index, `${repo}: ${INDEX_FILE}`, "HUB_FILE"), INDEX_FILE, "HUB_FILE").object(
    "weight_map",
  );
  const shards = new Set<string>();
  for (const name of weightMap.keys()) {
    const shard = weightMap.value(name);
    if (typeof shard !== "string" || !isFileName(shard) || !shard.endsWith(".safetensors"))
      return weightMap.refuse(name, "names of .safetensors files");
    shards.add(shard);
  }
  return [...shards].sort();
}

const SPLIT = /-(\d{5})-of-(\d{5})\.gguf$/i;

/** One GGUF file, or all parts of one that is split. */
function chooseGguf(paths: readonly string[], { repo, file, quantization }: HubId): string[] {
  const all = paths.filter((path) => /\.gguf$/i.test(path) && !/(?:^|\/)mmproj[^/]*$/i.test(path)); // projectors of pictures
  const sets = new Map<string, string[]>();
  for (const path of [...all].sort()) {
    const whole = path.replace(SPLIT, ".gguf");
    sets.set(whole, [...(sets.get(whole) ?? []), path]);
  }
  const names = [...sets.keys()];
  const wanted = quantization ?? (names.length > 1 ? DEFAULT_QUANTIZATION : undefined);
  const fits = (name: string): boolean => {
    if (file !== undefined) return name === file.replace(SPLIT, ".gguf") || name.endsWith(`/${file.replace(SPLIT, ".gguf")}`);
    return wanted === undefined || endsIn(name, wanted);
  };
  const chosen = names.filter(fits);
  const choices =
    names.length === 0 ? "no safetensors and no GGUF file" : `its GGUF files are ${names.slice(0, 40).map(shown).join(", ")}`;
  if (chosen.length === 0) {
    const asked =
      file !== undefined ? `no file ${shown(file)}` : wanted && names.length > 0 ? `no file of ${wanted}` : "no weights";
    throw notFound(repo, `${asked}; ${choices}`);
  }
  if (chosen.length > 1)
    throw new Qwen3Error(
      "ARGUMENT",
      `${repo} has several files that may be meant, name one as ${repo}:FILE.gguf: ${chosen.map(shown).join(", ")}`,
    );
  const files = sets.get(chosen[0]!)!;
  const parts = Number(SPLIT.exec(files[0]!)?.[2] ?? files.length);
  if (files.length !== parts)
    throw notFound(repo, `${shown(chosen[0])} is split in ${parts}, of which ${files.length} are there`);
  return files;
}

/** What Ollama takes too where nothing is said. */
const DEFAULT_QUANTIZATION = "Q4_K_M";

/** Whether it is what an id without a quantization means, wherever there are several. */
export const isDefaultChoice = (path: string): boolean => endsIn(path.replace(SPLIT, ".gguf"), DEFAULT_QUANTIZATION);

/** `name-Q4_K_M.gguf`, `name.Q4_K_M.gguf`, `Q4_K_M.gguf`. */
function endsIn(path: string, quantization: string): boolean {
  const stem = path.replace(/\.gguf$/i, "").toLowerCase();
  const wanted = quantization.toLowerCase();
  const before = stem.slice(0, -wanted.length);
  return stem.endsWith(wanted) && /(?:^|[-._/])$/.test(before);
}

const notFound = (repo: string, problem: string): Qwen3Error => new Qwen3Error("HUB_NOT_FOUND", `${repo}: ${problem}`);

/**
 * Patterns of the shell over whole paths, as `hf download --include` has them: `*` (slashes too), `?`, `[abc]`; a folder's name with a
 * slash behind it is all that is in it.
 *
 * @throws Qwen3Error ARGUMENT for a pattern that is none
 */
export function globMatcher(pattern: string): (path: string) => boolean {
  const whole = pattern.endsWith("/") ? `${pattern}*` : pattern;
  const source = whole.replaceAll(/\[(!?)([^\]]+)\]|[\s\S]/g, (part, not: string | undefined, set: string | undefined) => {
    if (set !== undefined) return `[${not ? "^" : ""}${set.replaceAll(/[\\^]/g, "\\$&")}]`;
    return part === "*" ? "[^]*" : part === "?" ? "[^]" : part.replace(/[\\^$.|+()[\]{}]/, "\\$&");
  });
  try {
    const expression = new RegExp(`^${source}$`);
    return (path) => expression.test(path);
  } catch {
    throw new Qwen3Error("ARGUMENT", `${shown(pattern)} is not a pattern of file names`);
  }
}
