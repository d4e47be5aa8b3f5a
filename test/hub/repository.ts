/** Repositories for the local hub: nano as it is, and a small one of every kind of file. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../paths.ts";
import type { Repository } from "./hub-server.ts";

export const NANO_COMMIT = "0123456789abcdef0123456789abcdef01234567";
export const COMMIT = "a".repeat(40);
export const OLDER = "b".repeat(40);

export function nanoRepository(): Repository {
  const folder = join(root, "weights", "nano");
  const names = readdirSync(folder).filter((name) => /\.(json|jinja|safetensors|md)$/.test(name));
  return { commit: NANO_COMMIT, files: Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))])) };
}

/** Bytes that repeat nowhere near. */
export function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2 + 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

const text = (content: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(content));

/** Two shards, their index, side files, and things that nobody needs. */
export function shardedRepository(): Repository {
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  return {
    commit: COMMIT,
    refs: { v1: OLDER, "refs/pr/1": OLDER },
    files: {
      "README.md": text("read me"),
      "config.json": text({ model_type: "qwen3" }),
      "generation_config.json": text({}),
      "images/loss.png": noise(5000, 9),
      "model.safetensors.index.json": text({ weight_map: { a: shards[0], b: shards[1], c: shards[0] } }),
      [shards[0]!]: noise(100_000, 1),
      [shards[1]!]: noise(70_001, 2),
      "optimizer.pt": noise(3000, 3),
      "tokenizer.json": text({ empty: true }),
      "tokenizer_config.json": text({ kind: "none" }),
      "empty.txt": new Uint8Array(0),
    },
    older: {
      [OLDER]: {
        "config.json": text({ older: true }),
        "model.safetensors": noise(2000, 4),
        "tokenizer.json": text({ empty: true }),
      },
    },
  };
}

export function ggufRepository(): Repository {
  return {
    commit: COMMIT,
    files: {
      "README.md": text("read me"),
      "mmproj-model-f16.gguf": noise(1500, 1),
      "Model-Q4_K_M.gguf": noise(3000, 2),
      "Model-Q8_0.gguf": noise(3100, 3),
      "Model-IQ4_XS.gguf": noise(3200, 4),
      "BF16/Model-BF16-00001-of-00002.gguf": noise(3300, 5),
      "BF16/Model-BF16-00002-of-00002.gguf": noise(3400, 6),
    },
  };
}
