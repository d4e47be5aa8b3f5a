/** How weights are held in memory: as the checkpoint stores them, converted, or quantized while they load. */
import type { MatrixFormat } from "../backend/backend.ts";
import type { FloatType } from "../core/dtype.ts";
import type { CheckpointTensor } from "../formats/checkpoint.ts";
import { layoutOf } from "../formats/decode.ts";
import type { Encoding } from "../formats/encoding.ts";

/** auto: as stored, in the kernels' layout that loses nothing. */
export type WeightType = "auto" | FloatType | "int8" | "int4";
export const WEIGHT_TYPES: readonly WeightType[] = ["auto", "f32", "bf16", "f16", "int8", "int4"];

/** int8: what meets quantized weights is quantized too, group by group. f32: such weights are widened and meet activations as they are. */
export type ActivationType = "int8" | "f32";
export const ACTIVATION_TYPES: readonly ActivationType[] = ["int8", "f32"];

export interface WeightOptions {
  /** Default "auto". */
  readonly weights?: WeightType | undefined;
  /** Default "int8" with quantized weights; float weights always meet f32. */
  readonly activations?: ActivationType | undefined;
}

/** Columns that share a scale where weights are quantized here (ARCHITECTURE.md says why so many). */
export const WEIGHT_GROUP = { int8: 128, int4: 64 } as const;

/** True where some matrix is held as codes. */
export function quantizes(tensors: Iterable<Pick<CheckpointTensor, "encoding">>, options: WeightOptions): boolean {
  return [...tensors].some(({ encoding }) => "group" in weightFormat(encoding, options));
}

/** What a matrix that is stored as `stored` is held as. */
export function weightFormat(stored: Encoding, { weights = "auto", activations = "int8" }: WeightOptions): MatrixFormat {
  if (weights === "int8") return { type: "int8", group: WEIGHT_GROUP.int8, activations };
  if (weights === "int4") return { type: "int4", group: WEIGHT_GROUP.int4, minimum: true, activations };
  if (weights !== "auto") return { type: weights };
  const layout = layoutOf(stored);
  return "group" in layout ? { ...layout, activations } : layout;
}
