/**
 * The definition of every operation, in plain TypeScript: what each backend must compute, in which order, rounded where.
 *
 * All arithmetic is f32: every product, sum and quotient is rounded by `fround` on its own (no fused multiply-add). JavaScript
 * computes in f64, which rounds one +, -, *, / or sqrt of f32 values to the same f32 in the end, so `fround` after each is exact.
 * Written to be read: a test oracle first, and fast enough to follow a small model.
 */
import { widen } from "../core/dtype.ts";
import { expF32 } from "../core/math.ts";
import { dequantizeFp8 } from "../core/quantized.ts";
import { type Encoding, isFloat } from "../formats/encoding.ts";
import {
  type HostBackend,
  type KvShape,
  type KvStore,
  MAXIMA_COLUMNS,
  type Matrix,
  type MatrixFormat,
  type MatrixWriter,
  type Segment,
  type Tensor,
  type Vector,
} from "./backend.ts";
import { convertingWriter } from "./convert-rows.ts";
import { appendEntry, attendOne, ReferenceKvStore } from "./reference-attention.ts";
import {
  dequantizedProduct,
  dequantizedRow,
  dot,
  quantizedProduct,
  type ReferenceMatrix,
  scalesOf,
} from "./reference-products.ts";
import * as check from "./shapes.ts";

const { fround, sqrt } = Math;

interface ReferenceTensor extends Tensor {
  readonly data: Float32Array;
}
interface ReferenceVector extends Vector {
  readonly data: Float32Array;
}
export class ReferenceBackend implements HostBackend {
  readonly name = "reference";
  readonly description = "reference, plain TypeScript";
  #bytes = 0;

  get bytesInUse(): number {
    return this.#bytes;
  }

  createMatrix(rows: number, cols: number, format: MatrixFormat, source?: Encoding): MatrixWriter {
    check.requireMatrix(rows, cols, format, source);
    const groups = check.groupsOf(format, cols);
    const minimums = "group" in format && format.minimum ? rows * groups : 0;
    const matrix: ReferenceMatrix = {
      rows,
      cols,
      format,
      values: new Float32Array(rows * cols),
      scales: new Float32Array(rows * groups),
      minimums: new Float32Array(minimums),
    };
    this.#bytes += 4 * (rows * cols + rows * groups + minimums);
    const written = check.rowLedger(rows);
    const writer: MatrixWriter = {
      write(firstRow, slice) {
        const count = check.requireRows(matrix, firstRow, slice);
        written.add(firstRow, count);
        if (slice instanceof Uint8Array) {
          if ("group" in format || format.type === "fp8") return;
          matrix.values.set(widen(slice, format.type, 0, count * cols), firstRow * cols);
        } else if (format.type === "fp8") {
          dequantizeFp8(slice, cols, matrix.values.subarray(firstRow * cols, (firstRow + count) * cols));
        } else if ("group" in format) {
          const { scales, minimums } = scalesOf(slice, format, cols);
          matrix.values.set(slice.codes, firstRow * cols);
          matrix.scales.set(scales, firstRow * groups);
          if (minimums) matrix.minimums.set(minimums, firstRow * groups);
        }
      },
      finish() {
        written.requireAll();
        return matrix;
      },
    };
    return source === undefined || (isFloat(source) && source.type === format.type)
      ? writer
      : convertingWriter(writer, matrix, source);
  }

  createVector(values: Float32Array): Vector {
    this.#bytes += values.byteLength;
    return { length: values.length, data: values.slice() } as ReferenceVector;
  }

  createKvStore(shape: KvShape): KvStore {
    check.requireKvShape(shape);
    return new ReferenceKvStore(shape, (bytes) => {
      this.#bytes += bytes;
    });
  }

  scope<T extends Tensor | undefined>(body: () => T): T {
    return body();
  }

  input(values: Float32Array, shape: readonly number[]): Tensor {
    check.requireInput(values, shape);
    return tensor(shape, values.slice());
  }

  tensor(shape: readonly number[]): Tensor {
    return tensor(shape);
  }

  values(x: Tensor): Float32Array {
    return data(x);
  }

  reshape(x: Tensor, shape: readonly number[]): Tensor {
    check.requireReshape(x, shape);
    return tensor(shape, data(x));
  }

  async read(x: Tensor, into?: Float32Array): Promise<Float32Array> {
    if (!into) return data(x).slice();
    check.requireRoom(x, into);
    into.set(data(x));
    return into;
  }

  embed(table: Matrix, ids: Int32Array): Tensor {
    check.requireIndices("embed", ids, table.rows);
    const out = tensor([ids.length, table.cols]);
    for (const [t, id] of ids.entries()) out.data.set(dequantizedRow(table as ReferenceMatrix, id), t * table.cols);
    return out;
  }

