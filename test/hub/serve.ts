/** The local hub as a program, for trying things by hand: `node build/test/hub/serve.js [PORT]` prints its address. */
import { HubServer, TOKEN } from "./hub-server.ts";
import { ggufRepository, nanoRepository, shardedRepository } from "./repository.ts";

const hub = await HubServer.start(Number(process.argv[2] ?? 0));
hub.repos.set("local/nano", nanoRepository());
hub.repos.set("local/private-nano", { ...nanoRepository(), needsToken: true });
hub.repos.set("local/sharded", shardedRepository());
hub.repos.set("local/gguf", ggufRepository());
console.log(`HF_ENDPOINT=${hub.endpoint}`);
console.error(`models: ${[...hub.repos.keys()].join(", ")}; the token of the private one: ${TOKEN}`);
