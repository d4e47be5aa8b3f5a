/** What a worker thread of a team runs in Node, Deno and Bun. */
import { parentPort } from "node:worker_threads";
import { TeamMember } from "./team-member.ts";

const port = parentPort!;
const member = new TeamMember((message, transfer = []) => port.postMessage(message, [...transfer] as ArrayBuffer[]));
port.on("message", (message) => member.receive(message));