  matmul(x: Tensor, weight: Matrix): Tensor {
    const w = weight as ReferenceMatrix;
    check.requireMatmul(x, w);
    const tokens = x.shape[0]!;
    const out = tensor([tokens, w.rows]);
    if ("group" in w.format && w.format.activations === "f32") {
      dequantizedProduct(data(x), w, out.data);
      return out;
    }
    for (let t = 0; t < tokens; t++) {
      const row = data(x).subarray(t * w.cols, (t + 1) * w.cols);
      const y = out.data.subarray(t * w.rows, (t + 1) * w.rows);
      if (!("group" in w.format)) for (let r = 0; r < w.rows; r++) y[r] = dot(row, 0, w.values, r * w.cols, w.cols);
      else quantizedProduct(row, w, w.format, y);
    }
    return out;
  }

  rmsNorm(x: Tensor, weight: Vector, eps: number): Tensor {
    const n = weight.length;
    check.requireNorm(x, weight);
    const gains = (weight as ReferenceVector).data;
    const out = tensor(x.shape);
    for (let at = 0; at < out.data.length; at += n) {
      const meanSquare = fround(dot(data(x), at, data(x), at, n) / n);
      const inverse = fround(1 / fround(sqrt(fround(meanSquare + fround(eps)))));
      for (let i = 0; i < n; i++) out.data[at + i] = fround(data(x)[at + i]! * inverse) * gains[i]!;
    }
    return out;
  }

  rope(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
    check.requireRope(x, cos, sin);
    const [tokens = 0, heads = 0, headDim = 0] = x.shape;
    const half = headDim / 2;
    const out = tensor(x.shape);
    for (let t = 0; t < tokens; t++)
      for (let h = 0; h < heads; h++)
        for (let i = 0; i < half; i++) {
          const at = (t * heads + h) * headDim + i;
          const [c, s] = [data(cos)[t * half + i]!, data(sin)[t * half + i]!];
          const [x1, x2] = [data(x)[at]!, data(x)[at + half]!];
          out.data[at] = fround(x1 * c) - fround(x2 * s);
          out.data[at + half] = fround(x2 * c) + fround(x1 * s);
        }
    return out;
  }

  appendKv(segments: readonly Segment[], layer: number, k: Tensor, v: Tensor): void {
    check.requireAppendKv(segments, layer, k, v);
    let t = 0;
    for (const segment of segments)
      for (let i = 0; i < segment.tokens; i++, t++)
        appendEntry(segment, segment.start + segment.length + i, layer, data(k), data(v), t);
  }

  attention(q: Tensor, segments: readonly Segment[], layer: number, scale: number): Tensor {
    check.requireAttention(segments, layer, q);
    const [, heads = 0, headDim = 0] = q.shape;
    const out = tensor(q.shape);
    let t = 0;
    for (const segment of segments)
      for (let i = 0; i < segment.tokens; i++, t++)
        for (let h = 0; h < heads; h++) {
          const kvHead = Math.floor((h * segment.store.shape.kvHeads) / heads); // each KV head serves heads / kvHeads query heads
          const at = (t * heads + h) * headDim;
          const query = data(q).subarray(at, at + headDim);
          const position = segment.start + segment.length + i;
          attendOne(query, segment, layer, kvHead, position, fround(scale), out.data.subarray(at, at + headDim));
        }
    return out;
  }

  swiglu(gate: Tensor, up: Tensor): Tensor {
    check.requireSameShape("swiglu", gate, up);
    const out = tensor(gate.shape);
    for (let i = 0; i < out.data.length; i++) {
      const g = data(gate)[i]!;
      const silu = fround(g / fround(1 + expF32(-g)));
      out.data[i] = silu * data(up)[i]!;
    }
    return out;
  }

  add(a: Tensor, b: Tensor): Tensor {
    check.requireSameShape("add", a, b);
    return tensor(
      a.shape,
      data(a).map((value, i) => value + data(b)[i]!),
    ); // storing into the Float32Array rounds
  }

  blockMaxima(x: Tensor): Tensor {
    const [rows, blocks] = check.maximaShape(x);
    const width = check.widthOf(x);
    const out = tensor([rows, blocks]);
    for (let block = 0; block < out.data.length; block++) {
      const at = Math.floor(block / blocks) * width;
      const first = (block % blocks) * MAXIMA_COLUMNS;
      out.data[block] = Math.max(...data(x).subarray(at + first, at + Math.min(first + MAXIMA_COLUMNS, width)));
    }
    return out;
  }

  rows(x: Tensor, indices: Int32Array): Tensor {
    const width = check.widthOf(x);
    check.requireIndices("rows", indices, x.shape[0]!);
    const out = tensor([indices.length, width]);
    for (const [i, index] of indices.entries()) out.data.set(data(x).subarray(index * width, (index + 1) * width), i * width);
    return out;
  }

  close(): void {
    this.#bytes = 0;
  }
}

function tensor(shape: readonly number[], values?: Float32Array): ReferenceTensor {
  return { shape, data: values ?? new Float32Array(check.sizeOf(shape)) };
}

function data(x: Tensor): Float32Array {
  return (x as ReferenceTensor).data;
}
