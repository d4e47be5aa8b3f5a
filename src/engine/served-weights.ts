/** The weights of a checkpoint on their way to a team: threads ask for the rows that are theirs. */
import type { Checkpoint } from "../formats/checkpoint.ts";
import type { LoadOptions } from "../model/weights.ts";
import type { RowsRequest } from "./team-messages.ts";

export class ServedWeights {
  /** The error of the first read that failed. */
  failure: { readonly error: unknown } | undefined;
  readonly #checkpoint: Checkpoint;
  readonly #options: LoadOptions;
  #loadedBytes = 0;

  constructor(checkpoint: Checkpoint, options: LoadOptions) {
    this.#checkpoint = checkpoint;
    this.#options = options;
  }

  /** In memory that holds nothing else. */
  async rows({ tensor: name, first, end, into }: Omit<RowsRequest, "id" | "kind">, thread: number): Promise<Uint8Array> {
    try {
      const tensor = this.#checkpoint.tensors.get(name)!;
      const { signal, onProgress } = this.#options;
      const spares = into ? [into] : [];
      let bytes = new Uint8Array();
      for await (const slice of tensor.rows({ first, end, sliceBytes: tensor.byteLength, signal, spares }))
        bytes = slice.bytes as typeof bytes;
      // Every row of a matrix goes to one thread; vectors go to all, and count once.
      if (tensor.shape.length > 1 || thread === 0) this.#loadedBytes += bytes.length;
      onProgress?.({ loadedBytes: this.#loadedBytes, totalBytes: this.#checkpoint.tensorBytes, tensor: name });
      return spares[0] === bytes.buffer ? bytes : bytes.slice();
    } catch (error) {
      this.failure ??= { error };
      throw error;
    }
  }
}
