/** The loads of bench/load, shortened. They throw where the server does not do what it must. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { aborts, burst, chats, mixed, slowWriters } from "../../bench/server/loads.ts";
import { ServerProcess } from "../../bench/server/server-process.ts";

const test = suite("load");
const server = await ServerProcess.start({ answers: 100 });

test("a burst: answers, and refusals for those that find no room", async () => {
  const counts = await burst(server, 600);
  assert.ok(counts[200]! >= 100 && counts[429]! > 0, JSON.stringify(counts));
});

test("aborts: who stays has the text that it has alone, and nothing is left behind", async () => {
  const { survivors, left } = await aborts(server, { requests: 20, rounds: 2 });
  assert.ok(survivors > 0 && left > 0, `${survivors} and ${left}`);
});

test("slow writers keep nobody from being answered", async () => {
  const { asked } = await slowWriters(server, { connections: 100, seconds: 1 });
  assert.ok(asked > 0);
});

test("a mixture", async () => {
  const { answers, left, refused } = await mixed(server, { seconds: 4, clients: 4 });
  assert.ok(answers > 0 && left + refused > 0, `${answers}, ${left}, ${refused}`);
});

test("chats at once", async () => {
  const { tokensPerSecond } = await chats(server, { concurrent: 4, tokens: 16 });
  assert.ok(tokensPerSecond > 0);
});

test("it is alive, and ends", async () => {
  assert.ok(server.isAlive);
  assert.is(await server.stop(), 0);
});

test.run();
