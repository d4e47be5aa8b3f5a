/** The keys and values of a team, page by page: each thread has its heads of every page. */
import type { KvShape, KvStore } from "../backend/backend.ts";
import type { TeamThreads } from "./team-threads.ts";

export class TeamKvStore implements KvStore {
  readonly shape: KvShape;
  readonly #threads: TeamThreads;
  #pages = 0;

  constructor(threads: TeamThreads, shape: KvShape) {
    this.#threads = threads;
    this.shape = shape;
  }

  /** How many pages there are. The threads take memory for them when they are next asked something. */
  get pages(): number {
    return this.#pages;
  }

  ensure(page: number): void {
    this.#pages = Math.max(this.#pages, page + 1);
  }

  copyPage(from: number, to: number): void {
    const { pages } = this;
    this.#threads.order({ kind: "copyPage", from, to, pages });
  }

  readPage(page: number): Promise<Uint8Array> {
    const { pages } = this;
    return this.#threads.ask(() => ({ kind: "readPage", page, pages }));
  }

  writePage(page: number, bytes: Uint8Array): void {
    const { pages } = this;
    this.#threads.order({ kind: "writePage", page, bytes: bytes.slice(), pages }); // the caller may go on to change theirs
  }

  /** The pages are given back with the threads. */
  close(): void {}
}
