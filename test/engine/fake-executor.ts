/** A model of a few lines: its pages hold token ids, and a token's logits are a hash of all ids up to it, as the pages hold them. */
import { type KvShape, kvPageBytes, PAGE_TOKENS } from "../../src/backend/backend.ts";
import { ReferenceBackend } from "../../src/backend/reference.ts";
import type { Qwen3Error } from "../../src/core/errors.ts";
import type { EngineRequest } from "../../src/engine/engine-request.ts";
import type { Executor, StepRequest, StepResult } from "../../src/engine/executor.ts";
import type { LogitMask } from "../../src/sampler/mask.ts";
import type { SamplingParams } from "../../src/sampler/params.ts";
import { sample } from "../../src/sampler/sampler.ts";
import { NumberStore } from "../backend/number-store.ts";

const shape: KvShape = { layers: 1, kvHeads: 1, headDim: 1, type: "f32" };
export const PAGE_BYTES = kvPageBytes(shape);
export const VOCAB = 12;
/** Ends an answer. */
export const END = 0;

export class FakeExecutor implements Executor {
  readonly store = new NumberStore(shape);
  readonly description = "a hash";
  readonly bytesInUse = 0;
  /** Of every step: tokens per segment. */
  readonly steps: number[][] = [];
  /** What the next step fails with. */
  failure: Qwen3Error | undefined;
  /** Called while a step is under way. */
  during: (() => void) | undefined;
  #busy = false;

  async step({ ids, segments, logitRows }: StepRequest): Promise<StepResult> {
    if (this.#busy) throw new Error("steps overlap");
    this.#busy = true;
    this.steps.push(segments.map(({ tokens }) => tokens));
    const rows: Float32Array[] = [];
    let row = 0;
    for (const { pages, length, tokens } of segments) {
      let state = 0;
      for (let i = 0; i < length + tokens; i++) {
        const page = this.store.pages[pages[Math.floor(i / PAGE_TOKENS)]!]!;
        if (i >= length) page[i % PAGE_TOKENS] = ids[row + i - length]!;
        state = mix(state, page[i % PAGE_TOKENS]!);
        if (i >= length) rows.push(hashedLogits(state));
      }
      row += tokens;
    }
    await new Promise((resolve) => setImmediate(resolve));
    this.during?.();
    this.#busy = false;
    if (this.failure) throw this.failure;
    const logits = new Float32Array(logitRows.length * VOCAB);
    for (const [i, row] of logitRows.entries()) logits.set(rows[row]!, i * VOCAB);
    const maxima = await maximaOf(logits, VOCAB);
    return { logits, maxima, hidden: new Float32Array(), trace: [] };
  }

  close(): void {}
}

const mix = (state: number, id: number) => {
  const mixed = Math.imul(state ^ (id + 1), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
};

/** @param logits [rows, vocabulary] */
export function maximaOf(logits: Float32Array, vocabulary: number): Promise<Float32Array> {
  const b = new ReferenceBackend();
  return b.read(b.blockMaxima(b.input(logits, [logits.length / vocabulary, vocabulary])));
}

const hashedLogits = (state: number) => Float32Array.from({ length: VOCAB }, (_, id) => (mix(state, id + 100) >>> 0) / 2 ** 30);

export const params = (seed: number, temperature = 1): SamplingParams => ({
  temperature,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0.5,
  frequencyPenalty: 0,
  logitBias: new Map(),
  seed,
});

/** What an answer is by itself, token by token. */
export function plainAnswer(
  { promptIds, sampling, maxNewTokens, stopIds }: EngineRequest,
  maskOf?: (generated: readonly number[]) => LogitMask,
): number[] {
  const generated: number[] = [];
  let state = 0;
  for (const id of promptIds) state = mix(state, id);
  while (generated.length < maxNewTokens && !stopIds.has(generated.at(-1)!)) {
    const position = promptIds.length + generated.length;
    const mask = maskOf?.(generated);
    generated.push(sample(hashedLogits(state), sampling, { prompt: promptIds, generated, choice: 0, position, mask }));
    state = mix(state, generated.at(-1)!);
  }
  return generated;
}
