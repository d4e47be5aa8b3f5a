/**
 * The backend that computes with the kernels of assembly/ in one WebAssembly memory: the reference backend's bits, by vectors.
 *
 * Operations compute at once. Weights, vectors and cache pages are spans of the memory, tensors lie in an arena (arena.ts), and
 * what a kernel needs beside its operands is in one scratch span that every operation uses anew.
 */
import type { FloatType } from "../../core/dtype.ts";
import { Qwen3Error } from "../../core/errors.ts";
import type { Backend, KvShape, KvStore, Matrix, MatrixFormat, MatrixWriter, Segment, Tensor, Vector } from "../backend.ts";
import * as check from "../shapes.ts";
import { Arena, ArenaTensor } from "./arena.ts";
import { convertingWriter } from "./converting-writer.ts";
import { instantiate, type Kernels } from "./kernels.ts";
import { appendKv, attention, WasmKvStore } from "./kv.ts";
import { type Build, loadModule } from "./load.ts";
import { matrixWriter, WasmMatrix } from "./matrix.ts";
import { type MemoryWatch, WasmMemory } from "./memory.ts";
import { probe } from "./probe.ts";
import { attendsExactly, withRelaxedAttention } from "./probe-attention.ts";
import { product, widenRow } from "./product.ts";

export interface WasmOptions {
  /** The compiled wasm/qwen3-simd.wasm or -relaxed.wasm, for hosts that forbid compiling bytes; goes before `build`. */
  readonly module?: WebAssembly.Module | undefined;
  /** Default "auto": "relaxed" where the engine has it and computes it rightly, else "simd". */
  readonly build?: "auto" | Build | undefined;
  /** What the memory may grow to: at most 4 GiB, which is the default. */
  readonly maximumBytes?: number | undefined;
}

/**
 * The wasm backend with the fastest kernels that compute rightly here.
 *
 * @param watch for tests
 * @throws BACKEND_UNAVAILABLE with the reason for each build that was tried
 */
export async function createWasmBackend(options: WasmOptions = {}, watch?: MemoryWatch): Promise<WasmBackend> {
  const { module, build = "auto" } = options;
  if (build !== "auto" && build !== "simd" && build !== "relaxed")
    throw new Qwen3Error("ARGUMENT", `wasm.build is ${build}; allowed: "auto", "simd", "relaxed"`);
  const memory = new WasmMemory(options.maximumBytes, watch);
  const candidates = module ? (["module"] as const) : build === "auto" ? (["relaxed", "simd"] as const) : [build];
  const reasons: string[] = [];
  for (const candidate of candidates) {
    try {
      const compiled = candidate === "module" ? module! : await loadModule(candidate);
      const trial = new WasmMemory();
      const tried = instantiate(compiled, trial.memory);
      const wrong = await probe(new WasmBackend(tried, trial));
      const unsigned = tried.relaxed.value === 1 && (await attendsExactly(new WasmBackend(withRelaxedAttention(tried), trial)));
      trial.close();
      const kernels = instantiate(compiled, memory.memory);
      if (wrong === undefined) return new WasmBackend(unsigned ? withRelaxedAttention(kernels) : kernels, memory);
      reasons.push(`${candidate} computes wrongly: ${wrong}`);
    } catch (error) {
      reasons.push(`${candidate}: ${(error as Error).message}`);
    }
  }
  throw new Qwen3Error("BACKEND_UNAVAILABLE", `no WebAssembly kernels can be used here: ${reasons.join("; ")}`);
}

interface WasmVector extends Vector {
  readonly memory: WasmMemory;
  readonly address: number;
}

export class WasmBackend implements Backend {
  readonly name = "wasm";
  readonly description: string;
  /** Everything lies in it; tests look inside. */
  readonly memory: WasmMemory;
  readonly #arena: Arena;
  #open: Kernels | undefined;
  #scratch = { address: 0, bytes: 0 };

  /** @param kernels working in `memory`; that they compute rightly is for `createWasmBackend` to find out */
  constructor(kernels: Kernels, memory: WasmMemory) {
    this.#open = kernels;
    this.memory = memory;
    this.#arena = new Arena(memory);
    this.description = kernels.relaxed.value ? "wasm, relaxed-simd" : "wasm, simd";
  }

  get bytesInUse(): number {
    return this.memory.bytesInUse;
  }

  /** The most bytes that tensors ever took at once; scratch comes on top. */
  get arenaPeakBytes(): number {
    return this.#arena.peakBytes;
  }

