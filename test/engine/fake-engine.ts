/** An engine over the model of a few lines. */
import * as assert from "uvu/assert";
import { KvPool } from "../../src/backend/kv-pages.ts";
import { Qwen3Error } from "../../src/core/errors.ts";
import { Engine, type EngineOptions } from "../../src/engine/engine.ts";
import type { EngineRequest, SequenceState } from "../../src/engine/engine-request.ts";
import { FakeExecutor, PAGE_BYTES, params, VOCAB } from "./fake-executor.ts";

interface Limits extends Partial<EngineOptions> {
  readonly pages?: number;
}

export function newEngine({ pages = 1000, ...options }: Limits = {}) {
  const executor = new FakeExecutor();
  const pool = new KvPool(executor.store, pages * PAGE_BYTES);
  const engine = new Engine(executor, pool, { maxBatchedTokens: 16, maxSequences: 8, ...options, vocabSize: VOCAB });
  return { executor, pool, engine };
}

export const promptOf = (length: number, salt = 0) => Array.from({ length }, (_, i) => 1 + ((i * i + salt) % (VOCAB - 1)));

/** A request of so many tokens that does not end before. */
export const request = (promptLength: number, maxNewTokens: number, more: Partial<EngineRequest> = {}): EngineRequest => ({
  promptIds: promptOf(promptLength, more.sampling?.seed),
  maxNewTokens,
  sampling: params(0),
  stopIds: new Set(),
  onToken: () => false,
  ...more,
});

export async function finish(engine: Engine, ...states: SequenceState[]): Promise<void> {
  const left = () => states.filter(({ finishReason }) => finishReason === undefined).length;
  while (left() > 0) if (!(await engine.step())) assert.is(left(), 0, "nothing to compute");
}

export const fails = (code: string, mentions: RegExp) => (error: unknown) =>
  error instanceof Qwen3Error && error.code === code && mentions.test(error.message);
