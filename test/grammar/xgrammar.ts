/** Another engine for the same purpose, as a second opinion and to compare speed with: XGrammar, compiled to WebAssembly. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../paths.ts";

/** What is used of it; its own types are those of a module, which its file is not. */
export interface XGrammar {
  readonly TokenizerInfo: {
    createTokenizerInfo(vocab: string[], kind: string, space: boolean, size: number, stopIds: number[]): Promise<object>;
  };
  readonly GrammarCompiler: { createGrammarCompiler(info: object, cache: boolean): Promise<XCompiler> };
  readonly GrammarMatcher: { createGrammarMatcher(compiled: XCompiled): Promise<XMatcher> };
}

interface XCompiled {
  dispose(): void;
}

export interface XCompiler {
  compileJSONSchema(
    schema: string,
    anyWhitespace: boolean,
    indent: undefined,
    separators: undefined,
    strict: boolean,
  ): Promise<XCompiled>;
}

export interface XMatcher {
  acceptToken(id: number): boolean;
  getNextTokenBitmask(): Promise<Int32Array>;
  dispose(): void;
}

/** Its file is CommonJS in a package that says otherwise, so it is loaded under another name. */
export function loadXGrammar(): XGrammar {
  const folder = mkdtempSync(join(tmpdir(), "xgrammar-"));
  try {
    const file = join(folder, "xgrammar.cjs");
    copyFileSync(join(root, "node_modules/@mlc-ai/web-xgrammar/lib/index.js"), file);
    return createRequire(import.meta.url)(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param tokenizerJson the file of the tokenizer */
export async function xgrammarCompiler(
  library: XGrammar,
  tokenizerJson: string,
  stopId: number,
  cache: boolean,
): Promise<XCompiler> {
  const { model, added_tokens } = JSON.parse(readFileSync(tokenizerJson, "utf8"));
  const vocab: string[] = [];
  for (const [token, id] of Object.entries<number>(model.vocab)) vocab[id] = token;
  for (const { id, content } of added_tokens) vocab[id] = content;
  const all = Array.from(vocab, (token) => token ?? "");
  const info = await library.TokenizerInfo.createTokenizerInfo(all, "byte_level", false, all.length, [stopId]);
  return library.GrammarCompiler.createGrammarCompiler(info, cache);
}
