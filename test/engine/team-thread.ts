/** A worker thread of a team that fails in the middle of its second step, in the way that its name asks for. */
import { parentPort, workerData } from "node:worker_threads";
import { TeamMember } from "../../src/engine/team-member.ts";
import type { ToMember } from "../../src/engine/team-messages.ts";

/** exit: the thread ends; throw: something that nobody catches; full: no room for the pages; bug: an error that nobody meant to throw. */
export type Failure = "none" | "exit" | "throw" | "full" | "bug" | "hang";

const { failure, onStep } = workerData as { failure: Failure; onStep: number };
const port = parentPort!;
const member = new TeamMember((message, transfer = []) => port.postMessage(message, [...transfer] as ArrayBuffer[]));
let steps = 0;

port.on("message", (message: ToMember) => {
  if (message.kind !== "step" || ++steps !== onStep || failure === "none") return member.receive(message);
  // The other threads are computing by now, and wait for this one.
  if (failure === "exit") process.exit(3);
  if (failure === "throw") throw new Error("out of luck");
  if (failure === "hang") for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  if (failure === "full") return member.receive({ ...message, pages: 1e6 });
  member.receive({ ...message, step: { ...message.step, segments: undefined as never } });
});
