/**
 * Loads on a server with nano, over loopback:
 *
 *     npm run bench -- server                        all but mixed
 *     npm run bench -- server burst 3000             so many requests at once
 *     npm run bench -- server aborts 100 10          requests, rounds
 *     npm run bench -- server slow-writers 500 10    connections, seconds
 *     npm run bench -- server mixed 3600 8           seconds, clients; resident size every minute
 *     npm run bench -- server chats 128              tokens; 1, 4 and 16 at once
 */
import { aborts, burst, chats, mixed, slowWriters } from "./loads.ts";
import { type ServedOptions, ServerProcess } from "./server-process.ts";

async function withServer<T>(options: ServedOptions, load: (server: ServerProcess) => Promise<T>): Promise<T> {
  const server = await ServerProcess.start(options);
  try {
    const result = await load(server);
    if (!server.isAlive) throw new Error("the server has ended");
    return result;
  } finally {
    await server.stop();
  }
}

const [name, ...numbers] = process.argv.slice(2);
const [first, second] = numbers.map(Number);
const wanted = (load: string) => name === undefined || name === load;

if (wanted("burst")) console.log("burst:", await withServer({}, (server) => burst(server, first ?? 3000)));
if (wanted("aborts"))
  console.log("aborts:", await withServer({}, (server) => aborts(server, { requests: first ?? 100, rounds: second ?? 10 })));
if (wanted("slow-writers"))
  console.log(
    "slow writers:",
    await withServer({}, (server) => slowWriters(server, { connections: first ?? 500, seconds: second ?? 10 })),
  );
if (wanted("chats"))
  await withServer({}, async (server) => {
    for (const concurrent of [1, 1, 4, 16]) {
      const { firstMs, tokensPerSecond } = await chats(server, { concurrent, tokens: first ?? 128 });
      console.log(`${concurrent} at once: first token after ${firstMs.toFixed(0)} ms, ${tokensPerSecond.toFixed(0)} tokens/s`);
    }
  });
if (name === "mixed") {
  const onMinute = (rss: number) => console.log(`${new Date().toISOString()} resident ${(rss / 1e6).toFixed(1)} MB`);
  const { rss, ...counts } = await withServer({}, (server) =>
    mixed(server, { seconds: first ?? 3600, clients: second ?? 8, onMinute }),
  );
  const warm = rss.slice(Math.min(5, rss.length - 1));
  console.log(
    counts,
    `resident after warm-up: ${(Math.min(...warm) / 1e6).toFixed(1)} to ${(Math.max(...warm) / 1e6).toFixed(1)} MB`,
  );
}
