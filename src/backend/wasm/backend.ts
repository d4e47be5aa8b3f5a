/**
 * The backend that computes with the kernels of assembly/ in WebAssembly memory: the reference backend's bits, by vectors.
 *
 * Operations compute at once. Weights, vectors and cache pages are spans of memory, tensors lie in an arena (arena.ts), and
 * what a kernel needs beside its operands is in one scratch span that every operation uses anew. What one memory cannot hold lies in
 * several (instances.ts).
 */
import { isCodes } from "../../core/quantized.ts";
import { type Encoding, isFloat } from "../../formats/encoding.ts";
import type { HostBackend, KvShape, KvStore, Matrix, MatrixFormat, MatrixWriter, Segment, Tensor, Vector } from "../backend.ts";
import * as check from "../shapes.ts";
import { Arena, ArenaTensor } from "./arena.ts";
import { convertingWriter, decodingWriter } from "./converting-writer.ts";
import { runIn } from "./instance.ts";
import { type InstanceOptions, type Instantiate, WasmInstances } from "./instances.ts";
import { EXP_CONSTANTS_BYTES } from "./kernel-sizes.ts";
import type { Kernels } from "./kernels.ts";
import { appendKv, attention, WasmKvStore } from "./kv.ts";
import { WasmMatrix } from "./matrix.ts";
import { matrixWriter } from "./matrix-writer.ts";
import type { WasmMemory } from "./memory.ts";
import { product, widenRow } from "./product.ts";

interface WasmVector extends Vector {
  readonly instances: WasmInstances;
  readonly address: number;
}

export class WasmBackend implements HostBackend {
  readonly name = "wasm";
  readonly description: string;
  /** Everything lies in them; tests look inside. */
  readonly instances: WasmInstances;
  readonly #memory: WasmMemory;
  readonly #arena: Arena;

  /** @param instantiate makes kernels; that they compute rightly is for `createWasmBackend` to find out */
  constructor(instantiate: Instantiate, options: InstanceOptions = {}) {
    this.instances = new WasmInstances(instantiate, options);
    const { memory, kernels } = this.instances.home;
    this.#memory = memory;
    this.#arena = new Arena(memory);
    this.description = kernels.wide.value ? "wasm, wide vectors" : kernels.relaxed.value ? "wasm, relaxed-simd" : "wasm, simd";
  }

  get bytesInUse(): number {
    return this.instances.bytesInUse;
  }

  /** The most bytes that tensors ever took at once; scratch comes on top. */
  get arenaPeakBytes(): number {
    return this.#arena.peakBytes;
  }

  createMatrix(rows: number, cols: number, format: MatrixFormat, source?: Encoding): MatrixWriter {
    check.requireMatrix(rows, cols, format, source);
    this.#requireOpen();
    const matrix = new WasmMatrix((bytes) => this.instances.place(bytes), rows, cols, format);
    const { kernels, scratch } = matrix.instance;
    if (source === undefined || (isFloat(source) && source.type === format.type)) return matrixWriter(kernels, matrix, scratch);
    if (isCodes(format) && check.keeps(source, format)) return decodingWriter(kernels, matrix, source, format, scratch);
    return convertingWriter(kernels, matrix, source, scratch);
  }

  createVector(values: Float32Array): Vector {
    const address = this.#memory.allocate(values.byteLength); // beside the activations: kilobytes in a model of gigabytes
    this.#memory.floats(address, values.length).set(values);
    return { length: values.length, instances: this.instances, address } as WasmVector;
  }

  createKvStore(shape: KvShape, pages = 1): KvStore {
    check.requireKvShape(shape);
    this.#requireOpen();
    return new WasmKvStore(this.instances, shape, pages);
  }