  createMatrix(rows: number, cols: number, format: MatrixFormat, source?: FloatType): MatrixWriter {
    check.requireMatrix(rows, cols, format);
    const matrix = new WasmMatrix(this.memory, rows, cols, format);
    const scratch = (bytes: number) => this.#scratchOf(bytes);
    if (source === undefined || source === format.type) return matrixWriter(this.#kernels, matrix, scratch);
    return convertingWriter(this.#kernels, matrix, source, scratch);
  }

  createVector(values: Float32Array): Vector {
    const { memory } = this;
    const address = memory.allocate(values.byteLength);
    memory.floats(address, values.length).set(values);
    return { length: values.length, memory, address } as WasmVector;
  }

  createKvStore(shape: KvShape): KvStore {
    check.requireKvShape(shape);
    this.#requireOpen();
    return new WasmKvStore(this.memory, shape);
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
    this.memory.floats(out.storage.address, values.length).set(values);
    return out;
  }

  reshape(x: Tensor, shape: readonly number[]): Tensor {
    check.requireReshape(x, shape);
    return new ArenaTensor([...shape], this.#tensor(x).storage);
  }

  async read(x: Tensor): Promise<Float32Array> {
    return this.memory.floats(this.#at(x), check.sizeOf(x.shape)).slice();
  }

  embed(table: Matrix, ids: Int32Array): Tensor {
    const w = this.#matrix(table);
    check.requireIndices("embed", ids, w.rows);
    const out = this.#make([ids.length, w.cols]);
    for (const [t, id] of ids.entries()) widenRow(this.#kernels, w, id, out.storage.address + t * w.cols * 4);
    return out;
  }

  matmul(x: Tensor, weight: Matrix): Tensor {
    const w = this.#matrix(weight);
    check.requireMatmul(x, w);
    const from = this.#at(x);
    const out = this.#make([x.shape[0]!, w.rows]);
    product(this.#kernels, from, w, out.storage.address, x.shape[0]!, (bytes) => this.#scratchOf(bytes));
    return out;
  }

  rmsNorm(x: Tensor, weight: Vector, eps: number): Tensor {
    check.requireNorm(x, weight);
    const { memory, address, length } = weight as WasmVector;
    check.require(memory === this.memory, "rmsNorm: the weights are not of this backend");
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
    appendKv(this.#kernels, this.memory, segments, layer, this.#at(k), this.#at(v), (bytes) => this.#scratchOf(bytes));
  }

  attention(q: Tensor, segments: readonly Segment[], layer: number, scale: number): Tensor {
    check.requireAttention(segments, layer, q);
    const from = this.#at(q);
    const out = this.#make(q.shape);
    const { address } = out.storage;
    const scratch = (bytes: number) => this.#scratchOf(bytes);
    attention(this.#kernels, this.memory, from, segments, layer, q.shape[1]!, scale, address, scratch);
    return out;
  }

  swiglu(gate: Tensor, up: Tensor): Tensor {
    check.requireSameShape("swiglu", gate, up);
    const [g, u] = [this.#at(gate), this.#at(up)];
    const out = this.#make(gate.shape);
    this.#kernels.swiglu(g, u, out.storage.address, check.sizeOf(gate.shape));
    return out;
  }

  add(a: Tensor, b: Tensor): Tensor {
    check.requireSameShape("add", a, b);
    const [left, right] = [this.#at(a), this.#at(b)];
    const out = this.#make(a.shape);
    this.#kernels.add(left, right, out.storage.address, check.sizeOf(a.shape));
    return out;
  }

  rows(x: Tensor, indices: Int32Array): Tensor {
    check.requireIndices("rows", indices, x.shape[0]!);
    const bytes = check.widthOf(x) * 4;
    const from = this.#at(x);
    const out = this.#make([indices.length, check.widthOf(x)]);
    for (const [i, index] of indices.entries())
      this.memory.u8.copyWithin(out.storage.address + i * bytes, from + index * bytes, from + (index + 1) * bytes);
    return out;
  }

  close(): void {
    this.#open = undefined;
    this.memory.close();
  }

  get #kernels(): Kernels {
    return this.#requireOpen();
  }

  #requireOpen(): Kernels {
    if (!this.#open) throw new Qwen3Error("CLOSED", "the wasm backend was closed");
    return this.#open;
  }

  #make(shape: readonly number[]): ArenaTensor {
    this.#requireOpen();
    return new ArenaTensor([...shape], this.#arena.allocate(check.sizeOf(shape) * 4));
  }

  /** The tensor as this backend made it, if it did and the tensor is still there. */
  #tensor(x: Tensor): ArenaTensor {
    this.#requireOpen();
    check.require(x instanceof ArenaTensor && x.storage.arena === this.#arena, "a tensor is not of this backend");
    check.require(x.storage.scope.open, `a tensor of shape [${x.shape}] was used after its scope had ended`);
    return x;
  }

  #at(x: Tensor): number {
    return this.#tensor(x).storage.address;
  }

  #matrix(w: Matrix): WasmMatrix {
    check.require(w instanceof WasmMatrix && w.memory === this.memory, "a matrix is not of this backend");
    return w;
  }

  /** The address of at least so many bytes, until the next call. */
  #scratchOf(bytes: number): number {
    if (bytes > this.#scratch.bytes) {
      if (this.#scratch.bytes > 0) this.memory.free(this.#scratch.address);
      this.#scratch = { address: 0, bytes: 0 };
      this.#scratch = { address: this.memory.allocate(bytes), bytes };
    }
    this.memory.watch?.allocated(this.#scratch.address, bytes);
    return this.#scratch.address;
  }
}
