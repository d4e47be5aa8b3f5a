/** One tensor of a checkpoint into an MLX checkpoint: codes go out as rows come in; scales and biases, a sixteenth of them, follow behind. */
import { requireWithin } from "../backend/convert-rows.ts";
import type { AffineRow } from "../backend/quantize-affine.ts";
import type { AffineQuantizer } from "../backend/wasm/affine-quantizer.ts";
import { narrow } from "../core/dtype.ts";
import { Qwen3Error } from "../core/errors.ts";
import { dequantizeRows } from "../formats/decode.ts";
import { cutParts, rowBytes } from "../formats/encoding.ts";
import { packCodes } from "../formats/mlx-codes.ts";
import { bytesOf } from "../formats/safetensors-writer.ts";
import type { AffineOptions, QuantizedTensor } from "./quantized-plan.ts";

/** How far a matrix is from its source. */
export interface TensorError {
  readonly name: string;
  readonly shape: readonly number[];
  /** In the file, scales and biases included. */
  readonly bytes: number;
  /** Sums of squares: of the differences, and of the weights. */
  readonly squaredError: number;
  readonly squaredWeights: number;
}

export interface WriteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of bytes of the source that are done with. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

type Write = (bytes: Uint8Array) => Promise<void>;

/**
 * @param quantize chooses codes, scales and biases of a row
 * @param write takes the bytes of `tensor.tensors`, in that order
 * @returns undefined for a vector
 * @throws Qwen3Error CHECKPOINT_TENSOR for weights that are not finite or past 65,504; what reading and writing throw
 */
export async function writeTensor(
  tensor: QuantizedTensor,
  options: AffineOptions,
  quantize: AffineQuantizer,
  write: Write,
  { signal, onBytes }: WriteOptions = {},
): Promise<TensorError | undefined> {
  const { source, type } = tensor;
  const { name, shape, encoding } = source;
  const [rows = 0, cols = 1] = shape;
  const matrix = shape.length > 1 ? new MatrixQuantizer(tensor, options, quantize) : undefined;
  for await (const { firstRow, bytes } of source.rows({ signal })) {
    signal?.throwIfAborted();
    const count = bytes.length / rowBytes(encoding, cols);
    const weights = dequantizeRows(encoding, cutParts(encoding, cols, bytes, count), count, cols, firstRow);
    await write(matrix ? matrix.codes(weights, firstRow) : narrow(weights, type));
    onBytes?.(bytes.length);
  }
  if (!matrix) return undefined;
  await write(narrow(matrix.scales, type));
  await write(narrow(matrix.biases, type));
  const { squaredError, squaredWeights } = matrix;
  return { name, shape: [rows, cols], bytes: bytesOf([tensor]), squaredError, squaredWeights };
}

/** Scales and biases, and the error, of the rows that have been quantized. */
class MatrixQuantizer {
  readonly scales: Float32Array;
  readonly biases: Float32Array;
  squaredError = 0;
  squaredWeights = 0;
  readonly #tensor: QuantizedTensor;
  readonly #options: AffineOptions;
  readonly #quantize: AffineQuantizer;
  readonly #cols: number;

  constructor(tensor: QuantizedTensor, options: AffineOptions, quantize: AffineQuantizer) {
    const [rows = 0, cols = 0] = tensor.source.shape;
    this.#tensor = tensor;
    this.#options = options;
    this.#quantize = quantize;
    this.#cols = cols;
    this.scales = new Float32Array((rows * cols) / options.group);
    this.biases = new Float32Array((rows * cols) / options.group);
  }

  /** Whole rows as packed codes. */
  codes(weights: Float32Array, firstRow: number): Uint8Array {
    const { bits, group } = this.#options;
    const cols = this.#cols;
    const packed = new Uint8Array((weights.length * bits) / 8);
    for (let at = 0, row = firstRow; at < weights.length; at += cols, row++) {
      const own = weights.subarray(at, at + cols);
      this.#requireWithin(own, row);
      const quantized = this.#quantize(own, bits, group, this.#tensor.type);
      packed.set(packCodes(quantized.codes, bits), (at * bits) / 8);
      this.scales.set(quantized.scales, (row * cols) / group);
      this.biases.set(quantized.biases, (row * cols) / group);
      this.#addErrors(own, quantized);
    }
    return packed;
  }

  /** Infinities and NaN make an end of it, and what f16 does not hold. */
  #requireWithin(row: Float32Array, number: number): void {
    try {
      requireWithin(row, "int8", number);
    } catch (cause) {
      if (!(cause instanceof Qwen3Error)) throw cause;
      throw new Qwen3Error(cause.code, `${this.#tensor.source.name}: ${cause.message}`, { cause });
    }
  }

  #addErrors(row: Float32Array, { codes, scales, biases }: AffineRow): void {
    const { group } = this.#options;
    let [errors, squares] = [0, 0];
    for (let g = 0, k = 0; g < scales.length; g++) {
      const [scale, bias] = [scales[g]!, biases[g]!];
      for (const end = k + group; k < end; k++) {
        const weight = row[k]!;
        const error = Math.fround(Math.fround(codes[k]! * scale) + bias) - weight;
        errors += error * error;
        squares += weight * weight;
      }
    }
    this.squaredError += errors;
    this.squaredWeights += squares;
  }
}
