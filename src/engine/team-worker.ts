/** What a Web Worker of a team runs. */
import { TeamMember } from "./team-member.ts";

const scope = globalThis as unknown as {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: (event: MessageEvent) => void;
};
const member = new TeamMember((message, transfer = []) => scope.postMessage(message, [...transfer]));
scope.onmessage = ({ data }) => member.receive(data);
