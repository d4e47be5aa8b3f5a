/**
 * One thread's backend in a team: all threads run the same forward pass, each with its own rows of every matrix and its own KV heads.
 *
 * A product's result is *sharded*: each thread has the columns that its rows of the matrix made. Heads are normalised, rotated, kept
 * and attended where they are, gates meet their values where they are. What needs whole rows (the next product, the residual stream)
 * gathers them first; the result is *replicated*. So a layer gathers four times, and nobody adds partial sums of somebody else: the
 * bits do not depend on the number of threads.
 *
 * Every thread must make the same calls in the same order. Results are read by the first one.
 */
import type { Encoding } from "../formats/encoding.ts";
import {
  type Backend,
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
import { gather, putTogether } from "./gather.ts";
import { blockRows, ownerOf, partition, scaled } from "./partition.ts";
import * as check from "./shapes.ts";
import { ownSegments, ShardedKvStore } from "./sharded-kv.ts";
import { ShardedMatrix, shardedWriter } from "./sharded-matrix.ts";
import type { TeamLink } from "./team-link.ts";

class ShardedTensor implements Tensor {
  readonly shape: readonly number[];
  /** All values of a replicated tensor; of a sharded one this thread's columns, of the same number of extents. */
  readonly local: Tensor;
  /** The columns of each thread, counted in values of a whole row; undefined for a replicated tensor. */
  readonly bounds: readonly number[] | undefined;

  constructor(shape: readonly number[], local: Tensor, bounds?: readonly number[]) {
    this.shape = shape;
    this.local = local;
    this.bounds = bounds;
  }
}

export class ShardedBackend implements Backend {
  readonly #inner: HostBackend;
  readonly #link: TeamLink;

  /** @param inner computes this thread's share; closed with this backend */
  constructor(inner: HostBackend, link: TeamLink) {
    this.#inner = inner;
    this.#link = link;
  }

  get name(): Backend["name"] {
    return this.#inner.name;
  }

  get description(): string {
    return `${this.#inner.description}, ${this.#link.count} threads`;
  }

  get bytesInUse(): number {
    return this.#inner.bytesInUse;
  }

  createMatrix(rows: number, cols: number, format: MatrixFormat, source?: Encoding, parts?: number): MatrixWriter {
    check.requireMatrix(rows, cols, format, source);
    const { index, count } = this.#link;
    const bounds = partition(rows, parts === undefined ? blockRows(format) : rows / parts, count);
    const own = bounds[index + 1]! - bounds[index]!;
    const writer = own > 0 ? this.#inner.createMatrix(own, cols, format, source) : undefined;
    return shardedWriter({ rows, cols, format }, bounds, index, writer, source);
  }

  createVector(values: Float32Array): Vector {
    return this.#inner.createVector(values);
  }

  createKvStore(shape: KvShape, pages?: number): KvStore {
    check.requireKvShape(shape);
    const { index, count } = this.#link;
    const heads = partition(shape.kvHeads, 1, count);
    const kvHeads = heads[index + 1]! - heads[index]!;
    const own = kvHeads > 0 ? this.#inner.createKvStore({ ...shape, kvHeads }, pages) : undefined;
    return new ShardedKvStore(this.#link, shape, heads, own);
  }

  scope<T extends Tensor | undefined>(body: () => T, replaced?: T): T {
    let result: T | undefined;
    const local = this.#inner.scope(() => {
      result = body();
      return result && sharded(result).local;
    }, replaced && sharded(replaced).local);
    return (result && local && new ShardedTensor(result.shape, local, sharded(result).bounds)) as Tensor | undefined as T;
  }

  input(values: Float32Array, shape: readonly number[]): Tensor {
    return new ShardedTensor([...shape], this.#inner.input(values, shape));
  }

  reshape(x: Tensor, shape: readonly number[]): Tensor {
    check.requireReshape(x, shape);
    const { bounds } = sharded(x);
    const width = check.sizeOf(shape.slice(1));
    const last = shape[shape.length - 1]!;
    // Between [tokens, heads * head_dim] and [tokens, heads, head_dim] every thread keeps the heads that it has.
    const keeps = bounds !== undefined && shape[0] === x.shape[0] && (shape.length === 2 || bounds.every((b) => b % last === 0));
    const { local } = keeps ? sharded(x) : this.#whole(x);
    if (!keeps) return new ShardedTensor([...shape], this.#inner.reshape(local, shape));
    const own = this.#ownOf(bounds);
    const ownShape =
      shape.length === 2 ? [shape[0]!, own] : [shape[0]!, (shape[1]! * own) / Math.max(1, width), ...shape.slice(2)];
    return new ShardedTensor([...shape], this.#inner.reshape(local, ownShape), bounds);
  }

  /** All threads take part; the first one gets the values, the others an empty array, or what they were to be put into. */
  async read(x: Tensor, into?: Float32Array): Promise<Float32Array> {
    const { local, bounds } = sharded(x);
    const isReader = this.#link.index === 0;
    if (!bounds) return isReader ? this.#inner.read(local, into) : new Float32Array();
    if (into) {
      check.requireRoom(x, into);
      putTogether(this.#link, this.#inner.values(local), bounds, into);
      return into;
    }
    const whole = new Float32Array(isReader ? check.sizeOf(x.shape) : 0);
    gather(this.#link, this.#inner.values(local), bounds, x.shape[0]!, isReader ? whole : undefined);
    return whole;
  }

  /** Each token's row comes from the thread that has it. */
  embed(table: Matrix, ids: Int32Array): Tensor {
    const { own, bounds, cols } = matrixOf(table);
    check.requireIndices("embed", ids, table.rows);
    const owners = Array.from(ids, (id) => ownerOf(bounds, id));
    const byOwner = Int32Array.from(owners.keys()).sort((a, b) => owners[a]! - owners[b]! || a - b);
    const tokens = bounds.map((_, thread) => owners.filter((owner) => owner < thread).length);
    const { index } = this.#link;
    const mine = byOwner.subarray(tokens[index], tokens[index + 1]);
    const local = this.#inner.scope(() => {
      const rows = own
        ? this.#inner.embed(
            own,
            mine.map((token) => ids[token]! - bounds[index]!),
          )
        : this.#inner.tensor([0, cols]);
      const gathered = this.#gather(rows, scaled(tokens, cols), [1, ids.length * cols]);
      const places = new Int32Array(ids.length);
      for (const [place, token] of byOwner.entries()) places[token] = place;
      return this.#inner.rows(this.#inner.reshape(gathered, [ids.length, cols]), places);
    });
    return new ShardedTensor([ids.length, cols], local);
  }

  matmul(x: Tensor, weight: Matrix): Tensor {
    const { own, bounds, rows } = matrixOf(weight);
    check.requireMatmul(x, weight);
    const { local } = this.#whole(x);
    const [tokens = 0] = x.shape;
    return new ShardedTensor([tokens, rows], own ? this.#inner.matmul(local, own) : this.#inner.tensor([tokens, 0]), bounds);
  }

  /** Heads where they are; whole rows gathered. */
  rmsNorm(x: Tensor, weight: Vector, eps: number): Tensor {
    check.requireNorm(x, weight);
    const { local, bounds } = x.shape.length === 3 ? sharded(x) : this.#whole(x);
    return new ShardedTensor(x.shape, this.#inner.rmsNorm(local, weight, eps), bounds);
  }

  rope(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
    check.requireRope(x, cos, sin);
    const { local, bounds } = sharded(x);
    return new ShardedTensor(x.shape, this.#inner.rope(local, this.#whole(cos).local, this.#whole(sin).local), bounds);
  }

  appendKv(segments: readonly Segment[], layer: number, k: Tensor, v: Tensor): void {
    check.requireAppendKv(segments, layer, k, v);
    const { heads, own } = ownSegments(segments);
    const bounds = scaled(heads, k.shape[2]!);
    const [keys, values] = [this.#divided(k, bounds), this.#divided(v, bounds)];
    if (own) this.#inner.appendKv(own, layer, keys.local, values.local);
  }

  attention(q: Tensor, segments: readonly Segment[], layer: number, scale: number): Tensor {
    check.requireAttention(segments, layer, q);
    const [tokens = 0, queryHeads = 0, headDim = 0] = q.shape;
    const { heads, own } = ownSegments(segments);
    const kvHeads = heads[heads.length - 1]!;
    check.require(queryHeads % kvHeads === 0, () => `attention: ${queryHeads} query heads for ${kvHeads} KV heads, of a team`);
    const bounds = scaled(heads, (queryHeads / kvHeads) * headDim);
    const { local } = this.#divided(q, bounds);
    const out = own ? this.#inner.attention(local, own, layer, scale) : this.#inner.tensor([tokens, 0, headDim]);
    return new ShardedTensor(q.shape, out, bounds);
  }

  swiglu(gate: Tensor, up: Tensor): Tensor {
    check.requireSameShape("swiglu", gate, up);
    return this.#valueByValue(gate, up, (g, u) => this.#inner.swiglu(g, u));
  }

  add(a: Tensor, b: Tensor): Tensor {
    check.requireSameShape("add", a, b);
    return this.#valueByValue(a, b, (left, right) => this.#inner.add(left, right));
  }

  /** Blocks where they are: what a matrix makes is cut between them. */
  blockMaxima(x: Tensor): Tensor {
    const shape = check.maximaShape(x);
    const whole = sharded(x)
      .bounds?.slice(0, -1)
      .some((bound) => bound % MAXIMA_COLUMNS > 0);
    const { local, bounds } = whole ? this.#whole(x) : sharded(x);
    const blocks = bounds?.map((bound) => Math.ceil(bound / MAXIMA_COLUMNS));
    return new ShardedTensor(shape, this.#inner.blockMaxima(local), blocks);
  }

  rows(x: Tensor, indices: Int32Array): Tensor {
    check.requireIndices("rows", indices, x.shape[0]!);
    const { local, bounds } = sharded(x);
    return new ShardedTensor([indices.length, check.widthOf(x)], this.#inner.rows(local, indices), bounds);
  }

  close(): void {
    this.#inner.close();
  }

  /** Where both operands are in the same hands if they are, else on whole rows. */
  #valueByValue(a: Tensor, b: Tensor, operate: (a: Tensor, b: Tensor) => Tensor): Tensor {
    const alike = sameBounds(sharded(a).bounds, sharded(b).bounds);
    const [left, right] = alike ? [sharded(a), sharded(b)] : [this.#whole(a), this.#whole(b)];
    return new ShardedTensor(a.shape, operate(left.local, right.local), left.bounds);
  }

  /** The same tensor, replicated. */
  #whole(x: Tensor): ShardedTensor {
    const { local, bounds } = sharded(x);
    return bounds ? new ShardedTensor(x.shape, this.#gather(local, bounds, x.shape)) : sharded(x);
  }

  #gather(local: Tensor, bounds: readonly number[], shape: readonly number[]): Tensor {
    const whole = this.#inner.tensor(shape);
    gather(this.#link, this.#inner.values(local), bounds, shape[0]!, this.#inner.values(whole));
    return whole;
  }

  /** The same tensor [tokens, heads, head_dim], with the columns of `bounds` in this thread's hands. */
  #divided(x: Tensor, bounds: readonly number[]): ShardedTensor {
    if (sameBounds(sharded(x).bounds, bounds)) return sharded(x);
    const whole = this.#whole(x).local;
    const [tokens = 0, heads = 0, headDim = 0] = x.shape;
    const [first, own] = [bounds[this.#link.index]!, this.#ownOf(bounds)];
    const local = this.#inner.tensor([tokens, own / headDim, headDim]);
    const [from, to] = [this.#inner.values(whole), this.#inner.values(local)];
    for (let t = 0; t < tokens; t++) {
      const row = t * heads * headDim + first;
      to.set(from.subarray(row, row + own), t * own);
    }
    return new ShardedTensor(x.shape, local, bounds);
  }

  #ownOf(bounds: readonly number[]): number {
    return bounds[this.#link.index + 1]! - bounds[this.#link.index]!;
  }
}

function sameBounds(a: readonly number[] | undefined, b: readonly number[] | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && check.sameExtents(a, b));
}

function sharded(x: Tensor): ShardedTensor {
  check.require(x instanceof ShardedTensor, "a tensor is not of this backend");
  return x;
}

function matrixOf(w: Matrix): ShardedMatrix {
  check.require(w instanceof ShardedMatrix, "a matrix is not of this backend");
  return w;
}
