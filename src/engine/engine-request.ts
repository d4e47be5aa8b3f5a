/** What the engine is asked for, and what it says about it. */
import type { TokenConstraint } from "../sampler/constraint.ts";
import type { Logprobs } from "../sampler/logprobs.ts";
import type { SamplingParams } from "../sampler/params.ts";
import type { SequenceCache } from "./sequence-cache.ts";
import type { SpeculationParams } from "./speculation.ts";

/** "stop": an end token or a stop string; "length": maxNewTokens or the context is used up; "abort": left early, or failed. */
export type FinishReason = "stop" | "length" | "abort";

export interface SampledToken {
  readonly id: number;
  readonly logprobs?: Logprobs;
}

/** Asks how likely each token of the prompt was, given those before it. */
export interface PromptLogprobs {
  /** How many of the likeliest tokens to report with each. */
  readonly top: number;
  /** Called within `step` for every token of the prompt but the first, in order. What it throws ends the request. */
  readonly onToken: (position: number, logprobs: Logprobs) => void;
}

/** A prompt and what is to become of it. Its arrays and maps are not copied. */
export interface EngineRequest {
  /** At least one. */
  readonly promptIds: readonly number[];
  /** At least 1 (0 where `promptLogprobs` are asked for), and with the prompt within the model's context. */
  readonly maxNewTokens: number;
  readonly sampling: SamplingParams;
  /** Which of several answers to one prompt this is; decides its random numbers. Default 0. */
  readonly choice?: number | undefined;
  /** Tokens that end the answer, but not before `minNewTokens`. */
  readonly stopIds: ReadonlySet<number>;
  readonly minNewTokens?: number | undefined;
  /** How many of the likeliest tokens to report with each; none where left out. */
  readonly logprobs?: number | undefined;
  readonly promptLogprobs?: PromptLogprobs | undefined;
  /** Changes the next token's logits in place. What it throws ends the request. */
  readonly logitsProcessor?: ((logits: Float32Array, generatedIds: readonly number[]) => void) | undefined;
  /**
   * Decides which tokens are allowed, and is told each one. Where it ends, end tokens come, whatever `minNewTokens` says. What it throws
   * ends the request.
   */
  readonly constraint?: TokenConstraint | undefined;
  /** Samples also where the constraint leaves one token: the same answer in more time, to compare with. Default false. */
  readonly sampleForced?: boolean | undefined;
  readonly speculation?: SpeculationParams | undefined;
  /**
   * Where to go on: what it shares with the prompt is kept, the rest dropped. The caller has acquired it and closes it. Left out: the
   * engine's own, for as long as the request runs.
   */
  readonly cache?: SequenceCache | undefined;
  /** False holds the request back: nothing is computed for it, and others may take its pages. Asked before each step. */
  readonly ready?: (() => boolean) | undefined;
  /**
   * Called within `step` for every token, in order. What it throws ends the request.
   *
   * @param ends why this token is the last, if it is
   * @returns true to end the answer with this token, as by a stop string
   */
  readonly onToken: (token: SampledToken, ends: FinishReason | undefined) => boolean;
}

/** How far a request is; it changes with every step. */
export interface SequenceState {
  /** Counted from 1, in the order in which requests were added. */
  readonly id: number;
  readonly generatedIds: readonly number[];
  /** Prompt tokens that were in a cache already, and that steps have computed for this request. Both grow while the prompt is computed. */
  readonly cachedTokens: number;
  readonly computedTokens: number;
  /** Tokens that speculation guessed, and those of them that were right. */
  readonly draftTokens: number;
  readonly acceptedTokens: number;
  /** Undefined while it waits or runs. */
  readonly finishReason: FinishReason | undefined;
  /** What made it fail, if it did. */
  readonly failure: { readonly error: unknown } | undefined;
}
