/** How weights are held in memory: as the checkpoint stores them, converted, or quantized while they load. */
import type { MatrixFormat } from "../backend/backend.ts";
import type { FloatType } from "../core/dtype.ts";

/** auto: as stored. */
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

export function quantizes({ weights }: WeightOptions): boolean {
  return weights === "int8" || weights === "int4";
}

/** What a matrix that is stored as `stored` is held as. */
export function weightFormat(stored: FloatType, { weights = "auto", activations = "int8" }: WeightOptions): MatrixFormat {
  if (weights === "int8") return { type: "int8", group: WEIGHT_GROUP.int8, activations };
  if (weights === "int4") return { type: "int4", group: WEIGHT_GROUP.int4, minimum: true, activations };
  return { type: weights === "auto" ? stored : weights };
}
