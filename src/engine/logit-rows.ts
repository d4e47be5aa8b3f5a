/** Rows of logits, one below the other, each with the largest of every block of them where a step gives those. */
export class LogitRows {
  readonly count: number;
  readonly #logits: Float32Array;
  readonly #maxima: Float32Array;
  readonly #vocabSize: number;

  /** @param maxima [rows, blocks], `Backend.blockMaxima` of the logits; or of no length */
  constructor(logits: Float32Array, maxima: Float32Array, vocabSize: number) {
    this.count = logits.length / vocabSize;
    this.#logits = logits;
    this.#maxima = maxima;
    this.#vocabSize = vocabSize;
  }

  /** Rows `first` to `end - 1`. */
  slice(first: number, end = this.count): LogitRows {
    return new LogitRows(cut(this.#logits, this.count, first, end), cut(this.#maxima, this.count, first, end), this.#vocabSize);
  }

  /** [vocab_size] */
  logits(row: number): Float32Array {
    return cut(this.#logits, this.count, row, row + 1);
  }

  maxima(row: number): Float32Array | undefined {
    return this.#maxima.length > 0 ? cut(this.#maxima, this.count, row, row + 1) : undefined;
  }
}

function cut(values: Float32Array, rows: number, first: number, end: number): Float32Array {
  const width = values.length / Math.max(rows, 1);
  return values.subarray(first * width, end * width);
}