  scope<T extends Tensor | undefined>(body: () => T, replaced?: T): T {
    this.#requireOpen();
    const place = replaced && this.#tensor(replaced);
    return this.#arena.scope(() => {
      const result = body();
      return result && this.#tensor(result);
    }, place) as Tensor | undefined as T;
  }

  input(values: Float32Array, shape: readonly number[]): Tensor {
    check.requireInput(values, shape);
    const out = this.#make(shape);
    this.#memory.floats(out.storage.address, values.length).set(values);
    return out;
  }

  tensor(shape: readonly number[]): Tensor {
    return this.#make(shape);
  }

  values(x: Tensor): Float32Array {
    return this.#memory.floats(this.#at(x), check.sizeOf(x.shape));
  }

  reshape(x: Tensor, shape: readonly number[]): Tensor {
    check.requireReshape(x, shape);
    return new ArenaTensor([...shape], this.#tensor(x).storage);
  }

  async read(x: Tensor, into?: Float32Array): Promise<Float32Array> {
    const values = this.values(x);
    if (!into) return values.slice();
    check.requireRoom(x, into);
    into.set(values);
    return into;
  }

  embed(table: Matrix, ids: Int32Array): Tensor {
    const w = this.#matrix(table);
    check.requireIndices("embed", ids, w.rows);
    const out = this.#make([ids.length, w.cols]);
    runIn(this.instances.home, w.instance, [], out.storage, (_, to) => {
      const { kernels, scratch } = w.instance;
      for (const [t, id] of ids.entries()) widenRow(kernels, w, id, to + t * w.cols * 4, scratch);
    });
    return out;
  }

  matmul(x: Tensor, weight: Matrix): Tensor {
    const w = this.#matrix(weight);
    check.requireMatmul(x, w);
    const from = this.#tensor(x).storage;
    const [tokens = 0] = x.shape;
    const out = this.#make([tokens, w.rows]);
    const { kernels, scratch } = w.instance;
    runIn(this.instances.home, w.instance, [from], out.storage, ([from], to) => product(kernels, from!, w, to, tokens, scratch));
    return out;
  }

  rmsNorm(x: Tensor, weight: Vector, eps: number): Tensor {
    check.requireNorm(x, weight);
    const { instances, address, length } = weight as WasmVector;
    check.require(instances === this.instances, "rmsNorm: the weights are not of this backend");
    const from = this.#at(x);
    const out = this.#make(x.shape);
    if (length > 0) this.#kernels.rmsNorm(from, address, out.storage.address, check.sizeOf(x.shape) / length, length, eps);
    return out;
  }

  rope(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
    check.requireRope(x, cos, sin);
    const [tokens = 0, heads = 0, headDim = 0] = x.shape;
    const [from, c, s] = [this.#at(x), this.#at(cos), this.#at(sin)];
    const out = this.#make(x.shape);
    this.#kernels.rope(from, c, s, out.storage.address, tokens, heads, headDim / 2);
    return out;
  }

  appendKv(segments: readonly Segment[], layer: number, k: Tensor, v: Tensor): void {
    check.requireAppendKv(segments, layer, k, v);
    appendKv(this.instances, segments, layer, this.#at(k), this.#at(v));
  }

  attention(q: Tensor, segments: readonly Segment[], layer: number, scale: number): Tensor {
    check.requireAttention(segments, layer, q);
    const from = this.#at(q);
    const out = this.#make(q.shape);
    attention(this.instances, from, segments, layer, q.shape[1]!, scale, out.storage.address);
    return out;
  }

  swiglu(gate: Tensor, up: Tensor): Tensor {
    check.requireSameShape("swiglu", gate, up);
    const [g, u] = [this.#at(gate), this.#at(up)];
    const out = this.#make(gate.shape);
    const scratch = this.instances.home.scratch(EXP_CONSTANTS_BYTES);
    this.#kernels.swiglu(g, u, out.storage.address, check.sizeOf(gate.shape), scratch);
    return out;
  }

  add(a: Tensor, b: Tensor): Tensor {
    check.requireSameShape("add", a, b);
    const [left, right] = [this.#at(a), this.#at(b)];
    const out = this.#make(a.shape);
    this.#kernels.add(left, right, out.storage.address, check.sizeOf(a.shape));
    return out;
  }

  blockMaxima(x: Tensor): Tensor {
    const shape = check.maximaShape(x);
    const from = this.#at(x);
    const out = this.#make(shape);
    this.#kernels.blockMaxima(from, out.storage.address, shape[0], check.widthOf(x));
    return out;
  }

  rows(x: Tensor, indices: Int32Array): Tensor {
    check.requireIndices("rows", indices, x.shape[0]!);
    const bytes = check.widthOf(x) * 4;
    const from = this.#at(x);
    const out = this.#make([indices.length, check.widthOf(x)]);
    for (const [i, index] of indices.entries())
      this.#memory.u8.copyWithin(out.storage.address + i * bytes, from + index * bytes, from + (index + 1) * bytes);
    return out;
  }

  close(): void {
    this.instances.close();
  }

  get #kernels(): Kernels {
    return this.instances.home.kernels;
  }

  /** @throws CLOSED */
  #requireOpen(): void {
    void this.#kernels;
  }

  #make(shape: readonly number[]): ArenaTensor {
    this.#requireOpen();
    return new ArenaTensor([...shape], this.#arena.allocate(check.sizeOf(shape) * 4));
  }

  /** The tensor as this backend made it, if it did and the tensor is still there. */
  #tensor(x: Tensor): ArenaTensor {
    this.#requireOpen();
    check.require(x instanceof ArenaTensor && x.storage.arena === this.#arena, "a tensor is not of this backend");
    check.require(x.storage.scope.open, () => `a tensor of shape [${x.shape}] was used after its scope had ended`);
    return x;
  }

  #at(x: Tensor): number {
    return this.#tensor(x).storage.address;
  }

  #matrix(w: Matrix): WasmMatrix {
    check.require(w instanceof WasmMatrix && this.instances.all.includes(w.instance), "a matrix is not of this backend");
    return w;
  }
}
