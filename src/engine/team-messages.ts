/** What a team's caller and its threads say to each other. Every request is answered once by every thread, before the next one is sent. */
import type { KvType } from "../backend/backend.ts";
import type { ChosenKernels, Planned, WasmOptions } from "../backend/wasm/open.ts";
import { type ErrorCode, Qwen3Error } from "../core/errors.ts";
import type { Checkpoint, CheckpointTensor } from "../formats/checkpoint.ts";
import type { WeightOptions } from "../model/weight-format.ts";
import type { StepRequest } from "./executor.ts";

/** A checkpoint without its bytes, which a thread asks its caller for. */
export interface CheckpointOutline extends Pick<Checkpoint, "name" | "config" | "tensorBytes"> {
  readonly tensors: readonly Omit<CheckpointTensor, "rows">[];
}

export interface OpenRequest {
  readonly kind: "open";
  readonly index: number;
  readonly count: number;
  /** `SharedLink.memory()`, and whether there is a processor for each thread. */
  readonly memory: SharedArrayBuffer;
  readonly patient: boolean;
  /** Where all threads put logits, and the caller reads them. */
  readonly results: SharedArrayBuffer;
  /** What computes: the kernels, or left out the reference backend. */
  readonly kernels?: ChosenKernels | undefined;
  /** Limits of the thread's memories, and what is going to be put into them. */
  readonly limits: Pick<WasmOptions, "maximumBytes" | "instanceBytes">;
  readonly planned: Planned;
  readonly checkpoint: CheckpointOutline;
  readonly weights: WeightOptions;
  readonly kvCache: KvType;
  readonly mostPages: number;
}

/** `pages`: how many the KV store has to have before. */
export type TeamRequest =
  | OpenRequest
  | { readonly kind: "step"; readonly step: StepRequest; readonly pages: number }
  | { readonly kind: "copyPage"; readonly from: number; readonly to: number; readonly pages: number }
  | { readonly kind: "writePage"; readonly page: number; readonly bytes: Uint8Array; readonly pages: number }
  | { readonly kind: "readPage"; readonly page: number; readonly pages: number };

/** Rows of a tensor, or why there are none. */
export interface RowsReply {
  readonly kind: "rows";
  readonly id: number;
  readonly bytes?: Uint8Array;
  readonly error?: ErrorReport;
}

export type ToMember = TeamRequest | RowsReply;

/** Asks for rows of a tensor. */
export interface RowsRequest {
  readonly kind: "rows";
  readonly id: number;
  readonly tensor: string;
  readonly first: number;
  readonly end: number;
  /** Memory that they may be put into. */
  readonly into: ArrayBuffer | undefined;
}

export type FromMember =
  | RowsRequest
  | { readonly kind: "done"; readonly value: unknown; readonly bytesInUse: number }
  | { readonly kind: "failed"; readonly error: ErrorReport };

/** An error as it can be sent. Without a code it is one that nobody meant to throw. */
export interface ErrorReport {
  readonly code: ErrorCode | undefined;
  readonly message: string;
}

export function reportOf(error: unknown): ErrorReport {
  if (error instanceof Qwen3Error) return { code: error.code, message: error.message };
  return { code: undefined, message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

export function errorOf({ code = "BACKEND_LOST", message }: ErrorReport): Qwen3Error {
  return new Qwen3Error(code, message);
}
