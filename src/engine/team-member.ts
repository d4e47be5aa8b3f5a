/** One thread of a team: the executor of its share, and the weights that it asks the caller for. */
import { ReferenceBackend } from "../backend/reference.ts";
import { ShardedBackend } from "../backend/sharded.ts";
import { SharedLink } from "../backend/team-link.ts";
import { openWasmBackend } from "../backend/wasm/open.ts";
import type { CheckpointTensor } from "../formats/checkpoint.ts";
import { type ReadRowRange, type ReadRows, slices } from "../formats/slices.ts";
import { loadWeights } from "../model/weights.ts";
import { LocalExecutor } from "./executor.ts";
import {
  errorOf,
  type FromMember,
  type OpenRequest,
  type RowsReply,
  reportOf,
  type TeamRequest,
  type ToMember,
} from "./team-messages.ts";

type Post = (message: FromMember, transfer?: readonly Transferable[]) => void;

export class TeamMember {
  readonly #post: Post;
  /** Requests are answered one after the other. */
  #last: Promise<void> = Promise.resolve();
  readonly #rows = new Map<number, { resolve: (rows: ReadRows) => void; reject: (error: unknown) => void }>();
  #asked = 0;
  #memory: SharedArrayBuffer | undefined;
  #link: SharedLink | undefined;
  #executor: LocalExecutor | undefined;

  constructor(post: Post) {
    this.#post = post;
  }

  receive(message: ToMember): void {
    if (message.kind === "rows") this.#receiveRows(message);
    else this.#last = this.#last.then(() => this.#answer(message));
  }

  /** Says what came of it; if that is an error, the others must not wait for this thread. */
  async #answer(request: TeamRequest): Promise<void> {
    try {
      this.#link?.begin();
      const { value, transfer } = await this.#do(request);
      this.#post({ kind: "done", value, bytesInUse: this.#executor?.bytesInUse ?? 0 }, transfer);
    } catch (error) {
      if (this.#memory) SharedLink.fail(this.#memory);
      this.#post({ kind: "failed", error: reportOf(error) });
    }
  }

  /** @returns what the caller gets, from the first thread */
  async #do(request: TeamRequest): Promise<{ value?: unknown; transfer?: ArrayBuffer[] }> {
    if (request.kind === "open") return { value: await this.#open(request) };
    const executor = this.#executor!;
    const { store } = executor;
    if (request.pages > 0) store.ensure(request.pages - 1);
    switch (request.kind) {
      case "step": {
        const result = await executor.step(request.step);
        if (this.#link!.index > 0) return {};
        const arrays = [result.logits, result.maxima, result.hidden, ...result.trace.map(([, { data }]) => data)];
        return { value: result, transfer: arrays.map(({ buffer }) => buffer).filter((buffer) => buffer instanceof ArrayBuffer) };
      }
      case "copyPage":
        store.copyPage(request.from, request.to);
        return {};
      case "writePage":
        store.writePage(request.page, request.bytes);
        return {};
      case "readPage": {
        const bytes = await store.readPage(request.page);
        return { value: bytes, transfer: [bytes.buffer as ArrayBuffer] };
      }
    }
  }

  async #open(request: OpenRequest): Promise<string> {
    const { index, count, memory, patient, kernels, checkpoint, weights } = request;
    this.#memory = memory;
    this.#link = new SharedLink(memory, index, count, patient);
    const inner = kernels ? openWasmBackend(kernels, request.limits, request.planned) : new ReferenceBackend();
    const backend = new ShardedBackend(inner, this.#link);
    const tensors = new Map(checkpoint.tensors.map((tensor) => [tensor.name, this.#asking(tensor)]));
    const loaded = await loadWeights(backend, { ...checkpoint, tensors }, weights);
    const results = new Float32Array(request.results);
    this.#executor = new LocalExecutor(backend, checkpoint.config, loaded, request.kvCache, request.mostPages, results);
    return this.#executor.description;
  }

  /** A tensor whose rows come from the caller. */
  #asking(tensor: Omit<CheckpointTensor, "rows">): CheckpointTensor {
    const { name, shape, byteLength } = tensor;
    const read: ReadRowRange = (first, end, _, into) =>
      new Promise((resolve, reject) => {
        const id = ++this.#asked;
        this.#rows.set(id, { resolve, reject });
        this.#post({ kind: "rows", id, tensor: name, first, end, into }, into ? [into] : []);
      });
    return { ...tensor, rows: (options) => slices(shape[0]!, byteLength / shape[0]!, read, options) };
  }

  #receiveRows({ id, bytes, error }: RowsReply): void {
    const asked = this.#rows.get(id)!;
    this.#rows.delete(id);
    if (bytes) asked.resolve({ bytes, spare: bytes.buffer as ArrayBuffer });
    else asked.reject(errorOf(error!));
  }
}
