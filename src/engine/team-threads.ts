/**
 * The caller's side of a team: its threads, asked one thing at a time, all of them together.
 *
 * A thread that answers with a typed error fails the request, and the team goes on. One that dies, or throws what nobody meant to throw,
 * is the end of the team: whatever was asked and will be asked fails with BACKEND_LOST.
 */
import { SharedLink } from "../backend/team-link.ts";
import { Qwen3Error } from "../core/errors.ts";
import {
  type ErrorReport,
  errorOf,
  type FromMember,
  type RowsRequest,
  type TeamRequest,
  type ToMember,
} from "./team-messages.ts";
import type { StartThread, Thread } from "./threads.ts";

type Answer = Extract<FromMember, { kind: "done" | "failed" }>;

/** What all threads are at. */
interface Round {
  readonly answers: (Answer | undefined)[];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Qwen3Error) => void;
}

export class TeamThreads {
  /** What the threads have in common: for their barriers, and where they put results. */
  readonly memory = SharedLink.memory();
  readonly results: SharedArrayBuffer;
  readonly count: number;
  readonly #threads: Thread[] = [];
  /** Which threads have ever said something: those are known to run. */
  readonly #started = new Set<number>();
  readonly #bytesInUse: number[];
  readonly #serve: (request: RowsRequest, index: number) => void;
  #last: Promise<unknown> = Promise.resolve();
  #round: Round | undefined;
  #ended: Qwen3Error | undefined;

  /** @param serve answers a thread that asks for rows of the checkpoint */
  constructor(start: StartThread, count: number, resultBytes: number, serve: (request: RowsRequest, index: number) => void) {
    this.results = new SharedArrayBuffer(resultBytes);
    this.#serve = serve;
    this.#bytesInUse = Array.from({ length: count }, () => 0);
    this.count = count;
    for (let index = 0; index < count; index++)
      try {
        const message = (message: unknown) => this.#receive(index, message as FromMember);
        this.#threads.push(start(`qwen3 ${index + 1}/${count}`, { message, lost: (cause) => this.#lose(index, cause) }));
      } catch (cause) {
        this.#lose(index, cause);
        return;
      }
  }

  get bytesInUse(): number {
    if (this.#ended) return 0;
    return this.#bytesInUse.reduce((sum, bytes) => sum + bytes, this.memory.byteLength + this.results.byteLength);
  }

  /**
   * Asks all threads, once they have answered everything before.
   *
   * @returns what the first thread answers
   * @throws the threads' error; BACKEND_LOST, BACKEND_UNAVAILABLE or CLOSED once the team has ended
   */
  ask<T>(request: (index: number) => TeamRequest): Promise<T> {
    const answer = this.#last.then(() => this.#ask(request));
    this.#last = answer.catch(() => undefined);
    return answer as Promise<T>;
  }

  /** Asks for what is to be done before anything that is asked later. There is no going on without it: failing is the team's end. */
  order(request: TeamRequest): void {
    this.ask(() => request).catch((error: Qwen3Error) => this.#fail(`${request.kind}: ${error.message}`));
  }

  /** Answers one thread's question, in the middle of a request. */
  tell(index: number, message: ToMember, transfer?: readonly Transferable[]): void {
    if (!this.#ended) this.#threads[index]!.post(message, transfer);
  }

  /** Ends all threads; what is not answered by now fails with CLOSED. */
  close(): Promise<void> {
    return this.#end(new Qwen3Error("CLOSED", "the threads were closed"));
  }

  #ask(request: (index: number) => TeamRequest): Promise<unknown> {
    if (this.#ended) throw this.#ended;
    SharedLink.reset(this.memory);
    return new Promise((resolve, reject) => {
      this.#round = { answers: this.#threads.map(() => undefined), resolve, reject };
      for (const [index, thread] of this.#threads.entries()) {
        thread.hold(true);
        thread.post(request(index));
      }
    });
  }

  #receive(index: number, message: FromMember): void {
    if (this.#ended) return;
    this.#started.add(index);
    if (message.kind === "rows") this.#serve(message, index);
    else if (message.kind === "failed" && message.error.code === undefined) this.#lose(index, message.error);
    else this.#answered(index, message);
  }

  #answered(index: number, answer: Answer): void {
    if (answer.kind === "done") this.#bytesInUse[index] = answer.bytesInUse;
    const round = this.#round!;
    round.answers[index] = answer;
    if (round.answers.includes(undefined)) return;
    this.#round = undefined;
    for (const thread of this.#threads) thread.hold(false);
    const errors = round.answers.flatMap((answer) => (answer?.kind === "failed" ? [answer.error] : []));
    const [first] = round.answers;
    if (errors.length > 0) round.reject(errorOf(cause(errors)));
    else if (first?.kind === "done") round.resolve(first.value);
  }

  #lose(index: number, cause: unknown): void {
    const reason = `thread ${index + 1} of ${this.count}: ${(cause as Error | undefined)?.message ?? cause}`;
    if (this.#started.has(index)) this.#fail(reason);
    else
      void this.#end(
        new Qwen3Error("BACKEND_UNAVAILABLE", `threads cannot be started here, which "threads" 1 does without; ${reason}`),
      );
  }

  #fail(reason: string): void {
    void this.#end(new Qwen3Error("BACKEND_LOST", `what computes has failed, and the model with it: ${reason}`));
  }

  async #end(error: Qwen3Error): Promise<void> {
    if (!this.#ended) {
      this.#ended = error;
      this.#bytesInUse.fill(0);
      SharedLink.fail(this.memory);
      this.#round?.reject(error);
      this.#round = undefined;
    }
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }
}

/** The error that came first, not those of threads that only waited for the one which had it. */
function cause(errors: readonly ErrorReport[]): ErrorReport {
  return errors.find(({ code }) => code !== "BACKEND_LOST") ?? errors[0]!;
}
