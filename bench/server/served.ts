/** A server on nano in a process of its own, which tells of itself when it is asked: a line on standard input, a line of JSON back. */
import { createInterface } from "node:readline";
import { Qwen3 } from "../../src/index.ts";
import { createServer, listen } from "../../src/server.ts";
import { nanoPath } from "../../test/paths.ts";

const [options = "{}"] = process.argv.slice(2);
const { maxSequences, answers, ...modelOptions } = JSON.parse(options);
const model = await Qwen3.fromPretrained(nanoPath, { ...modelOptions, maxSequences });
const chatModel = model.chatModel();
const server = createServer(chatModel, { servedModelNames: ["nano"], limits: { ...(answers && { answers }) } });
const listener = await listen(server, { port: 0 });
const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);
say({ url: listener.url });

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "end") break;
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  // Beside standard input and output: what connections and timers hold.
  const resources = process
    .getActiveResourcesInfo()
    .filter((name) => /TCP|Timeout|Immediate/.test(name))
    .sort();
  say({ ...chatModel.stats(), resources, rss: process.memoryUsage.rss(), heapUsed: process.memoryUsage().heapUsed });
}
await server.drain(1000);
await listener.close();
await model.close();
